"""Inversion models of thesis 5.2 to be exported, with the shadow model's part of the attack."""

from typing import Any

import keras
import numpy as np

from mi_keras.attacks.activation_recovery import recover_activations, recovery_in_graph
from mi_keras.attacks.gradient_inversion import reconstruct, reconstruction_in_graph
from mi_keras.attacks.inverter import invert, rebuild_inverter
from mi_keras.data.preprocess import as_bytes
from mi_keras.data.sources import DEFAULT_SOURCE
from mi_keras.data.splits import Splits
from mi_keras.experiments.run_stages import with_weights
from mi_keras.experiments.thesis.stages import Pipeline
from mi_keras.models.cnn import ACTIVATION_UNITS, observe
from mi_keras.results import inverter_label
from mi_keras.serving.signatures import INPUT_NAMES, Field, Solver, inversion_signatures
from mi_keras.serving.trained import TRUTH, Trained, licence, need, on_cpu, sample, summary
from mi_keras.types import Floats, Observation, ShadowEvidence

ROWS = 4  # of the samples
METRICS = ("ssim", "mse")


@on_cpu()
def read_inverter(pipeline: Pipeline, config: Any, combination: str, objective: str) -> Trained:
    """Return an inversion model of thesis 5.2 with the shadow model's part of the attack.

    Args:
        config: settings of the section.
        combination: the inputs of M_I.
        objective: of X~.

    Raises:
        NotTrained: the store lacks a stage.
    """
    target, shadow = (pipeline.classifier(role, config.classifier) for role in ("target", "shadow"))
    settings = (shadow, config.classifier, config.activation, config.gradient, objective)
    known = pipeline.output_vector(shadow, config.classifier, "shadow_train")
    observed = pipeline.output_vector(target, config.classifier, "test")
    inverter = pipeline.inverter(pipeline.evidence(known, *settings), combination, config.inverter)
    scored = pipeline.inversion(
        inverter, pipeline.evidence(observed, *settings), combination, config.inverter, "test"
    )
    prototype = pipeline.scored_baseline(
        pipeline.baseline("class_prototype", config.prototype), observed, "test"
    )
    need(inverter, target, shadow, scored, prototype)

    images, words = _sample_images(pipeline.splits)
    image = Field(images.shape[1:], range=(0.0, 1.0))
    tcnn = rebuild_inverter(inverter.info["width"], image.shape[2], config.inverter)
    with_weights(tcnn, inverter.arrays)
    shadow_model = pipeline.load_classifier(shadow, config.classifier)
    attack = _Attack(pipeline, config, shadow_model, combination, objective)
    fields = {"o": Field((pipeline.classes,)), "a": Field((ACTIVATION_UNITS,)), "x": image}
    signatures = inversion_signatures(tcnn, combination, fields, image, attack.in_graph())

    output_vector = observe(pipeline.load_classifier(target, config.classifier), images).output_vector
    evidence = attack.in_python(output_vector)
    answers = invert(tcnn, evidence, combination)
    parts = {INPUT_NAMES[letter]: getattr(evidence, INPUT_NAMES[letter]) for letter in combination.split("+")}
    samples = {
        **sample("invert", parts, {"image": answers}),
        **sample("invert_from_output", {"output_vector": output_vector}, {"image": answers}),
        **sample("invert_png", parts, {"png_bytes": as_bytes(answers)}),
        TRUTH: images,
    }
    uses_x = "x" in combination.split("+")
    source = pipeline.splits.source_name
    about = {
        "attack": inverter_label(combination) + (f", X~: {objective}" if uses_x else ""),
        "combination": combination, "objective": objective if uses_x else None,
        "scores": summary(scored, METRICS),
        "baseline": {"name": "class prototype", **summary(prototype, METRICS)},
        "stages": {"inverter": inverter.key, "target": target.key, "shadow": shadow.key, "scores": scored.key},
        "trained_with": pipeline.store.versions, "samples": words, "in_graph": attack.words,
        "licence": licence(source, "CC BY-SA 3.0 (MNIST)" if source == DEFAULT_SOURCE else ""),
    }  # fmt: skip
    return Trained(signatures, samples, about)


class _Attack:
    """What the adversary derives from output vectors with M_S, once in Python and once as part of a graph.

    In both, each row is answered as if it came alone: a random start is the same for all of them.
    """

    def __init__(
        self, pipeline: Pipeline, config: Any, shadow: keras.Model, combination: str, objective: str
    ) -> None:
        self.shadow, self.letters = shadow, combination.split("+")
        self.activation, self.gradient, self.objective = config.activation, config.gradient, objective
        self.start = pipeline.start_images(config.gradient.start)
        self.seeds = {
            "a": pipeline.derive("activations", "test"),
            "x": pipeline.derive("gradient", objective, "test"),
        }
        self.words = {
            "a": f"{self.activation.method}, start {self.activation.start}, one for all rows",
            "x": f"{self.gradient.steps} steps of {self.gradient.optimizer} from {self.gradient.start}, rows one after another",
        }
        self.words = {name: words for name, words in self.words.items() if name in self.letters}

    def in_graph(self) -> dict[str, Solver]:
        solvers: dict[str, Solver] = {}
        if "a" in self.letters:
            solvers["a"] = recovery_in_graph(self.shadow, self.activation, seed=self.seeds["a"])
        if "x" in self.letters:
            solvers["x"] = reconstruction_in_graph(
                self.shadow, self.start, self.gradient, objective=self.objective, seed=self.seeds["x"]
            )
        return solvers

    def in_python(self, output_vector: Floats) -> ShadowEvidence:
        rows = [Observation(row[None]) for row in output_vector]
        activations = gradient = None
        if "a" in self.letters:
            activations = np.concatenate([
                recover_activations(self.shadow, row, self.activation, seed=self.seeds["a"]).activations for row in rows
            ])  # fmt: skip
        if "x" in self.letters:
            gradient = np.concatenate([
                reconstruct(
                    self.shadow, row, self.start, self.gradient, objective=self.objective, seed=self.seeds["x"]
                ).images
                for row in rows
            ])  # fmt: skip
        return ShadowEvidence(output_vector, activations, gradient)


def _sample_images(splits: Splits) -> tuple[Floats, str]:
    """Return images to try an export with, and what they are: those of a data set that may not be passed on stay out."""
    if splits.source_name == DEFAULT_SOURCE:
        _, first = np.unique(splits.test.labels, return_index=True)
        return splits.test.images[first[:ROWS]], "the first test images of four classes of MNIST"
    training = splits.shadow_train
    averages = [training.images[training.labels == c].mean(axis=0) for c in np.unique(training.labels)[:ROWS]]
    return np.stack(averages), "averages of classes of the shadow training images; none of them by itself"

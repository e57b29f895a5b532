"""Inversion models of thesis 5.2 to be exported, with the shadow model's part of the attack."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mi_keras.attacks.attack import Answers, Evidence, Solver
from mi_keras.attacks.baselines import ClassPrototype
from mi_keras.data.preprocess import as_bytes
from mi_keras.data.sources import DEFAULT_SOURCE
from mi_keras.data.splits import Splits
from mi_keras.experiments.bench import SHADOW, TARGET
from mi_keras.experiments.case import Case, Plan, plan
from mi_keras.experiments.thesis.bench import ThesisBench
from mi_keras.experiments.thesis.rows import inversion
from mi_keras.experiments.thesis.sizes import Inverted
from mi_keras.machine import FLOAT32
from mi_keras.models.cnn import ACTIVATION_UNITS, observe
from mi_keras.progress import Run
from mi_keras.serving.contract import LOGITS
from mi_keras.serving.signatures import INPUT_NAMES, Field, inversion_signatures
from mi_keras.serving.trained import TRUTH, Trained, licence, need, on_cpu, sample, summary
from mi_keras.types import Floats, Observation

ROWS = 4  # of the samples
METRICS = ("ssim", "mse")


@on_cpu()
def read_inverter(bench: ThesisBench, config: Inverted, combination: str, objective: str) -> Trained:
    """Return an inversion model of thesis 5.2 with the shadow model's part of the attack.

    Args:
        config: settings of the section.
        combination: the inputs of M_I.
        objective: of X~.

    Raises:
        NotTrained: the store lacks a stage.
    """
    attack = inversion(config, combination, objective)
    attacked, prototype = plan(Case(attack), bench), plan(Case(ClassPrototype(config.prototype)), bench)
    models = {role: bench.classifier(role) for role in (TARGET, SHADOW)}
    need(attacked.learned, *models.values(), attacked.scored, prototype.scored)

    images, words = _sample_images(bench.splits)
    letters = combination.split("+")
    image = Field(images.shape[1:], range=(0.0, 1.0))
    fields = {"o": Field((bench.classes,)), "a": Field((ACTIVATION_UNITS,)), "x": image}
    width = sum(math.prod(fields[letter].shape) for letter in letters)
    tcnn = attack.load((attacked.learned.arrays, {}), (width,), bench.image_shape)
    signatures = inversion_signatures(attack, tcnn, combination, fields, image, _in_graph(attacked, bench))

    output_vector = observe(bench.load(models[TARGET]), images).vectors
    evidence = _row_by_row(attacked, bench, output_vector)
    held = bench.holdings(attack.needs, None)
    answers = np.concatenate(list(attack.reconstruct((attacked.learned.arrays, {}), evidence, held, Run())))
    parts = {INPUT_NAMES[letter]: part for letter, part in zip(letters, evidence.parts, strict=True)}
    samples = {
        **sample("invert", parts, {"image": answers}),
        **sample("invert_from_output", {"output_vector": output_vector}, {"image": answers}),
        **sample("invert_png", parts, {"png_bytes": as_bytes(answers)}),
        TRUTH: images,
    }
    uses_x = "x" in letters
    source = bench.splits.source_name
    stages = {"inverter": attacked.learned, **models, "scores": attacked.scored}
    about = {
        "attack": attack.label + (f", X~: {objective}" if uses_x else ""),
        "output_kind": LOGITS, "combination": combination, "objective": objective if uses_x else None,
        "scores": summary(attacked.scored, METRICS),
        "baseline": {"name": "class prototype", **summary(prototype.scored, METRICS)},
        "stages": {name: stage.key for name, stage in stages.items()},
        "trained_with": bench.store.computed_with, "samples": words, "in_graph": _words(config, letters),
        "licence": licence(source, "CC BY-SA 3.0 (MNIST)" if source == DEFAULT_SOURCE else ""),
    }  # fmt: skip
    return Trained(signatures, samples, about)


def _words(config: Inverted, letters: Sequence[str]) -> dict[str, str]:
    """Say how the graph derives A^L and X~."""
    activation, gradient = config.activation, config.gradient
    words = {
        "a": f"{activation.method}, start {activation.start}, one for all rows",
        "x": f"{gradient.steps} steps of {gradient.optimizer} from {gradient.start}, rows one after another",
    }
    return {letter: text for letter, text in words.items() if letter in letters}


def _in_graph(attacked: Plan, bench: ThesisBench) -> list[Solver]:
    """Return what the inputs of the attack derive from output vectors, as functions of tensors."""
    return [
        each.in_graph(bench.holdings(each.needs, None), bench.run_of(part.stage, None, each.label))
        for each, part in zip(attacked.case.attack.inputs, attacked.seen, strict=True)
    ]


def _row_by_row(attacked: Plan, bench: ThesisBench, output_vector: Floats) -> Evidence:
    """Return the same as arrays: each row is answered as if it came alone, with one random start for all of them."""
    rows, parts = [Observation(row[None]) for row in output_vector], []
    for each, part in zip(attacked.case.attack.inputs, attacked.seen, strict=True):
        if isinstance(each, Answers):
            parts.append(output_vector)
            continue
        held = bench.holdings(each.needs, None)
        run = replace(bench.run_of(part.stage, None, each.label), precision=FLOAT32)  # as the graph computes
        parts.append(np.concatenate([each.derive(row, held, run)[0][each.array] for row in rows]))
    return Evidence(Observation(output_vector), parts)


def _sample_images(splits: Splits) -> tuple[Floats, str]:
    """Return images to try an export with, and what they are: those of a data set that may not be passed on stay out."""
    if splits.source_name == DEFAULT_SOURCE:
        _, first = np.unique(splits.test.labels, return_index=True)
        return splits.test.images[first[:ROWS]], "the first test images of four classes of MNIST"
    training = splits.shadow_train
    averages = [training.images[training.labels == c].mean(axis=0) for c in np.unique(training.labels)[:ROWS]]
    return np.stack(averages), "averages of classes of the shadow training images; none of them by itself"

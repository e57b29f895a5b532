"""The steps that sections share, as stages of the store: classifiers, observations, evidence, inverters, scores."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mi_keras.attacks.activation_recovery import recover_activations
from mi_keras.attacks.baselines import class_average, class_instance, class_prototype
from mi_keras.attacks.gradient_inversion import reconstruct
from mi_keras.attacks.inverter import invert, rebuild_inverter, train_inverter
from mi_keras.data.splits import Splits
from mi_keras.defenses.output_vector import Defense, defend
from mi_keras.experiments.run_stages import RunStages, weights_of, with_weights
from mi_keras.experiments.store import Stage, Store
from mi_keras.metrics.classification import confusion_matrix, weighted_f1
from mi_keras.metrics.image import score
from mi_keras.models.cnn import build_cnn, observe
from mi_keras.settings import (
    DEFAULT_HEAD,
    ActivationSettings,
    ClassifierSettings,
    GradientSettings,
    HeadSettings,
    InverterSettings,
    PrototypeSettings,
    SplitSettings,
)
from mi_keras.training.classifier import train_classifier
from mi_keras.types import Floats, ImageSet, Observation, Scores, ShadowEvidence
from mi_keras.work import Arrays, Progress, Workspace

MEANING = 1  # raise when a stage computes something else than before: older artifacts are then left alone


@dataclass(frozen=True)
class Evidence:
    """The stages behind a `ShadowEvidence`: O, A^L and X~ of one observation."""

    output_vector: Stage
    activations: Stage
    gradient: Stage

    def load(self, combination: str) -> ShadowEvidence:
        """Read what a combination needs, computing it if need be."""
        letters = combination.split("+")
        return ShadowEvidence(
            output_vector=self.output_vector.arrays["output_vector"],
            activations=self.activations.arrays["activations"] if "a" in letters else None,
            gradient_reconstruction=self.gradient.arrays["images"] if "x" in letters else None,
        )

    def parts(self, combination: str) -> list[Stage]:
        """Return the stages a combination depends on."""
        by_letter = {"o": self.output_vector, "a": self.activations, "x": self.gradient}
        return [by_letter[letter] for letter in combination.split("+")]


def describe_data(splits: Splits, settings: SplitSettings, seed: int) -> dict[str, Any]:
    """Return what identifies the five sets: content of the source, how it was cut, and the seed of the cut."""
    return {"fingerprint": splits.fingerprint, "splits": asdict(settings), "seed": seed}


class Pipeline(RunStages):
    """Describes the stages of one run of the thesis's attack; nothing is computed until a result is read.

    Args:
        splits: the five disjoint sets.
        data: what identifies `splits`, see `describe_data`.
        run: number of the repetition, from 1; all random choices but the splits derive from it.
    """

    def __init__(
        self,
        splits: Splits,
        data: Mapping[str, Any],
        store: Store,
        progress: Progress,
        *,
        seed: int,
        run: int,
    ) -> None:
        super().__init__(store, progress, {"meaning": MEANING, "data": dict(data)}, seed=seed, run=run)
        self.splits = splits
        self.classes = len(splits.class_names)

    def classifier(self, role: str, settings: ClassifierSettings, head: HeadSettings = DEFAULT_HEAD) -> Stage:
        """Train M_T (`role` "target") or M_S ("shadow") on its own training set (thesis 4.2).

        `head` is for comparing variants: the attacks take classifiers with the text's. Info: `history`, `f1` and
        `confusion` on its validation set.
        """
        training: ImageSet = getattr(self.splits, f"{role}_train")
        validation: ImageSet = getattr(self.splits, f"{role}_validation")

        def compute(workspace: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            cnn, history = train_classifier(
                training, validation, settings, classes=self.classes, seed=self.derive("classifier", role),
                head=head, workspace=workspace, progress=self.progress, label=self.label(f"{role} model", described),
            )  # fmt: skip
            predicted = observe(cnn, validation.images).predicted_class
            confusion = confusion_matrix(validation.labels, predicted, self.classes)
            return weights_of(cnn), {
                "history": history,
                "f1": weighted_f1(confusion),
                "confusion": confusion.tolist(),
            }

        changed: dict[str, Any] = {} if head == DEFAULT_HEAD else {"head": asdict(head)}
        described = self.stage(
            "classifier", compute, seeds=[("classifier", role)], settings=settings, role=role, **changed
        )
        return described

    def load_classifier(self, stage: Stage, settings: ClassifierSettings) -> keras.Model:
        """Rebuild a classifier from its stored weights."""
        shape, head = self.splits.shadow_train.images.shape[1:], stage.identity.get("head")
        cnn = build_cnn(
            shape,
            self.classes,
            channels=settings.channels,
            head=HeadSettings(**head) if head else DEFAULT_HEAD,
        )
        return with_weights(cnn, stage.arrays)

    def output_vector(self, classifier: Stage, settings: ClassifierSettings, subset: str) -> Stage:
        """Query a classifier with one of the sets: the output vectors O."""
        images: ImageSet = getattr(self.splits, subset)

        def compute(_: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            observation = observe(self.load_classifier(classifier, settings), images.images)
            accuracy = float(np.mean(observation.predicted_class == images.labels))
            return {"output_vector": observation.output_vector}, {"accuracy": accuracy}

        return self.stage("output_vector", compute, upstream=[classifier], subset=subset)

    def defended(self, observed: Stage, defense: Defense | None) -> Stage:
        """Change output vectors as a defence does before they leave the model (thesis 5.3, 5.4); None leaves them."""
        if defense is None:
            return observed

        def compute(_: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            return {
                "output_vector": defend(Observation(observed.arrays["output_vector"]), defense).output_vector
            }, {}

        described = {"defense": type(defense).__name__.lower(), **asdict(defense)}
        return self.stage(
            "defended_output_vector",
            compute,
            upstream=[observed],
            subset=observed.identity["subset"],
            **described,
        )

    def evidence(
        self,
        observed: Stage,
        shadow: Stage,
        classifier: ClassifierSettings,
        activation: ActivationSettings,
        gradient: GradientSettings,
        objective: str,
    ) -> Evidence:
        """Derive A^L and X~ from output vectors with the shadow model alone (thesis 3.4, 3.5, 3.7)."""

        if shadow.identity.get("role") != "shadow":
            raise ValueError(
                f"`shadow` must be the shadow model; got the stage of role {shadow.identity.get('role')!r}."
            )
        subset = observed.identity["subset"]

        def observation() -> Observation:
            return Observation(observed.arrays["output_vector"])

        def activations(_: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            model = self.load_classifier(shadow, classifier)
            result = recover_activations(
                model, observation(), activation, seed=self.derive("activations", subset)
            )
            info = {"not_converged": int((~result.converged).sum()), "count": len(result.converged)}
            return {"activations": result.activations, "losses": result.losses, "steps": result.steps}, info

        def reconstruction(workspace: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            result = reconstruct(
                self.load_classifier(shadow, classifier), observation(), self.start_images(gradient.start), gradient,
                objective=objective, seed=self.derive("gradient", objective, subset), workspace=workspace,
                progress=self.progress, label=self.label(f"gradient reconstruction of {subset}", observed),
            )  # fmt: skip
            return {"images": result.images, "losses": result.losses}, {"problems": result.problems}

        return Evidence(
            observed,
            self.stage(
                "activations", activations, upstream=[observed, shadow], seeds=[("activations", subset)], settings=activation
            ),
            self.stage(
                "gradient_reconstruction", reconstruction, upstream=[observed, shadow], settings=gradient, objective=objective,
                seeds=[("gradient", objective, subset), *([("start",)] if gradient.start == "class_instance" else [])],
            ),
        )  # fmt: skip

    def inverter(self, evidence: Evidence, combination: str, settings: InverterSettings) -> Stage:
        """Train M_I on the shadow's evidence of the shadow training set (thesis 3.7.1). Info: `history`."""
        images = self.splits.shadow_train.images

        def compute(workspace: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            tcnn, history = train_inverter(
                evidence.load(combination), images, combination, settings,
                seed=self.derive("inverter", combination), workspace=workspace, progress=self.progress,
                label=self.label(f"inverter {combination}", evidence.output_vector),
            )  # fmt: skip
            return weights_of(tcnn), {"history": history, "width": int(tcnn.input_shape[1])}

        upstream = evidence.parts(combination)
        return self.stage(
            "inverter", compute, upstream=upstream, seeds=[("inverter", combination)], settings=settings, combination=combination
        )  # fmt: skip

    def inversion(
        self, inverter: Stage, evidence: Evidence, combination: str, settings: InverterSettings, subset: str
    ) -> Stage:
        """Apply M_I to the evidence of a set and score the images against the truth."""

        def compute(_: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            channels = self.splits.test.images.shape[3]
            tcnn = rebuild_inverter(inverter.info["width"], channels, settings)
            images = invert(with_weights(tcnn, inverter.arrays), evidence.load(combination), combination)
            return self._scored(images, subset), {}

        upstream = [inverter, *evidence.parts(combination)]
        return self.stage("inversion", compute, upstream=upstream, subset=subset)

    def scored_gradient(self, evidence: Evidence, subset: str) -> Stage:
        """Score the plain gradient reconstruction against the truth."""

        def compute(_: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            return self._scored(evidence.gradient.arrays["images"], subset), {}

        return self.stage("scored_gradient", compute, upstream=[evidence.gradient], subset=subset)

    def baseline(self, name: str, settings: PrototypeSettings) -> Stage:
        """Compute an image per class from the shadow training set: "class_average" or "class_prototype"."""

        def compute(_: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            if name == "class_average":
                return {"images": class_average(self.splits.shadow_train, self.classes)}, {}
            seed = self.derive("class_prototype")
            training = self.splits.shadow_train
            return {
                "images": class_prototype(training, self.classes, settings, seed=seed, progress=self.progress)
            }, {}

        drawn = name == "class_prototype"
        return self.stage(
            name, compute, seeds=[(name,)] if drawn else [], settings=settings if drawn else None
        )

    def scored_baseline(self, baseline: Stage, observed: Stage, subset: str) -> Stage:
        """Answer each observation with its predicted class's image and score that against the truth."""

        def compute(_: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            predicted = Observation(observed.arrays["output_vector"]).predicted_class
            return self._scored(baseline.arrays["images"][predicted], subset), {}

        return self.stage("scored_baseline", compute, upstream=[baseline, observed], subset=subset)

    def prototype_distance(self, scored: Stage, prototype: Stage, observed: Stage) -> Stage:
        """Measure 1 - SSIM of each reconstruction to the prototype of the class that was predicted: `distance`."""

        def compute(_: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            predicted = Observation(observed.arrays["output_vector"]).predicted_class
            images = scored.arrays["images"].astype(np.float32)
            return {"distance": 1 - score(images, prototype.arrays["images"][predicted]).ssim}, {}

        return self.stage("prototype_distance", compute, upstream=[scored, prototype, observed])

    def start_images(self, start: str) -> Floats | None:
        """Return I_0 of each class for a start of `GradientSettings`, `(classes, height, width, channels)`; None: noise."""
        if start == "class_average":
            return class_average(self.splits.shadow_train, self.classes)
        if start == "class_instance":
            return class_instance(self.splits.shadow_train, self.classes, seed=self.derive("start"))
        return None

    def _scored(self, images: Floats, subset: str) -> dict[str, NDArray[Any]]:
        scores = score(images, getattr(self.splits, subset).images)
        return {"images": images.astype(np.float16), "ssim": scores.ssim, "mse": scores.mse}


def scores_of(stage: Stage) -> Scores:
    """Return the per-image scores that a scored stage holds."""
    return Scores(ssim=stage.arrays["ssim"], mse=stage.arrays["mse"])

"""The bench of one layer: a part of the held-out images for what takes long, noise that costs as much, a tail trained anew."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.data.preprocess import as_unit
from mi_keras.defenses.defense import Defended, Defense
from mi_keras.defenses.maps import NoisyMaps
from mi_keras.defenses.shaped import ShapedNoise, least_information, tail_sensitivities
from mi_keras.errors import InputError
from mi_keras.experiments.split.bench import BATCH, HELD_OUT, TRAINING, SplitBench
from mi_keras.experiments.split.work import Faces
from mi_keras.experiments.store import Stage
from mi_keras.metrics.agreement import top1_agreement
from mi_keras.metrics.retrieval import image_embedding
from mi_keras.models.mobilenet import SplitModel
from mi_keras.models.small_residual import build_small_residual, split_small_residual
from mi_keras.models.variables import weights_of, with_weights
from mi_keras.progress import Arrays, Workspace
from mi_keras.seeds import derive
from mi_keras.training.imitation import imitate, trainable_copy, tune_tail
from mi_keras.training.settings import ImitationSettings
from mi_keras.types import Floats, Rows

FIRST = "first_"  # and a number: so many of the held-out images
HALVINGS = 8  # of the range in which a budget is looked for
RANGE = math.log(100)  # of the budget, to either side of what the even noise costs to second order


class LayersBench(SplitBench):
    """A bench that can also attack the first held-out images alone, a side named by `FIRST` and their number.

    Attributes:
        judge: the model by whose features reconstructions are looked for.
    """

    def __init__(self, faces: Faces, encoder: SplitModel, *given: Any, **named: Any) -> None:
        super().__init__(faces, encoder, *given, **named)
        self.judge = encoder

    def pictures(self, side: str) -> NDArray[np.uint8]:
        if not side.startswith(FIRST):
            return super().pictures(side)
        return super().pictures(HELD_OUT)[: int(side.removeprefix(FIRST))]

    def small_residual(self, settings: ImitationSettings) -> Stage:
        """Train a small residual network on the training images, which have no labels, to answer as this encoder does.

        Info: `history`, and `agreement` with the encoder's top class on held-out images.
        """
        tail = self.encoder.tail
        assert tail is not None

        def compute(workspace: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            run = self.run_of(stage, workspace, "small residual network")
            size, classes = self.image_shape[0], tail.output_shape[-1]
            model = build_small_residual(size, classes, seed=derive(run.seed, "initial"))
            answers = self._answered(self.maps(TRAINING).large("maps"))
            history = imitate(model, _UnitRange(self.pictures(TRAINING)), answers, settings, run=run)
            images = self.pictures(HELD_OUT)
            parts = [as_unit(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
            logits = np.concatenate([model(part, training=False).numpy() for part in parts])
            agreed = float(top1_agreement(logits, self.answers(None)).mean())
            return weights_of(model), {"history": history, "agreement": agreed}

        stage = self.stage(
            "small_residual", compute, upstream=[self.maps(TRAINING), self.maps(HELD_OUT)], seeds=[("small residual",)],
            settings=vars(settings),
        )  # fmt: skip
        return stage

    def of_small_residual(self, settings: ImitationSettings, cut: str) -> "LayersBench":
        """Return the bench of that network at a cut; what is recognised in its reconstructions, this encoder recognises."""
        tail = self.encoder.tail
        assert tail is not None
        whole = build_small_residual(self.image_shape[0], tail.output_shape[-1], seed=1)
        encoder = split_small_residual(with_weights(whole, self.small_residual(settings).arrays), cut)
        other = LayersBench(self.faces, encoder, self.store, self.progress, seed=self._seed, run=self._run)
        other.judge = self.encoder
        return other

    def _embedded(self, images: Floats) -> Arrays:
        return {"features": self.judge.embed(images).numpy(), "pixels": image_embedding(images)}

    def shaped_like(self, deviations: Sequence[float], images: int) -> dict[float, ShapedNoise]:
        """Return noise shaped for the tail that leaves as many of its answers as even noise does, by the even one's deviation.

        Args:
            deviations: of even noise, in those of each map.
            images: of the training images by which is chosen, at most.
        """

        def compute(_: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            maps, tail = self.maps(TRAINING).large("maps")[:images], self.encoder.tail
            assert tail is not None  # a cut leaves one
            seed = self.derive("shaped noise")
            even = NoisyMaps()
            measured = even.measure(maps)
            variances = np.square(measured["deviation"], dtype=np.float64)
            sensitivities = tail_sensitivities(tail, maps, seed=seed)
            reference = self._answered(maps)
            if not (cost := float(variances @ sensitivities)) > 0:
                raise InputError(
                    f"`defended` must name cuts whose maps the tail looks at; got {self.encoder.cut}."
                )

            def agreement(defense: Defense) -> float:
                sent = Defended(maps, defense, measured if defense.measures else {}, seed)
                return float(top1_agreement(self._answered(sent), reference).mean())

            found, told = [], []
            for deviation in deviations:
                wanted = agreement(NoisyMaps(deviation))
                middle = math.log(deviation**2 * cost)
                low, high = middle - RANGE, middle + RANGE
                for _halving in range(HALVINGS):
                    middle = (low + high) / 2
                    shaped = least_information(variances, sensitivities, math.exp(middle))
                    costs_more = agreement(ShapedNoise(1.0, shaped)) < wanted
                    low, high = (low, middle) if costs_more else (middle, high)
                shaped = least_information(variances, sensitivities, math.exp(low))
                found.append(shaped)
                told.append([wanted, agreement(ShapedNoise(1.0, shaped))])
            return {"deviations": np.array(found)}, {"agreement": told}

        stage = self.stage(
            "shaped_noise", compute, upstream=[self.maps(TRAINING)], seeds=[("shaped noise",)],
            deviations=list(deviations), images=images,
        )  # fmt: skip
        rows = stage.arrays["deviations"].tolist()
        return {each: ShapedNoise(1.0, tuple(row)) for each, row in zip(deviations, rows, strict=True)}

    def tuned_answers(self, defense: Defense, settings: ImitationSettings, images: int) -> Floats:
        """Return the logits for the held-out images of a tail that was trained anew on what the defence sends; not stored.

        Args:
            images: training images for that, at most.
        """
        tail = self.encoder.tail
        assert tail is not None

        def compute(workspace: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            sent = self.sent(TRAINING, defense)[:images]
            answers = self._answered(self.maps(TRAINING).large("maps")[:images])
            run = self.run_of(stage, workspace, "tail")
            model, history = tune_tail(tail, sent, answers, settings, run=run)
            return weights_of(model), {"history": history}

        stage = self.stage(
            "tuned_tail", compute, upstream=[self.maps(TRAINING)], seeds=[("tuned tail",), ("defense", TRAINING)],
            words=[defense.words], map_defense=defense.identity, settings=vars(settings), images=images,
        )  # fmt: skip
        model = with_weights(trainable_copy(tail), stage.arrays)
        sent = self.sent(HELD_OUT, defense)
        parts = [sent[start : start + BATCH].astype(np.float32) for start in range(0, len(sent), BATCH)]
        return np.concatenate([model(part, training=False).numpy() for part in parts])

    def _answered(self, maps: Rows) -> Floats:
        """Return the tail's logits for maps."""
        batches = range(0, len(maps), BATCH)
        return np.concatenate([self.encoder.answer(maps[start : start + BATCH]).numpy() for start in batches])


class _UnitRange:
    """Pictures in [0, 1], float32, as they are read (see `types.Rows`)."""

    def __init__(self, pictures: NDArray[np.uint8]) -> None:
        self.pictures, self.shape, self.dtype = pictures, pictures.shape, np.dtype(np.float32)

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, rows: Any) -> Floats:
        return as_unit(self.pictures[rows])

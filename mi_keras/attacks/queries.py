"""Queries: the target's answers to some of the adversary's images improve the map to the shadow models, and then train
a network."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mi_keras.attacks.access import Access, Holdings
from mi_keras.attacks.alignment import Pairs as Known
from mi_keras.attacks.alignment import apply_maps, family_of, matched
from mi_keras.attacks.attack import Attack, Evidence, Fitted
from mi_keras.attacks.canonical import beside_class, canonical_parts, own_of, shrunk, unpacked, with_own
from mi_keras.attacks.drawing import Pairs, drawn_by, last_network, named, networks_of, train, widened
from mi_keras.attacks.imitation import FEWEST, imitate, k_centre
from mi_keras.data.preprocess import as_unit
from mi_keras.errors import InputError
from mi_keras.progress import Run
from mi_keras.seeds import derive
from mi_keras.settings import (
    LARGEST,
    TUNING,
    InverterSettings,
    check_not_negative,
    check_positive,
    check_whole,
)
from mi_keras.types import Floats, Ints


@dataclass(frozen=True)
class Queried(Attack):
    """A bank's networks, applied to a target that has answered some of the adversary's own images.

    The map from the target's answers to the mean of the shadow models is found by matching (see `alignment.matched`);
    it uses answers with known images beside the observed ones. With `tuned` a network is then trained further, on the
    target's answers to images that were queried and on predicted answers to all others (see `imitation`).

    Attributes:
        networks: those of a bank (see `bank.BankInverter`), of mapped answers.
        sources: shadow models of that bank.
        queries: number of images that the target answers; they are those farthest apart by the shadow models' answers.
        weight: weight of the shadow models against the target's answers in each class, as a number of answers.
        tuned: train the last of the networks further and use that one alone.
        noise: standard deviation of the Gaussian noise on canonical answers in that training.
        mse, settings: of that training (see `bank.BankInverter`).
    """

    networks: Attack
    sources: int = 10
    queries: int = 1000
    weight: float = 100.0
    tuned: bool = False
    noise: float = 0.1
    mse: float = 1.0
    settings: InverterSettings = TUNING

    starts_behind: ClassVar[bool] = True
    tolerance: ClassVar[float] = 1e-4
    gains_in_half: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("sources", "queries"):
            check_whole(name, getattr(self, name), 1, LARGEST)
        check_positive("weight", self.weight)
        for name in ("noise", "mse"):
            check_not_negative(name, getattr(self, name))
        if self.tuned and self.queries < FEWEST:
            raise InputError(f"`queries` must be at least {FEWEST} for training; got {self.queries}.")

    @property
    def label(self) -> str:
        return f"{self.queries:,} queries, {'network trained further' if self.tuned else 'affine map'}"

    @property
    def needs(self) -> Access:
        return Access(True, "surrogate", self.sources, self.queries, population=True)

    @property
    def start(self) -> Attack:
        return self.networks

    def fit(self, known: Evidence | None, held: Holdings, run: Run, before: Fitted | None = None) -> Fitted:
        """Return the networks with the target's statistics and map, as of `transfer.Transfer`. Info: `history` of the loss."""
        assert known is not None
        assert before is not None
        assert held.population is not None
        assert held.query is not None  # as `needs` asks for all of them
        arrays, images = before[0], as_unit(held.own_images.images)
        anchors, anchor_classes = arrays["anchors"], arrays["anchor_classes"]
        spread = beside_class(anchors, anchor_classes, anchors.shape[1])
        rows = k_centre(spread, self.queries, seed=derive(run.seed, "asked"))
        answers = held.query(images[rows]).vectors
        own = shrunk(np.concatenate([held.population.vectors, answers]), unpacked(arrays))
        standard, classes = own.canonical(answers)
        parts = canonical_parts(known.observation, arrays)
        family = family_of(parts, anchors, anchor_classes)
        maps = matched(
            *own.canonical(held.population.vectors), family, weight=self.weight,
            pairs=Known(standard, anchors[rows], classes),
        )  # fmt: skip
        aligned = {**arrays, **with_own(own), "map": maps}
        if not self.tuned:
            return aligned, {}
        features = np.concatenate([part for part, _ in parts], axis=1)
        imitation = imitate(features, anchor_classes, rows, standard)

        def pairs(epoch: int) -> Pairs:
            draw = np.random.default_rng(derive(run.seed, "pairs", epoch))
            values = imitation.drawn(draw)
            values += self.noise * draw.standard_normal(values.shape, np.float32)
            return _inputs(values, anchor_classes, maps), images

        (network,) = networks_of(last_network(arrays))
        wide = widened(network, anchors.shape[1])
        tuned, info = train(pairs, self.settings, run=run, mse_weight=self.mse, start=wide)
        return {**last_network(aligned), **named(tuned, 0)}, info

    def reconstruct(self, fitted: Fitted, observed: Evidence, held: Holdings, run: Run) -> Iterator[Floats]:
        standard, classes = own_of(fitted[0]).canonical(observed.observation.vectors)
        inputs = _inputs(standard, classes, fitted[0]["map"])
        width = inputs.shape[1] if self.tuned else inputs.shape[1] - standard.shape[1]
        yield from drawn_by(fitted[0], inputs[:, :width], held.image_shape, label=self.label)


def _inputs(standard: Floats, classes: Ints, maps: NDArray[np.float64]) -> Floats:
    """Return what a network takes in that is trained further: mapped answers, the class, and answers that are not mapped.

    The map has little left of what shadow models do not share with the target, and that too tells of the image.
    """
    mapped = apply_maps(standard, classes, maps).astype(np.float32)
    return np.concatenate([beside_class(mapped, classes, len(maps)), standard], axis=1)

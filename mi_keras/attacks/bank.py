"""An inversion network trained on the answers of many shadow models ("a bank"), each trained on other images.

A network that learns from a single shadow model overfits to that model's logits. From many, each trained on another
half of the adversary's images, it learns what their answers share, and a target's answers share the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mi_keras.attacks.access import Access, Holdings
from mi_keras.attacks.alignment import RIDGE, apply_maps, covariances_of, ridge_maps
from mi_keras.attacks.attack import Attack, Evidence, Fitted
from mi_keras.attacks.augment import augmented
from mi_keras.attacks.canonical import (
    Statistics,
    beside_class,
    inputs_by,
    packed,
    shrunk,
    statistics_of,
    unpacked,
    vectors_of,
)
from mi_keras.attacks.drawing import Pairs, drawn_by, named, networks_of, train
from mi_keras.data.preprocess import as_unit
from mi_keras.errors import InputError
from mi_keras.models.cnn import observe
from mi_keras.progress import Run
from mi_keras.seeds import derive
from mi_keras.settings import BANK_NETWORK, LARGEST, InverterSettings, check_not_negative, check_whole
from mi_keras.types import Floats, Ints, Observation, Redrawn, redrawn

FORMS = ("raw", "canonical", "mapped")


@dataclass(frozen=True)
class BankInverter(Attack):
    """A network trained on the answers of a bank of shadow models; for each image and epoch one of them is drawn at
    random.

    Used alone, it assumes that a target's answers have the statistics of the shadow models' answers (see `canonical`).
    An alignment, which has seen the target's answers, can continue from it.

    Attributes:
        sources: number of shadow models; where there are several, each gives one draw of the known answers.
        form: "raw" answers, "canonical" ones, or these "mapped" by ridge regression per class to the mean of the other
            shadow models' answers.
        noise: standard deviation of the Gaussian noise on canonical answers in training; for raw answers as a share of
            their own standard deviation.
        shaped: share of that noise, in [0, 1], that has the covariance of the differences between shadow models; the
            rest is white.
        copies: number of augmented copies of each image, which the shadow models answer too; every second epoch uses
            one of them.
        member: number of the network in an ensemble, which gives it its own random seed.
        beside: the other networks of the ensemble; the reconstruction is the mean over all.
        mse: weight of the mean squared error beside 1 - SSIM in the loss.
        settings: of the network; its `input_noise` must be 0, as `noise` replaces it.
    """

    sources: int = 10
    form: str = "canonical"
    noise: float = 0.3
    shaped: float = 0.0
    copies: int = 0
    member: int = 1
    beside: "BankInverter | None" = None
    mse: float = 0.0
    settings: InverterSettings = BANK_NETWORK

    starts_behind: ClassVar[bool] = True
    tolerance: ClassVar[float] = 1e-4
    gains_in_half: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise InputError(f"`form` must be one of {', '.join(FORMS)}; got {self.form!r}.")
        check_whole("sources", self.sources, 2 if self.form == "mapped" else 1, LARGEST)
        check_whole("copies", self.copies, 0, LARGEST)
        check_whole("member", self.member, 1, LARGEST)
        for name in ("noise", "mse"):
            check_not_negative(name, getattr(self, name))
        if self.settings.input_noise:
            raise InputError(f"`settings.input_noise` must be 0; got {self.settings.input_noise!r}.")
        if not 0 <= self.shaped <= 1 or (self.shaped and self.sources < 2):
            raise InputError(
                f"`shaped` must be between 0 and 1, and 0 of one shadow model; got {self.shaped!r}."
            )
        if self.beside and (self.beside.form, self.beside.sources) != (self.form, self.sources):
            raise InputError(f"`beside` must have the same form and sources; got {self.beside.label}.")

    @property
    def label(self) -> str:
        models = "model" if self.sources == 1 else "models"
        return f"{self.form} answers of {self.sources} shadow {models}"

    @property
    def words(self) -> tuple[str, ...]:
        return (f"{self.label}, network {self.member}",)

    @property
    def needs(self) -> Access:
        return Access(images=True, answers="surrogate", surrogates=self.sources)

    @property
    def seed_names(self) -> list[tuple[object, ...]]:
        return [(type(self).__name__, self.form, self.sources, self.member)]

    @property
    def start(self) -> "BankInverter | None":
        return self.beside

    def fit(self, known: Evidence | None, held: Holdings, run: Run, before: Fitted | None = None) -> Fitted:
        """Train the network. Info: `history` of the loss.

        Returns:
            The networks (see `drawing.named`). Of answers that are not raw also `scales`, `centres`, `deviations` of each
            shadow model, `covariances` `(classes, units, units)` of canonical answers, `map` `(classes, units, units)` for
            a model that is none of them, and `anchors` `(count, units)`, the mean answer to each image.
        """
        assert known is not None  # as `needs` asks for answers
        bank = Bank(self, known.observation, held, run.seed)
        network, info = train(bank.pairs, self.settings, run=run, mse_weight=self.mse)
        earlier = networks_of(before[0]) if before else []
        together = [*earlier, network]
        numbered = [named(each, number) for number, each in enumerate(together)]
        return {**bank.arrays, **{key: array for each in numbered for key, array in each.items()}}, info

    def reconstruct(self, fitted: Fitted, observed: Evidence, held: Holdings, run: Run) -> Iterator[Floats]:
        arrays, inputs = fitted[0], observed.observation.vectors
        if (
            self.form != "raw"
        ):  # by the statistics of the shadow models: none of the answers is looked at for them
            inputs = inputs_by(shrunk(inputs[:0], unpacked(arrays)), inputs, arrays["map"])
        yield from drawn_by(arrays, inputs, held.image_shape, label=self.label)


class Bank:
    """The pairs that a network learns from, and the arrays that take another model's answers to the same form."""

    def __init__(self, attack: BankInverter, known: Observation, held: Holdings, seed: int) -> None:
        self._attack, self._seed = attack, seed
        self._images = as_unit(held.own_images.images)
        vectors, self._values = vectors_of(known, attack.sources), known.values
        self._count = vectors[0].shape[1]
        self.arrays: dict[str, NDArray[Any]] = {}
        self._known: list[Statistics] = []
        self._maps: list[NDArray[np.float64]] = []
        if attack.form == "raw":
            deviation = float(np.std(np.concatenate(vectors), dtype=np.float64))
            self._parts = [(answers, np.zeros(len(answers), np.int64)) for answers in vectors]
            self._noise: NDArray[np.float64] = attack.noise * deviation * np.eye(self._count)[None]
        else:
            self._canonical(vectors)
        self._copies = [
            augmented(self._images, seed=derive(seed, "copy", number)) for number in range(attack.copies)
        ]
        self._answers = [self._answered(number, images, held) for number, images in enumerate(self._copies)]

    def pairs(self, epoch: int) -> Pairs:
        """Return inputs and images of an epoch: a source and noise drawn for each image."""
        draw = np.random.default_rng(derive(self._seed, "pairs", epoch))
        if self._copies and epoch % 2:
            number = (epoch // 2) % len(self._copies)
            (answers, classes), images = self._answers[number], self._copies[number]
        else:
            parts = self._drawn(epoch)
            source, images = draw.integers(len(parts), size=len(self._images)), self._images
            rows = np.arange(len(images))
            answers = np.stack([part for part, _ in parts])[source, rows]
            classes = np.stack([of for _, of in parts])[source, rows]
        white = draw.standard_normal(answers.shape)
        noisy = (answers + apply_maps(white, classes % len(self._noise), self._noise)).astype(np.float32)
        return noisy if self._attack.form == "raw" else beside_class(noisy, classes, self._count), images

    def _drawn(self, epoch: int) -> Sequence[tuple[Floats, Ints]]:
        """Return what the shadow models answer in an epoch: something else in each where what is drawn is drawn anew."""
        if not isinstance(self._values, Redrawn) or self._values.period or not epoch:
            return self._parts
        first = epoch * self._attack.sources
        draws = [
            np.asarray(redrawn(self._values, first + k)[:], np.float32) for k in range(self._attack.sources)
        ]
        if self._attack.form == "raw":
            return [(answers, np.zeros(len(answers), np.int64)) for answers in draws]
        return [self._formed(number, answers) for number, answers in enumerate(draws)]

    def _formed(self, number: int, vectors: Floats) -> tuple[Floats, Ints]:
        """Return answers of a shadow model in the form that is learned, and their classes."""
        standard, classes = self._known[number].canonical(vectors)
        return apply_maps(standard, classes, self._maps[number]).astype(np.float32), classes

    def _canonical(self, vectors: Sequence[Floats]) -> None:
        self._known = [statistics_of(answers) for answers in vectors]
        parts = [known.canonical(answers) for known, answers in zip(self._known, vectors, strict=True)]
        unit = np.tile(np.eye(self._count), (self._count, 1, 1))
        covariances = np.mean([covariances_of(*part, self._count) for part in parts], axis=0)
        total = np.sum([standard for standard, _ in parts], axis=0)
        self._maps = [unit] * len(parts)
        if self._attack.form == "mapped":
            self._maps = [
                ridge_maps(z, (total - z) / (len(parts) - 1), of, 0 * unit, shared=RIDGE, by_class=RIDGE)
                for z, of in parts
            ]
        mapped = [apply_maps(*part, maps) for part, maps in zip(parts, self._maps, strict=True)]
        self._parts = [(m.astype(np.float32), of) for m, (_, of) in zip(mapped, parts, strict=True)]
        self._noise = self._factors()
        votes = sum(np.eye(self._count)[of] for _, of in parts)
        self.arrays = {
            **packed(self._known), "covariances": covariances, "map": np.mean(self._maps, axis=0),
            "anchors": (total / len(parts)).astype(np.float32), "anchor_classes": np.argmax(votes, axis=1),
        }  # fmt: skip

    def _factors(self) -> NDArray[np.float64]:
        """Return `(classes, units, units)` factors of the noise: white, and as shadow models differ, at one variance."""
        attack, unit = self._attack, np.eye(self._count)
        white = np.tile(attack.noise * unit, (self._count, 1, 1))
        if not attack.shaped:
            return white
        middle = np.mean([part for part, _ in self._parts], axis=0)
        differ = np.mean([covariances_of(part - middle, of, self._count) for part, of in self._parts], axis=0)
        power = np.trace(differ, axis1=1, axis2=2)[:, None, None] / self._count + 1e-9
        shape = attack.shaped * differ / power + (1 - attack.shaped) * unit
        return attack.noise * np.transpose(np.linalg.cholesky(shape + 1e-6 * unit), (0, 2, 1))

    def _answered(self, number: int, images: Floats, held: Holdings) -> tuple[Floats, Ints]:
        """Return the answers to augmented images in the form that is learned, each by one shadow model drawn for it."""
        draw = np.random.default_rng(derive(self._seed, "answered", number))
        source = draw.integers(len(held.surrogates), size=len(images))
        answers = np.empty((len(images), self._count), np.float32)
        classes = np.zeros(len(images), np.int64)
        for place, model in enumerate(held.surrogates):
            of = np.flatnonzero(source == place)
            if not len(of):
                continue
            vectors = observe(model, images[of]).vectors
            if self._attack.form == "raw":
                answers[of] = vectors
            else:
                answers[of], classes[of] = self._formed(place, vectors)
        return answers, classes

"""Any attack, trained on the answers of shadow models, against a target that answers no queries.

Networks of one architecture give answers that agree up to an affine map (Roeder et al. 2021), so an attack that learned
from one hardly works on another. Canonical answers (see `canonical`) transfer. The target's statistics are those of the
answers that are attacked, of all of them together (transductive).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mi_keras.attacks.access import Access, Holdings
from mi_keras.attacks.attack import Attack, Evidence, Fitted
from mi_keras.attacks.canonical import (
    Statistics,
    Told,
    own_of,
    packed,
    shrunk,
    statistics_of,
    unpacked,
    with_own,
)
from mi_keras.errors import InputError
from mi_keras.progress import Run
from mi_keras.seeds import derive
from mi_keras.settings import check_whole
from mi_keras.types import Floats, Ints, Observation, Redrawn, Rows, redrawn

SAVED = "inner_"  # before the names of what `inner` learned
MOST_NOISE = 6.0  # deviations
MOST_NUMBERS = 4_000_000  # of answers from which statistics are taken: 32 MB


@dataclass(frozen=True)
class FromShadows(Attack):
    """An attack that learns from the answers of several shadow models, one drawn for each image in each epoch.

    Attributes:
        inner: the attack that learns from canonical answers.
        shadows: number of shadow models; draw k of the known answers (`types.redrawn`) is from shadow k, starting again
            after the last.
        noise: standard deviation of the Gaussian noise on canonical vectors in training, drawn anew in each epoch: the
            target differs from the shadows more than these differ from each other.
        class_columns: number of last columns of an answer that hold the class as one-hot; 0: none.
        observes: True: the statistics of the target come from all its observed answers, shrunk towards those of the
            shadows where there are few. False: the shadows' statistics are used, and each answer is attacked by itself.
    """

    inner: Attack
    shadows: int = 8
    noise: float = 0.0
    class_columns: int = 0
    observes: bool = True

    starts_behind: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_whole("shadows", self.shadows, 1)
        check_whole("class_columns", self.class_columns, 0)
        if not 0 <= self.noise <= MOST_NOISE:
            raise InputError(f"`noise` must be >= 0 and <= {MOST_NOISE:g}; got {self.noise!r}.")

    @property
    def of_maps(self) -> bool:
        return self.inner.of_maps

    @property
    def tolerance(self) -> float:  # type: ignore[override]
        return self.inner.tolerance

    @property
    def gains_in_half(self) -> bool:  # type: ignore[override]
        return self.inner.gains_in_half

    @property
    def label(self) -> str:
        return f"{self.shadows} shadow model{'s' if self.shadows > 1 else ''}, {self.inner.label}"

    @property
    def words(self) -> tuple[str, ...]:
        return (*super().words, *(["statistics"] if self.observes else []))

    @property
    def needs(self) -> Access:
        if self.observes:
            return Access(population=True)
        return Access(images=True, answers="surrogate", surrogates=self.shadows)

    @property
    def start(self) -> "FromShadows | None":
        """The same attack without the target's statistics; it is trained once for all observed targets."""
        return replace(self, observes=False) if self.observes else None

    @property
    def identity(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("shadows", "noise", "class_columns", "observes")}
        return {**own, "inner": [type(self.inner).__name__, self.inner.identity]}

    @property
    def seed_names(self) -> list[tuple[object, ...]]:
        return [(type(self).__name__, self.inner.label)]

    def fit(self, known: Evidence | None, held: Holdings, run: Run, before: Fitted | None = None) -> Fitted:
        """Learn from the shadows, or take the target's statistics once `start` has.

        Returns:
            What `inner` learned, beside the statistics of each shadow (`canonical.packed`) and of the target (`with_own`).

        Raises:
            ValueError: `known`, or `before` and the observed answers, are missing.
        """
        if self.observes:
            if before is None or held.population is None:
                raise ValueError(
                    "`before` and `population` must hold what was learned and observed; got None."
                )
            features, told = self._features(held.population.values)
            return {**before[0], **with_own(shrunk(features, unpacked(before[0]), told))}, before[1]
        if known is None:
            raise ValueError("`known` must hold the answers of shadow models; got None.")
        values = known.observation.values
        shadows = [statistics_of(*self._features(redrawn(values, number))) for number in range(self.shadows)]

        def drawn(number: int) -> Rows:
            draw = np.random.default_rng(derive(run.seed, "shadow", number))
            sources = [redrawn(values, number * self.shadows + k) for k in range(self.shadows)]
            chosen = draw.integers(self.shadows, size=len(values))
            noise = None
            if self.noise and len(values.shape) == 2:
                shape = (len(values), values.shape[1] - self.class_columns)
                noise = self.noise * draw.standard_normal(shape, np.float32)
            return _Mixed(self, sources, shadows, chosen, noise)

        seen = Observation(Redrawn(drawn(0), drawn), known.observation.point)
        arrays, info = self.inner.fit(Evidence(seen, [seen.values]), held, run)
        return {**{f"{SAVED}{n}": array for n, array in arrays.items()}, **packed(shadows)}, {
            "inner": dict(info)
        }

    def reconstruct(self, fitted: Fitted, observed: Evidence, held: Holdings, run: Run) -> Iterator[Floats]:
        arrays, info = fitted
        learned = {n.removeprefix(SAVED): array for n, array in arrays.items() if n.startswith(SAVED)}
        values = observed.observation.values
        if self.observes:
            statistics = [own_of(arrays)]
        else:
            features, (classes, count) = self.split(values[:0])
            statistics = [shrunk(features, unpacked(arrays), (classes, count))]
        canonical = _Mixed(self, [values], statistics, np.zeros(len(values), np.int64))
        seen = Observation(canonical, observed.observation.point)
        return self.inner.reconstruct((learned, info["inner"]), Evidence(seen, [canonical]), held, run)

    def split(self, values: NDArray[Any]) -> tuple[Floats, Told]:
        """Return the answers without their class columns, one row per answer (per position for maps), and the
        classes."""
        values = np.asarray(values, np.float32)
        if values.ndim != 2 or not self.class_columns:
            rows = values.reshape(-1, values.shape[-1])
            return rows, (np.zeros(len(rows), np.int64), 1)
        told = np.argmax(values[:, -self.class_columns :], axis=1).astype(np.int64)
        return values[:, : -self.class_columns], (told, self.class_columns)

    def canonical(self, values: NDArray[Any], statistics: Statistics) -> Floats:
        """Return answers of one model in the form that all models share, `(count, ...)` as they came."""
        features, (classes, _) = self.split(values)
        standard, _ = statistics.canonical(features, classes)
        if values.ndim != 2 or not self.class_columns:
            return standard.reshape(values.shape)
        return np.concatenate([standard, np.asarray(values[:, -self.class_columns :], np.float32)], axis=1)

    def _features(self, values: Rows) -> tuple[Floats, Told]:
        """Return features and classes of as many answers as statistics are taken from."""
        most = max(1, MOST_NUMBERS // int(np.prod(values.shape[1:])))
        return self.split(values[:most])


class _Mixed:
    """Canonical answers, each by one of several models, read on the way (see `types.Rows`).

    Args:
        attack: makes them canonical.
        sources: what each model answered, all to the same images.
        statistics: of each model.
        chosen: `(count,)` whose answer to take.
        noise: `(count, features)`, added to vectors.
    """

    def __init__(
        self, attack: FromShadows, sources: Sequence[Rows], statistics: Sequence[Statistics], chosen: Ints,
        noise: Floats | None = None,
    ) -> None:  # fmt: skip
        self._attack, self._sources, self._statistics = attack, sources, statistics
        self._chosen, self._noise = chosen, noise
        self.shape, self.dtype = sources[0].shape, np.dtype(np.float32)

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, wanted: Any) -> Floats:
        places = np.arange(len(self))[wanted]
        found = np.empty((len(places), *self.shape[1:]), np.float32)
        for number in np.unique(self._chosen[places]):
            here = self._chosen[places] == number
            values = self._sources[number][places[here]]
            found[here] = self._attack.canonical(values, self._statistics[number])
        if self._noise is not None:
            found[:, : self._noise.shape[1]] += self._noise[places]
        return found

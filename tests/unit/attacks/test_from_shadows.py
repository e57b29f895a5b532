"""Attacks by way of shadow models, where models differ as networks do: each puts the same into another place and scale."""

from dataclasses import replace
from functools import cached_property

import numpy as np
import pytest

from mi_keras.attacks.access import Holdings
from mi_keras.attacks.attack import Evidence, Fitted
from mi_keras.attacks.canonical import statistics_of
from mi_keras.attacks.shadows import FromShadows
from mi_keras.attacks.within_class import LinearWithinClass
from mi_keras.errors import InputError
from mi_keras.progress import Run
from mi_keras.types import Images, Observation, Redrawn

CLASSES, OWN, ATTACKED, LATENT = 3, 900, 600, 4
SHAPE = (8, 8, 1)
ATTACK = FromShadows(LinearWithinClass(CLASSES), 3, class_columns=CLASSES)
ALONE = replace(ATTACK, observes=False)


class World:
    """Images of a mean by class and latent numbers; a model sends the numbers, by class in another place and scale."""

    def __init__(self) -> None:
        draw = np.random.default_rng(1)
        self.classes = draw.integers(CLASSES, size=OWN + ATTACKED)
        means = 0.5 + 0.1 * draw.standard_normal((CLASSES, *SHAPE))
        directions = 0.03 * draw.standard_normal((LATENT, *SHAPE))
        self.numbers = draw.standard_normal((OWN + ATTACKED, LATENT))
        images = means[self.classes] + np.einsum("nl,lhwc->nhwc", self.numbers, directions)
        self.images = np.clip(images, 0, 1).astype(np.float32)

    def answers(self, seed: int, rows: slice) -> np.ndarray:
        draw = np.random.default_rng(seed)
        places, scales = 5 * draw.standard_normal((2, CLASSES, LATENT))
        of, numbers = self.classes[rows], self.numbers[rows]
        features = places[of] + np.exp(0.3 * scales[of] / 5) * numbers
        features += 7 * draw.standard_normal((len(of), 1))  # a softmax hides what all share
        return np.concatenate([features, np.eye(CLASSES)[of]], axis=1).astype(np.float32)

    def held(self) -> Holdings:
        own = Images(self.images[:OWN], self.classes[:OWN], np.arange(OWN, dtype=np.uint64))
        return Holdings(own, image_shape=SHAPE, classes=CLASSES)

    @cached_property
    def learned(self) -> Fitted:
        """What is learned from three shadows."""
        shadows = [self.answers(seed, slice(OWN)) for seed in (1, 2, 3)]
        known = Observation(Redrawn(shadows[0], lambda number: shadows[number % 3]))
        return ALONE.fit(Evidence(known), self.held(), Run(1))

    def recovered(self, observed: np.ndarray, *, observes: bool = True) -> float:
        """Return R2 within the class on the first attacked images."""
        held, fitted, population = self.held(), self.learned, Observation(observed)
        if observes:
            seen = Holdings(image_shape=SHAPE, classes=CLASSES, population=population)
            fitted = ATTACK.fit(None, seen, Run(1), fitted)
        attack = ATTACK if observes else ALONE
        drawn = np.concatenate(list(attack.reconstruct(fitted, Evidence(population), held, Run(1))))
        rows = slice(OWN, OWN + len(observed))
        means = np.stack([self.images[:OWN][self.classes[:OWN] == c].mean(axis=0) for c in range(CLASSES)])
        truth, of = self.images[rows], means[self.classes[rows]]
        return float(1 - np.square(drawn - truth).sum() / np.square(of - truth).sum())


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def test_answers_of_a_model_that_nobody_asked_are_read_by_their_own_statistics(world: World) -> None:
    """Less their mean, three of the four numbers are left; the fourth leaves what of it is alike in them."""
    target = world.answers(9, slice(OWN, None))
    assert world.recovered(target) > 0.6
    assert world.recovered(target, observes=False) < 0


def test_the_more_answers_are_observed_the_better_they_are_read(world: World) -> None:
    found = [world.recovered(world.answers(9, slice(OWN, OWN + count))) for count in (3, 30, ATTACKED)]
    assert found == sorted(found)


def test_one_unit_keeps_its_value_and_is_read_within_its_class() -> None:
    """Less its own mean nothing would be left of it."""
    attack = FromShadows(LinearWithinClass(2), 1, class_columns=2, observes=False)
    told = np.eye(2)[np.arange(80) % 2]
    unit = np.random.default_rng(1).standard_normal((80, 1)) + 9 * told[:, :1]
    values = np.concatenate([unit, told], axis=1).astype(np.float32)
    features, (classes, count) = attack.split(values)
    canonical = attack.canonical(values, statistics_of(features, (classes, count)))
    for number in range(2):
        of = canonical[np.arange(80) % 2 == number, 0]
        assert (of.mean(), of.std()) == pytest.approx((0, 1), abs=1e-5)
    np.testing.assert_array_equal(canonical[:, 1:], told)


def test_maps_are_standardised_channel_by_channel() -> None:
    attack = FromShadows(LinearWithinClass(maps=True), 1, observes=False)
    maps = np.random.default_rng(1).standard_normal((50, 4, 4, 3)) * [1, 10, 0.1] + [5, 0, 1]
    canonical = attack.canonical(maps, statistics_of(*attack.split(maps)))
    assert canonical.shape == maps.shape
    np.testing.assert_allclose(canonical.mean(axis=(0, 1, 2)), 0, atol=1e-3)
    np.testing.assert_allclose(canonical.std(axis=(0, 1, 2)), 1, atol=1e-2)


def test_noise_is_on_answers_and_not_on_the_class() -> None:
    class Looking(LinearWithinClass):
        def fit(self, known, held, run, before=None):
            seen.append(np.concatenate([known.observation.values.draw(n)[:] for n in range(20)]))
            return {}, {}

    seen: list[np.ndarray] = []
    values = np.concatenate([np.random.default_rng(1).standard_normal((500, 3)), np.ones((500, 1))], axis=1)
    held = Holdings(
        Images(np.zeros((500, *SHAPE), np.float32), np.zeros(500, np.int64), np.arange(500, dtype=np.uint64))
    )
    for noise in (0.0, 0.5):
        attack = FromShadows(Looking(1), 1, noise, class_columns=1, observes=False)
        attack.fit(Evidence(Observation(values.astype(np.float32))), held, Run(1))
    plain, noisy = seen
    assert (noisy - plain)[:, :3].std() == pytest.approx(0.5, rel=0.02)
    np.testing.assert_array_equal(noisy[:, 3], 1)


def test_every_shadow_answers_and_each_image_by_one_at_a_time() -> None:
    class Looking(LinearWithinClass):
        def fit(self, known, held, run, before=None):
            seen.extend(known.observation.values.draw(n)[:] for n in range(8))
            return {}, {}

    seen: list[np.ndarray] = []
    draw = np.random.default_rng(1)
    shadows = [
        np.concatenate([draw.standard_normal((300, 4)), np.ones((300, 1))], axis=1).astype(np.float32)
        for _ in range(3)
    ]
    held = Holdings(
        Images(np.zeros((300, *SHAPE), np.float32), np.zeros(300, np.int64), np.arange(300, dtype=np.uint64))
    )
    attack = FromShadows(Looking(1), 3, class_columns=1, observes=False)
    attack.fit(Evidence(Observation(Redrawn(shadows[0], lambda number: shadows[number % 3]))), held, Run(1))
    for each in seen:  # nearest by correlation, as places and scales are taken out
        rows = [np.corrcoef(each[0, :4], shadow[0, :4])[0, 1] for shadow in shadows]
        assert max(rows) > 0.99
    whose = np.array(
        [
            [np.argmax([np.corrcoef(e[i, :4], s[i, :4])[0, 1] for s in shadows]) for i in range(300)]
            for e in seen
        ]
    )
    assert (np.abs(np.bincount(whose.ravel(), minlength=3) / whose.size - 1 / 3) < 0.04).all()
    assert len({tuple(row) for row in whose}) == 8


@pytest.mark.parametrize("given", [{"shadows": 0}, {"noise": -0.1}, {"class_columns": -1}])
def test_settings_that_are_none_are_refused(given: dict) -> None:
    with pytest.raises(InputError, match=f"`{next(iter(given))}` must be"):
        FromShadows(LinearWithinClass(), **given)

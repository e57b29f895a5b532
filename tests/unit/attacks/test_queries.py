"""Queries, counted, to a target that answers as shadow models do but for two logits that it exchanges."""

from dataclasses import replace

import numpy as np
import pytest

from mi_keras.attacks.access import Queries
from mi_keras.attacks.canonical import inputs_by, own_of
from mi_keras.attacks.queries import Queried
from mi_keras.attacks.transfer import Transfer
from mi_keras.errors import InputError
from mi_keras.progress import Run
from mi_keras.types import Observation
from tests.unit.attacks.bank_world import MAPPED, OWN, SMALL, SOURCES, drawn, images_and_logits, known_bank


def swapped(logits):
    """Return answers in which the logits that are not the class's stand in each other's place."""
    found, classes = logits.copy(), np.argmax(logits, axis=1)
    for number in np.unique(classes):
        one, other = (each for each in range(logits.shape[1]) if each != number)
        of = classes == number
        found[np.ix_(of, [one, other])] = logits[np.ix_(of, [other, one])]
    return found


@pytest.fixture(scope="module")
def world():
    known, held, _ = known_bank()
    learned = replace(MAPPED, settings=replace(SMALL, epochs=15)).fit(known, held, Run())
    images, logits = images_and_logits(60, 7)
    own = images_and_logits(OWN, 1)[1]
    return known, held, learned, images.images, swapped(logits), own


def fitted(world, attack, queries=0):
    """Return what an attack learns of the target, and which of its own images it asked about."""
    known, held, learned, _, answers, own = world
    asked = []

    def answer(images):
        pixels = held.own_images.images
        rows = [int(np.argmin(np.square(pixels - image).sum(axis=(1, 2, 3)))) for image in images]
        asked.extend(rows)
        return Observation(swapped(own[rows]))

    query = Queries(answer, queries) if queries else None
    held = replace(held, population=Observation(answers), query=query)
    return attack.fit(known, held, Run(), learned), asked


def error(world, attack, learned):
    return np.square(drawn(attack, learned, world[4], world[1]) - world[3]).mean()


def test_with_queries_the_map_is_found_that_the_answers_alone_do_not_tell(world):
    """To the networks the target's answers then look as they would had it exchanged nothing."""
    transfer = Transfer(MAPPED, SOURCES)
    without, _ = fitted(world, transfer)
    plain, _ = fitted((*world[:4], swapped(world[4]), world[5]), transfer)

    def seen(vectors, arrays):
        return inputs_by(own_of(arrays), vectors, arrays["map"])

    goal = seen(swapped(world[4]), plain[0])
    missed = [np.square(seen(world[4], without[0]) - goal).mean()]
    for count in (6, 90):
        attack = Queried(MAPPED, SOURCES, count, weight=1.0)
        learned, asked = fitted(world, attack, count)
        assert len(asked) == len(set(asked)) == count
        missed.append(np.square(seen(world[4], learned[0]) - goal).mean())
    assert missed[2] < missed[1] < missed[0]
    assert missed[2] < 0.2 * missed[0]


def test_a_network_that_is_trained_further_draws_better_than_the_map_alone(world):
    attack = Queried(MAPPED, SOURCES, 90, settings=replace(SMALL, epochs=10))
    further = replace(attack, tuned=True)
    errors = [error(world, each, fitted(world, each, 90)[0]) for each in (attack, further)]
    assert errors[1] < errors[0]


def test_more_questions_than_images_are_not_asked_and_what_cannot_be_meant_is_refused(world):
    _, asked = fitted(world, Queried(MAPPED, SOURCES, 1000), 1000)
    assert sorted(asked) == list(range(OWN))
    for fields, message in (
        ({"queries": 0}, "`queries` must be >= 1|between 1 and"),
        ({"weight": 0.0}, "`weight` must be a positive finite number; got 0.0"),
        ({"queries": 5, "tuned": True}, "`queries` must be at least 10 for training; got 5"),
    ):
        with pytest.raises(InputError, match=message):
            Queried(MAPPED, **fields)

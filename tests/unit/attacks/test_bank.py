"""The network of a bank: what it is trained on, and what its ensemble draws."""

from dataclasses import replace

import numpy as np
import pytest

from mi_keras.attacks.bank import Bank, BankInverter
from mi_keras.attacks.canonical import statistics_of
from mi_keras.attacks.transfer import Transfer
from mi_keras.errors import InputError
from mi_keras.progress import Run
from mi_keras.types import Observation, Redrawn
from tests.unit.attacks.bank_world import (
    CLASSES,
    MAPPED,
    SMALL,
    SOURCES,
    drawn,
    images_and_logits,
    known_bank,
)


def test_in_each_epoch_every_image_stands_beside_the_answer_of_one_shadow_model():
    known, held, answers = known_bank()
    attack = replace(MAPPED, form="canonical", noise=0.0)
    bank = Bank(attack, known.observation, held, seed=1)
    canonical = np.stack([statistics_of(each).canonical(each)[0] for each in answers])
    seen = []
    for epoch in range(2):
        inputs, images = bank.pairs(epoch)
        np.testing.assert_array_equal(images, held.own_images.images)
        near = np.abs(inputs[:, :CLASSES] - canonical).max(axis=2) < 1e-5  # (sources, images)
        assert near.any(axis=0).all()
        np.testing.assert_array_equal(np.argmax(inputs[:, CLASSES:], axis=1), held.own_images.labels)
        seen.append(np.argmax(near, axis=0))
    assert not np.array_equal(*seen)
    assert set(seen[0]) == set(range(SOURCES))


def test_an_ensemble_draws_the_mean_of_its_networks_and_its_last_alone_where_that_is_asked():
    known, held, answers = known_bank()
    first = MAPPED.fit(known, held, Run(seed=1))
    both = replace(MAPPED, member=2, beside=MAPPED)
    fitted = both.fit(known, held, Run(seed=2), first)
    alone = MAPPED.fit(known, held, Run(seed=2))
    images = [
        drawn(attack, learned, answers[0], held)
        for attack, learned in ((MAPPED, first), (MAPPED, alone), (both, fitted))
    ]
    np.testing.assert_allclose(images[2], (images[0] + images[1]) / 2, atol=1e-6)
    population = replace(held, population=known.observation)
    last = Transfer(both, SOURCES, only_last=True)
    only = Transfer(MAPPED, SOURCES)
    given = [
        drawn(attack, attack.fit(known, population, Run(), learned), answers[0], held)
        for attack, learned in ((last, fitted), (only, alone))
    ]
    np.testing.assert_allclose(*given, atol=1e-6)


@pytest.mark.parametrize("alignment", ["none", "covariance", "matching"])
def test_a_target_at_another_temperature_and_constant_is_drawn_alike(alignment):
    known, held, _ = known_bank()
    learned = MAPPED.fit(known, held, Run())
    attack = Transfer(MAPPED, SOURCES, alignment=alignment)
    found = []
    for change in (lambda v: v, lambda v: 2 * v + 3):
        vectors = change(images_and_logits(60, 5)[1])
        fitted = attack.fit(known, replace(held, population=Observation(vectors)), Run(), learned)
        found.append(drawn(attack, fitted, vectors, held))
    # The scale is drawn to that of the shadow models by a little
    np.testing.assert_allclose(*found, atol=0.02)


def test_what_cannot_be_meant_is_refused():
    for fields, message in (
        ({"form": "other"}, "`form` must be one of raw, canonical, mapped; got 'other'"),
        ({"form": "mapped", "sources": 1}, "`sources` must be between 2 and 1000000; got 1"),
        ({"noise": -1.0}, "`noise` must be a finite number >= 0; got -1.0"),
        ({"shaped": 2.0}, "`shaped` must be between 0 and 1, and 0 of one shadow model; got 2.0"),
        ({"settings": replace(SMALL, input_noise=0.1)}, "`settings.input_noise` must be 0; got 0.1"),
        ({"beside": BankInverter(2)}, "`beside` must have the same form and sources"),
    ):
        with pytest.raises(InputError, match=message):
            BankInverter(**fields)
    with pytest.raises(InputError, match="`alignment` must be one of none, covariance, matching; got 'x'"):
        Transfer(MAPPED, alignment="x")


@pytest.mark.parametrize("form", ["raw", "mapped"])
def test_answers_that_are_drawn_anew_are_others_in_each_epoch_and_those_that_repeat_are_the_same(form):
    _, held, answers = known_bank()
    attack = replace(MAPPED, form=form, noise=0.0, copies=0)

    def drawn_anew(number):
        noise = np.random.default_rng(number).standard_normal(answers[0].shape).astype(np.float32)
        return answers[number % SOURCES] + noise

    parts = {}
    for period in (0, SOURCES):
        anew = Redrawn(drawn_anew(0), drawn_anew, period=period)
        bank = Bank(attack, Observation(anew), held, seed=1)
        parts[period] = [np.stack([part for part, _ in bank._drawn(epoch)]) for epoch in (0, 1)]
    np.testing.assert_array_equal(parts[0][0], parts[SOURCES][0])
    np.testing.assert_array_equal(*parts[SOURCES])
    if form == "raw":
        difference = parts[0][1] - parts[0][0]
        assert difference.std() == pytest.approx(2**0.5, rel=0.1)
    assert (parts[0][1] != parts[0][0]).mean() > 0.9

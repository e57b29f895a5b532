"""A corrector that begins by changing nothing, and queries that are counted."""

from dataclasses import replace

import keras
import numpy as np

from mi_keras.attacks.access import Queries
from mi_keras.attacks.corrector import Corrected, Corrector
from mi_keras.attacks.transfer import Transfer
from mi_keras.progress import Run
from mi_keras.types import Observation
from tests.unit.attacks.bank_world import MAPPED, SMALL, SOURCES, drawn, images_and_logits, known_bank


def answering(seed):
    """A shadow model that answers by sums of rows of the image, and three times as much for what is the class."""
    image = keras.Input((12, 12, 1))
    sums = keras.layers.Dense(3, name="logits")(keras.layers.Flatten()(image))
    model = keras.Model(image, {"logits": sums})
    rows = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)  # (12, 3)
    kernel = np.repeat(rows, 12, axis=0) + 0.02 * np.random.default_rng(seed).standard_normal((144, 3))
    model.get_layer("logits").set_weights([kernel, np.zeros(3)])
    return model


def test_each_round_asks_once_for_each_image_and_an_untrained_corrector_changes_nothing():
    known, held, _ = known_bank()
    held = replace(held, surrogates=[answering(seed) for seed in range(SOURCES)])
    settings = replace(SMALL, channels=(8, 2, 4), epochs=1, learning_rate=1e-12)
    corrector = Corrector(MAPPED, SOURCES, settings=settings)
    learned = corrector.fit(known, held, Run(), MAPPED.fit(known, held, Run()))
    vectors = images_and_logits(20, 5)[1]
    aligned = Transfer(corrector, SOURCES)
    population = replace(held, population=Observation(vectors))
    fitted = aligned.fit(known, population, Run(), learned)
    plain = drawn(aligned, fitted, vectors, held)
    for rounds in (1, 2):
        asked = []

        def answer(images, asked=asked):
            asked.append(len(images))
            return Observation(answering(9)(images)["logits"].numpy())

        asking = replace(held, query=Queries(answer, 20 * rounds))
        attack = Corrected(aligned, rounds, 20 * rounds, settings)
        found = drawn(attack, attack.fit(None, asking, Run(), fitted), vectors, asking)
        assert asked == [20] * rounds
        np.testing.assert_allclose(found, np.clip(plain, 0.01, 0.99), atol=1e-5)

"""Answers that are drawn anew in each epoch: every draw is used, and a draw cannot be learned by heart."""

import keras
import numpy as np
import tensorflow as tf

from mi_keras.attacks.access import Holdings
from mi_keras.attacks.attack import Evidence
from mi_keras.attacks.learned import first
from mi_keras.attacks.within_class import LinearWithinClass, NetworkWithinClass
from mi_keras.progress import Run
from mi_keras.training.loop import Examples, FitSettings, Fitter
from mi_keras.types import Images, Observation, Redrawn, redrawn


def numbered(rows=8):
    """Return rows whose every number is that of the draw, and the list of draws that were asked for."""
    asked = []

    def draw(number):
        asked.append(number)
        return np.full((rows, 1), number, np.float32)

    return Redrawn(draw(0), draw), asked


def test_a_fit_sees_another_draw_in_every_epoch():
    rows, asked = numbered()
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")]
    )
    fitter = Fitter(model, lambda targets, outputs: tf.reduce_sum(tf.square(outputs - targets), axis=1))
    settings = FitSettings(3, 4, 0.0)  # nothing changes but what is seen
    history = fitter.fit(Examples(rows, np.zeros((8, 1), np.float32)), settings, run=Run(1))
    np.testing.assert_allclose(history["loss"], [0.0, 1.0, 4.0])
    assert asked == [0, 1, 2]


def test_the_first_rows_are_those_of_every_draw():
    rows, _ = numbered()
    assert redrawn(first(rows, 3), 5)[:].tolist() == [[5.0]] * 3
    assert redrawn(np.ones((2, 1)), 5).tolist() == [[1.0]] * 2


def noisy(count, noise, seed):
    """Return images whose level is told by a number, with noise of this deviation; and draws of the answers."""
    levels = np.random.default_rng(seed).uniform(0.2, 0.8, (count, 1)).astype(np.float32)
    images = np.tile(levels[:, :, None, None], (1, 16, 16, 1))

    def draw(number):
        random = np.random.default_rng([seed, number])
        error = random.standard_normal((count, 40), np.float32) * noise
        return np.concatenate([levels + error, np.ones((count, 1), np.float32)], axis=1)

    held = Holdings(images=Images.unlabelled(images), image_shape=(16, 16, 1))
    return images, draw, held


def error_of(attack, known, draw, images, held):
    fitted = attack.fit(Evidence(Observation(known)), held, Run(3))
    drawn = attack.reconstruct(fitted, Evidence(Observation(draw(99))), held, Run(3))
    return float(np.mean(np.square(np.concatenate(list(drawn)) - images)))


def test_attacks_that_see_several_draws_learn_more_than_from_one():
    """30 images behind noise in 40 numbers: one draw leaves 1,200 numbers to fit 30 by."""
    _, draw, held = noisy(30, 0.5, 1)
    again = Redrawn(draw(0), draw)
    tests = noisy(200, 0.5, 2)
    network = NetworkWithinClass(channels=(8, 8, 8), epochs=60, batch_size=10, noise=0.01, class_columns=1)
    for attack in (LinearWithinClass(1), network):
        once = error_of(attack, draw(0), tests[1], tests[0], held)
        often = error_of(attack, again, tests[1], tests[0], held)
        assert often < 0.9 * once, attack.label


def test_a_draw_that_is_the_same_each_time_changes_nothing():
    images, draw, held = noisy(60, 0.1, 4)
    attack = NetworkWithinClass(channels=(4, 4, 4), epochs=2, batch_size=8, class_columns=1)
    same = Redrawn(draw(0), lambda number: draw(0))
    assert error_of(attack, same, draw, images, held) == error_of(attack, draw(0), draw, images, held)

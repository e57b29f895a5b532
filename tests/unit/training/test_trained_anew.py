"""A tail that is trained anew makes up for what is not sent, and the one it comes from stays as it is."""

import keras
import numpy as np

from mi_keras.progress import Run
from mi_keras.training.imitation import trainable_copy, tune_tail
from mi_keras.training.settings import ImitationSettings


def _tail() -> keras.Model:
    tail = keras.Sequential([
        keras.Input((2, 2, 2)), keras.layers.Conv2D(2, 1, use_bias=False), keras.layers.BatchNormalization(),
        keras.layers.Flatten(), keras.layers.Dense(3),
    ])  # fmt: skip
    tail.layers[0].set_weights([np.eye(2, dtype=np.float32)[None, None]])
    tail.layers[-1].set_weights([np.random.default_rng(0).standard_normal((8, 3)), np.zeros(3)])
    tail.trainable = False
    return tail


def test_what_a_missing_map_said_is_read_from_another() -> None:
    """Both maps are the same, and the second is not sent: the tail can answer as before, and learns to."""
    tail = _tail()
    one = np.random.default_rng(1).standard_normal((64, 2, 2, 1)).astype(np.float32)
    whole = np.concatenate([one, one], axis=-1)
    sent = whole * np.array([1, 0], np.float32)
    answers = tail(whole, training=False).numpy()
    before = [weight.copy() for weight in tail.get_weights()]
    tuned, history = tune_tail(tail, sent, answers, ImitationSettings(25, 16, 5e-2), run=Run())
    assert history["loss"][-1] < 0.05 * history["loss"][0]
    for old, new in zip(before, tail.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    agreed = (tuned(sent, training=False).numpy().argmax(1) == answers.argmax(1)).mean()
    assert agreed > (tail(sent, training=False).numpy().argmax(1) == answers.argmax(1)).mean()


def test_a_tail_whose_layers_are_frozen_one_by_one_can_be_trained() -> None:
    tail = _tail()
    for layer in tail.layers:
        layer.trainable = False
    functional = keras.Model(tail.inputs, tail.outputs)
    functional.trainable = True  # which says nothing of its layers
    for layer in functional.layers:
        layer.trainable = False
    assert len(trainable_copy(functional).trainable_weights) == 3


def test_statistics_of_batch_normalisation_stay() -> None:
    copy = trainable_copy(_tail())
    normal = copy.layers[1]
    assert not normal.trainable
    assert len(copy.trainable_weights) == 3

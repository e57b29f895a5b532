"""The last feature map that explains an output vector: against the surrogate's own weights in NumPy."""

import keras
import numpy as np
import pytest

from mi_keras.attacks.access import Holdings
from mi_keras.attacks.feature_map import LastFeatureMap, last_map
from mi_keras.errors import InputError
from mi_keras.models import build_cnn
from mi_keras.models.cnn import observe
from mi_keras.progress import Run
from mi_keras.types import Images

CHANNELS = (3, 4, 5)


@pytest.fixture(scope="module")
def held() -> Holdings:
    draw = np.random.default_rng(0)
    images = Images(
        draw.random((30, 32, 32, 1), np.float32), np.arange(30) % 3, np.arange(30, dtype=np.uint64)
    )
    return Holdings(images=images, surrogates=[build_cnn(classes=3, channels=CHANNELS, seed=1)], classes=3)


def in_numpy(cnn: keras.Model, maps: np.ndarray) -> np.ndarray:
    """The surrogate's two linear layers, by hand."""
    vector = maps.reshape(len(maps), -1)
    for name in ("activations", "logits"):
        weights, bias = cnn.get_layer(name).get_weights()
        vector = vector @ weights + bias
    return vector


def test_the_surrogate_answers_to_the_map_as_the_target_did(held):
    target = build_cnn(classes=3, channels=CHANNELS, seed=2)
    answers = observe(target, held.images.images[:7])
    arrays, _ = LastFeatureMap(steps=400).derive(answers, held, Run())
    assert arrays["maps"].shape == (7, 4, 4, 5)
    assert arrays["maps"].min() >= 0  # what comes out of a ReLU
    np.testing.assert_allclose(in_numpy(held.surrogate, arrays["maps"]), answers.vectors, atol=0.02)
    error = np.mean((in_numpy(held.surrogate, arrays["maps"]) - answers.vectors) ** 2, axis=1)
    np.testing.assert_allclose(arrays["losses"], error, atol=1e-5)


def test_it_starts_at_the_mean_map_of_the_predicted_class(held):
    """One step of Adam moves every value by the step size at most, and by it where the gradient is not zero."""
    answers = observe(held.surrogate, held.images.images[:5])
    attack = LastFeatureMap(steps=1)
    maps = attack.derive(answers, held, Run())[0]["maps"]
    own = last_map(held.surrogate).head(held.images.images, training=False).numpy()
    means = np.stack([own[held.images.labels == c].mean(axis=0) for c in range(3)])
    expected = means[answers.predicted_class]
    assert np.abs(maps - expected).max() <= attack.rate * means.std() * 1.001
    assert np.abs(maps - expected).max() > 0.99 * attack.rate * means.std()


def test_the_last_map_is_what_the_dense_layers_see(held):
    cut = last_map(held.surrogate)
    images = held.images.images[:3]
    sent = cut.head(images, training=False).numpy()
    np.testing.assert_allclose(
        in_numpy(held.surrogate, sent), observe(held.surrogate, images).vectors, atol=1e-5
    )


def test_a_surrogate_without_maps_is_refused(held):
    flat = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="logits")])
    with pytest.raises(InputError, match="`surrogates` must have a feature map to cut after"):
        last_map(flat)


def test_settings_that_cannot_be_meant_are_refused():
    with pytest.raises(InputError, match=r"^`steps` must be >= 1; got 0\.$"):
        LastFeatureMap(steps=0)
    with pytest.raises(InputError, match=r"^`rate` must be a positive finite number; got 0\.0\.$"):
        LastFeatureMap(rate=0.0)

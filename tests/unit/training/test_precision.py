"""Products in bfloat16: what is rounded and what is not, losses and gradients beside those in float32, and exact resume."""

import keras
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

from mi_keras.machine import BFLOAT16, FLOAT32, PRECISIONS
from mi_keras.metrics.image import mse, ssim
from mi_keras.models.cnn import build_cnn
from mi_keras.models.decoders import build_decoder
from mi_keras.models.tcnn import build_tcnn
from mi_keras.progress import MemoryWorkspace, Run
from mi_keras.training.loop import FitSettings, FitterPool
from mi_keras.training.precision import computed_in, twin
from tests.unit.training.fits import assert_same_fit, cross_entropy, small_examples, small_model

ULP = 2.0**-8  # of bfloat16, relative: twice the largest rounding


def rounded(values: np.ndarray) -> np.ndarray:
    return values.astype(ml_dtypes.bfloat16).astype(np.float64)


def test_a_product_is_of_rounded_factors_summed_without_rounding() -> None:
    """The factors of a pointwise convolution are rounded as numpy rounds them; a sum in 16 bits would stop growing at 256."""
    draw = np.random.default_rng(1)
    maps = keras.Input((2, 2, 4096))
    model = keras.Model(maps, keras.layers.Identity()(keras.layers.Conv2D(2, 1)(maps)))
    kernel = np.stack([np.ones(4096), draw.standard_normal(4096)], axis=1).astype(np.float32)
    model.set_weights([kernel[None, None], np.zeros(2, np.float32)])
    values = np.stack([np.ones((2, 2, 4096)), draw.random((2, 2, 4096))]).astype(np.float32)
    answers = computed_in(model, BFLOAT16)(values).numpy().astype(np.float64)
    expected = rounded(values) @ rounded(kernel)
    np.testing.assert_allclose(answers, expected, rtol=ULP, atol=1e-3)
    assert answers[0, 0, 0, 0] == 4096
    assert np.abs(answers - values @ kernel.astype(np.float64)).max() > 1e-3  # nothing would be rounded


@pytest.mark.parametrize(
    ("build", "halved"),
    [
        (lambda: build_cnn(channels=(3, 4, 5)), {"conv_0", "conv_1", "conv_2"}),
        (lambda: build_tcnn(10, channels=(4, 3, 2)), {"up_0", "up_1", "up_2", "up_3"}),
        (
            lambda: build_decoder("bicubic", (4, 4, 6)),
            {f"block_{n}_conv" for n in range(4)} | {f"up_{n}" for n in range(4)} | {"normalised_image_conv"},
        ),
    ],
    ids=["cnn", "tcnn", "bicubic"],
)
def test_products_alone_are_halved_and_weights_and_outputs_never(build, halved) -> None:
    model = build()
    half = twin(model, BFLOAT16)
    assert {layer.name for layer in half.layers if layer.compute_dtype == BFLOAT16} == halved
    assert {layer.compute_dtype for layer in half.layers} == {FLOAT32, BFLOAT16}
    assert all(variable.dtype != BFLOAT16 for variable in half.variables)
    assert all(output.dtype == FLOAT32 for output in keras.tree.flatten(half.outputs))
    assert computed_in(model, FLOAT32) is model


@pytest.mark.parametrize(
    ("build", "inputs", "loss", "share"),
    [
        (lambda: build_cnn(channels=(8, 12, 16)), (32, 32, 1), cross_entropy, 0.25),
        (
            lambda: build_tcnn(10, channels=(16, 12, 8)),
            (10,),
            lambda images, drawn: 1 - ssim(images, drawn),
            0.05,
        ),
        (lambda: build_decoder("compact", (4, 4, 6), (32, 32, 1)), (4, 4, 6), mse, 0.15),
    ],
    ids=["cnn", "tcnn", "compact"],
)
def test_losses_and_gradients_are_nearly_those_of_float32(build, inputs, loss, share) -> None:
    """Losses within 0.5 %; gradients within a share of their length, as units next to their threshold switch; both of float32."""
    model, draw = build(), np.random.default_rng(3)
    given = draw.random((16, *inputs), np.float32)
    wanted = draw.random((16, 32, 32, 1), np.float32) if loss is not cross_entropy else np.arange(16) % 10
    losses, gradients = [], []
    for precision in PRECISIONS:
        network = twin(model, precision)
        network.set_weights(model.get_weights())
        with tf.GradientTape() as tape:
            losses.append(tf.reduce_mean(loss(wanted, network(given, training=True))))
        found = tape.gradient(losses[-1], [each.value for each in network.trainable_variables])
        assert {losses[-1].dtype, *(gradient.dtype for gradient in found)} == {tf.float32}
        gradients.append(np.concatenate([gradient.numpy().ravel() for gradient in found]))
    whole, half = gradients
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.005)
    assert 0 < np.linalg.norm(half - whole) < share * np.linalg.norm(whole)


class _Stopped(Exception):
    pass


def test_a_fit_in_half_resumes_exactly_and_leaves_those_in_float32_as_they_are() -> None:
    examples, run, pool = small_examples(12), Run(5, precision=BFLOAT16), FitterPool(size=2)

    def fitted(run: Run, pool: FitterPool) -> tuple:
        model, how = small_model(5), FitSettings(2, 5, 0.01)
        history = pool.fit(model, "small", examples, how, loss=cross_entropy, run=run)
        assert {layer.compute_dtype for layer in model.layers} == {FLOAT32}
        return model, history

    class Cut(MemoryWorkspace):
        def save(self, name, arrays) -> None:
            super().save(name, arrays)
            raise _Stopped

    cut = Cut()
    with pytest.raises(_Stopped):
        fitted(Run(5, workspace=cut, precision=BFLOAT16), pool)
    kept = MemoryWorkspace()
    kept.parts = cut.parts
    assert_same_fit(fitted(Run(5, workspace=kept, precision=BFLOAT16), pool), fitted(run, pool))
    assert_same_fit(fitted(Run(5), pool), fitted(Run(5), FitterPool(size=1)))

"""The fused Adam against Keras' own and against PyTorch's."""

import functools

import keras
import numpy as np
import tensorflow as tf
from oracles import torch_weights

from mi_keras.training.optimizer import FusedAdam


def test_steps_and_state_equal_keras_adam() -> None:
    """Large, small and vanishing gradients, and a learning rate that changes on the way."""
    draw = np.random.default_rng(5)
    starts = [draw.standard_normal(shape).astype(np.float32) for shape in [(3, 4), (5,), (2, 2, 2)]]
    ends, states = [], []
    for make in (FusedAdam, keras.optimizers.Adam):
        variables = [keras.Variable(start) for start in starts]
        optimizer = make(0.01)
        optimizer.build(variables)
        step = tf.function(functools.partial(_apply, optimizer, variables))
        draw = np.random.default_rng(6)
        for number in range(6):
            if number == 3:
                optimizer.learning_rate.assign(0.1)
            scale = 10.0 ** -(2 * number)
            step([tf.constant((scale * draw.standard_normal(s.shape)).astype(np.float32)) for s in starts])
        ends.append([v.numpy() for v in variables])
        states.append([v.numpy() for v in optimizer.variables])
    assert states[0][0] == 6  # iterations
    for start, fused, plain in zip(starts, *ends, strict=True):
        assert np.abs(fused - start).min() > 1e-3
        np.testing.assert_allclose(fused, plain, rtol=0, atol=5e-6)
    for fused, plain in zip(*states, strict=True):
        np.testing.assert_allclose(fused, plain, rtol=1e-4)  # the kernel takes 1 - beta_2 in float32


def _apply(
    optimizer: keras.optimizers.Optimizer, variables: list[keras.Variable], gradients: list[tf.Tensor]
) -> None:
    optimizer.apply(gradients, variables)


def test_path_equals_pytorch() -> None:
    """PyTorch's eps is 1e-8 and sits after the bias correction; here it moves a step by less than 2e-5 of itself."""
    oracle = torch_weights.part(torch_weights.load("facts"), "adam")
    variable, scales = keras.Variable(oracle["start"]), oracle["scales"]
    optimizer = FusedAdam(1e-3)
    optimizer.build([variable])
    for expected in oracle["path"]:
        optimizer.apply([tf.constant(scales) * variable.value], [variable])
        np.testing.assert_allclose(variable.numpy(), expected, rtol=0, atol=5e-7)  # of steps of 1e-3

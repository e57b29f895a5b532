"""The attacked model, cut at one point: a frozen head and tail of any Keras model, made from copies of its layers."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mi_keras.errors import InputError
from mi_keras.models.copies import Copies, rebuild
from mi_keras.models.graph import (
    Graph,
    Value,
    behind,
    clean_points,
    find,
    has_graph,
    require_clean,
    trace,
)
from mi_keras.types import Fix

TOLERANCE = 1e-3  # of the largest answer: far above rounding, far below a layer that came back as another
HALF_TOLERANCE = 0.1  # the same for a copy in another precision: bfloat16 has three digits, and layers add up

Function = Callable[[tf.Tensor], tf.Tensor]
_fast_paths: list[Callable[[keras.Model, str], Function | None]] = []


@dataclass(frozen=True)
class Point:
    """Where a model can be observed: an output, or a layer that no connection bypasses.

    Attributes:
        name: an output's name or a layer's path.
        shape: shape of the values there, without the batch axis; None for a variable size.
        dtype: type of these values, such as "float32".
        is_output: the point is an output of the model, so there is no tail.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    is_output: bool


@dataclass(frozen=True, eq=False)
class Target:
    """A frozen model that is observed at a point; it shares no variables with the original model.

    Attributes:
        head: model from images to the values at the point.
        tail: model from these values to the outputs that depend on them, in the model's structure, or by name where not
            all outputs do; None where the point is an output.
        point: where it is observed.
        identity: SHA-256 of weights, graph and point; names and random states do not change it.
    """

    head: keras.Model
    tail: keras.Model | None
    point: Point
    identity: str

    @property
    def image(self) -> keras.KerasTensor:
        """The input of the head, `(batch, height, width, channels)`."""
        return self.head.inputs[0]

    @cached_property
    def send(self) -> Function:
        """The function from images in [0, 1] to the values at the point; traced once."""
        return in_graph(self.head)

    @cached_property
    def answer(self) -> Function:
        """The function from values at the point, float16 or float32, to the answer of the tail; traced once."""
        return in_graph(self.tail)

    def differentiable(self) -> Function:
        """Return the function from images to the values that are sent, in inference mode and with constant weights.

        It is the head, or a faster equivalent for architectures that have one (`register_fast_path`).
        """
        return _fast(self.head, self.point.name) or (lambda images: self.head(images, training=False))


def in_graph(model: keras.Model) -> Function:
    """Return a model in inference mode as one graph of float32."""
    return tf.function(lambda values: model(tf.cast(values, tf.float32), training=False), autograph=False)


def output_of(answers: Any, point: str) -> Any:
    """Return one of a model's answers: that of a name, or the only one there is.

    Raises:
        InputError: there are several, and none of this name.
    """
    if not isinstance(answers, dict):
        return answers
    if point not in answers and len(answers) > 1:
        raise InputError(f"`point` must be one of the outputs {', '.join(answers)}; got {point!r}.")
    return answers[point] if point in answers else next(iter(answers.values()))


def differentiable(model: keras.Model, point: str) -> Function:
    """Return `observed_at(model, point).differentiable()`, without the copy where a fast path knows the model itself.

    Raises:
        InputError: as `observed_at`.
    """
    return _fast(model, point) or observed_at(model, point).differentiable()


def _fast(model: keras.Model, point: str) -> Function | None:
    return next((function for fast in _fast_paths if (function := fast(model, point))), None)


def register_fast_path(fast: Callable[[keras.Model, str], Function | None]) -> None:
    """Have `fast` asked for a faster map from images to a point than a model's own; None for one that it does not know."""
    _fast_paths.append(fast)


def observed_at(
    model: keras.Model, point: str | Point, fix: Fix | None = None, *, in_float32: bool = False, argument: str = "point"
) -> Target:  # fmt: skip
    """Return a model cut at a point, as an adversary observes it; the model itself is not changed.

    Args:
        model: functional or sequential, perhaps nested; a subclassed model can only be observed at its outputs.
        point: one of `points(model)` or its name.
        fix: constant values for the inputs other than the image, by name.
        in_float32: head and tail compute in float32 what the model computes in half precision.
        argument: name of the user's argument that holds the point, for error messages.

    Raises:
        InputError: no such point, a connection bypasses it, `fix` lacks a fitting value for another input, or a layer
            cannot be rebuilt from its configuration.
    """
    name = point.name if isinstance(point, Point) else point
    copies = Copies(in_float32=in_float32)
    graph = graph_of(model, copies, fix)
    if not has_graph(model) and name not in graph.names:
        raise InputError(
            f"`{argument}` must be an output ({', '.join(graph.names)}) of a subclassed model, which has no graph to cut; "
            f"got {name!r}."
        )
    value = find(graph, name, argument)
    is_output = value in graph.outputs.values()
    if not is_output:
        require_clean(graph, name, argument)
    outputs = value if is_output else _outputs_of(graph, value)
    head = rebuild(graph, graph.image, value, copies, "head")
    tail = None if is_output else rebuild(graph, value, outputs, copies, "tail")
    copies.copy_weights()
    at = Point(name, value.shape, copies.dtype(value.dtype), is_output)
    target = Target(head, tail, at, _identity(graph, value))
    _check_same(model, graph, target, outputs, HALF_TOLERANCE if in_float32 else TOLERANCE)
    return target


def points(model: keras.Model, fix: Fix | None = None) -> list[Point]:
    """Return every point that a model can be observed at, in the order of computation.

    Raises:
        InputError: `fix` lacks a value for another input, or the model is subclassed and was never called.
    """
    return _points(graph_of(model, Copies(), fix))


def graph_of(model: keras.Model, copies: Copies, fix: Fix | None = None) -> Graph:
    """Return the graph of a model; that of a subclassed one is a single call, of a copy which `copies` then keeps."""
    if has_graph(model):
        return trace(model, fix)
    if fix:
        raise InputError(
            f"`fix` must be for a functional model; inputs of {type(model).__name__} have no names."
        )
    shape = (model.get_build_config() or {}).get("input_shape") if model.built else None
    shape = shape[0] if isinstance(shape, list) and len(shape) == 1 else shape
    if not isinstance(shape, tuple) or not all(size is None or isinstance(size, int) for size in shape):
        raise InputError(
            f"`model` must have one input and have been called once; {type(model).__name__} has no graph that tells its input."
        )
    own = copies.another()
    copied = own(model, model.name)
    image = keras.Input(shape[1:], name="image")
    whole = keras.Model(image, copied(image))
    own.copy_weights()
    copies.keep(copied)
    graph = trace(whole)
    if not isinstance(whole.output, dict):
        names = ["output"] if len(graph.outputs) == 1 else [f"output_{i}" for i in range(len(graph.outputs))]
        graph.outputs = dict(zip(names, graph.outputs.values(), strict=True))
    graph.names = graph.outputs
    return graph


def _points(graph: Graph) -> list[Point]:
    outputs = set(graph.outputs.values())
    return [Point(name, value.shape, value.dtype, value in outputs) for name, value in clean_points(graph)]


def _outputs_of(graph: Graph, cut: Value) -> Any:
    """Return the outputs that are made of a value, nested as the model's where that is all of them."""
    made = behind(graph, cut)
    outputs = {name: value for name, value in graph.outputs.items() if value in made}
    if len(outputs) == len(graph.outputs):
        return graph.structure
    return outputs if len(outputs) > 1 else next(iter(outputs.values()))


def _check_same(model: keras.Model, graph: Graph, target: Target, outputs: Any, tolerated: float) -> None:
    """Refuse a copy that answers otherwise than the model, as a layer whose configuration is incomplete does.

    A model of random answers, and one of unknown image size, cannot be compared.
    """
    size: Any = (1, *graph.image.shape)
    if None in size:
        return
    scale = 1 if graph.image.dtype.startswith(("float", "bfloat")) else 255
    images = (scale * np.random.default_rng(0).random(size)).astype("float32")
    given: Any = images
    if hasattr(model, "_inputs_struct"):
        held = {name: value[np.newaxis] for name, value in graph.held.items()}
        given = keras.tree.map_structure(lambda tensor: held.get(tensor.name, images), model._inputs_struct)
    weights = {id(weight) for weight in model.weights}
    states = [(variable, variable.numpy()) for variable in model.variables if id(variable) not in weights]
    sent = target.head(images, training=False)
    answers = _answers(sent if target.tail is None else target.tail(sent, training=False), outputs)
    expected = _answers(model(given, training=False), graph.structure)
    other = [value for value, answer in answers.items() if not _is_close(answer, expected[value], tolerated)]
    again = _answers(model(given, training=False), graph.structure) if other else expected
    for variable, state in states:  # of layers that draw random numbers at inference too
        variable.assign(state)
    for value in other:
        if not np.array_equal(expected[value], again[value], equal_nan=True):
            return
        error = np.abs(answers[value] - expected[value]).max()
        raise InputError(
            "`model` must have layers that can be rebuilt from their configuration; the copy that is cut "
            f"at {target.point.name!r} answers otherwise than the model, by up to {error:.3g}."
        )


def _is_close(answer: NDArray[Any], expected: NDArray[Any], tolerated: float) -> bool:
    largest = np.abs(expected[np.isfinite(expected)]).max(initial=0)
    return np.allclose(answer, expected, 0, tolerated * largest, equal_nan=True)


def _answers(answers: Any, structure: Any) -> dict[Value, Any]:
    values, arrays = keras.tree.flatten(structure), keras.tree.flatten(answers)
    return {v: np.asarray(keras.ops.cast(a, "float32")) for v, a in zip(values, arrays, strict=True)}


def _identity(graph: Graph, cut: Value) -> str:
    """Return a hash of what is computed and where it is cut; Keras counts names up in each process, so none counts."""
    digest = hashlib.sha256()
    numbers = {graph.image: 0}
    operations: dict[int, int] = {}
    for call in graph.calls:
        operation = call.operation
        arguments = keras.tree.map_structure(
            lambda a: f"value {numbers[a]}" if isinstance(a, Value) else a, [call.arguments, call.keywords]
        )
        for value in call.outputs:
            numbers[value] = len(numbers)
        is_layer = isinstance(operation, keras.layers.Layer)
        config = operation.get_config() if is_layer else {**vars(operation), "trainable": False}
        is_new = id(operation) not in operations
        number = operations.setdefault(id(operation), len(operations))
        text = [number, type(operation).__name__, _nameless(config), arguments]
        digest.update(json.dumps(text, sort_keys=True, default=_as_text).encode())
        if is_layer and is_new:
            for weight in operation.weights:
                array = np.ascontiguousarray(weight.numpy())
                digest.update(f"{array.dtype}{array.shape}".encode())
                digest.update(array.tobytes())
    outputs = [numbers[value] for value in graph.outputs.values()]
    digest.update(json.dumps([graph.image.shape, graph.image.dtype, outputs, numbers[cut]]).encode())
    return digest.hexdigest()


def _nameless(config: Any) -> Any:
    if isinstance(config, dict):
        own = ("name", "trainable") if "trainable" in config else ()  # a policy's name says what it does
        return {str(k): _nameless(v) for k, v in config.items() if k not in own and str(k)[0] != "_"}
    return [_nameless(item) for item in config] if isinstance(config, list | tuple) else config


def _as_text(value: Any) -> str:
    """Give JSON a text for what it does not know, without an address in memory."""
    if isinstance(value, np.ndarray):
        return hashlib.sha256(value.tobytes()).hexdigest()
    return str(getattr(value, "__qualname__", type(value).__name__))

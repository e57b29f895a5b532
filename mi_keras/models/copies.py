"""Builds models of parts of a graph, from copies of its layers."""

import copy
import inspect
import re
from typing import Any

import keras

from mi_keras.display import line_of
from mi_keras.errors import InputError
from mi_keras.models.graph import Graph, Value
from mi_keras.models.held import Held
from mi_keras.seeds import derive

HALF = ("float16", "bfloat16")
NOT_RESTORED = (TypeError, ValueError, KeyError, AttributeError, NotImplementedError)


class Copies:
    """Copies of layers and operations, one of each, which get their weights when all of them are built.

    Args:
        seed: of weights of their own, where they are to keep these; None leaves the seeds of the configurations.
        in_float32: what computes in half precision has copies that compute, and hold their weights, in float32.
    """

    def __init__(self, seed: int | None = None, *, in_float32: bool = False) -> None:
        self._seed, self._in_float32 = seed, in_float32
        self._made: dict[int, tuple[Any, Any]] = {}
        self._names: set[str] = set()

    def __call__(self, operation: Any, name: str) -> Any:
        """Return the copy of an operation, named after the path of its first call."""
        if id(operation) not in self._made:
            seed = None if self._seed is None else derive(self._seed, name.replace("/", "."))
            copied = _without_weights(operation, seed, in_float32=self._in_float32)
            copied.name = self.unique(re.sub(r"#\d+", "", name).replace("/", "."))
            self._made[id(operation)] = (operation, copied)
        return self._made[id(operation)][1]

    def keep(self, operation: Any) -> None:
        """Have an operation used itself: it is a copy already."""
        self._made[id(operation)] = (operation, operation)

    def unique(self, name: str) -> str:
        """Return a name that no other layer has."""
        while name in self._names:
            name += "_"
        self._names.add(name)
        return name

    def another(self) -> "Copies":
        """Return what makes copies in the same precision, apart from these."""
        return Copies(in_float32=self._in_float32)

    def dtype(self, given: str) -> str:
        """Return the type of numbers of what had `given`."""
        return "float32" if self._in_float32 and given in HALF else given

    def copy_weights(self) -> None:
        """Give every copy what its source holds; call it when all are built.

        Raises:
            InputError: a copy lacks something.
        """
        for source, copied in self._made.values():
            if source is copied or not isinstance(source, keras.layers.Layer):
                continue
            try:
                # As a file would keep and restore them: some layers do more than assign
                for one, other in zip(source._flatten_layers(), copied._flatten_layers(), strict=True):
                    store: dict[str, Any] = {}
                    one.save_own_variables(store)
                    other.load_own_variables(store)
            except NOT_RESTORED as error:
                raise _not_restored(source, error) from None


def drawn_anew(model: keras.Model, seed: int) -> keras.Model:
    """Return a model of the same layers whose initial weights and dropout are drawn from other seeds."""

    def reseeded(value: Any, *path: object) -> Any:
        if not isinstance(value, dict):
            return value
        seeded = {"seed": derive(seed, *path)} if "seed" in value else {}
        return {key: reseeded(inner, *path, key) for key, inner in value.items()} | seeded

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        return type(layer).from_config(reseeded(layer.get_config(), layer.name))

    return keras.models.clone_model(model, clone_function=clone)


def rebuild(
    graph: Graph, start: Value, outputs: Any, copies: Copies, name: str, *, learns: bool = False
) -> keras.Model:
    """Return a model of copied layers from `start` to `outputs`, which nothing else may lead to but what is held.

    It is frozen, and in inference mode unless it is called in training mode, and then only dropout and the like are not;
    one that `learns` has all weights free, and every layer is in the mode in which it is called.
    """
    needed = set(keras.tree.flatten(outputs))
    calls = []
    for call in reversed(graph.calls):
        if start not in call.outputs and any(value in needed for value in call.outputs):
            needed.update(call.inputs)
            calls.append(call)
    inputs = copies.unique("image" if start is graph.image else "sent")
    image = keras.Input(start.shape, dtype=copies.dtype(start.dtype), name=inputs)
    tensors = {start: image}

    def tensor(argument: Any) -> Any:
        return tensors[argument] if isinstance(argument, Value) else argument

    for call in reversed(calls):
        arguments, keywords = keras.tree.map_structure(tensor, (call.arguments, call.keywords))
        operation = copies(call.operation, call.name)
        if isinstance(operation, Held):
            arguments = [image]  # tells for how many
        if learns:
            keywords.pop("training", None)
        elif "training" in [*inspect.signature(operation.call).parameters][len(arguments) :]:
            keywords["training"] = False  # where nobody says so, some layers draw random numbers
        results = keras.tree.flatten(operation(*arguments, **keywords))
        tensors.update(zip(call.outputs, results, strict=True))
    model = keras.Model(image, keras.tree.map_structure(tensor, outputs), name=name)
    model.trainable = learns
    return model


def computes_in_half(model: keras.Model) -> bool:
    """Return whether a layer of a model computes in half precision."""
    layers = model._flatten_layers(include_self=False, recursive=True)
    return any(layer.compute_dtype in HALF for layer in layers)


def _without_weights(operation: Any, seed: int | None, *, in_float32: bool) -> Any:
    if not isinstance(operation, keras.layers.Layer):  # `a + b` and the like: no state but their calls
        copied = copy.copy(operation)
        copied._inbound_nodes, copied._outbound_nodes = [], []
        return copied
    if type(operation) is keras.layers.Lambda:  # Keras refuses to read its function from a configuration
        policy = operation.dtype_policy
        return keras.layers.Lambda(
            operation.function, operation._output_shape, operation.mask, operation.arguments,
            dtype="float32" if in_float32 and policy.compute_dtype in HALF else policy,
        )  # fmt: skip
    custom = {type(layer).__name__: type(layer) for layer in operation._flatten_layers()}
    try:
        with keras.saving.custom_object_scope(custom):
            config = _single(operation.get_config()) if in_float32 else operation.get_config()
            return type(operation).from_config(config if seed is None else _untrained(config, seed))
    except NOT_RESTORED as error:
        raise _not_restored(operation, error) from None


def _untrained(config: Any, seed: int) -> Any:
    """Return a configuration with nothing frozen and seeds of its own, of initial weights and of random layers, at any depth."""
    if isinstance(config, dict):
        found = {}
        for place, (key, item) in enumerate(config.items()):
            other = derive(seed, place)
            found[key] = _untrained(item, other)
            if key == "seed" and isinstance(item, int | None):
                found[key] = other
            elif key == "trainable":
                found[key] = True
        return found
    if isinstance(config, list):
        return [_untrained(item, derive(seed, place)) for place, item in enumerate(config)]
    return config


def _single(config: Any) -> Any:
    """Return a configuration in which no policy has half precision: mixed_float16 becomes float32."""
    if isinstance(config, dict):
        return {key: _single(value) for key, value in config.items()}
    if isinstance(config, str):
        return "float32" if config.removeprefix("mixed_") in HALF else config
    return [_single(item) for item in config] if isinstance(config, list | tuple) else config


def _not_restored(operation: Any, error: Exception) -> InputError:
    return InputError(
        f"`model` must have layers that can be rebuilt from their configuration; {operation.name!r} of class "
        f"{type(operation).__name__} does not ({line_of(error)})."
    )

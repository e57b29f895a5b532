"""The graph of a Keras model as calls and values, with nested models unfolded: its points, and where it can be cut."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import keras

from mi_keras.errors import InputError
from mi_keras.models.held import Held, image_and_held
from mi_keras.types import Fix


@dataclass(eq=False)
class Value:
    """What a call gives: `shape` without the batch, and the type of its numbers."""

    shape: tuple[int | None, ...]
    dtype: str


@dataclass(eq=False)
class Call:
    """One call of a layer or operation; `arguments` and `keywords` hold a `Value` where the model has a tensor."""

    name: str
    operation: Any
    arguments: Any
    keywords: Any
    outputs: list[Value]

    @cached_property
    def inputs(self) -> list[Value]:
        flat = keras.tree.flatten((self.arguments, self.keywords))
        return [value for value in flat if isinstance(value, Value)]


@dataclass(eq=False)
class Graph:
    """All that the outputs of a model are computed by.

    Attributes:
        image: the input that is not held.
        held: what the others are held at, by name.
        calls: in an order in which they can be computed.
        outputs: the outputs by name: the key where the model answers a dictionary, else the layer.
        structure: the outputs as the model nests them.
        names: every name that a user may give, a nested model's own included, and what it stands for.
    """

    image: Value
    calls: list[Call]
    held: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Value] = field(default_factory=dict)
    structure: Any = None
    names: dict[str, Value] = field(default_factory=dict)

    @cached_property
    def of_image(self) -> set[Value]:
        """All values that the image has a part in."""
        return behind(self, self.image)


def has_graph(model: keras.Model) -> bool:
    """Tell whether a model is functional or sequential, and does what its graph says."""
    if not isinstance(model, keras.Model):
        raise InputError(f"`model` must be a Keras model; got a {type(model).__name__}.")
    if isinstance(model, keras.Sequential):
        return type(model).call is keras.Sequential.call and getattr(model, "_functional", None) is not None
    return getattr(getattr(type(model), "call", None), "__qualname__", "") == "Functional.call"


def trace(model: keras.Model, fix: Fix | None = None) -> Graph:
    """Return the graph of a functional or sequential model, without touching it.

    Inputs beside the image are calls that take nothing and give what they are held at (`fix`).

    Layers of nested models have paths, "backbone/block_6"; a layer that is called twice has a name for each call,
    "name#1" and "name#2", in the order in which the model was built.

    Raises:
        InputError: the model has several inputs that are not all held but one, or cannot be held so.
    """
    image, held = image_and_held(model, fix or {})
    graph = Graph(_value(image), [], held)
    inputs = []
    for tensor in model.inputs:
        value = graph.image if tensor is image else _value(tensor)
        inputs.append(value)
        if tensor is not image:
            graph.calls.append(Call(tensor.name, Held(held[tensor.name]), (), {}, [value]))
    values = _unfold(graph, model, inputs, "")
    named = {value: name for name, value in reversed(graph.names.items())}  # the first name of each
    structure: Any = getattr(model, "_outputs_struct", None)
    by_key = isinstance(structure, dict) and len(structure) == len(values)
    keys = sorted(structure) if by_key else [named[value] for value in values]  # sorted, as Keras flattens it
    graph.outputs = dict(zip(keys, values, strict=True))
    if structure is None:  # sequential
        graph.structure = values[0] if len(values) == 1 else values
    else:
        graph.structure = keras.tree.pack_sequence_as(structure, values)
    graph.names.update(graph.outputs)
    return graph


def find(graph: Graph, name: str, argument: str = "point") -> Value:
    """Return what `name` stands for.

    Raises:
        InputError: nothing has that name, or a layer that is called more than once; `argument` is what it was given as.
    """
    if name in graph.names:
        return graph.names[name]
    if calls := [
        other for other in graph.names if other.startswith(f"{name}#") and "/" not in other[len(name) :]
    ]:
        raise InputError(
            f"`{argument}` must name one call of a layer that is called more than once: {', '.join(calls)}; "
            f"got {name!r}."
        )
    alike = difflib.get_close_matches(name, graph.names, n=3, cutoff=0.4)
    hint = f" (alike: {', '.join(alike)})" if alike else ""
    raise InputError(
        f"`{argument}` must be an output ({', '.join(graph.outputs)}) or the path of a layer{hint}; got {name!r}."
    )


def behind(graph: Graph, cut: Value) -> set[Value]:
    """Return all values that `cut` has a part in, itself included."""
    found = {cut}
    for call in graph.calls:
        if any(value in found for value in call.inputs):
            found.update(call.outputs)
    return found


def bypass(graph: Graph, cut: Value) -> str | None:
    """Return the name of the first call that is fed by `cut` and also by the image in another way, if there is one."""
    found = {cut}
    for call in graph.calls:
        fed = [value in found for value in call.inputs if value in graph.of_image]
        if any(fed):
            if not all(fed):
                return call.name
            found.update(call.outputs)
    return None


def clean_points(graph: Graph) -> Iterator[tuple[str, Value]]:
    """Yield name and value of what a model can be cut at, in the order of computation, outputs by their own name."""
    output_names = {value: name for name, value in graph.outputs.items()}
    for call in graph.calls:
        for value, name in zip(call.outputs, _names(call), strict=True):
            if value in output_names:
                yield output_names[value], value
            elif len(call.outputs) == 1 and value in graph.of_image and bypass(graph, value) is None:
                yield name, value


def require_clean(graph: Graph, name: str, argument: str = "point") -> None:
    """Refuse a cut that a connection bypasses, naming what is fed from both sides and the nearest points.

    Raises:
        InputError: such a connection exists.
    """
    cut = find(graph, name, argument)
    if cut not in graph.of_image:
        raise InputError(f"`{argument}` must be a layer that depends on the image; got {name!r}.")
    around = bypass(graph, cut)
    if around is None:
        return
    order = [value for call in graph.calls for value in call.outputs]
    clean = {value: other for other, value in clean_points(graph)}
    place = order.index(cut)
    before = [clean[value] for value in order[:place] if value in clean][-1:]
    after = [clean[value] for value in order[place:] if value in clean][:1]
    nearest = [*(f"{other} before it" for other in before), *(f"{other} behind it" for other in after)]
    raise InputError(
        f"`{argument}` must be a layer that no connection bypasses; layer {around!r} takes what {name!r} gives and "
        f"also what comes from before it (nearest: {', '.join(nearest)})."
    )


def _unfold(graph: Graph, model: keras.Model, inputs: list[Value], prefix: str) -> list[Value]:
    """Add the calls of a model on `inputs`, and return its outputs."""
    values = {id(tensor): value for tensor, value in zip(model.inputs, inputs, strict=True)}
    nodes = _nodes(model)
    calls = _numbered(nodes)
    for node in nodes:
        operation, name = node.operation, prefix + calls[node]
        arguments, keywords = node.arguments.fill_in(values)
        if isinstance(operation, keras.Model) and has_graph(operation):
            given = [value for value in keras.tree.flatten((arguments, keywords)) if isinstance(value, Value)]
            outputs = _unfold(graph, operation, given, f"{name}/")
            if len(outputs) == 1:
                graph.names.setdefault(name, outputs[0])
        else:
            call = Call(name, operation, arguments, keywords, [_value(tensor) for tensor in node.outputs])
            outputs = call.outputs
            graph.calls.append(call)
            graph.names.update(zip(_names(call), outputs, strict=True))
        values.update((id(tensor), value) for tensor, value in zip(node.outputs, outputs, strict=True))
    return [values[id(tensor)] for tensor in model.outputs]


def _nodes(model: keras.Model) -> list[Any]:
    """Return the calls that the outputs need, each after those that it needs; deep models rule out recursion."""
    given = {id(tensor) for tensor in model.inputs}
    ordered: list[Any] = []
    done: set[Any] = set()
    for output in model.outputs:
        stack = [] if id(output) in given else [(_node(output), False)]
        while stack:
            node, ready = stack.pop()
            if node in done:
                continue
            if ready:
                done.add(node)
                ordered.append(node)
                continue
            stack.append((node, True))
            before = [_node(tensor) for tensor in node.input_tensors if id(tensor) not in given]
            stack.extend((other, False) for other in reversed(before) if other not in done)
    return ordered


def _node(tensor: keras.KerasTensor) -> Any:
    operation, index, _ = tensor._keras_history
    return operation._inbound_nodes[index]


def _numbered(nodes: list[Any]) -> dict[Any, str]:
    """Name every call after its operation, with a number where there are several calls of it."""
    by_operation: dict[int, list[Any]] = {}
    for node in nodes:
        by_operation.setdefault(id(node.operation), []).append(node)
    names = {}
    for calls in by_operation.values():
        order = {id(node): place for place, node in enumerate(calls[0].operation._inbound_nodes)}
        for number, node in enumerate(sorted(calls, key=lambda node: order[id(node)]), start=1):
            names[node] = node.operation.name + (f"#{number}" if len(calls) > 1 else "")
    return names


def _names(call: Call) -> list[str]:
    return [call.name] if len(call.outputs) == 1 else [f"{call.name}[{i}]" for i in range(len(call.outputs))]


def _value(tensor: keras.KerasTensor) -> Value:
    return Value(tuple(tensor.shape[1:]), str(tensor.dtype))

"""What a model's configuration may name: Keras' own classes and functions, and those of modules that the user imports.

Keras resolves names as it builds a model, and building calls what they name: safe mode stops Python lambdas only, and
each of CVE-2025-1550, -8747, -9905, -9906, -12058, -49655 and CVE-2026-1462 went around it. So every name is looked at
first, in JSON, and only a listed one goes on to Keras.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

import keras

from mi_keras.auditing.keras_names import REFUSED, classes, functions, plain, words
from mi_keras.errors import InputError

DEPTH = 200  # of nested lists and dicts: a model within a model within a model has less than 30
SHOWN = 60  # characters of a name from the file

VALUES = {"__keras_tensor__", "__tensor__", "__numpy__", "__slice__", "__tuple__", "__ellipsis__", "TensorShape"}  # fmt: skip
SLOT = re.compile(r"(?:^|_)(activation|initializer|regularizer|constraint|function|fn)$")
DTYPE = re.compile(r"u?int(4|8|16|32|64)|float(16|32|64)|bfloat16|bool|complex(64|128)|string")


class Node(NamedTuple):
    """A value of the configuration, and where it stands: depth, key, nearest layer, and what surrounds it."""

    value: Any
    depth: int = 0
    key: str = ""
    layer: str = "the model"
    part: str = ""  # compile_config or build_config, at any depth below it
    of_own: bool = False  # of the config of the user's own class, whose words mean what they mean there


@dataclass(frozen=True)
class Names:
    """Whether names of a configuration are allowed.

    Attributes:
        path: of the model, for messages.
        own: classes and functions of the modules that the user imports, by the names that Keras gives them.
        rewritten: Keras will read what is left of the configuration, and not the file: what compiles a model is taken out
            unread, so that a loss or metric of the user's own does not matter.
        used: which of them the configuration names; filled as it is checked.
    """

    path: str
    own: Mapping[str, object]
    rewritten: bool = False
    used: dict[str, object] = field(default_factory=dict)

    def check(self, config: Any) -> None:
        """Walk a configuration whole.

        Raises:
            InputError: it names a class or function that is neither Keras' own nor of `imports`, or one that loads or
                runs something; or it is no configuration of a model.
        """
        if not isinstance(config, dict) or not isinstance(config.get("class_name"), str):
            raise InputError(f"`model` must hold the configuration of a Keras model; {self.path} does not.")
        pending = [Node(config)]
        while pending:  # no recursion, which a deep file could exhaust
            node = pending.pop()
            if node.depth > DEPTH:
                raise InputError(
                    f"`model` must be nested at most {DEPTH} deep; the configuration of {self.path} is deeper."
                )
            if isinstance(node.value, str):
                self._check_text(node)
            elif isinstance(node.value, list):
                pending += [node._replace(value=value, depth=node.depth + 1) for value in node.value]
            elif isinstance(node.value, dict):
                pending += self._children(node)

    def _children(self, node: Node) -> Iterator[Node]:
        entries = node.value
        own = False
        if isinstance(entries.get("name"), str) and "class_name" in entries:
            node = node._replace(layer=entries["name"])
        if "class_name" in entries:
            own = self._check_reference(node)
        elif "registered_name" in entries:
            self._refuse(node, f"{_shown(entries['registered_name'])} without a class")
        if self.rewritten and "class_name" in entries:
            entries.pop("compile_config", None)
        for key, value in entries.items():
            self._check_text(node._replace(value=key, key=""))
            part = key if "class_name" in entries and key in ("compile_config", "build_config") else node.part
            of_own = (own and key == "config") or (node.of_own and "class_name" not in entries)
            yield Node(value, node.depth + 1, key, node.layer, part, of_own)

    def _check_reference(self, node: Node) -> bool:
        """Refuse a class or function that is not allowed; return whether it is the user's own."""
        entries = node.value
        name, module, registered = (entries.get(key) for key in ("class_name", "module", "registered_name"))
        is_function = name == "function"
        if is_function:
            name = entries.get("config")
        what = f"{'function' if is_function else 'class'} {_shown(name)}"
        if not isinstance(name, str) or not all(
            isinstance(text, str | None) for text in (module, registered)
        ):
            self._refuse(node, f"{what}, which is no name,")
        if node.part == "build_config":
            self._refuse(node, f"{what}, where only shapes belong,")
        if name in VALUES and not is_function and module is None and registered is None:
            inner = entries.get("config")
            dtype = inner.get("dtype") if isinstance(inner, dict) else None
            if dtype and not (
                isinstance(dtype, str) and DTYPE.fullmatch(dtype)
            ):  # one V4000000000 takes 4 GB
                self._refuse(node, f"numbers of type {_shown(dtype)}")
            return False
        if self._is_own(name, entries, is_function):
            return True
        compiling = node.part == "compile_config"
        aliases = (None, name, "function") if is_function else (None, name)
        if registered not in aliases:  # Keras asks for the registered name first
            self._refuse(node, f"{what}, registered as {_shown(registered)},")
        if (module, name) not in (functions(compiling) if is_function else classes(compiling)):
            of = "" if module is None else f" of {_shown(module)}"
            self._refuse(node, what + of + (f" ({REFUSED[name]})" if name in REFUSED else ""))
        return False

    def _is_own(self, name: str, entries: dict[str, Any], is_function: bool) -> bool:
        """Return whether Keras will find the user's own under every way that it may look for this reference."""
        resolved = name if is_function else entries.get("registered_name", name)
        looked_up = {resolved} if is_function or "module" in entries else {resolved, name}  # legacy: by class
        if not looked_up <= self.own.keys():
            return False
        if not is_function and not all(inspect.isclass(self.own[key]) for key in looked_up):
            return False  # a function in a class' place would be called with what the file says
        self.used.update({key: self.own[key] for key in (resolved, name) if key in self.own})
        return True

    def _check_text(self, node: Node) -> None:
        """Refuse a word that Keras would take for an object, unless it is one that is allowed."""
        word = node.value
        if word not in self.own and keras.saving.get_registered_object(word) is not None:
            self._refuse(node, f"{_shown(word)}, which this process has registered and `imports` has not,")
        slot = SLOT.search(node.key)
        if slot is None or node.of_own or node.part == "compile_config":
            return
        if word in self.own:
            self.used[word] = self.own[word]
        elif plain(word) not in words(slot[1]):
            self._refuse(node, f"{_shown(word)} as {_shown(node.key)}")

    def _refuse(self, node: Node, what: str) -> NoReturn:
        where = node.layer if node.layer == "the model" else f"layer {_shown(node.layer)}"
        part = f"the `{node.part}` of " if node.part else ""
        raise InputError(
            "`model` must name only classes and functions of Keras that load and run nothing, or such of `imports`; "
            f"{self.path} names {what} in {part}{where}."
        )


def _shown(value: object) -> str:
    """Return a value from the file as it can be printed: short, and without what would steer a terminal."""
    text = ascii(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."

"""The names of Keras' own classes and functions that a configuration may use, from Keras' public namespaces."""

import inspect
from functools import cache
from importlib import import_module
from typing import Any

import keras

FROM_A_FILE = "it reads a vocabulary from a file or an address"
CODE = "it runs code or a module that the file brings"
CALLS_BACK = "it calls functions that it is given"
REFUSED = {
    "Lambda": CODE,
    "__lambda__": CODE,
    "TFSMLayer": "it loads another SavedModel",
    "TorchModuleWrapper": CODE,
    "JaxLayer": CODE,
    "FlaxLayer": CODE,
    "TextVectorization": FROM_A_FILE,
    "StringLookup": FROM_A_FILE,
    "IntegerLookup": FROM_A_FILE,
    "GPTQConfig": "it reads a data set",
    "AWQConfig": "it reads a data set",
    **dict.fromkeys(
        ("Map", "Scan", "AssociativeScan", "Switch", "WhileLoop", "ForiLoop", "Cond", "VectorizedMap", "JVP"),
        CALLS_BACK,
    ),
}
CLASSES = {  # public namespace: what of it a configuration may build
    "layers": keras.layers.Layer,
    "initializers": keras.initializers.Initializer,
    "regularizers": keras.regularizers.Regularizer,
    "constraints": keras.constraints.Constraint,
    "dtype_policies": (keras.dtype_policies.DTypePolicy, keras.dtype_policies.DTypePolicyMap),
    "quantizers": (
        keras.quantizers.Quantizer,
        getattr(keras.quantizers, "QuantizationConfig", keras.quantizers.Quantizer),  # not in Keras 3.12
    ),
}
COMPILED = {
    "losses": keras.losses.Loss,
    "metrics": keras.metrics.Metric,
    "optimizers": keras.optimizers.Optimizer,
    "optimizers.schedules": keras.optimizers.schedules.LearningRateSchedule,
}
OPERATIONS = ("core", "einops", "image", "linalg", "math", "nn", "numpy")  # `x * 2` within a functional model
UTILITIES = {"get", "serialize", "deserialize"}
ALIASES = {
    "swish",
    "hard_swish",
    "uniform",
    "normal",
    "zero",
    "one",
}  # in no namespace, or not in every version


@cache
def classes(compiling: bool) -> set[tuple[str | None, str]]:
    """Return every (module, class) that may be named; the legacy format has no module."""
    known = _public("models", keras.layers.Layer) | _public("random", keras.random.SeedGenerator)
    for namespace, bases in (CLASSES | (COMPILED if compiling else {})).items():
        known |= _public(namespace, bases) | _public("", bases)
    known |= {
        (module, "Functional") for module in (None, "keras", "keras.models", "keras.src.models.functional")
    }
    for module in (f"keras.src.ops.{name}" for name in OPERATIONS):  # files name them there
        for name, cls in vars(import_module(module)).items():
            if inspect.isclass(cls) and issubclass(cls, keras.Operation) and cls.__module__ == module:
                known.add((module, name))
    return {(module, name) for module, name in known if name not in REFUSED}


def _public(namespace: str, bases: Any) -> set[tuple[str | None, str]]:
    """Return the classes of a public namespace of Keras by each module that files give for them."""
    module = f"keras.{namespace}" if namespace else "keras"
    known: set[tuple[str | None, str]] = set()
    for name, cls in vars(import_module(module)).items():
        if inspect.isclass(cls) and issubclass(cls, bases) and not {name, cls.__name__} & REFUSED.keys():
            known |= {(module, name), (None, name), (cls.__module__, cls.__name__)}
    return known


@cache
def functions(compiling: bool) -> set[tuple[str | None, str]]:
    """Return every (module, function) that may be named; files give Keras' own as of `builtins`."""
    known: set[tuple[str | None, str]] = set()
    for namespace in ("activations", "losses", "metrics") if compiling else ("activations",):
        for name, function in vars(import_module(f"keras.{namespace}")).items():
            if inspect.isfunction(function) and name not in UTILITIES:
                modules = ("builtins", None, f"keras.{namespace}", function.__module__)
                known |= {(module, name) for module in modules}
    return known


@cache
def words(slot: str) -> set[str]:
    """Return the words that name an activation, initializer, regularizer or constraint, in plain letters."""
    if slot in ("activation", "function", "fn"):
        names = {name for _, name in functions(False)}
    else:
        names = {name for _, name in _public(f"{slot}s", CLASSES[f"{slot}s"])}
    return {plain(name) for name in names | ALIASES}


def plain(word: str) -> str:
    """Return a word without the differences between `GlorotUniform`, `glorot_uniform` and `glorotuniform`."""
    return word.lower().replace("_", "")

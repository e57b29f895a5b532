"""Class numbers and group numbers from numbers, names or subfolders."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.display import displayable
from mi_keras.errors import InputError
from mi_keras.types import Ints

SHOWN = 6  # class names that a sentence lists


def number_classes(
    name: str, labels: NDArray[Any], class_names: Sequence[str] | None
) -> tuple[Ints, tuple[str, ...], tuple[str, ...]]:
    """Return `(count,)` class numbers, the name of each class, and notes of what was assumed.

    Args:
        name: what the messages begin with.
        labels: `(count,)` class numbers >= 0, or names.
        class_names: the classes in the order of the model's outputs; None for numbers as their own names, and for names
            in the order of their letters.

    Raises:
        InputError: a label is neither, or none of `class_names`; or these repeat a name.
    """
    declared = None if class_names is None else tuple(map(str, class_names))
    if declared is not None and len(set(declared)) < len(declared):
        raise InputError(f"`class_names` must be different names; got {', '.join(declared)}.")
    if labels.dtype.kind in "OSU":
        texts = _texts(labels)
        known = declared or tuple(sorted(set(texts)))
        unknown = sorted(set(texts) - set(known))
        if unknown:
            raise InputError(
                f"`class_names` must name every class of {name}; got {', '.join(known)}, without {unknown[0]!r}."
            )
        place = {text: number for number, text in enumerate(known)}
        notes = () if declared else (_note(known),)
        return np.array([place[text] for text in texts], np.int64), tuple(map(displayable, known)), notes
    if labels.dtype.kind not in "biuf" or not np.array_equal(labels, labels.astype(np.int64)):
        raise InputError(f"{name} must have labels that are class numbers or names; got {labels.dtype}.")
    numbers = labels.astype(np.int64)
    if numbers.min() < 0:
        raise InputError(f"{name} must have class numbers >= 0; got {numbers.min()}.")
    if declared is not None and numbers.max() >= len(declared):
        raise InputError(
            f"`class_names` must name every class of {name}, {numbers.max() + 1} at least; got {len(declared)}."
        )
    shown = tuple(map(displayable, declared)) if declared else tuple(map(str, range(numbers.max() + 1)))
    return numbers, shown, ()


def number_groups(name: str, groups: NDArray[Any]) -> tuple[Ints, tuple[str, ...]]:
    """Return `(count,)` group numbers from 0, and the name of each group, whatever the groups are called.

    Raises:
        InputError: they are neither whole numbers nor names.
    """
    if groups.dtype.kind in "OSU":
        groups = np.array(_texts(groups))
    elif groups.dtype.kind not in "iu":
        raise InputError(f"{name} must have groups that are whole numbers or names; got {groups.dtype}.")
    names, numbers = np.unique(groups, return_inverse=True)
    return numbers.astype(np.int64), tuple(displayable(str(name)) for name in names)


def _texts(values: NDArray[Any]) -> list[str]:
    return [
        value.decode(errors="surrogateescape") if isinstance(value, bytes) else str(value) for value in values
    ]


def _note(names: Sequence[str]) -> str:
    names = [displayable(name) for name in names]
    listed = ", ".join(names[:SHOWN]) + (f" ... {names[-1]}" if len(names) > SHOWN else "")
    return (
        "Classes are numbered in the order of their names, as image_dataset_from_directory numbers them, and class k is "
        f"taken for the model's output k: {listed}."
    )

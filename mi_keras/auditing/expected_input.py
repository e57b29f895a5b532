"""The input range that a model expects (`model_input`): declared and checked, or found by accuracy on labelled
images."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc

from mi_keras.auditing.model_input import ModelInput, candidates, model_input
from mi_keras.data.preprocess import as_unit
from mi_keras.errors import InputError
from mi_keras.types import Floats, Ints

Right = NDArray[np.bool_]  # (count,) whether each image is answered right
SAMPLE = 512  # images that are asked
LEVEL = 0.001  # of the test that one conversion is right more often than another
SURE = 0.5  # accuracy below which something may be wrong with what the model is given, or with the order of the classes
TWICE = 2  # times the accuracy of a declared conversion, above which another one takes its place
SHOWN = 4  # class names that a sentence lists


class Expected(NamedTuple):
    """What the model expects.

    Attributes:
        given: the name of a conversion.
        assumed: the sentence that says so.
        warnings: sentences on what speaks against it.
    """

    given: str
    assumed: str
    warnings: tuple[str, ...] = ()


def expected_input(
    declared: str | None,
    answer: Callable[..., NDArray[Any]],
    images: NDArray[Any],
    labels: Ints | None,
    *,
    names: Sequence[str] = (),
    channels: int,
    dtype: str,
    tells_class: bool,
    hint: str = "",
) -> Expected:
    """Return what the model expects of pixels, declared or found by accuracy.

    It is assumed that class number k of the labels is output k of the model; under another order no accuracy is high.

    Args:
        answer: from images, and how they are prepared, to what the model answers.
        images: `(count, height, width, channels)`, bytes or in [0, 1]. Their order is by hash, so that the first are a
            random sample.
        labels: `(count,)` class numbers, or None; `names`: of the classes.
        dtype: of the model's input.
        tells_class: the largest of its answers is a class.
        hint: a sentence on how to give labels.

    Raises:
        InputError: nothing is declared and nothing can be found, or what is declared does not fit.
    """
    tried = candidates(channels)
    if declared in tried and declared != "0..255" and np.dtype(dtype).kind in "iu":
        raise InputError(
            f"`model_input` must be 0..255 or MODULE:FUNCTION for a model that takes whole numbers ({dtype}); "
            f"got {declared!r}."
        )
    if labels is None or not tells_class:
        why = "answers that tell one" if labels is not None else "labels"
        if declared is None:
            raise InputError(
                f"`model_input` must be declared where there are no {why} to find it by: one of {', '.join(tried)}, or "
                f"MODULE:FUNCTION.{hint if labels is None else ''}"
            )
        return Expected(declared, f"The model expects {declared} (declared, not checked: no {why}).")
    if declared is not None and declared not in tried:
        tried[declared] = model_input(declared, channels=channels)

    def predicted(given: NDArray[Any]) -> NDArray[Any]:
        answers = answer(given, lambda batch: batch)
        return answers.argmax(axis=1) if answers.shape[1] > 1 else (answers[:, 0] > 0.5).astype(np.int64)

    right = right_answers(predicted, as_unit(images[:SAMPLE]), labels, tried)
    asked = labels[:SAMPLE]
    most_frequent = asked == np.bincount(asked).argmax()
    chosen = declared or choose_model_input(right, most_frequent, names)
    doubts = [
        check_model_input(declared, right, most_frequent) if declared is not None else "",
        _too_low(right[chosen], most_frequent, names),
    ]
    how = (
        f"{'declared;' if declared else 'found:'} accuracy {right[chosen].mean():.2f} on {len(asked)} images"
    )
    return Expected(chosen, f"The model expects {chosen} ({how}).", tuple(filter(None, doubts)))


def right_answers(
    answer: Callable[[Floats], NDArray[Any]],
    images: Floats,
    labels: Ints,
    conversions: Mapping[str, ModelInput],
) -> dict[str, Right]:
    """Return which of the first 512 images the model is right on under each conversion.

    Args:
        answer: from what the model expects to `(count,)` predicted classes.
        images: `(count, height, width, channels)` in [0, 1].
        labels: `(count,)` class numbers.
    """
    images, labels = images[:SAMPLE], labels[:SAMPLE]
    return {
        name: np.asarray(answer(convert(images))).reshape(-1) == labels
        for name, convert in conversions.items()
    }


def choose_model_input(right: Mapping[str, Right], most_frequent: Right, names: Sequence[str] = ()) -> str:
    """Return the conversion under which the model is right more often than under every other, and than chance has it.

    Args:
        right: which images the model is right on, by conversion.
        most_frequent: which images are of the most frequent class.
        names: of the classes.

    Raises:
        InputError: there is none; it must be declared.
    """
    best, *others = sorted(right, key=lambda name: -right[name].mean())
    if not is_above(right[best], most_frequent):
        lacking = (
            f"is clearly right more often than always the most frequent class, {most_frequent.mean():.3f}"
        )
    elif not all(is_above(right[best], right[other]) for other in others):
        lacking = "is clearly more accurate than the next"
    else:
        return best
    raise InputError(
        f"`model_input` must be declared where no conversion {lacking}; {_shown(right)}. {_ordered(names)}"
    )


def check_model_input(declared: str, right: Mapping[str, Right], most_frequent: Right) -> str:
    """Refuse a declared conversion where another one's accuracy is at least twice as high, and not by one class alone.

    Args:
        declared: a key of `right`.
        right: which images the model is right on, by conversion.
        most_frequent: which images are of the most frequent class.

    Returns:
        A sentence to warn with where another one is more accurate by less than that, else "".

    Raises:
        InputError: another one fits; the message names it.
    """
    best = max(right, key=lambda name: float(right[name].mean()))
    if not all(is_above(right[best], other) for other in (right[declared], most_frequent)):
        return ""
    if right[best].mean() >= TWICE * right[declared].mean():
        raise InputError(
            f"`model_input='{declared}'` must be what the model expects; `model_input='{best}'` fits it: {_shown(right)}."
        )
    return f"{best} is more accurate than the declared {declared}: {_shown(right)}."


def is_above(first: Right, second: Right) -> bool:
    """Return whether one is right more often than another on the same images, by more than chance has it.

    The exact sign test (McNemar): of images on which one alone is right, each would be right on half if they were alike,
    however many classes there are. One-sided, at 0.1 %.
    """
    more, less = int((first & ~second).sum()), int((second & ~first).sum())
    return more > less and float(bdtrc(more - 1, more + less, 0.5)) < LEVEL


def _too_low(right: Right, most_frequent: Right, names: Sequence[str]) -> str:
    """Return what to warn with where a model is right too seldom to be given what it expects, "" elsewhere."""
    if right.mean() >= SURE and is_above(right, most_frequent):
        return ""
    return (
        f"The model is right on {100 * right.mean():.0f} % of {len(right)} labelled images, and the most frequent class is "
        f"{100 * most_frequent.mean():.0f} % of them. {_ordered(names)} Else look at `model_input` and `pixels`."
    )


def _ordered(names: Sequence[str]) -> str:
    """Return the question whether classes and outputs stand in one order, and what to do if not."""
    if all(name.isdecimal() for name in names):
        return "Class number k is taken for the model's output k: renumber the labels if it is another."
    listed = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    return (
        f"Classes are taken for the model's outputs in the order {listed}: `class_names` gives another one."
    )


def _shown(right: Mapping[str, Right]) -> str:
    ranked = sorted(right.items(), key=lambda pair: -pair[1].mean())
    listed = ", ".join(f"{name} {each.mean():.3f}" for name, each in ranked)
    return f"accuracy on {len(ranked[0][1])} images: {listed}"

"""What `--defend` may name: defences of outputs and of layers, with their numbers, read and checked."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mi_keras.errors import InputError

FORMS = {
    "rounding": "rounding=0..7", "top": "top=K", "temperature": "temperature=T", "noise": "noise=S", "label": "label",
    "bits": "bits=1..8", "kept": "kept=M or kept=SHARE",
}  # fmt: skip
OF_LAYERS = ("bits", "kept", "noise")
# What may be done to outputs, by what they say; where several labels are independent, the largest few tell the others too
OF_OUTPUTS = {
    "logits": ("rounding", "top", "temperature", "noise", "label"),
    "probabilities": ("rounding", "top", "temperature", "noise", "label"),
    "one sigmoid unit": ("rounding", "temperature", "noise", "label"),
    "several labels": ("rounding", "temperature", "noise", "label"),
    "embedding": ("rounding", "noise"),
}
_NUMBER = re.compile(r"\d+(\.\d*)?|\.\d+")


@dataclass(frozen=True)
class Spec:
    """One defence as it was asked for.

    Attributes:
        text: as given, such as "noise=0.5".
        name: what stands before the sign.
        number: what stands behind it; 0 of "label".
        is_share: the number is a part of all.
    """

    text: str
    name: str
    number: float = 0.0
    is_share: bool = False

    @property
    def whole(self) -> int:
        """The number as a whole one."""
        return int(self.number)


def parse_spec(text: str) -> Spec:
    """Return the defence that a text names.

    Raises:
        InputError: there is none of this name, or its number is not legal, whatever is audited.
    """
    name, sign, number = (part.strip() for part in text.partition("="))
    if name == "label" and not sign:
        return Spec(text, name)
    if _NUMBER.fullmatch(number) and name in _LEGAL and _LEGAL[name](float(number), "." not in number):
        return Spec(text, name, float(number), name == "kept" and "." in number)
    raise InputError(
        f"`defend` must be one of {forms(OF_OUTPUTS['logits'])} for an output, {forms(OF_LAYERS)} for a layer; got {text!r}."
    )


def forms(names: Sequence[str]) -> str:
    """Return how the defences of these names are written."""
    return ", ".join(FORMS[name] for name in names)


def _within(low: int, high: float) -> Callable[[float, bool], bool]:
    return lambda number, is_whole: is_whole and low <= number <= high


def _positive(number: float, is_whole: bool) -> bool:
    return 0 < number < math.inf


_LEGAL: dict[str, Callable[[float, bool], bool]] = {
    "rounding": _within(0, 7), "top": _within(1, 1e9), "temperature": _positive, "noise": _positive, "bits": _within(1, 8),
    "kept": lambda number, is_whole: number >= 1 if is_whole else 0 < number < 1,
}  # fmt: skip

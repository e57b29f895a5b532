"""Views: the part of a model's answer that an outsider gets: logits, probabilities (all, rounded or the largest), or
the label.

Attacks get each view in the form that reveals most: probabilities as logarithms, since small probabilities carry
information too.
"""

import re
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from mi_keras.errors import InputError
from mi_keras.types import Floats, Ints

KINDS = ("logits", "probabilities", "one sigmoid unit", "several labels", "embedding")
BYTES_OF_FLOAT, BYTES_OF_LABEL = 4, 2
SMALLEST = np.float32(1e-38)  # a probability that float32 cannot hold is one below this
SUM_TOLERANCE = 1e-3
MOST_PATTERNS = 256  # of several labels; rarer patterns are one class
FEWEST_OF_PATTERN = 10


@dataclass(frozen=True)
class Output:
    """What a model's answer is.

    Attributes:
        kind: one of `KINDS`.
        width: numbers in an answer.
        patterns: of several labels: those that are classes, one row of 0 and 1 each; the class after the last stands for
            all other patterns.
    """

    kind: str
    width: int
    patterns: tuple[tuple[int, ...], ...] = ()

    @property
    def classes(self) -> int:
        """How many classes the answers tell apart; 1 where they tell none."""
        if self.kind == "several labels":
            return len(self.patterns) + 1
        return {"one sigmoid unit": 2, "embedding": 1}.get(self.kind, self.width)

    def classes_of(self, values: NDArray[np.floating]) -> Ints:
        """Return the predicted class of each answer, `(count,)`."""
        if self.kind == "embedding":
            return np.zeros(len(values), np.int64)
        if self.kind == "one sigmoid unit":
            return (values[:, 0] > 0.5).astype(np.int64)
        if self.kind == "several labels":
            known = {pattern: number for number, pattern in enumerate(self.patterns)}
            rows = map(tuple, (values > 0.5).astype(int).tolist())
            return np.array([known.get(row, len(known)) for row in rows], np.int64)
        return np.argmax(values, axis=1).astype(np.int64)


def output_of_kind(values: NDArray[np.floating], kind: str | None = None) -> Output:
    """Say what answers are, from as many of them as there are, `(count, width)`.

    Rows in [0, 1] that sum to 1 are probabilities, others in [0, 1] are sigmoid units, all else is logits: what an
    embedding is, only its owner can say.

    Raises:
        InputError: `kind` is not known, or the answers are not of it.
    """
    if kind is not None and kind not in KINDS:
        raise InputError(f"`output_kind` must be one of {', '.join(KINDS)}; got {kind!r}.")
    width = values.shape[1]
    is_share = bool(((values >= 0) & (values <= 1)).all())
    sums = values.sum(axis=1, dtype=np.float64)
    if width > 1 and is_share and bool((np.abs(sums - 1) < SUM_TOLERANCE).all()):
        found = "probabilities"
    elif is_share and np.ptp(values) > 0:
        found = "one sigmoid unit" if width == 1 else "several labels"
    else:
        found = "logits" if width > 1 else "embedding"  # one number of any size is a regression
    allowed = {found, "embedding"} | ({"logits"} if width > 1 else set())
    allowed |= {"several labels"} if is_share and width > 1 else set()
    if kind is not None and kind not in allowed:
        raise InputError(
            f"`output_kind` must be one of {', '.join(sorted(allowed))} for these answers; got {kind!r}."
        )
    output = Output(kind or found, width)
    return replace(output, patterns=_patterns(values)) if output.kind == "several labels" else output


@dataclass(frozen=True)
class View:
    """How an answer is shown.

    Attributes:
        form: "raw", "logits", "probabilities" or "label".
        decimals: to which probabilities or logits are rounded; -1: not at all.
        top: how many of the largest are shown; 0: all.
    """

    form: str
    decimals: int = -1
    top: int = 0

    @property
    def name(self) -> str:
        """In tables: "probabilities, 3 decimals"."""
        rounded = (
            f", {self.decimals} decimal{'' if self.decimals == 1 else 's'}" if self.decimals >= 0 else ""
        )
        return f"{self.form}{rounded}{f', largest {self.top}' if self.top else ''}"

    def features(self, values: NDArray[np.floating], output: Output) -> Floats:
        """Return what an adversary learns from, beside the class, `(count, features)` float32."""
        if self.form == "label":
            return np.zeros((len(values), 0), np.float32)
        shown = self.shown(values, output)
        if self.form in ("raw", "logits"):
            return self._shown(shown)
        return self._shown(np.log(self._floored(shown))) - (
            0.0 if output.kind in ("logits", "probabilities") else np.log(self._floored(1 - shown))
        )

    def shown(self, values: NDArray[np.floating], output: Output) -> Floats:
        """Return the numbers that an outsider is shown, but for those that `top` hides, `(count, width)`."""
        values = np.asarray(values, np.float32)
        if self.form == "probabilities" and output.kind == "logits":
            values = softmax(values, axis=1)  # float32, as the model itself would send them
        return self._rounded(values)

    def bytes(self, width: int) -> int:
        """Return how many bytes leave for one image, without coding."""
        if self.form == "label":
            return BYTES_OF_LABEL
        return self.top * (BYTES_OF_FLOAT + BYTES_OF_LABEL) if self.top else BYTES_OF_FLOAT * width

    def _rounded(self, values: Floats) -> Floats:
        if self.decimals < 0:
            return values
        return np.round(values.astype(np.float64), self.decimals).astype(np.float32)

    def _floored(self, shares: Floats) -> Floats:
        least = SMALLEST if self.decimals < 0 else np.float32(0.5 * 10.0**-self.decimals)
        return np.maximum(shares, least)

    def _shown(self, values: Floats) -> Floats:
        """Put the smallest value that is shown in the place of all that are not: they are below it."""
        if not self.top or self.top >= values.shape[1]:
            return values
        smallest = np.partition(values, -self.top, axis=1)[:, -self.top, None]
        return np.maximum(values, smallest)


def default_views(output: Output) -> tuple[View, ...]:
    """Return the views that an audit looks at where nobody names others, most telling first."""
    if output.kind == "embedding":
        return (View("raw"),)
    shares = (View("probabilities"), View("probabilities", decimals=3), View("label"))
    return (View("logits"), *shares) if output.kind == "logits" else shares


def parse_view(text: str, output: Output) -> View:
    """Return the view that a text names: logits, probabilities, label, top=K, or rounded=D of what the model answers.

    Raises:
        InputError: there is no such view of these answers.
    """
    forms = _forms(output)
    form = forms[0]
    if text in forms:
        return View(text)
    found = re.fullmatch(r"(?:(logits|probabilities),)?(rounded|top)=(\d+)", text)
    if found and (found[1] or form) in forms:
        number = int(found[3])
        if found[2] == "rounded" and number <= 7:
            return View(found[1] or form, decimals=number)
        if found[2] == "top" and 1 <= number <= output.width:
            return View(found[1] or form, top=number)
    raise InputError(f"`at` must name a view of {output.kind} as one of {views_of(output)}; got {text!r}.")


def views_of(output: Output) -> str:
    """Return how the views of answers are written."""
    return f"{', '.join(_forms(output))}, rounded=0..7 or top=1..{output.width}"


def _forms(output: Output) -> tuple[str, ...]:
    """Return the forms that answers may be shown in, what the model itself sends first."""
    more = {"logits": ("logits", "probabilities", "label"), "embedding": ("raw",)}
    return more.get(output.kind, ("probabilities", "label"))


def _patterns(values: NDArray[np.floating]) -> tuple[tuple[int, ...], ...]:
    rows, counts = np.unique((values > 0.5).astype(np.int64), axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MOST_PATTERNS]
    return tuple(tuple(rows[i].tolist()) for i in order if counts[i] >= FEWEST_OF_PATTERN)

"""Stages in words: for progress, for timings, for messages."""

import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mi_keras.experiments.store import Stage

UNSAID = ("defense", "model")  # in words: the first is said otherwise, the second is a hash


def told(stage: "Stage") -> str:
    """Return a stage in words for who knows no kinds of stages, where somebody said them."""
    return stage.told or describe(stage)


def describe(stage: "Stage") -> str:
    """Return a stage in words: kind, its text values such as role and objective, what tells it apart, number of the run."""
    texts = [
        text for name, text in stage.identity.items() if isinstance(text, str) and text and name not in UNSAID
    ]
    run = stage.identity.get("run")
    again = stage.kind.replace("_", " ")  # an attack may be called as its stage is
    words = [word for word in all_words(stage) if word != again]
    return " ".join([stage.kind, *texts, *words, *([f"(run {run})"] if run else [])])


def all_words(*stages: "Stage") -> list[str]:
    """Return the words of stages and of all that they are made from, each once; "shadow 1 to 10" of ten that are numbered."""
    words = dict.fromkeys(word for stage in stages for word in _each_word(stage))
    return list(itertools.chain(*map(_in_short, _numbered(words))))


def _each_word(stage: "Stage") -> Iterator[str]:
    yield from stage.words
    for earlier in stage.upstream:
        yield from _each_word(earlier)


def _numbered(words: Iterable[str]) -> Iterator[list[str]]:
    """Yield words in lists: consecutive words that differ only in a last number that counts up share one."""

    def place(each: tuple[int, str]) -> tuple[str, int | None]:
        name, _, number = each[1].rpartition(" ")
        return (name, int(number) - each[0]) if number.isdecimal() else (each[1], None)

    for _, alike in itertools.groupby(enumerate(words), place):
        yield [word for _, word in alike]


def _in_short(words: list[str]) -> list[str]:
    return words if len(words) < 3 else [f"{words[0]} to {words[-1].rpartition(' ')[2]}"]

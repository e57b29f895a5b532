"""Stages in words: for progress, for timings, for messages."""

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
    return " ".join([stage.kind, *texts, *all_words(stage), *([f"(run {run})"] if run else [])])


def all_words(stage: "Stage") -> list[str]:
    """Return the words of a stage and of all that it is made from, each once."""
    return list(
        dict.fromkeys([*stage.words, *(word for earlier in stage.upstream for word in all_words(earlier))])
    )

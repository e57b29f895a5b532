"""What is said of finished steps: the words of a user, and as many as were expected."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_audits import WORKED_OUT, linear, network, pictures

from mi_keras.attacks.within_class import LinearWithinClass
from mi_keras.auditing.audit import audit
from mi_keras.auditing.sent import COMPONENTS, SHUFFLED, Sent, answered, learned, rebuilt
from mi_keras.auditing.subject import SIDES
from mi_keras.auditing.views import View
from mi_keras.experiments.store import Store
from mi_keras.machine import ONEDNN, machine

__all__ = ["linear"]


def test_what_was_done_is_said_without_kinds_and_classes() -> None:
    attack, logits = LinearWithinClass(3), Sent("out", View("logits"))
    assert learned(attack, logits, 1, [logits.name]) == "linear map at logits, learned"
    assert learned(attack, logits, 3, []) == "linear map of attacker 3 at logits, learned"
    assert (
        rebuilt(attack, logits, 1, ["noise of 0.5"], "attacked")
        == "linear map at logits, noise of 0.5, attacked images rebuilt"
    )
    of_control = (
        Sent("out", View("logits"), control=SHUFFLED),
        Sent("out", View("logits"), control=COMPONENTS, components=9),
    )
    assert [learned(attack, sent, 1, [sent.name]) for sent in of_control] == [
        "linear map at shuffled logits (control), learned",
        "linear map at 9 components (control), learned",
    ]
    assert len({answered("flat", side) for side in SIDES}) == len(SIDES)
    assert Sent("flat", View("raw"), with_class=False).title == "flat"


def test_a_log_has_a_line_of_words_for_each_step_and_counts_those_that_are_left(
    tmp_path: Path, linear: None, recording_progress: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = recording_progress()
    store = Store(tmp_path, progress=progress)
    images, settings = pictures(), {**WORKED_OUT, "at": ("label", "flat")}
    first = audit(network(), images, store=store, progress=progress, **settings)
    said = progress.ended
    answers = [words for words in said if words.startswith("answers at ")]
    steps = len(said) - len(answers)
    assert progress.left == [
        *range(steps, -1, -1),
        0,
    ]  # and nothing that follows, as nobody knows its training
    assert not [words for words in said if re.search(r"[A-Z]|_|\(run", words)]
    assert len(set(said)) == len(said)
    progress.left.clear()
    kernels = machine()["oneDNN"]
    monkeypatch.setenv(
        ONEDNN, "1" if kernels == "off" else "0"
    )  # TensorFlow is loaded: what is recorded changes
    again = audit(network(), images, store=store, progress=progress, **settings)
    assert progress.left == [0, 0]
    otherwise = [warning for warning in again.warnings if warning not in first.warnings]
    assert len(otherwise) == 1
    assert f": oneDNN: {kernels} (now o" in otherwise[0]


@pytest.mark.slow
def test_images_of_the_training_are_rebuilt_by_what_is_published_alone(
    tmp_path: Path, linear: None, recording_progress: Any
) -> None:
    progress, images = recording_progress(), pictures(840)
    store = Store(tmp_path, progress=progress)
    audit(
        network(), images, store=store, progress=progress, trained_on=np.arange(840) < 420, defend=("rounding=0",),
        **WORKED_OUT, at=("logits",),
    )  # fmt: skip
    of_members = [words for words in progress.ended if words.endswith("images of the training rebuilt")]
    assert of_members
    assert not [words for words in of_members if "rounding" in words or "0 decimals" in words]
    assert len(of_members) <= 2  # the class mean and the linear map
    assert progress.left[-1] == 0

"""What is said of finished steps: the words of a user, and as many as were expected."""

import re
from pathlib import Path
from typing import Any

import pytest
from small_audits import linear, network, pictures

from mi_keras.attacks.within_class import LinearWithinClass
from mi_keras.auditing.audit import audit
from mi_keras.auditing.sent import COMPONENTS, SHUFFLED, Sent, answered, learned, rebuilt
from mi_keras.auditing.subject import SIDES
from mi_keras.auditing.views import View
from mi_keras.experiments.store import Store

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


@pytest.mark.slow
def test_a_log_has_a_line_of_words_for_each_step_and_no_more_steps_than_expected(
    tmp_path: Path, linear: None, recording_progress: Any
) -> None:
    progress = recording_progress()
    store = Store(tmp_path, progress=progress)
    images = pictures()
    settings: dict[str, Any] = {
        "preset": "smoke",
        "model_input": "0..1",
        "budget": 0.0,
        "at": ("label", "flat"),
    }
    audit(network(), images, store=store, progress=progress, **settings)
    (steps, seconds), said = progress.expected, progress.ended
    answers = [words for words in said if words.startswith("answers at ")]
    assert len(said) - len(answers) == steps
    assert seconds == 0
    assert not [words for words in said if re.search(r"[A-Z]|_|\(run", words)]
    assert len(set(said)) == len(said)
    audit(network(), images, store=store, progress=progress, **settings)
    assert progress.expected == (0, 0)

"""`Sent`: what an adversary observes, and descriptions of the stages on it for users."""

from collections.abc import Sequence
from dataclasses import dataclass

from mi_keras.attacks.attack import Attack
from mi_keras.auditing.subject import ATTACKED, CHOICE, MEMBERS, OWN
from mi_keras.auditing.views import View

SHUFFLED, COMPONENTS = "shuffled", "components"  # controls: what takes the place of the answers
IMAGES = {
    OWN: "the adversary's images", CHOICE: "images for the choice", ATTACKED: "attacked images", MEMBERS: "images of the training",
}  # fmt: skip


@dataclass(frozen=True)
class Sent:
    """What the adversary sees: a point of the model in a view, or what a control puts in its place.

    Attributes:
        point: name of an output or a layer.
        view: how an output is shown.
        with_class: the class is sent beside it, as one-hot in the last columns; layers do not tell it.
        control: "", `SHUFFLED`: answers change places within their class, or `COMPONENTS`: principal components of the
            image's difference from the mean of its class are sent instead.
        components: how many of these.
    """

    point: str
    view: View
    with_class: bool = True
    control: str = ""
    components: int = 0

    @property
    def name(self) -> str:
        """In progress."""
        controls = {
            SHUFFLED: f"shuffled {self.title} (control)",
            COMPONENTS: f"{self.components} components (control)",
        }
        return controls.get(self.control, self.title)

    @property
    def title(self) -> str:
        """How tables call it."""
        if not self.with_class:
            return self.point
        return "answers" if self.view.form == "raw" else self.view.name


def answered(point: str, side: str) -> str:
    """Return what was done: a model answered."""
    return f"answers at {point} to {IMAGES[side]}"


def learned(attack: Attack, sent: Sent, attacker: int, words: Sequence[str]) -> str:
    """Return what was done: an attack learned; `words`: of its stage."""
    return _told(attack, "learned", sent, attacker, words)


def rebuilt(attack: Attack, sent: Sent, attacker: int, words: Sequence[str], side: str) -> str:
    """Return what was done: an attack rebuilt the images of a side."""
    return _told(attack, f"{IMAGES[side]} rebuilt", sent, attacker, words)


def _told(attack: Attack, did: str, sent: Sent, attacker: int, words: Sequence[str]) -> str:
    more = [word for word in words if word not in (sent.name, attack.label)]
    other = f" of attacker {attacker}" if attacker > 1 else ""
    return ", ".join([f"{attack.label}{other} at {sent.name}", *more, did])

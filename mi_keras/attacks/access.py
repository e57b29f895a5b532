"""The threat model as a value: what an adversary may have (`Access`), and what it holds while an attack runs
(`Holdings`)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from mi_keras.errors import InputError
from mi_keras.settings import LARGEST, check_whole
from mi_keras.types import Floats, Images, Observation

if TYPE_CHECKING:
    import keras

    from mi_keras.models.target import Target

UNLIMITED = LARGEST  # of queries
ANSWERED_BY = ("nobody", "surrogate", "target")  # each is worth more to an adversary than the one before


@dataclass(frozen=True)
class Access:
    """A threat model: what an adversary has. What an attack needs is an `Access` too; both are compared before anything
    is computed.

    Attributes:
        images: it has images of its own, from the same distribution as the attacked ones, but none of those.
        answers: which model answered its own images: "nobody" (none), a "surrogate" that it trained, or the "target".
        surrogates: the least number of models that it trained to imitate the target.
        queries: the number of images of its choice that the target answers while the attack runs.
        population: it sees all observed answers together before it reconstructs the first image.
        weights: it has the target's weights.
        pool: it has a pool of candidate images, in no order, which includes the attacked ones.
        defense: it knows which defence changes the answers.
    """

    images: bool = False
    answers: str = "nobody"
    surrogates: int = 0
    queries: int = 0
    population: bool = False
    weights: bool = False
    pool: bool = False
    defense: bool = False

    def __post_init__(self) -> None:
        if self.answers not in ANSWERED_BY:
            raise InputError(f"`answers` must be one of {', '.join(ANSWERED_BY)}; got {self.answers!r}.")
        for name in ("surrogates", "queries"):
            check_whole(name, getattr(self, name), 0, LARGEST)

    def __or__(self, other: "Access") -> "Access":
        """Return what both need together: of each field the larger."""
        both = {name: (getattr(self, name), getattr(other, name)) for name in _FIELDS}
        return replace(self, **{name: max(values, key=_amount) for name, values in both.items()})


_FIELDS = tuple(field.name for field in fields(Access))


def check_access(attack: str, needs: Access, granted: Access) -> None:
    """Raise `InputError` where an attack, named for the message, needs more than a threat model grants."""
    for name in _FIELDS:
        needed, given = getattr(needs, name), getattr(granted, name)
        if _amount(needed) > _amount(given):
            raise InputError(
                f"`access` must grant {name} = {needed} to the attack {attack}; it grants {name} = {given}."
            )


@dataclass(frozen=True)
class Holdings:
    """What an adversary holds while an attack runs; None or empty where its access grants nothing of the kind.

    It has no field for an attacked image or its label.

    Attributes:
        images: its own images, with the labels that it gave them.
        surrogates: the models that it trained to imitate the target.
        population: all observed answers together, for attacks that learn from their statistics.
        query: asks the target and counts the images: `(count, height, width, channels)` in [0, 1] to answers. One image
            above the limit raises `InputError`.
        target: the attacked model with its weights, frozen, cut at the point where it is observed.
        pool: candidates `(count, height, width, channels)` in [0, 1].
        image_shape: `(height, width, channels)` of the target's input, which every adversary knows.
        point: where the target is observed (see `Observation`).
        classes: number of classes of the target; 0 where it sends something else than one value per class.
    """

    images: Images | None = None
    surrogates: Sequence["keras.Model"] = ()
    population: Observation | None = None
    query: "Queries | None" = None
    target: "Target | None" = None
    pool: Floats | None = None
    image_shape: tuple[int, int, int] = (0, 0, 0)
    point: str = "logits"
    classes: int = 0

    @property
    def own_images(self) -> Images:
        """Its own images; raises `InputError` where it has none."""
        if self.images is None:
            raise InputError("`images` must be given to an adversary that learns; got None.")
        return self.images

    @property
    def surrogate(self) -> "keras.Model":
        """The first of its surrogates; raises `InputError` where it has none."""
        if not self.surrogates:
            raise InputError("`surrogates` must be given to an adversary that imitates the target; got none.")
        return self.surrogates[0]


class Queries:
    """Questions to the target, counted: what is asked beyond `most` images in all raises `InputError`, unanswered.

    Attributes:
        asked: images answered so far.
    """

    def __init__(self, answer: Callable[[Floats], Observation], most: int) -> None:
        self._answer, self.most, self.asked = answer, most, 0

    def __call__(self, images: Floats) -> Observation:
        if self.asked + len(images) > self.most:
            raise InputError(f"`queries` must be at most {self.most}; got {self.asked + len(images)}.")
        self.asked += len(images)
        return self._answer(images)


def _amount(value: bool | int | str) -> int:
    return ANSWERED_BY.index(value) if isinstance(value, str) else int(value)

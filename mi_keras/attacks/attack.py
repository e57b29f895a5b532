"""The base classes `Attack` and `Input`: the interface that experiments, exports and tests use.

An attack is a frozen dataclass; its fields are its settings, and two with equal fields are the same attack. It sees
`Evidence` and `Holdings`, never an attacked image. To add one, write one file with one class; `docs/add_attack.md`
walks through it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from mi_keras.attacks.access import Access, Holdings
from mi_keras.progress import Arrays, Run
from mi_keras.types import Floats, Observation, Rows

if TYPE_CHECKING:
    import tensorflow as tf

Fitted = tuple[Arrays, Mapping[str, Any]]  # what was learned: arrays, and JSON values about them
Solver = Callable[["tf.Tensor"], "tf.Tensor"]


@dataclass(frozen=True)
class Evidence:
    """Observed answers, and what the inputs of an attack derived from them.

    Attributes:
        observation: the answers themselves.
        parts: what each input of the attack derived from them, `(count, ...)`, in the order of the inputs.
    """

    observation: Observation
    parts: Sequence[Rows] = ()

    def __post_init__(self) -> None:
        for number, part in enumerate(self.parts):
            if len(part) != len(self.observation):
                raise ValueError(
                    f"`parts[{number}]` must be as many as the answers, {len(self.observation)}; got {len(part)}."
                )

    def __len__(self) -> int:
        return len(self.observation)


class Described:
    """An attack, or an input of one, as experiments name it: a frozen dataclass with an identity and words.

    Attributes:
        tolerance: by how much a row's result may differ between alone and in a batch, where float rounding grows.
        gains_in_half: what it trains or inverts is faster with products in bfloat16, and it heeds the precision of its run.
    """

    tolerance: ClassVar[float] = 1e-5
    gains_in_half: ClassVar[bool] = False

    @property
    def of_maps(self) -> bool:
        """Whether it is for feature maps, and not for output vectors."""
        return False

    @property
    def label(self) -> str:
        """In tables and messages."""
        return type(self).__name__

    @property
    def needs(self) -> Access:
        """What it cannot do without, apart from its inputs' own needs."""
        return Access()

    @property
    def identity(self) -> dict[str, Any]:
        """All that its result depends on beside its kind, data, answers and seeds, as JSON values."""
        return asdict(self)  # type: ignore[call-overload]


class Input(Described):
    """A quantity that an attack takes as input, derived from each answer by itself.

    Attributes:
        kind: name of its stage in the store; by default the name of the class.
        array: name of the array of `derive` that is the input itself.
    """

    kind: ClassVar[str]
    array: ClassVar[str] = "values"

    def __init_subclass__(cls) -> None:
        cls.kind = cls.__dict__.get("kind", cls.__name__)

    @property
    def for_own(self) -> "Input":
        """The input to use for the adversary's own images, of which it knows more than the answer; by default this
        one."""
        return self

    def seed_names(self, images: str) -> list[tuple[object, ...]]:
        """Return the names of the seeds that it needs for one set of images; the first becomes `Run.seed`, all are in
        `Run.seeds`."""
        return [(type(self).__name__, images)]

    def derive(self, observation: Observation, held: Holdings, run: Run) -> Fitted:
        """Return arrays, and facts as JSON values. The array named `array`, `(count, ...)`, is the input; others are
        kept with it."""
        raise NotImplementedError

    def in_graph(self, held: Holdings, run: Run) -> Solver:
        """Return `derive` as a function of tensors, for an export; no row of a batch depends on another."""
        raise NotImplementedError(f"{self.label} cannot be exported.")


@dataclass(frozen=True)
class Answers(Input):
    """The answers as they are: O of the text, or the feature maps that are sent."""

    label: ClassVar[str] = "O"

    def derive(self, observation: Observation, held: Holdings, run: Run) -> Fitted:
        return {self.array: observation.values[:]}, {}

    def in_graph(self, held: Holdings, run: Run) -> Solver:
        return lambda answers: answers


class Attack(Described):
    """Reconstructs images from answers.

    Attributes:
        kinds: names of its two stages in the store: what is learned, and the reconstruction with its scores. By default
            they are made of the name of the class; the first is "" where nothing is learned.
        shared: what it learns depends on nothing but the adversary's images, so all runs with the same images share it.
        starts_behind: `start` is fitted behind the same defence; otherwise without a defence.
        image_noise: mean and variance of the Gaussian noise to add to the adversary's own images before a model answers
            them.
    """

    kinds: ClassVar[tuple[str, str]]
    shared: ClassVar[bool] = False
    starts_behind: ClassVar[bool] = False

    @property
    def image_noise(self) -> tuple[float, float]:
        return (0.0, 0.0)

    def __init_subclass__(cls) -> None:
        cls.kinds = cls.__dict__.get("kinds", (f"{cls.__name__}.fitted", f"{cls.__name__}.scored"))

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The inputs to derive from the answers before `fit` and `reconstruct` are called."""
        return (Answers(),)

    @property
    def seed_names(self) -> list[tuple[object, ...]]:
        """The names of the seeds that `fit` needs."""
        return [(type(self).__name__,)]

    @property
    def words(self) -> tuple[str, ...]:
        """What distinguishes its stages from others of the same kind, for progress and timings."""
        return (self.label,)

    @property
    def start(self) -> "Attack | None":
        """The attack whose result `fit` continues from, or None; it is fitted without a defence (but see
        `starts_behind`)."""
        return None

    def fit(self, known: Evidence | None, held: Holdings, run: Run, before: Fitted | None = None) -> Fitted:
        """Learn from the adversary's own images.

        Args:
            known: answers to these images and the inputs derived from them; None where `needs.answers` is "nobody".
            held: holds at least what `needs` names.
            before: what `start` learned.
        """
        raise NotImplementedError

    def reconstruct(self, fitted: Fitted, observed: Evidence, held: Holdings, run: Run) -> Iterator[Floats]:
        """Yield batches of reconstructed images, `(batch, height, width, channels)` in [0, 1], in the order of the
        answers.

        The image of an answer does not depend on the others in its batch, up to float rounding. Random draws for it
        depend only on its position.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Direct(Attack):
    """Takes one input that is an image already for the answer, such as X~."""

    source: Input

    kinds: ClassVar[tuple[str, str]] = ("", "scored_gradient")

    @property
    def label(self) -> str:
        return f"{self.source.label} alone"

    @property
    def inputs(self) -> tuple[Input, ...]:
        return (self.source,)

    @property
    def identity(self) -> dict[str, Any]:
        return {}  # its input's stage has it all

    def reconstruct(self, fitted: Fitted, observed: Evidence, held: Holdings, run: Run) -> Iterator[Floats]:
        yield observed.parts[0][:]


def all_needs(attack: Attack) -> Access:
    """Return what an attack needs together with its inputs, and with the attack that it goes on from."""
    needs = attack.needs
    for each in attack.inputs:
        needs |= each.needs | (each.for_own.needs if needs.answers != "nobody" else Access())
    return needs | all_needs(attack.start) if attack.start else needs


def gather(
    attack: Attack, observation: Observation, held: Holdings, run: Run, *, own: bool = False
) -> Evidence:
    """Return what the inputs of an attack make of answers, all computed now: for use outside an experiment.

    Args:
        own: the answers are those to the adversary's own images, in their order.
    """
    inputs = [each.for_own if own else each for each in attack.inputs]
    parts = [each.derive(observation, held, run)[0][each.array] for each in inputs]
    return Evidence(observation, parts)

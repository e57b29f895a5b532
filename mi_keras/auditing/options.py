"""The options of an audit with their defaults; every value is checked when `Options` is made."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from numbers import Real
from typing import Any, Literal, NoReturn, Self

from mi_keras.auditing.defence_specs import parse_spec
from mi_keras.auditing.verdict import Tolerance
from mi_keras.errors import InputError
from mi_keras.settings import LARGEST, check_whole
from mi_keras.types import Fix

# Each but "pool" may do what those before it do, and "queries" all but what "shadow" does
ADVERSARIES = ("class", "shadow", "queries", "unlimited", "white_box", "pool")
PRESETS = ("smoke", "quick", "full")
DEFAULT_BUDGET = 20.0  # minutes at each point; 0: no limit, and nothing is measured
DEFAULT_ADVERSARIES = ("class", "unlimited")  # and "white_box" at layers, but not in preset "smoke"
LARGEST_ATTACKED = 96  # pixels: what is reconstructed of larger inputs is an image of this size
MOST_SENDS = 1_000
MOST_ATTACKERS = 100
SMALLEST_ATTACKED = 16  # below it SSIM has no window, and a picture shows nothing


@dataclass(frozen=True)
class Options:
    """What is audited, who attacks, and what is tolerated; docs/audits.md explains each option.

    Attributes:
        at: points to audit: the path of a layer, the name of an output, or a view of it such as "logits", "rounded=3",
            "top=3" or "label"; empty: the views of the output.
        adversaries: names from `ADVERSARIES`, used at every point; empty: "class" and "unlimited", and at layers also
            "white_box".
        preset: how hard the attacks try, one of `PRESETS`.
        seed: root of all random choices, >= 0.
        pixels: range of the pixels in the data: "0..1", "0..255" or "-1..1"; needed unless they are uint8.
        model_input: what the model expects: one of these ranges, "caffe", "torch", or a function of images in [0, 1];
            None: found by accuracy, which needs labels.
        output: name of the output that predicts the class, where there are several.
        output_kind: kind of the answers where their values do not show it, such as "embedding".
        labels, groups: "folder": each subfolder is a class, each one below it a group such as a person; "none":
            neither.
        class_names: names of the classes in the order of the model's outputs; None: the names of subfolders or labels,
            sorted.
        size: (height, width) of images for a model of variable size.
        trained_on: which images the model was trained on: "x_train", "x_test" or the key of a boolean array of an npz
            file; with arrays also booleans `(count,)`.
        class_of: "prediction": the other images to choose from have the same predicted class; "all": they may have any.
        attack_size: largest side of the reconstructions in pixels, 16 to 320.
        tolerance: what is tolerated above the baselines; None: the default, which the report names as such.
        among: number of images from which the true one is picked, 2 to 100.
        budget: minutes for the attacks at each point; 0: no limit.
        defend: defences to be tried, such as "rounding=1" or "noise=0.5".
        sends: how many answers to the same image an adversary averages where a defence adds noise.
        queries: number of target answers that the adversary "queries" has, or several numbers for a curve.
        fix: values of inputs beside the image, by their names.
        public_backbone: path of the layer up to which the model and its weights are public.
        attacker_seeds: number of seeds to train the published attacks with, the audit's own among them.

    Raises:
        InputError: a value is not allowed for any model.
    """

    at: tuple[str, ...] = ()
    adversaries: tuple[str, ...] = ()
    preset: str = "quick"
    seed: int = 1
    pixels: str | None = None
    model_input: str | None = None
    output: str | None = None
    output_kind: str | None = None
    labels: Literal["none", "folder"] = "none"
    groups: Literal["none", "folder"] = "none"
    class_names: tuple[str, ...] | None = None
    size: tuple[int, int] | None = None
    trained_on: Any = None
    class_of: str = "prediction"
    attack_size: int = LARGEST_ATTACKED
    tolerance: Tolerance | None = None
    among: int = 10
    budget: float = DEFAULT_BUDGET
    defend: tuple[str, ...] = ()
    sends: int = 1
    queries: tuple[int, ...] = ()
    fix: Fix = field(default_factory=dict)
    public_backbone: str = ""
    attacker_seeds: int = 1

    def __new__(cls, *_: Any, **settings: Any) -> Self:
        if unknown := sorted(settings.keys() - {each.name for each in fields(cls)}):
            refuse_unknown(unknown[0])
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for name in ("at", "adversaries", "defend", "queries", "class_names"):
            if isinstance(value := getattr(self, name), str | int):
                object.__setattr__(self, name, (value,))  # one of them
        self._check_texts()
        if not isinstance(self.tolerance, Tolerance | None):
            raise InputError(
                f"`tolerance` must be a Tolerance, such as Tolerance(found=0.2, detail=0.05); got {self.tolerance!r}."
            )
        if not isinstance(self.fix, Mapping):
            raise InputError(
                f"`fix` must be numbers by the names of inputs, such as {{'age': 40}}; got {self.fix!r}."
            )
        for argument, value, legal in (
            ("preset", self.preset, PRESETS),
            ("class_of", self.class_of, ("prediction", "all")),
        ):
            if value not in legal:
                raise InputError(f"`{argument}` must be one of {', '.join(legal)}; got {value!r}.")
        for adversary in self.adversaries:
            if adversary not in ADVERSARIES:
                raise InputError(f"`adversaries` must be of {', '.join(ADVERSARIES)}; got {adversary!r}.")
        if not isinstance(self.budget, Real) or not 0 <= self.budget <= LARGEST:
            raise InputError(f"`budget` must be minutes >= 0, 0 for no limit; got {self.budget!r}.")
        for text in self.defend:
            parse_spec(text)
        check_whole("sends", self.sends, 1, MOST_SENDS)
        named = ", ".join(self.adversaries or DEFAULT_ADVERSARIES)
        if self.queries and "queries" not in self.adversaries:
            raise InputError(f"`queries` must go with the adversary queries; `adversaries` has {named}.")
        if self.public_backbone and "shadow" not in self.adversaries:
            raise InputError(
                f"`public_backbone` must go with the adversary shadow; `adversaries` has {named}."
            )
        for count in self.queries:
            check_whole("queries", count, 2, LARGEST)
        check_whole("seed", self.seed, 0)
        check_whole("attacker_seeds", self.attacker_seeds, 1, MOST_ATTACKERS)
        check_whole("attack_size", self.attack_size, SMALLEST_ATTACKED, 320)
        check_whole("among", self.among, 2, 100)

    def _check_texts(self) -> None:
        """Refuse what is no text where one is meant, or no sequence where several are."""
        for name in ("at", "adversaries", "defend", "class_names"):
            value = getattr(self, name)
            is_sequence = isinstance(value, Sequence) or (value is None and name == "class_names")
            if not is_sequence or not all(isinstance(each, str) for each in value or ()):
                raise InputError(f"`{name}` must be a string, or a list of strings; got {value!r:.60}.")
        for name in ("model_input", "pixels", "public_backbone"):
            if not isinstance(value := getattr(self, name), str | None):
                raise InputError(f"`{name}` must be a string; got {value!r:.60}.")
        if not isinstance(self.queries, Sequence):
            raise InputError(f"`queries` must be a whole number, or a list of them; got {self.queries!r}.")
        is_pair = isinstance(self.size, Sequence) and len(self.size) == 2
        if self.size is not None and not (is_pair and all(isinstance(n, int) for n in self.size)):
            raise InputError(f"`size` must be height and width, such as (96, 96); got {self.size!r}.")


def refuse_unknown(name: str, more: Sequence[str] = ()) -> NoReturn:
    """Refuse an option that there is not, naming the one that is most like it.

    Args:
        more: names beside those of `Options` that could be meant.

    Raises:
        InputError: always.
    """
    known = [*(each.name for each in fields(Options)), *more]
    alike = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean `{alike[0]}`?" if alike else f"there are {', '.join(known)}."
    raise InputError(f"`{name}` must be an option of the audit, which has none of this name: {hint}")

"""What an audit found, as typed values: what the terminal, the page, the model card and the JSON file are made from."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mi_keras.auditing.intervals import Estimate
from mi_keras.errors import InputError
from mi_keras.files import check_writable, write_arrays, write_text
from mi_keras.results.schema import read
from mi_keras.types import Floats
from mi_keras.whole import replace_file, replace_files

SCHEMA = "mi_keras.audit/1"
DOCUMENT, PICTURES, PAGE, CARD = "audit.json", "pictures.npz", "index.html", "audit.md"


@dataclass(frozen=True)
class ModelFacts:
    """The audited model. `identity`: SHA-256 of weights and graph; `output`: kind of answer, such as "logits"."""

    name: str
    identity: str
    parameters: int
    input_shape: tuple[int, ...]
    output: str
    classes: int


@dataclass(frozen=True)
class DataFacts:
    """The images. `sides`: how many in each of the four, and `left_out`: on none; `grouped_by`: what a group is, such as
    "image" or "folder"."""

    name: str
    fingerprint: str
    images: int
    groups: int
    grouped_by: str
    labelled: bool
    sides: dict[str, int]
    moved: int
    skipped: tuple[tuple[str, str], ...]
    pixels: str
    model_input: str
    attack_shape: tuple[int, int, int]
    folds: int
    left_out: int = 0


@dataclass(frozen=True)
class Settings:
    """What was asked for. `tolerance_is_default`: the owner of the model named none, so that it is ours."""

    preset: str
    seed: int
    adversaries: tuple[str, ...]
    found_tolerance: float
    detail_tolerance: float
    tolerance_is_default: bool
    among: int
    class_of: str
    budget_minutes: float
    defend: tuple[str, ...] = ()
    sends: int = 1
    public_backbone: str = ""
    attacker_seeds: int = 1


@dataclass(frozen=True)
class AttackRow:
    """One attack at one point, on the attacked images. `chosen_for`: numbers for which the choice set preferred it."""

    adversary: str
    attack: str
    found: Estimate | None
    auc: Estimate | None
    detail: Estimate | None
    ssim: float
    chosen_for: tuple[str, ...]


@dataclass(frozen=True)
class Attackers:
    """What `seeds` attackers get who differ in their random choices alone; never part of a verdict.

    `attacks`: the published ones, trained again but for the `fixed`, closed forms without a seed; `found`, `detail`: from
    the least to the most that one of them gets.
    """

    seeds: int
    attacks: tuple[str, ...]
    found: tuple[float, float] | None
    detail: tuple[float, float] | None
    fixed: tuple[str, ...] = ()


@dataclass(frozen=True)
class PointReport:
    """What leaves at one point, and what the strongest tried adversary makes of it.

    Attributes:
        listener: who sees it: "API client" or "Cloud, network".
        name: the point with its view, such as "probabilities" or "backbone/block_6".
        shape: of what is sent for one image.
        adversary: the strongest that was tried.
        found: share of images picked from `among` of their class; None with the reason in `found_note`.
        detail: R2 within the class: share of the variance of pixels within the class that is recovered.
        could_be: upper bounds (95 %, one-sided) of "found" and "detail", where known.
        p: of retrieval by permutation within the class; None where nothing could be permuted.
        most_exposed: mean "found" and "detail" of the tenth that is most exposed, where known.
        exposed_by_chance: the same if each image had what was rebuilt of another of its class: as the tenth is chosen by
            these very numbers, they are high where nothing leaks.
        attackers: the spread over other attackers, where it was asked for.
        worst_class: its name, "found" and number of images, where a class has ten.
        members: how much more "found" images are that the model was trained on; None where these are not known.
        pictures: for how many images (most exposed, median, least exposed) arrays NAME:truth, NAME:rebuilt and
            NAME:class of `Report.pictures` hold pictures.
    """

    listener: str
    name: str
    is_output: bool
    shape: tuple[int, ...]
    bytes: int
    adversary: str
    verdict: str
    reason: str
    found: Estimate | None
    found_note: str
    auc: Estimate | None
    detail: Estimate | None
    ssim_gain: Estimate | None
    could_be: dict[str, float]
    p: float | None
    most_exposed: dict[str, float]
    worst_class: tuple[str, float, int] | None
    members: Estimate | None
    attacks: tuple[AttackRow, ...]
    pictures: int
    exposed_by_chance: dict[str, float] = field(default_factory=dict)
    attackers: Attackers | None = None


@dataclass(frozen=True)
class DefenceRow:
    """A defence at a point, against an adversary that knows it. Costs are None where they do not apply.

    Attributes:
        agreement: share of images on which the predicted class stays.
        accuracy: share of right answers behind the defence, where there are labels; `calibration`: its calibration error.
        auc: stands for `found` where that has too few images.
        bayes: of noise: share picked by the best possible attack that holds the candidates.
        fano: of noise: a share that no attack is above, by information; loose.
    """

    point: str
    words: str
    bytes: int
    agreement: float | None
    accuracy: float | None
    calibration: float | None
    verdict: str
    reason: str
    found: Estimate | None
    detail: Estimate | None
    auc: Estimate | None = None
    bayes: Estimate | None = None
    fano: float | None = None


@dataclass(frozen=True)
class CurvePoint:
    """What an adversary gets that has so many `answers` to its own images."""

    answers: int
    found: Estimate | None
    auc: Estimate | None
    detail: Estimate | None


@dataclass(frozen=True)
class Curve:
    """What leaks at a point by the number of answers that an adversary has, in rising order."""

    point: str
    points: tuple[CurvePoint, ...]


@dataclass(frozen=True)
class Control:
    """A check of the audit itself. `ok`: None where it was skipped; `text`: a few words for the first screen."""

    name: str
    ok: bool | None
    text: str
    detail: str


@dataclass(frozen=True, repr=False)
class Report:
    """The result of one audit. `print(report)` is the first screen; a notebook shows the page.

    Attributes:
        assumed: what the audit assumed, one sentence each.
        not_tried: which attacks were not tried, one text each.
        warnings: what limits the result, one sentence each.
        cheapest: a sentence on the cheapest defence that sufficed.
        curves: scores by number of queries, where several were asked for.
        pictures: arrays `(count, height, width, channels)` in [0, 1]; not part of the JSON.
    """

    model: ModelFacts
    data: DataFacts
    settings: Settings
    points: tuple[PointReport, ...]
    defences: tuple[DefenceRow, ...]
    controls: tuple[Control, ...]
    assumed: tuple[str, ...]
    not_tried: tuple[str, ...]
    warnings: tuple[str, ...]
    cheapest: str
    versions: dict[str, str]
    machine: dict[str, str]
    pictures: dict[str, Floats]
    curves: tuple[Curve, ...] = ()

    def worded(self, word: Callable[[str], str]) -> "Report":
        """Return the report with its sentences as `word` puts each: they name arguments as Python does."""
        told = {name: tuple(map(word, getattr(self, name))) for name in ("assumed", "not_tried", "warnings")}
        return replace(self, **told)  # type: ignore[arg-type]

    def to_json(self) -> dict[str, Any]:
        """Return the document without pictures, as JSON values."""
        document = {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.name != "pictures"}
        return {"schema": SCHEMA, **document}

    def __str__(self) -> str:
        """The first screen, as the command prints it."""
        from mi_keras.auditing.screen import as_text

        return as_text(self)

    def __repr__(self) -> str:
        return f"<Report on {self.model.name}: {', '.join(f'{p.name} {p.verdict}' for p in self.points)}>"

    def save(self, folder: "str | Path") -> Path:
        """Write index.html, audit.md, audit.json and pictures.npz into a writable folder; return the page's path."""
        check_writable("folder", Path(folder))
        return write(self, Path(folder))

    def _repr_html_(self) -> str:
        from mi_keras.auditing.page import page

        return page(self, embedded=True)


def write(report: Report, folder: Path) -> Path:
    """Write JSON, pictures, page and model card into a folder, each whole or not at all; return the page's path."""
    from mi_keras.auditing.card import card
    from mi_keras.auditing.page import page

    # All texts first: a value that one of them refuses must not leave half a report
    document = json.dumps(report.to_json(), indent=1, allow_nan=False) + "\n"
    texts = {DOCUMENT: document, CARD: card(report), PAGE: page(report)}
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / PICTURES, partial(write_arrays, arrays=report.pictures))
    replace_files(folder, [(name, partial(write_text, text=text)) for name, text in texts.items()])
    return folder / PAGE


def read_document(path: Path) -> Report:
    """Read the JSON that `write` wrote: a report without its pictures.

    Raises:
        InputError: it is no report of this version; the field that is wrong, where one is.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document.get("schema") != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA}")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"`report` must be an {DOCUMENT} of this version; got {path}: {error}.") from None
    return read(Report, {**document, "pictures": {}}, "report")


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(item) for name, item in asdict(value).items()}
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value

"""The figures that a result asks for, a dataclass for each kind; `mi_keras.reports.figures` draws them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from mi_keras.results.rules import (
    always_stored,
    check_file_name,
    check_metrics,
    check_one_of,
    require,
    to_json,
)

MAX_CHOSEN = 10  # images beside each other in a figure's width
MAX_PHOTOGRAPHS = 8  # the same of photographs, which need more of it
CORNERS = ("lower left", "lower right", "upper left", "upper right")
PROTOTYPE = "class_prototype"  # the row that an attack has to beat


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What all kinds have.

    Attributes:
        file: name of the PNG, distinct within its result.
        caption: what is said under the figure.
        rows: names of the table rows that are drawn.
    """

    kind: ClassVar[str]
    file: str
    title: str
    caption: str = always_stored("")
    rows: Sequence[str] = always_stored(())

    def __post_init__(self) -> None:
        check_file_name("file", self.file)
        require(self.file.endswith(".png"), "file", "end in .png", repr(self.file))

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `figures` in result.json."""
        return {"kind": self.kind, **to_json(self)}


@dataclass(frozen=True, kw_only=True)
class BestPerClass(Figure):
    """Per class the test image of highest SSIM by the first of `rows`, and what every row makes of it."""

    kind = "best_per_class"


@dataclass(frozen=True, kw_only=True)
class MedianPerClass(Figure):
    """Per class the test image of median SSIM by the first of `rows`, and what every row makes of it."""

    kind = "median_per_class"


@dataclass(frozen=True, kw_only=True)
class TrainingCurves(Figure):
    """Losses per epoch; `models` and `loss` are what to call the attacks' models and their loss."""

    kind = "training_curves"
    models: str = "Inversion models"
    loss: str = "1 - SSIM"


@dataclass(frozen=True, kw_only=True)
class GradientCurves(Figure):
    """Terms of the gradient reconstruction loss per step."""

    kind = "gradient_curves"


@dataclass(frozen=True, kw_only=True)
class Histogram(Figure):
    """A score per image, a panel per row (all that stored it where `rows` is empty), with the means of `baseline`."""

    kind = "histogram"
    metric: str = "ssim"
    baseline: Sequence[str] = (PROTOTYPE,)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_metrics("metric", self.metric)


@dataclass(frozen=True, kw_only=True)
class RunScores(Figure):
    """A score of every run, a line of points per row, and the published value where the row has one; `each` is its word."""

    kind = "run_scores"
    metric: str = "ssim"
    each: str = "run"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_metrics("metric", self.metric)


@dataclass(frozen=True, kw_only=True)
class ClassCounts(Figure):
    """Images per class and set."""

    kind = "class_counts"


@dataclass(frozen=True, kw_only=True)
class _OfImages(Figure):
    """A figure of the images at the positions in `images`, counted from 0."""

    most: ClassVar[int] = MAX_PHOTOGRAPHS
    images: Sequence[int]

    def __post_init__(self) -> None:
        super().__post_init__()
        holds = 1 <= len(self.images) <= self.most and min(self.images) >= 0
        require(holds, "images", f"be 1 to {self.most} numbers from 0 on", list(self.images))


@dataclass(frozen=True, kw_only=True)
class ChosenImages(_OfImages):
    """The test images of the numbers in `images`, 1 to 10, and what every row makes of them."""

    kind = "chosen_images"
    most = MAX_CHOSEN


@dataclass(frozen=True, kw_only=True)
class ClassImages(Figure):
    """An image per class, a line for each stored array, or for those whose keys end in one of `rows`."""

    kind = "class_images"


@dataclass(frozen=True, kw_only=True)
class Confusion(Figure):
    """Confusion matrices of the first run, for each of `rows`, all where empty."""

    kind = "confusion"


@dataclass(frozen=True, kw_only=True)
class Search(Figure):
    """Trials of a random search over the two parameters in `axes`."""

    kind = "search"
    axes: Sequence[str]

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.axes) == 2, "axes", "name two parameters", list(self.axes))


@dataclass(frozen=True)
class SweepSeries:
    """A line of a sweep: the name of a row for each tick."""

    label: str
    rows: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Sweep(Figure):
    """The rows of `series` against a setting with the values `ticks`, a panel for each of `metrics`."""

    kind = "sweep"
    metrics: Sequence[str]
    ticks: Sequence[str]
    x_label: str
    series: Sequence[SweepSeries]
    baseline: Sequence[str] = (PROTOTYPE,)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_metrics("metrics", *self.metrics)
        for number, line in enumerate(self.series):
            rule = f"name a row for each of the {len(self.ticks)} ticks"
            require(len(line.rows) == len(self.ticks), f"series[{number}].rows", rule, len(line.rows))


@dataclass(frozen=True)
class Panel:
    """A metric against another; `better` is the corner where a defender wants to be, one of `CORNERS`, or ""."""

    x: str
    y: str
    log_x: bool
    better: str = ""

    def __post_init__(self) -> None:
        check_metrics("x", self.x)
        check_metrics("y", self.y)
        if self.better:
            check_one_of("better", self.better, CORNERS)


@dataclass(frozen=True)
class TradeOffSeries:
    """A line of a trade-off: rows joined in their order, and a text for each."""

    label: str
    rows: Sequence[str]
    points: Sequence[str]

    def __post_init__(self) -> None:
        rule = f"be a string for each of the {len(self.rows)} rows"
        require(len(self.points) == len(self.rows), "points", rule, len(self.points))


@dataclass(frozen=True, kw_only=True)
class TradeOff(Figure):
    """The rows of `series` in each of `panels`, with the row `reference` as a star, "" for none."""

    kind = "trade_off"
    panels: Sequence[Panel]
    series: Sequence[TradeOffSeries]
    baseline: Sequence[str] = (PROTOTYPE,)
    reference: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.panels, "panels", "hold one at least", [])
        require(self.series, "series", "hold one at least", [])


@dataclass(frozen=True, kw_only=True)
class Photographs(_OfImages):
    """Stored images at the positions in `images`, 1 to 8, under them what every row makes of them.

    Attributes:
        metric: the score under each reconstruction, "" for none.
        headers: a text over each image, or none.
    """

    kind = "photographs"
    metric: str = always_stored("")
    headers: Sequence[str] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.metric:
            check_metrics("metric", self.metric)
        rule = f"be a string for each of the {len(self.images)} images"
        require(len(self.headers) in (0, len(self.images)), "headers", rule, len(self.headers))


@dataclass(frozen=True, kw_only=True)
class NormalisedPhotographs(_OfImages):
    """Stored images at the positions in `images`, and the same as the model gets them."""

    kind = "normalised_photographs"


@dataclass(frozen=True, kw_only=True)
class Maps(Figure):
    """The feature maps of the array whose key ends in `array`, over the number of each where there are `numbers`."""

    kind = "maps"
    array: str
    numbers: Sequence[int] = ()


@dataclass(frozen=True, kw_only=True)
class Layers(Figure):
    """A line of feature maps for each of `arrays`, ends of keys, with its text of `labels`."""

    kind = "layers"
    arrays: Sequence[str]
    labels: Sequence[str]

    def __post_init__(self) -> None:
        super().__post_init__()
        holds = self.arrays and len(self.arrays) == len(self.labels)
        rule = "be a string for each of `arrays`, of which there must be one at least"
        require(holds, "labels", rule, f"{len(self.labels)} for {len(self.arrays)}")


AnyFigure = (
    BestPerClass | MedianPerClass | TrainingCurves | GradientCurves | Histogram | ClassCounts | ChosenImages
    | RunScores | ClassImages | Confusion | Search | Sweep | TradeOff | Photographs | NormalisedPhotographs | Maps | Layers
)  # fmt: skip

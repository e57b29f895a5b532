"""Tables, rows and claims: as a section measures them, one value per run, and as a result stores their summaries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.results.metrics import METRICS
from mi_keras.results.rules import (
    always_stored,
    check_distinct,
    check_file_name,
    check_metrics,
    check_one_of,
    require,
    to_json,
)
from mi_keras.types import Scores

GROUPS = ("attack", "model", "defense", "trial", "baseline")  # of rows; baselines stand apart under a heading


@dataclass(frozen=True)
class Published:
    """A score as published: mean and spread, None where the text gives no spread."""

    mean: float
    std: float | None

    def __post_init__(self) -> None:
        require(self.std is None or self.std >= 0, "std", "be a number >= 0 or null", self.std)


@dataclass(frozen=True)
class Score:
    """A score over `n` runs: the mean of their means, and the sample deviation of these, None for a single run."""

    mean: float
    std: float | None
    n: int

    def __post_init__(self) -> None:
        require(self.std is None or self.std >= 0, "std", "be a number >= 0 or null", self.std)


@dataclass(frozen=True)
class StoredPaper:
    """Published scores of a row by metric, and the table they stand in."""

    table: str
    values: Mapping[str, Published]


@dataclass(frozen=True)
class StoredRow:
    """A row in result.json; the attributes are those of `Row`, with a score in the place of one value per run."""

    name: str
    label: str
    group: str
    note: str
    values: Mapping[str, Score]
    images: int | None
    paper: StoredPaper | None

    def __post_init__(self) -> None:
        check_one_of("group", self.group, GROUPS)


@dataclass(frozen=True)
class StoredTable:
    """A table in result.json; the attributes are those of `Table`."""

    file: str
    title: str
    first_column: str
    metrics: Sequence[str]
    rows: Sequence[StoredRow]
    best: str = always_stored("")
    notes: Sequence[str] = always_stored(())
    headings: Mapping[str, str] = field(default_factory=dict)
    interval: bool = False

    def __post_init__(self) -> None:
        check_file_name("file", self.file)
        check_metrics("metrics", *(metric for metric in self.metrics if metric not in self.headings))
        check_distinct("metrics", self.metrics)
        known = [metric for metric in self.metrics if metric in METRICS]
        ranked = [metric for metric in known if METRICS[metric].higher_is_better is not None]
        rule = f"be one of {', '.join(ranked) or 'none'} or ''"
        require(not self.best or self.best in ranked, "best", rule, repr(self.best))
        check_distinct("rows", [row.name for row in self.rows], "names")


@dataclass(frozen=True)
class Paper:
    """Published values of a row: mean and spread (None: not given) by metric, and the table they stand in."""

    table: str
    values: Mapping[str, tuple[float, float | None]]


@dataclass(frozen=True)
class Row:
    """One line of a table: what one method scored in every run.

    Attributes:
        name: stable name, distinct within its table and equal for the same method in all tables of a result.
        label: as printed.
        group: one of `GROUPS`.
        values: `(runs,)` by metric: the mean over the images of each run.
        images: how many images were scored in each run; None where the values are not means over images.
    """

    name: str
    label: str
    group: str
    values: Mapping[str, NDArray[np.float64]]
    images: int | None = None
    paper: Paper | None = None
    note: str = ""

    def mean(self, metric: str) -> float:
        """Mean over runs."""
        return self.summary(metric)[0]

    def summary(self, metric: str) -> tuple[float, float | None]:
        """Mean and sample standard deviation over runs; no deviation of a single run."""
        values = self.values[metric]
        if len(values) == 1:
            return float(values[0]), None
        # not rounding's 1e-17 where nothing differs, as where models are repeated on which a row does not depend
        return float(values.mean()), float(np.std(values, ddof=1)) if np.ptp(values) else 0.0

    def stored(self) -> StoredRow:
        """Return the row as in the result schema.

        Raises:
            BrokenRule: the group is none of `GROUPS`.
        """
        scores = {metric: Score(*self.summary(metric), len(runs)) for metric, runs in self.values.items()}
        paper = None
        if self.paper is not None:
            published = {metric: Published(*value) for metric, value in self.paper.values.items()}
            paper = StoredPaper(self.paper.table, published)
        return StoredRow(self.name, self.label, self.group, self.note, scores, self.images, paper)

    def to_json(self) -> dict[str, Any]:
        """Return `stored` as JSON."""
        return dict(to_json(self.stored()))


def score_values(scores: Sequence[Scores]) -> dict[str, NDArray[np.float64]]:
    """Return SSIM and MSE of a row from its scores of every run, on the same images in the same order."""
    return {
        metric: np.array([getattr(score, metric).mean(dtype=np.float64) for score in scores])
        for metric in ("ssim", "mse")
    }


@dataclass(frozen=True)
class Table:
    """A table of the text, or one of ours.

    Attributes:
        file: name of its files, without ending.
        first_column: heading above the rows' labels.
        metrics: columns in order, names of `METRICS` or of `headings`.
        best: the metric whose best row, baselines apart, is set in bold; "" for none.
        notes: lines under this table.
        headings: of columns that only this table has, by metric.
        interval: half the 95 % t-interval of the mean over runs stands beside it, and not their deviation.
    """

    file: str
    title: str
    first_column: str
    metrics: Sequence[str]
    rows: Sequence[Row]
    best: str = ""
    notes: Sequence[str] = ()
    headings: Mapping[str, str] = field(default_factory=dict)
    interval: bool = False

    def stored(self) -> StoredTable:
        """Return the table as in the result schema.

        Raises:
            BrokenRule: a field breaks a rule of `StoredTable`.
        """
        rows = [row.stored() for row in self.rows]
        return StoredTable(
            self.file, self.title, self.first_column, self.metrics, rows, self.best, self.notes, self.headings,
            self.interval,
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Return `stored` as JSON."""
        return dict(to_json(self.stored()))


@dataclass(frozen=True)
class Claim:
    """A sentence of the text (or ours) held against this run's numbers; `holds` is None where
    the run cannot tell: not measured, or a difference within the spread over runs."""

    text: str
    source: str
    holds: bool | None
    numbers: str

    def to_json(self) -> dict[str, Any]:
        """Return the claim as in the result schema."""
        return dict(to_json(self))

"""What an experiment returns, and its one summary of many scores (schema in docs/result_schema.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.types import Floats, Scores

SCHEMA = "mi_keras.result/1"


@dataclass(frozen=True)
class Paper:
    """Published value of a row: mean and spread of SSIM and MSE, and the table they stand in."""

    table: str
    ssim: tuple[float, float]
    mse: tuple[float, float]


@dataclass(frozen=True)
class Row:
    """One line of a table: the scores of one method in every run.

    Attributes:
        name: stable name, one of the seven combinations or of the baselines, "[objective]" appended where needed.
        label: as printed.
        group: "attack" or "baseline".
        scores: one `Scores` per run, on the same images in the same order.
    """

    name: str
    label: str
    group: str
    scores: Sequence[Scores]
    paper: Paper | None = None
    note: str = ""

    def mean(self, metric: str) -> float:
        """Mean over runs of the mean over images of "ssim" or "mse"."""
        return self.summary(metric)[0]

    def run_means(self, metric: str) -> NDArray[np.float64]:
        """`(runs,)` mean over images of "ssim" or "mse" in each run."""
        return np.array([getattr(score, metric).mean(dtype=np.float64) for score in self.scores])

    def summary(self, metric: str) -> tuple[float, float | None]:
        """Mean and sample standard deviation over runs of the mean over images; no deviation of a single run."""
        means = self.run_means(metric)
        return float(means.mean()), float(np.std(means, ddof=1)) if len(means) > 1 else None

    def to_json(self) -> dict[str, Any]:
        """Return the row as in the result schema."""
        paper = self.paper and {
            "table": self.paper.table,
            **{m: dict(zip(("mean", "std"), getattr(self.paper, m), strict=True)) for m in ("ssim", "mse")},
        }
        return {
            "name": self.name, "label": self.label, "group": self.group, "note": self.note,
            "images": len(self.scores[0].ssim), "ssim": self._summary_json("ssim"), "mse": self._summary_json("mse"),
            "paper": paper,
        }  # fmt: skip

    def _summary_json(self, metric: str) -> dict[str, Any]:
        mean, spread = self.summary(metric)
        return {"mean": mean, "std": spread, "n": len(self.scores)}


@dataclass(frozen=True)
class Claim:
    """A sentence of the text (or ours) held against this run's numbers; `holds` is None where
    the run cannot tell: not measured, or a difference within the spread over runs."""

    text: str
    source: str
    holds: bool | None
    numbers: str

    def to_json(self) -> dict[str, Any]:
        return {"text": self.text, "source": self.source, "holds": self.holds, "numbers": self.numbers}


@dataclass(frozen=True)
class ExperimentResult:
    """Everything a section measured.

    Attributes:
        measured: one line on what was scored.
        arrays: named arrays for figures and later analysis; see docs/result_schema.md.
        figures: what `reports` draws of them.
        notes: lines for the reader under the table.
    """

    rows: Sequence[Row]
    claims: Sequence[Claim]
    measured: str
    arrays: Mapping[str, NDArray[Any] | Floats]
    figures: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    notes: Sequence[str] = ()

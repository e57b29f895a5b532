"""What an experiment returns, and its one summary of many runs (schema in docs/result_schema.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.settings import COMBINATIONS
from mi_keras.types import Floats, Scores

SCHEMA = "mi_keras.result/2"
GROUPS = ("attack", "model", "defense", "trial", "baseline")  # of rows; baselines stand apart under a heading


SYMBOLS = {"o": "O", "a": "A^L", "x": "X~"}


def inverter_label(combination: str) -> str:
    """Return "M_I(O + X~)" of "o+x"."""
    return f"M_I({' + '.join(SYMBOLS[letter] for letter in combination.split('+'))})"


@dataclass(frozen=True)
class Metric:
    """A column of numbers: its heading, whether more is better for what the row does (None: neither), the difference
    that is too small to speak of (verdicts neither rest on less nor call more "the same"), and how many decimals
    are shown: the four of published scores, or fewer where a unit makes them idle."""

    label: str
    higher_is_better: bool | None = None
    negligible: float = 0.005
    digits: int = 4


METRICS: Mapping[str, Metric] = {
    "ssim": Metric("SSIM", True),
    "mse": Metric("MSE", False, 0.002),
    "instance_gain": Metric("instance gain", True),
    "prototype_distance": Metric("distance to prototype", True),
    "loop_rate": Metric("with a loop"),
    "f1": Metric("weighted F1", True),
    "training_loss": Metric("training loss", False),
    "validation_loss": Metric("validation loss", False),
    # In tables of defences: the instance gain that is left to each attack.
    **{f"gain_{name}": Metric(f"gain of {inverter_label(name)}", False) for name in COMBINATIONS},
    "accuracy": Metric("accuracy", True),
    "ece": Metric("ECE", False),
    "psnr": Metric("PSNR (dB)", True, 0.1, digits=2),
    "ms_ssim": Metric("MS-SSIM", True),
    # The split text's convention: on ImageNet-normalised values
    "psnr_paper": Metric("PSNR, text's convention (dB)", True, 0.1, digits=2),
    "ssim_paper": Metric("SSIM, text's convention", True),
    "ms_ssim_paper": Metric("MS-SSIM, text's convention", True),
    "feature_distance": Metric("feature distance", False),
    "retrieval_100": Metric("found among 100 by features", True, 0.01),
    "retrieval_1000": Metric("found among 1,000 by features", True, 0.01),
    "pixel_retrieval_100": Metric("found among 100 by pixels", True, 0.01),
    "pixel_retrieval_1000": Metric("found among 1,000 by pixels", True, 0.01),
    "parameters": Metric("parameters", digits=0),
    "kept_maps": Metric("maps sent", digits=0),
    "kilobytes": Metric("kB per image", False, 1.0, digits=1),
    "agreement": Metric("top-1 agreement", True, 0.01),
    "logit_cosine": Metric("cosine of logits", True, 0.01),
    "l2_weight": Metric("L2 weight"),
    "tv_weight": Metric("TV weight"),
}


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
        return float(values.mean()), float(np.std(values, ddof=1)) if len(values) > 1 else None

    def to_json(self) -> dict[str, Any]:
        """Return the row as in the result schema."""
        paper = self.paper and {
            "table": self.paper.table,
            "values": {
                metric: {"mean": mean, "std": spread} for metric, (mean, spread) in self.paper.values.items()
            },
        }
        return {
            "name": self.name, "label": self.label, "group": self.group, "note": self.note, "images": self.images,
            "values": {metric: self._summary_json(metric) for metric in self.values}, "paper": paper,
        }  # fmt: skip

    def _summary_json(self, metric: str) -> dict[str, Any]:
        mean, spread = self.summary(metric)
        return {"mean": mean, "std": spread, "n": len(self.values[metric])}


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
        metrics: columns in order, names of `METRICS`.
        best: the metric whose best row, baselines apart, is set in bold; "" for none.
        notes: lines under this table.
    """

    file: str
    title: str
    first_column: str
    metrics: Sequence[str]
    rows: Sequence[Row]
    best: str = ""
    notes: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the table as in the result schema."""
        return {
            "file": self.file, "title": self.title, "first_column": self.first_column, "metrics": list(self.metrics),
            "best": self.best, "notes": list(self.notes), "rows": [row.to_json() for row in self.rows],
        }  # fmt: skip


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
        notes: lines for the reader under the tables.
    """

    tables: Sequence[Table]
    claims: Sequence[Claim]
    measured: str
    arrays: Mapping[str, NDArray[Any] | Floats]
    figures: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    notes: Sequence[str] = ()

"""Results as values: metrics, rows, tables, claims and figures, and the reader of result files."""

from mi_keras.results.figures import (
    AnyFigure,
    BestPerClass,
    ChosenImages,
    ClassCounts,
    ClassImages,
    Confusion,
    Figure,
    GradientCurves,
    Histogram,
    Layers,
    Maps,
    MedianPerClass,
    NormalisedPhotographs,
    Panel,
    Photographs,
    RunScores,
    Search,
    Sweep,
    SweepSeries,
    TradeOff,
    TradeOffSeries,
    TrainingCurves,
)
from mi_keras.results.metrics import EXPLAINED_WITHIN, METRICS, Metric
from mi_keras.results.result import ExperimentResult, StoredResult
from mi_keras.results.rows import Claim, Paper, Row, Table, score_values
from mi_keras.results.schema import SCHEMA, read_result

__all__ = [
    "EXPLAINED_WITHIN", "METRICS", "SCHEMA", "AnyFigure", "BestPerClass", "ChosenImages", "Claim", "ClassCounts", "ClassImages", "Confusion",
    "ExperimentResult", "Figure", "GradientCurves", "Histogram", "Layers", "Maps", "MedianPerClass", "Metric",
    "NormalisedPhotographs", "Panel", "Paper", "Photographs", "Row", "RunScores", "Search", "StoredResult", "Sweep", "SweepSeries",
    "Table", "TradeOff", "TradeOffSeries", "TrainingCurves", "read_result",
    "score_values",
]  # fmt: skip

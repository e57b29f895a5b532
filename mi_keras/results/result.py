"""A whole result: as a section returns it, and as it is stored with what the run was (docs/result_schema.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from mi_keras.results.figures import AnyFigure, Figure
from mi_keras.results.rows import Claim, StoredRow, StoredTable, Table
from mi_keras.results.rules import check_distinct, require
from mi_keras.types import Floats


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
    figures: Sequence[Figure] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Timing:
    """Seconds that a stage took when it was computed: in this run, or in an earlier one (`reused`)."""

    stage: str
    seconds: float
    reused: bool


@dataclass(frozen=True, kw_only=True)
class StoredResult:
    """A result.json; docs/result_schema.md says what each field means."""

    work: str
    section: str
    title: str
    preset: str
    changed: Sequence[str] = ()
    data: str
    class_names: Sequence[str] = ()
    runs: int
    seed: int
    settings: Mapping[str, Any]
    versions: Mapping[str, Any]
    machine: Mapping[str, Any] = field(default_factory=dict)
    timings: Sequence[Timing]
    notes: Sequence[str] = ()
    arrays_sha256: str | None = None
    written: str = ""
    measured: str
    tables: Sequence[StoredTable]
    claims: Sequence[Claim]
    figures: Sequence[AnyFigure]

    def __post_init__(self) -> None:
        require(self.runs >= 1, "runs", "be at least 1", self.runs)
        check_distinct("tables", [table.file for table in self.tables], "files")
        check_distinct("figures", [figure.file for figure in self.figures], "files")
        labels: dict[str, str] = {}
        for number, table in enumerate(self.tables):
            for place, row in enumerate(table.rows):
                known = labels.setdefault(row.name, row.label)
                rule = f"be the same for row {row.name!r} in all tables"
                where = f"tables[{number}].rows[{place}].label"
                require(known == row.label, where, rule, f"{known!r} and {row.label!r}")

    def rows(self) -> list[StoredRow]:
        """Return the rows of all tables; a method that stands in several comes several times."""
        return [row for table in self.tables for row in table.rows]

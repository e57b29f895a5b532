"""What a table shows, whatever it is written in: its columns, the text of its cells, the best row, baselines apart."""

from collections.abc import Sequence
from dataclasses import dataclass

from mi_keras.reports.text import format_score, half_interval, images_scored, metric_label
from mi_keras.results import METRICS, StoredResult
from mi_keras.results.rows import Published, StoredRow, StoredTable

BASELINES = "Baselines"
NOTE = "note"


@dataclass(frozen=True)
class Line:
    """One row: the texts of its scores and published scores in the order of the columns.

    `best` is the number of the score that is bold, None where none is.
    """

    label: str
    scores: Sequence[str]
    published: Sequence[str]
    note: str
    best: int | None = None


@dataclass(frozen=True)
class Layout:
    """A table in texts.

    Attributes:
        metrics: headings of the scores.
        published: numbers of the metrics for which some row has a published value.
        noted: whether some row has a note.
        baselines: what the scores of `lines` are compared with; they stand under a heading of their own.
        scored: how many images were scored, where that differs between the tables of the result.
        footnotes: what is said under the table.
    """

    title: str
    first_column: str
    metrics: Sequence[str]
    published: Sequence[int]
    noted: bool
    lines: Sequence[Line]
    baselines: Sequence[Line]
    scored: str
    footnotes: Sequence[str]

    def headings(self) -> list[str]:
        """Return the heading of every column: label, scores, published scores, note."""
        published = [f"paper {self.metrics[number]}" for number in self.published]
        return [self.first_column, *self.metrics, *published, *([NOTE] if self.noted else [])]

    def cells(self, line: Line) -> list[str]:
        """Return the texts of a row under `headings`."""
        return [line.label, *line.scores, *line.published, *([line.note] if self.noted else [])]


def lay_out(table: StoredTable, result: StoredResult) -> Layout:
    """Choose the columns of a table and write its cells; attacks and the like come before baselines."""
    rows, metrics = table.rows, table.metrics
    published = [number for number, metric in enumerate(metrics) if any(_paper(row, metric) for row in rows)]
    best, scored = _best_row(table), images_scored(rows)

    def line(row: StoredRow) -> Line:
        # One measurement, of which no spread exists
        single = row.group == "trial" or table.interval
        scores = [row.values.get(metric) for metric in metrics]
        if table.interval:
            scores = [score and half_interval(score) for score in scores]
        return Line(
            label=row.label,
            scores=[
                format_score(score, metric, single=single)
                for score, metric in zip(scores, metrics, strict=True)
            ],
            published=[
                format_score(_paper(row, metrics[number]), metrics[number], single=single)
                for number in published
            ],
            note=row.note,
            best=metrics.index(table.best) if row.name == best else None,
        )

    return Layout(
        title=table.title,
        first_column=table.first_column,
        metrics=[table.headings.get(metric) or metric_label(metric) for metric in metrics],
        published=published,
        noted=any(row.note for row in rows),
        lines=[line(row) for row in rows if row.group != "baseline"],
        baselines=[line(row) for row in rows if row.group == "baseline"],
        scored="" if scored == images_scored(result.rows()) else scored,
        footnotes=[*_legend(table, result), *table.notes],
    )


def _best_row(table: StoredTable) -> str | None:
    metric = table.best
    rivals = [row for row in table.rows if row.group != "baseline" and metric in row.values]
    if not metric or not rivals:
        return None
    choose = max if METRICS[metric].higher_is_better else min
    return choose(rivals, key=lambda row: row.values[metric].mean).name


def _paper(row: StoredRow, metric: str) -> Published | None:
    return row.paper.values.get(metric) if row.paper else None


def _legend(table: StoredTable, result: StoredResult) -> list[str]:
    """Say what stands beside a mean, and where published values come from."""
    spread = "Mean ± sample standard deviation over runs, n/a for a single run."
    if table.interval:
        spread = f"Mean over {result.runs} runs ± half its 95 % t-interval; scores without one are a single number."
    papers = [row.paper for row in table.rows if row.paper]
    sources = dict.fromkeys(paper.table for paper in papers if {*paper.values} & {*table.metrics})
    parts = [spread] if any(row.group != "trial" for row in table.rows) else []
    if sources:
        parts.append(f"Paper values: {result.work} {', '.join(sources)}.")
    return [" ".join(parts)] if parts else []

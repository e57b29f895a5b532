"""Tables on the terminal: every number whole, in the columns that the window has."""

import textwrap
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from mi_keras.reports.layout import BASELINES, NOTE, Layout, Line
from mi_keras.reports.text import MISSING

PUBLISHED = "  paper"  # label of a second line with published values
_GAP = 2  # columns between two columns of a table
_LABEL_WIDTH, _NOTE_WIDTH = 18, 12  # that labels and notes keep at least, and whole words


def terminal_tables(layout: Layout, width: int) -> list[Table]:
    """Return the table in `width` columns: published values beside the scores, else under them and in parts."""
    lines = [*layout.lines, *layout.baselines]
    headings = layout.headings()[1:]
    scores = [
        _column_width(headings[n], [line.scores[n] for line in lines]) for n in range(len(layout.metrics))
    ]
    published = [
        _column_width(headings[len(scores) + n], [line.published[n] for line in lines])
        for n in range(len(layout.published))
    ]
    everything = range(len(scores))
    if texts := _text_widths(layout, [*scores, *published], width):
        return [_table(layout, everything, [*scores, *published], texts, beside=True)]
    for place, number in enumerate(layout.published):
        scores[number] = max(scores[number], published[place])
    blocks = []
    for part in _parts(layout, scores, width):
        numbers = [scores[number] for number in part]
        texts = _text_widths(layout, numbers, width) or (_LABEL_WIDTH, _NOTE_WIDTH)
        blocks.append(_table(layout, part, numbers, texts, beside=False))
    return blocks


def _parts(layout: Layout, numbers: Sequence[int], width: int) -> list[list[int]]:
    """Cut columns of `numbers` into parts that fit; a part has one column at least, whatever the window."""
    parts: list[list[int]] = [[]]
    for column in range(len(numbers)):
        if parts[-1] and not _text_widths(layout, [numbers[n] for n in (*parts[-1], column)], width):
            parts.append([])
        parts[-1].append(column)
    return parts


def _table(
    layout: Layout, metrics: Sequence[int], widths: Sequence[int], texts: tuple[int, int], *, beside: bool
) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    headings = [layout.metrics[number] for number in metrics]
    if beside:
        headings = layout.headings()[1 : 1 + len(widths)]
    table.add_column(Text(layout.first_column), width=texts[0], overflow="fold")
    for heading, width in zip(headings, widths, strict=True):
        table.add_column(Text(textwrap.fill(heading, width)), width=width, justify="right", no_wrap=True)
    if layout.noted:
        table.add_column(NOTE, width=texts[1], overflow="fold")
    table.width = sum(texts[: 1 + layout.noted]) + sum(widths) + _GAP * (len(table.columns) - 1)

    def add(line: Line) -> None:
        cells = [Text(line.scores[n], style="bold" if n == line.best else "") for n in metrics]
        published = dict(zip(layout.published, line.published, strict=True))
        if beside:
            cells += map(Text, line.published)
        if layout.noted:
            cells.append(Text(line.note))
        table.add_row(Text(line.label), *cells)
        under = [published.get(number, MISSING) for number in metrics]
        if not beside and set(under) != {MISSING}:
            table.add_row(PUBLISHED, *(Text("" if cell == MISSING else cell) for cell in under), style="dim")

    for line in layout.lines:
        add(line)
    if layout.baselines:
        table.add_section()
        table.add_row(Text(BASELINES, style="bold"))
        for line in layout.baselines:
            add(line)
    return table


def _column_width(heading: str, texts: Sequence[str]) -> int:
    return max(_longest(heading.split()), _longest(texts))


def _text_widths(layout: Layout, numbers: Sequence[int], width: int) -> tuple[int, int] | None:
    """Return what columns of `numbers` leave to labels and notes; None where that is too little."""
    lines = [*layout.lines, *layout.baselines]
    labels = [layout.first_column, BASELINES, PUBLISHED, *(line.label for line in lines)]
    notes = [NOTE, *(line.note for line in lines)] if layout.noted else []
    label, note = _least(labels, _LABEL_WIDTH), _least(notes, _NOTE_WIDTH)
    spare = width - label - note - sum(numbers) - _GAP * (len(numbers) + layout.noted)
    more = min(max(spare, 0), _longest(labels) - label)
    return None if spare < 0 else (label + more, min(_longest(notes), note + spare - more))


def _least(texts: Sequence[str], width: int) -> int:
    """Return `width`, less where all texts are shorter, more where a word is longer."""
    return max(min(_longest(texts), width), _longest([word for text in texts for word in text.split()]))


def _longest(texts: Sequence[str]) -> int:
    return max((len(text) for text in texts), default=0)

"""Result directories: read `result.json` and `arrays.npz`, write tables, figures and pages beside them."""

import io
import json
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mi_keras.display import line_of
from mi_keras.errors import DamagedFile, InputError
from mi_keras.files import read_arrays, sha256
from mi_keras.progress import Arrays
from mi_keras.reports.figures import draw
from mi_keras.reports.leaf import FILE, leaf_page
from mi_keras.reports.markdown import markdown_page
from mi_keras.reports.pages import Report, result_page
from mi_keras.reports.style import DPI, plain_text
from mi_keras.reports.tables import csv_table
from mi_keras.results import AnyFigure, StoredResult, read_result
from mi_keras.results.arrays import check_arrays
from mi_keras.whole import replace_file

RESULT, ARRAYS = "result.json", "arrays.npz"


def load_result(directory: str | Path) -> tuple[StoredResult, dict[str, NDArray[Any]]]:
    """Return the result and the arrays of a directory, both checked against docs/result_schema.md.

    Raises:
        InputError: a file is missing or damaged, or the schema is another one.
    """
    directory = Path(directory)
    for name in (RESULT, ARRAYS):
        if not (directory / name).is_file():
            raise InputError(
                f"`directory` must hold {RESULT} and {ARRAYS}; got {str(directory)!r} without {name}."
            )
    try:
        document = json.loads((directory / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"`{directory / RESULT}` must be JSON; got a damaged file: {line_of(error)}."
        ) from error
    result = read_result(document)
    expected = result.arrays_sha256
    if expected is not None and sha256(directory / ARRAYS) != expected:
        raise InputError(
            f"`{directory / ARRAYS}` must be the file that {RESULT} describes; got another or a damaged one."
        )
    try:
        arrays = read_arrays(directory / ARRAYS)
    except DamagedFile as damage:
        raise InputError(f"`{directory / ARRAYS}` must be npz; got a damaged file: {damage}.") from damage
    check_arrays(arrays)
    return result, arrays


def write_reports(directory: str | Path, report: Report | None = None) -> list[Path]:
    """Write `index.html`, `images.html` where images are stored, `index.md`, `<file>.csv` of each table and every figure into a result directory.

    Return their paths. Each file is complete or not there: it is written under a temporary name and renamed.
    `report` is what `read_report` returned for the directory, where it was read already.
    Figures come first, so that the Markdown never links to a figure that does not exist.

    Raises:
        InputError: as `load_result`, or a figure asks for what the result cannot have; nothing is written then.
    """
    directory = Path(directory)
    report = report or read_report(directory)
    figures = [_write(directory / name, png) for name, png in report.figures.items()]
    tables = [
        _write(directory / f"{table.file}.csv", csv_table(report.result, table).encode())
        for table in report.result.tables
    ]
    images = [_write(directory / FILE, report.images.encode())] if report.images else []
    if not images:
        (directory / FILE).unlink(missing_ok=True)  # of an earlier run
    markdown = _write(directory / "index.md", markdown_page(report.result).encode())
    html = _write(directory / "index.html", result_page(report).encode())
    return [html, markdown, *images, *tables, *figures]


def read_report(directory: str | Path) -> Report:
    """Return the result of a directory with its figures, drawn anew from the arrays.

    Raises:
        InputError: as `load_result`, or a figure asks for what the result cannot have.
    """
    result, arrays = load_result(directory)
    figures = {spec.file: _png(spec, result, arrays) for spec in result.figures}
    return Report(result, figures, leaf_page(result, arrays))


def _png(spec: AnyFigure, result: StoredResult, arrays: Arrays) -> bytes:
    content = io.BytesIO()
    figure = draw(spec, result, arrays)
    with plain_text():  # labels of ticks are made as they are drawn
        figure.savefig(content, format="png", dpi=DPI, metadata={"Software": None})
    return content.getvalue()


def _write(path: Path, content: bytes) -> Path:
    return replace_file(path, lambda temporary: temporary.write_bytes(content))

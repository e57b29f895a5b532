"""Writes one page in HTML for several results; `files.write_reports` writes that of each."""

from collections.abc import Sequence
from pathlib import Path

from mi_keras.errors import InputError
from mi_keras.reports.pages import Report, overview_page
from mi_keras.whole import replace_file


def write_overview(reports: Sequence[Report], path: str | Path) -> Path:
    """Write a page with everything of every result (see `files.read_report`), in the order given; return its path.

    Figures are in the page itself: it needs no other file to be read.

    Raises:
        InputError: no result is given.
    """
    if not reports:
        raise InputError("`reports` must hold at least one result; got none.")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    page = overview_page(reports).encode()
    return replace_file(path, lambda temporary: temporary.write_bytes(page))

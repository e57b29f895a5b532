"""Result directories: read `result.json` and `arrays.npz`, write tables and figures beside them."""

import io
import json
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mi_keras.errors import InputError
from mi_keras.files import DamagedFile, read_arrays, replace_file, sha256
from mi_keras.reports.figures import draw
from mi_keras.reports.schema import Result, check_arrays, check_result
from mi_keras.reports.style import DPI
from mi_keras.reports.tables import claims_markdown, csv_table, markdown_table
from mi_keras.reports.text import escape_markdown, section_title
from mi_keras.work import Arrays

RESULT, ARRAYS = "result.json", "arrays.npz"


def load_result(directory: str | Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
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
        result = json.loads((directory / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"`{directory / RESULT}` must be JSON; got a damaged file: {_one_line(error)}."
        ) from error
    check_result(result)
    expected = result.get("arrays_sha256")
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


def write_reports(directory: str | Path) -> list[Path]:
    """Write `<table>.md`, `<table>.csv` and every figure of a result directory into it; return their paths.

    Each file is complete or not there: it is written under a temporary name and renamed. Figures come first, so
    that the Markdown never links to a figure that does not exist.
    """
    directory = Path(directory)
    result, arrays = load_result(directory)
    written = [_write(directory / spec["file"], _png(spec, result, arrays)) for spec in result["figures"]]
    markdown = _write(directory / f"{result['table']}.md", _markdown(result).encode())
    table = _write(directory / f"{result['table']}.csv", csv_table(result).encode())
    return [markdown, table, *written]


def _markdown(result: Result) -> str:
    parts = [
        f"# {escape_markdown(section_title(result))}",
        markdown_table(result),
        "## Claims",
        claims_markdown(result),
    ]
    if result["figures"]:
        parts.append("## Figures")
    for spec in result["figures"]:
        title, caption = escape_markdown(spec["title"]), escape_markdown(spec.get("caption", ""))
        parts.append(f"### {title}\n\n![{title}]({spec['file']})\n\n{caption}")
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _png(spec: Result, result: Result, arrays: Arrays) -> bytes:
    content = io.BytesIO()
    draw(spec, result, arrays).savefig(content, format="png", dpi=DPI, metadata={"Software": None})
    return content.getvalue()


def _write(path: Path, content: bytes) -> Path:
    return replace_file(path, lambda temporary: temporary.write_bytes(content))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__

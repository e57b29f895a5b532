"""A page to leaf through the images of a run, each beside what every row made of it. Its one script is named in its policy by hash."""

import base64
import hashlib
import io
import json
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mi_keras.progress import Arrays
from mi_keras.reports.elements import POLICY, STYLE, Markup, element, join, page
from mi_keras.reports.text import class_name, distinct_labels, metric_label, provenance, section_title
from mi_keras.results import StoredResult
from mi_keras.results.metrics import METRICS

FILE = "images.html"
MOST_BYTES = 12_000_000  # of all pictures before compression
_COLUMNS = 32  # images side by side in one picture
_STYLE = """
.controls { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; margin: 1rem 0; }
.controls label, fieldset label { display: inline-flex; gap: .4rem; align-items: center; }
button, select, input { font: inherit; }
button { padding: .25rem .75rem; } input[type=range] { width: 100%; }
fieldset { display: flex; flex-wrap: wrap; gap: .25rem 1rem; border: 1px solid #888; margin: 1rem 0; }
.drawn { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1rem 0; }
.drawn figure { margin: 0; width: 10rem; } .drawn canvas { width: 100%; display: block; background: #888; }
.small canvas { image-rendering: pixelated; }
.drawn figcaption { white-space: pre-line; } .sprite { display: none; }
:focus-visible { outline: 3px solid #0b57a4; outline-offset: 2px; }
"""


def leaf_page(result: StoredResult, arrays: Arrays) -> str:
    """Return the page, or "" where the run stored no images with what was made of them.

    Rows have the scores and drawings of the first run. Of more images than `MOST_BYTES` hold, some are shown, evenly spaced.
    """
    labels = distinct_labels(result)
    names = [name for name in labels if f"reconstruction.{name}" in arrays]
    if "targets" not in arrays or not names:
        return ""
    targets = arrays["targets"]
    chosen = _chosen(len(targets), targets[0].size * (len(names) + 1))
    groups = {row.name: row.group for table in result.tables for row in table.rows}
    rows: list[dict[str, Any]] = [
        {
            "label": labels[name],
            "baseline": groups.get(name) == "baseline",
            "scores": _scores(name, arrays, chosen),
        }
        for name in names
    ]
    known = {metric for row in rows for metric in row["scores"]}
    data = {
        "count": len(chosen), "columns": min(_COLUMNS, len(chosen)), "height": targets.shape[1], "width": targets.shape[2],
        "numbers": chosen.tolist(), "rows": rows,
        "metrics": [
            {"name": name, "label": metric_label(name), "digits": METRICS[name].digits, "higher": METRICS[name].higher_is_better}
            for name in METRICS
            if name in known
        ],
        "classes": _classes(result, arrays, chosen),
    }  # fmt: skip
    script = files("mi_keras.reports").joinpath("leaf.js").read_text(encoding="utf-8")
    policy = (
        f"{POLICY}; script-src 'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
    )
    pictures = [targets, *(arrays[f"reconstruction.{name}"] for name in names)]
    sprites = [element("img", src=_picture(images[chosen]), alt="", class_="sprite") for images in pictures]
    title = f"Images of {section_title(result)}"
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")  # nothing in it ends the element
    shown = (
        f"{len(chosen):,} of {len(targets):,} images, evenly spaced"
        if len(chosen) < len(targets)
        else f"{len(targets):,} images"
    )
    body = element(
        "main", element("h1", title), element("p", f"{provenance(result, [])} · {shown}; first run. Arrow keys, Home and End leaf too."),
        element("noscript", element("p", "Leafing needs the script in this page; index.html shows the figures.")),
        _controls(), element("p", "", id="status", role="status"), element("div", "", id="drawn", class_="drawn"),
        element("fieldset", element("legend", "Rows to compare"), id="rows"), *sprites,
    )  # fmt: skip
    return page(
        title, body, element("script", Markup(text), id="data", type="application/json"),
        element("script", Markup(script)), style=STYLE + _STYLE, policy=policy,
    )  # fmt: skip


def _controls() -> Markup:
    buttons = [element("button", words, id=name, type="button") for name, words in (
        ("first", "First"), ("previous", "Previous"), ("next", "Next"), ("last", "Last"),
    )]  # fmt: skip
    selects = [
        element("label", words, element("select", *options, id=name))
        for name, words, options in (
            ("order", "Order ", [element("option", text, value=value) for value, text in (
                ("stored", "as stored"), ("best", "best first"), ("worst", "worst first"),
            )]),
            ("metric", "by ", []), ("row", "of ", []), ("class", "Class ", [element("option", "all", value="")]),
        )
    ]  # fmt: skip
    place = element("input", id="place", type="range", min=1, max=1, value=1, step=1, aria_label="Image")
    return join(element("div", *buttons, *selects, class_="controls"), place)


def _chosen(count: int, size: int) -> NDArray[np.int64]:
    """Return which images are shown, of which each takes `size` bytes."""
    most = max(1, min(count, MOST_BYTES // size))
    return np.linspace(0, count - 1, most).round().astype(np.int64)


def _scores(name: str, arrays: Arrays, chosen: NDArray[np.int64]) -> dict[str, list[float | None]]:
    """Return the scores of a row by metric; None where one is not finite."""
    found = {}
    for metric in METRICS:
        values = arrays.get(f"{metric}.{name}")
        if values is not None and values.shape[-1] == len(arrays["targets"]):
            of_run = np.atleast_2d(values)[0][chosen]
            found[metric] = [float(f"{value:.6g}") if np.isfinite(value) else None for value in of_run]
    return found


def _classes(result: StoredResult, arrays: Arrays, chosen: NDArray[np.int64]) -> list[str]:
    labels = arrays.get("labels")
    return [] if labels is None else [class_name(result, int(labels[number])) for number in chosen]


def _picture(images: NDArray[Any]) -> str:
    """Return images in one picture, line after line, as a data URL."""
    count, height, width, channels = images.shape
    columns = min(_COLUMNS, count)
    lines = -(-count // columns)
    levels = (
        images
        if images.dtype == np.uint8
        else np.round(np.clip(np.nan_to_num(images.astype(np.float32)), 0, 1) * 255)
    )
    padded = np.zeros((lines * columns, height, width, channels), np.uint8)
    padded[:count] = levels
    grid = (
        padded.reshape(lines, columns, height, width, channels)
        .swapaxes(1, 2)
        .reshape(lines * height, columns * width, channels)
    )
    buffer = io.BytesIO()
    Image.fromarray(grid[..., 0] if channels == 1 else grid).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"

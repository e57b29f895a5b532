"""The images on an audit's page: attacked images, reconstructions, and the images of the class alone."""

import base64
import io

import numpy as np
from PIL import Image

from mi_keras.auditing import words
from mi_keras.auditing.report import PointReport, Report
from mi_keras.reports.elements import Markup, element, join
from mi_keras.types import Floats

EXAMPLES = ("most exposed", "median", "least exposed")
_KINDS = {"truth": "truth", "rebuilt": "rebuilt", "class": "class image"}


def examples(report: Report, point: PointReport) -> Markup:
    """Return a figure for each image that a point shows; empty where there are none."""
    arrays = {kind: report.pictures.get(f"{point.name}:{kind}") for kind in _KINDS}
    count = min([point.pictures, *(0 if array is None else len(array) for array in arrays.values())])
    kinds = {kind: words.fitting(text, report.settings) for kind, text in _KINDS.items()}
    names = EXAMPLES if count == len(EXAMPLES) else [f"example {n}" for n in range(1, count + 1)]
    figures = []
    for number, name in enumerate(names[:count]):
        shown = [
            element(
                "div",
                _image(array[number], f"{kinds[kind]}, {name} image at {words.clean(point.name)}"),
                element("p", kinds[kind], class_="label"),
            )
            for kind, array in arrays.items()
            if array is not None
        ]
        caption = element("figcaption", name[0].upper() + name[1:])
        figures.append(element("figure", caption, element("div", *shown, class_="three")))
    return element("div", *figures, class_="examples") if figures else join()


def png(image: Floats) -> bytes:
    """Return `(height, width, channels)` in [0, 1] as a PNG; one or three channels, of others the mean."""
    values = np.nan_to_num(np.asarray(image, np.float32))
    if values.shape[-1] not in (1, 3):
        values = values.mean(axis=-1, keepdims=True)
    levels = np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _image(image: Floats, alternative: str) -> Markup:
    source = f"data:image/png;base64,{base64.b64encode(png(image)).decode()}"
    height, width = image.shape[:2]
    return element("img", src=source, alt=alternative, width=width, height=height)

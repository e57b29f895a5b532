"""The look of every figure: size, fonts, palette, title band, footer band and legend strip."""

import re
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.gridspec import SubplotSpec
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path
from matplotlib.ticker import LogFormatterSciNotation, MaxNLocator
from numpy.typing import NDArray

WIDTH, DPI = 10.0, 120  # inches and pixels per inch: 1200 px, legible at 100% in a README
TITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 13, 10, 9
# Okabe and Ito (2008), told apart with any colour vision; their yellow is left out, it vanishes on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINE_STYLES = ("-", "--", ":")
MARKERS = ("o", "^", "s", "D", "v", "P", "X")
GRAY = "#555555"
LEGEND_LINE = 0.22  # inches
_TITLE_LINE, _FOOTER_LINE, _MARGIN = 0.25, 0.17, 0.1
_TIMES = "\N{MULTIPLICATION SIGN}"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_ON_SCREEN = 1.05  # letters are wider when their stems are put on pixels


@contextmanager
def plain_text() -> Iterator[None]:
    """Take every text of a figure as it is: a `$` in somebody's path or class name begins no formula.

    A matplotlibrc of the user's, with LaTeX and other fonts, is for his figures.
    """
    with style.context(["default", {"text.parse_math": False}]):
        yield


def log_ticks(axis: Axis) -> None:
    """Label a logarithmic axis by powers of ten in plain text."""
    axis.set_major_formatter(_PlainPowers())
    axis.set_minor_formatter(_PlainPowers(labelOnlyBase=False, minor_thresholds=(1.0, 0.4)))


class _PlainPowers(LogFormatterSciNotation):
    def __call__(self, x: float, pos: int | None = None) -> str:
        text = (
            super()
            .__call__(x, pos)
            .removeprefix(r"$\mathdefault{")
            .removesuffix("}$")
            .replace(r"\times", _TIMES)
        )
        return re.sub(r"\^\{(.+?)\}", lambda power: power[1].translate(_RAISED), text)


def new_figure(title: str, footer: str, height: float, *, padding: float = 0.06) -> Figure:
    """Return a figure with title and footer around `height` inches, in which the layout engine places all axes.

    `padding` is the space around each axes, in inches.
    """
    figure, (low, share) = _framed(title, footer, height)
    body = (0.005, low, 0.99, share)
    figure.set_layout_engine(
        ConstrainedLayoutEngine(rect=body, h_pad=padding, w_pad=padding, hspace=0, wspace=0)
    )
    return figure


def new_canvas(title: str, footer: str, height: float) -> tuple[Figure, Axes]:
    """Return a figure with title and footer, and between them one axes without a frame whose units are inches.

    Its x goes from 0 to `WIDTH`, its y from 0 at the top to `height`: things have the places that they are given.
    """
    figure, (low, share) = _framed(title, footer, height)
    axes = figure.add_axes((0, low, 1, share))
    axes.set_axis_off()
    axes.set(xlim=(0, WIDTH), ylim=(height, 0))
    return figure, axes


def style_axes(axes: Axes, title: str, x_label: str, y_label: str) -> None:
    """Give a plot its title, axis labels with units, and a light grid."""
    axes.set_title(title, fontsize=TEXT_SIZE)
    axes.set_xlabel(x_label, fontsize=SMALL_SIZE)
    axes.set_ylabel(y_label, fontsize=SMALL_SIZE)
    axes.tick_params(labelsize=SMALL_SIZE)
    axes.grid(True, color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def write_message(axes: Axes, message: str, *, width: int = 60) -> None:
    """Turn an axes into a sentence of `width` characters a line that says what is missing."""
    axes.set_axis_off()
    axes.text(
        0.5, 0.5, textwrap.fill(message, width), ha="center", va="center", fontsize=TEXT_SIZE, color=GRAY
    )


def text_width(text: str, size: float) -> float:
    """Return the width in inches of the longest line of a text in letters of `size` points."""
    letters = FontProperties(size=size)
    widths = [
        text_to_path.get_text_width_height_descent(line, letters, ismath=False)[0]
        for line in text.split("\n")
    ]
    return _ON_SCREEN * float(max(widths)) / 72  # points


def wrap_label(label: str, width: int) -> str:
    """Break a row's label into lines of `width` characters, where it has commas first."""
    lines: list[str] = []
    for part in label.split(", "):
        if lines and len(lines[-1]) + len(part) + 2 <= width:
            lines[-1] += f", {part}"
        else:
            lines += textwrap.wrap(part, width, break_on_hyphens=False)
    return "\n".join(lines)


def line_look(number: int) -> dict[str, Any]:
    """Return colour and line style of the `number`-th line: 21 looks before one comes back."""
    return {
        "color": COLORS[number % len(COLORS)],
        "linestyle": LINE_STYLES[number // len(COLORS) % len(LINE_STYLES)],
    }


def as_dot(look: dict[str, Any]) -> dict[str, Any]:
    """Return the look of a line that is one point: a marker for its colour and style, of which seven are told apart by it alone."""
    number = COLORS.index(look["color"]) + 3 * LINE_STYLES.index(look["linestyle"])
    return look | {"marker": MARKERS[number % len(MARKERS)], "linestyle": ""}


def baseline_look(number: int) -> dict[str, Any]:
    """Return the look of the `number`-th line that marks what scores are compared with: black, and never solid."""
    styles = ("--", ":", "-.")
    return {"color": COLORS[-1], "linestyle": styles[number % len(styles)]}


def plot_runs(axes: Axes, curves: NDArray[Any], look: dict[str, Any]) -> None:
    """Draw the mean over runs of `(runs, points)` against 1, 2, ..., and each run as a thin line if there are more."""
    points = np.arange(1, curves.shape[1] + 1)
    look = as_dot(look) if len(points) == 1 else look
    if len(curves) > 1:
        axes.plot(points, curves.T, **look, linewidth=0.6, alpha=0.4, markersize=3)
    axes.plot(points, curves.mean(axis=0), **look, linewidth=1.8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))


def legend_columns(labels: Sequence[str]) -> int:
    """Return how many labels of this length stand beside each other in the figure's width."""
    longest = max((len(label) for label in labels), default=1)
    return max(1, min(5, len(labels), 120 // (longest + 8)))


def legend_height(labels: Sequence[str]) -> float:
    """Return the height in inches of the strip that `legend_strip` fills."""
    return LEGEND_LINE * (-(-len(labels) // legend_columns(labels)) + 1)


def legend_strip(
    figure: Figure, place: SubplotSpec, labels: Sequence[str], looks: Sequence[dict[str, Any]]
) -> None:
    """Fill a row of the grid with one legend for all panels."""
    axes = figure.add_subplot(place)
    axes.set_axis_off()
    lines = [Line2D([], [], **{"linewidth": 2, **look}) for look in looks]
    axes.legend(
        lines,
        labels,
        loc="center",
        ncols=legend_columns(labels),
        fontsize=SMALL_SIZE,
        frameon=False,
        handlelength=2.6,
    )


def _framed(title: str, footer: str, height: float) -> tuple[Figure, tuple[float, float]]:
    """Return a figure with title and footer, and where the `height` inches between them are: bottom and height, as shares."""
    title, footer = textwrap.fill(title, 90), textwrap.fill(footer, 145)
    top = _MARGIN + _TITLE_LINE * (title.count("\n") + 1)
    bottom = _MARGIN + _FOOTER_LINE * (footer.count("\n") + 1)
    total = top + height + bottom
    figure = Figure(figsize=(WIDTH, total), dpi=DPI, facecolor="white")
    figure.suptitle(title, x=0.5, y=1 - 0.08 / total, va="top", fontsize=TITLE_SIZE, fontweight="bold")
    figure.text(0.01, 0.06 / total, footer, va="bottom", fontsize=SMALL_SIZE, color=GRAY)
    return figure, (bottom / total, height / total)

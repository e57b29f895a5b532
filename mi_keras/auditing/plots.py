"""Plots of an audit as inline SVG: leakage and bytes by point, by number of answers, privacy against utility."""

import math
from collections.abc import Sequence
from functools import partial
from itertools import pairwise

from mi_keras.auditing import words
from mi_keras.auditing.intervals import Estimate
from mi_keras.auditing.look import CLASSES
from mi_keras.auditing.report import Curve, DefenceRow, PointReport, Settings
from mi_keras.reports.elements import Markup, element, join

_WIDTH = 360  # as wide as a narrow telephone, so that letters keep their size there
_LEFT, _RIGHT = 12, 268  # of the scale; numbers stand to its right
_ROW, _TOP, _FOOT = 44, 60, 24
_NAMED = 20  # of a row, for its name
_INNER, _OUTER, _CEILING = 48, 330, 34  # of plots whose scale stands upright
_LONGEST = 46  # letters of a label in the width
_DISC = "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0z"
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
_APART = 44  # between two numbers below an axis
_BESIDE, _GAP = 15, 14  # between a dot and its number, and between two of them, one above the other


def leakage_plots(points: Sequence[PointReport], settings: Settings) -> list[Markup]:
    """Return three plots with a line for every point: what is picked, the detail, the bytes."""
    chance = 1 / settings.among
    found = [(point, point.found) for point in points]
    detail = [(point, point.detail) for point in points]
    return [
        _scale(f"Picks the image from {settings.among}", found, chance, chance + settings.found_tolerance),
        _scale("Detail shown", detail, 0.0, settings.detail_tolerance),
        _bytes(points),
    ]


def trade_off_plot(rows: Sequence[DefenceRow], settings: Settings) -> Markup | None:
    """Return what defences of a point leave against the share of images that keep their class; None for fewer than two.

    Numbers beside the dots count the rows from 1.
    """
    picked = all(row.found is not None for row in rows)
    title = f"Picks the image from {settings.among}" if picked else "Detail shown"
    limit = 1 / settings.among + settings.found_tolerance if picked else settings.detail_tolerance
    leaks = [row.found if picked else row.detail for row in rows]
    placed = [
        (number, row, row.agreement, leak)
        for number, (row, leak) in enumerate(zip(rows, leaks, strict=True), start=1)
        if row.agreement is not None and leak is not None
    ]
    if len(placed) < 2:
        return None
    start = min(0.9, math.floor(min(agreement for _, _, agreement, _ in placed) * 10) / 10)
    bottom = 250
    up = partial(_height, bottom=bottom)

    def across(value: float) -> float:
        return _INNER + (value - start) / (1 - start) * (_OUTER - _INNER)

    parts = _frame(title, "Images that keep their class", limit, bottom)
    for tick in (start, (1 + start) / 2, 1.0):
        parts.append(_text(across(tick), bottom + 19, f"{100 * tick:g} %", "soft", "middle"))
    taken = [(across(agreement), up(leak.value)) for _, _, agreement, leak in placed]
    for _, row, agreement, leak in placed:
        x, y = across(agreement), up(leak.value)
        parts.append(_line(x, up(leak.low), x, up(leak.high), f"whisker {_class(row.verdict)}"))
        parts.append(_dot(x, y, row.verdict))
    for (number, *_), (x, y) in zip(placed, list(taken), strict=True):
        place = _free(x, y, taken)
        taken.append(place)
        parts.append(_text(place[0], place[1] + 5, str(number), "", "middle"))
    told = "; ".join(
        f"{n} {words.clean(row.words)}: {words.percent(leak.value)}" for n, row, _, leak in placed
    )
    return _svg(bottom + 46, f"{title} against images that keep their class. {told}", parts)


def curve_plots(curve: Curve, settings: Settings) -> list[Markup]:
    """Return what is picked, and the detail, over the number of answers, on a logarithmic scale; none without two points."""
    chance = 1 / settings.among
    shown = [
        (f"Picks the image from {settings.among}", "found", chance + settings.found_tolerance),
        ("Detail shown", "detail", settings.detail_tolerance),
    ]
    return [plot for title, name, limit in shown if (plot := _curve(curve, title, name, limit))]


def _curve(curve: Curve, title: str, name: str, limit: float) -> Markup | None:
    given = [(each.answers, getattr(each, name)) for each in curve.points]
    placed: list[tuple[int, Estimate]] = [(answers, value) for answers, value in given if value is not None]
    if len(placed) < 2:
        return None
    bottom = 214
    up = partial(_height, bottom=bottom)
    first, last = (math.log(answers) for answers in (placed[0][0], placed[-1][0]))

    def across(answers: int) -> float:
        return _INNER + (math.log(answers) - first) / max(last - first, 1e-9) * (_OUTER - _INNER)

    parts = _frame(title, "Answers that the adversary has", limit, bottom)
    for (one, before), (other, after) in pairwise(placed):
        parts.append(_line(across(one), up(before.value), across(other), up(after.value), "chance"))
    taken = -math.inf
    for answers, value in placed:
        x = across(answers)
        parts.append(_line(x, up(value.low), x, up(value.high), "whisker void"))
        parts.append(
            element("path", d=_DISC, transform=f"translate({x:.1f} {up(value.value):.1f})", class_="bar")
        )
        if x - taken >= _APART:  # else the numbers would lie on each other
            parts.append(_text(x, bottom + 19, f"{answers:,}", "soft", "middle"))
            taken = x
    told = "; ".join(f"{answers:,}: {words.estimate(value)}" for answers, value in placed)
    return _svg(bottom + 46, f"{title} at {words.clean(curve.point)} by answers. {told}", parts)


def _frame(title: str, below: str, limit: float, bottom: float) -> list[Markup]:
    """Return title, scale of shares and tolerance of a plot over something that is named below it."""
    parts = [_text(0, 16, title, "title"), _text(_OUTER, bottom + 38, below, "soft", "end")]
    for tick in _TICKS:
        y = _height(tick, bottom)
        parts.append(_line(_INNER, y, _OUTER, y, "grid"))
        parts.append(_text(_INNER - 8, y + 4, words.percent(tick), "soft", "end"))
    y = _height(limit, bottom)
    return [*parts, _line(_INNER, y, _OUTER, y, "limit"), _text(_INNER + 4, y - 5, "tolerance", "soft")]


def _height(value: float, bottom: float) -> float:
    return bottom - min(max(value, 0.0), 1.0) * (bottom - _CEILING)


def _free(x: float, y: float, taken: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return a place for a number beside a dot, the nearest above or below that nothing else has."""
    steps = [0, *(sign * step for step in range(6, 200, 6) for sign in (-1, 1))]
    places = [(x + side, y + step) for step in steps for side in (_BESIDE, -_BESIDE)]
    free = (p for p in places if all(abs(p[0] - a) >= _BESIDE or abs(p[1] - b) >= _GAP for a, b in taken))
    return next(free, places[0])


def _scale(
    title: str, given: Sequence[tuple[PointReport, Estimate | None]], chance: float, limit: float
) -> Markup:
    """Return a line for every point with its interval on a scale of shares."""
    lows = [value.low for _, value in given if value is not None]
    start = -0.25 if min(lows, default=0.0) < -0.05 else 0.0  # nothing is learnt from how much worse it is

    def across(value: float) -> float:
        return _LEFT + (min(max(value, start), 1.0) - start) / (1 - start) * (_RIGHT - _LEFT)

    bottom = _TOP + _ROW * len(given)
    parts = [_text(0, 14, title, "title")]
    for tick in ([start] if start else []) + list(_TICKS):
        parts += _upright(across(tick), len(given), "grid")
        parts.append(_text(across(tick), bottom + 17, str(round(100 * tick)), "soft", "middle"))
    for level, name, word in ((chance, "chance", "chance" if chance else ""), (limit, "limit", "tolerance")):
        parts.append(_line(across(level), _TOP - 6, across(level), _TOP, name))
        parts += _upright(across(level), len(given), name)
        y = _TOP - (24 if name == "chance" else 10)
        parts.append(_text(across(level) + 4, y, f"{word} {words.percent(level)}" if word else "", "soft"))
    for number, (point, value) in enumerate(given):
        y = _TOP + _ROW * number
        parts.append(_label(y + 15, point.name))
        if value is None:
            parts.append(_text(_WIDTH, y + 33, "too few", "soft", "end"))
            continue
        parts.append(
            _line(across(value.low), y + 29, across(value.high), y + 29, f"whisker {_class(point.verdict)}")
        )
        parts.append(_dot(across(value.value), y + 29, point.verdict))
        parts.append(_text(_WIDTH, y + 33, words.percent(value.value), "", "end"))
    told = "; ".join(f"{words.clean(point.name)} {words.estimate(value)}" for point, value in given)
    return _svg(bottom + _FOOT, f"{title}, in per cent. {told}", parts)


def _bytes(points: Sequence[PointReport]) -> Markup:
    """Return a bar for the size of every point; its length counts digits, since sizes differ by thousands."""
    title = "Sent for an image, kB"
    top = max(2.0, math.ceil(math.log10(max([point.bytes for point in points], default=1) + 1)))
    bottom = _TOP + _ROW * len(points)
    parts = [_text(0, 14, title, "title")]
    for digits in range(int(top) + 1):
        x = _LEFT + digits / top * (_RIGHT - _LEFT)
        parts += _upright(x, len(points), "grid")
        if digits:  # no room for 0.001, and nobody sends a byte
            parts.append(_text(x, bottom + 17, f"{10**digits / 1000:g}", "soft", "middle"))
    for number, point in enumerate(points):
        y = _TOP + _ROW * number
        length = math.log10(max(point.bytes, 1)) / top * (_RIGHT - _LEFT)
        parts += [
            _label(y + 15, point.name),
            element("rect", x=_LEFT, y=y + 24, width=f"{max(length, 1):.1f}", height=10, class_="bar"),
            _text(_WIDTH, y + 33, words.kilobytes(point.bytes), "", "end"),
        ]
    told = "; ".join(f"{words.clean(point.name)} {words.kilobytes(point.bytes)} kB" for point in points)
    return _svg(bottom + _FOOT, f"Sent for an image. {told}", parts)


def _upright(x: float, rows: int, class_: str) -> list[Markup]:
    """Return a line of the scale through every row, below the name of each: a line through letters reads badly."""
    return [_line(x, y + _NAMED, x, y + _ROW, class_) for y in range(_TOP, _TOP + _ROW * rows, _ROW)]


def _svg(height: float, told: str, parts: Sequence[Markup]) -> Markup:
    return element("svg", *parts, viewBox=f"0 0 {_WIDTH} {height:g}", role="img", aria_label=told)


def _label(y: float, name: str) -> Markup:
    name = words.clean(name)
    half = _LONGEST // 2
    shown = name if len(name) <= _LONGEST else f"{name[: half - 2]}...{name[1 - half :]}"
    return element("text", join(shown, element("title", name) if shown != name else ""), x=_LEFT, y=f"{y:g}")


def _text(x: float, y: float, text: str, class_: str = "", anchor: str = "start") -> Markup:
    return element("text", text, x=f"{x:.1f}", y=f"{y:.1f}", class_=class_, text_anchor=anchor)


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    return element("line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", class_=class_)


def _dot(x: float, y: float, verdict: str) -> Markup:
    """Return a mark whose form tells the verdict, for eyes and printers without colours."""
    forms = {
        "LEAKS": _DISC,
        "INCONCLUSIVE": "M0-6L6 0L0 6L-6 0z",  # a diamond
        "VOID": "M-5-5L5 5M-5 5L5-5",  # a cross
    }
    form = forms.get(verdict, "M-4.5-4.5h9v9h-9z")  # a square
    return element("path", d=form, transform=f"translate({x:.1f} {y:.1f})", class_=f"dot {_class(verdict)}")


def _class(verdict: str) -> str:
    return CLASSES.get(verdict, "void")

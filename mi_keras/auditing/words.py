"""The words and numbers that the first screen, the page and the model card of an audit share."""

import unicodedata
from collections import Counter
from collections.abc import Sequence

from mi_keras.auditing.glossary import ADVERSARIES
from mi_keras.auditing.intervals import Estimate
from mi_keras.auditing.report import Attackers, Control, DefenceRow, PointReport, Report, Settings

NONE = "-"  # in a cell that does not apply
# What is said of classes, and in its place where all images are one: there nothing is known without an answer
_OF_ALL = {
    ADVERSARIES["class"]: "who sees no answer",
    "what the class alone tells": "what is known without an answer",
    "class alone": "no answer",
    "class image": "mean image",
    "class mean": "mean image",
    "class prototype": "prototype",
    " in their class": "",
    " within their class": "",
    " within a class": "",
    " within the class": "",
}
_LISTENERS = {"API client": "an API client", "Cloud, network": "someone in the cloud or on the network"}


def clean(text: str) -> str:
    """Return `text` on one line without characters that steer a terminal or turn the direction of writing."""
    shown = (" " if c.isspace() else "?" if unicodedata.category(c).startswith("C") else c for c in text)
    return " ".join("".join(shown).split())


def fitting(text: str, settings: Settings) -> str:
    """Return a text of the audit itself in words that fit what it took for a class."""
    if settings.class_of != "all":
        return text
    for said, instead in _OF_ALL.items():
        text = text.replace(said, instead)
    return "no answer" if text == "class" else text


def percent(share: float) -> str:
    """Return a share as "47 %"."""
    return f"{round(100 * share)} %"


def estimate(value: Estimate | None) -> str:
    """Return "97 % [94..99]", a dash where there is none."""
    if value is None:
        return NONE
    return f"{percent(value.value)} [{round(100 * value.low)}..{round(100 * value.high)}]"


def points(value: Estimate | None) -> str:
    """Return a difference of shares as "+12 points [3..21]", a dash where there is none."""
    if value is None:
        return NONE
    return f"{round(100 * value.value):+d} points [{round(100 * value.low)}..{round(100 * value.high)}]"


def between(values: tuple[float, float] | None) -> str:
    """Return "46.2 to 48.9 %", "46.2 %" where there is no spread, a dash where there is nothing."""
    if values is None:
        return NONE
    least, most = (f"{100 * value:.1f}" for value in values)
    return f"{least} %" if values[0] == values[1] else f"{least} to {most} %"


def published(spread: Attackers) -> str:
    """Return the attacks that other attackers trained again, and which of them no seed changes."""
    return ", ".join(
        f"{attack} (closed form, no seed)" if attack in spread.fixed else attack for attack in spread.attacks
    )


def spread(point: PointReport) -> str:
    """Return how far other attackers spread at a point, "" where nobody asked."""
    if point.attackers is None:
        return ""
    found, detail = between(point.attackers.found), between(point.attackers.detail)
    who = f"over {point.attackers.seeds} seeds of the attacker, {published(point.attackers)}"
    return f"{clean(point.name)}: {who}: {found} picked, {detail} of the detail."


def decimals(value: Estimate | None) -> str:
    """Return "0.84 [0.80..0.88]", a dash where there is none."""
    return NONE if value is None else f"{value.value:.2f} [{value.low:.2f}..{value.high:.2f}]"


def share(value: float | None) -> str:
    """Return a share with one decimal, as prices of defences need it; a dash where there is none."""
    return NONE if value is None else f"{100 * value:.1f} %"


def kilobytes(count: int) -> str:
    """Return bytes as kB with two digits at least: "0.06", "2.4", "3,211"."""
    return f"{count / 1000:,.0f}" if count >= 10_000 else f"{count / 1000:.2g}"


def dimensions(shape: Sequence[int]) -> str:
    """Return "28 x 28 x 1"."""
    return " x ".join(map(str, shape))


def picks(found: Estimate | None, auc: Estimate | None) -> str:
    """Return the cell of what is picked: the share found; AUC where too few images were there to ask."""
    if found is not None:
        return estimate(found)
    return f"too few; AUC {decimals(auc)}" if auc is not None else "too few"


def bounds(point: PointReport) -> str:
    """Return the upper bounds (95 %, one-sided) of a point, "33 % picked, 8 % of the detail"; "" for a void one."""
    if point.verdict == "VOID":
        return ""
    picked = ("found", point.found) if point.found is not None else ("auc", point.auc)
    known = {name: value.upper for name, value in (picked, ("detail", point.detail)) if value is not None}
    names = {"found": "{} picked", "detail": "{} of the detail", "auc": "an AUC of {}"}
    return ", ".join(
        names.get(name, f"{{}} in {clean(name)}").format(f"{bound:.2f}" if name == "auc" else percent(bound))
        for name, bound in (known | point.could_be).items()
    )


def left_by_noise(row: DefenceRow) -> str:
    """Return how often noise lets any attack pick the image; "" where that is not known."""
    if row.bayes is None:
        return ""
    loose = "" if row.fano is None else f"; by information (loose) no attack is above {percent(row.fano)}"
    return f"{clean(row.words)}: the best possible attack picks the image in {estimate(row.bayes)}{loose}."


def heading_picks(settings: Settings) -> str:
    """Return the heading over shares of images that are found."""
    return f"Picks the image from {settings.among}{_alike(settings)} (chance {percent(1 / settings.among)})"


def headline(point: PointReport, settings: Settings) -> str:
    """Return in plain words what leaves at a point."""
    name = clean(point.name)
    if point.verdict == "VOID":
        return f"What leaves at {name} could not be measured: {_inside(point.reason)}."
    listener = _LISTENERS.get(point.listener, clean(point.listener))
    knows = fitting(ADVERSARIES.get(point.adversary, f"({clean(point.adversary)})"), settings)
    who = f"{listener} {knows}"
    if point.found is not None:
        done = (
            f"picks the right image out of {settings.among}{_alike(settings)} in {percent(point.found.value)} "
            f"of cases ({percent(1 / settings.among)} is chance)"
        )
    elif point.auc is not None:
        done = (
            f"picks the right image out of two{_alike(settings)} in {percent(point.auc.value)} of cases "
            f"(50 % is chance; too few images to ask for one of {settings.among})"
        )
    else:
        done = f"had too few images to pick from ({_inside(point.found_note) or 'see the warnings'})"
    detail = ""
    if point.detail is not None:
        whose = fitting(" within the class", settings) or " in which images differ"
        detail = f" and recovers {_some(point.detail.value)} of the detail{whose}"
    limits = bounds(point) if point.verdict == "INCONCLUSIVE" else ""
    could = f" It could be up to {limits}." if limits else ""
    return f"From {name}, {who} {done}{detail}.{could}"


def tolerance(settings: Settings) -> str:
    """Return what is tolerated and whose choice that is."""
    chance = 1 / settings.among
    text = (
        f"{percent(chance + settings.found_tolerance)} picked "
        f"({percent(chance)} chance + {percent(settings.found_tolerance)}), "
        f"{percent(settings.detail_tolerance)} of the detail"
    )
    if settings.tolerance_is_default:
        return f"{text}. It is ours, not yours: declare your own."
    return f"{text}, as the owner set it."


def controls(report: Report) -> list[tuple[Control, str]]:
    """Return every control and its few words, in which a failed or skipped one says so; equal ones that are ok together."""
    marks = {False: "FAILED", None: "skipped"}
    together = Counter(control.text for control in report.controls if control.ok)
    said: dict[str, tuple[Control, str]] = {}
    for control in report.controls:
        text, mark = clean(control.text), marks.get(control.ok, "")
        if control.ok and together[control.text] > 1:
            text = f"{text} at {together[control.text]} points"
        said.setdefault(
            control.text if control.ok else control.name,
            (control, text if mark.lower()[:4] in text.lower() else f"{text} {mark}"),
        )
    return list(said.values())


def basis(report: Report) -> dict[str, str]:
    """Return what the numbers rest on, by its heading: sentences, none where there is nothing to say."""
    checked = " | ".join(text for _, text in controls(report)) or "none"
    said = {
        "Tolerance": sentence(tolerance(report.settings)),
        "Assumed": sentences(report.assumed),
        "Controls": f"{checked}.",
        "Not tried": sentence(", ".join(report.not_tried)),
    }
    return {heading: text for heading, text in said.items() if text}


def sentences(texts: Sequence[str]) -> str:
    """Return texts as sentences one after the other."""
    return " ".join(sentence(text) for text in texts)


def sentence(text: str) -> str:
    """Return a text with a full stop, unless it ends a sentence already."""
    text = clean(text)
    return text if not text or text[-1] in ".!?" else f"{text}."


def facts(report: Report) -> str:
    """Return what was audited on which images, in a line."""
    model, data = report.model, report.data
    classes = f"{model.classes} classes, " if model.classes else ""
    kept = "" if data.grouped_by == "image" else f" in {data.groups:,} groups ({clean(data.grouped_by)})"
    return (
        f"Input {dimensions(model.input_shape)}, {classes}output {clean(model.output)}; "
        f"{data.images:,} images of {clean(data.name)}{kept}; preset {clean(report.settings.preset)}"
        f"{' (a smoke test: its numbers mean nothing)' if report.settings.preset == 'smoke' else ''}, "
        f"seed {report.settings.seed}"
    )


def _alike(settings: Settings) -> str:
    return "" if settings.class_of == "all" else " alike"


def _some(value: float) -> str:
    return percent(value) if round(100 * value) > 0 else "nothing"


def _inside(text: str) -> str:
    return clean(text).rstrip(".")

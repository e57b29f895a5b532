"""Checks of the audit itself, in every run: it must see nothing where nothing is, and what is there where it is.

A control that fails voids the verdicts: either the attack is too weak to say anything, or the scores are wrong.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from mi_keras.auditing.bench import COMPONENTS, SHUFFLED, AuditBench, Sent
from mi_keras.auditing.ladder import Envelope, Rung, climb, control_rungs
from mi_keras.auditing.report import Control
from mi_keras.auditing.sizes import Sizes
from mi_keras.auditing.statistics import Numbers, measure
from mi_keras.auditing.subject import ATTACKED
from mi_keras.auditing.views import default_views
from mi_keras.types import Floats

MOST_COMPONENTS = 32
LEAST_CLOSED_FORM = 0.05  # of R2: below it there is too little to be reached
NEEDED = 0.9  # of the closed form
NEAR_ONE = 0.99


def by_kind(
    points: Sequence[Sent], benches: Callable[[Sent], Sequence[AuditBench]], sizes: Sizes, among: int
) -> dict[str, list[Control]]:
    """Run the controls that attack something, once for each kind of what is sent.

    One that fails voids the points of its kind: an attack that is too weak for maps says nothing of one on vectors, and
    with a point more no other verdict may change.
    """
    first: dict[str, Sent] = {}
    for sent in points:
        first.setdefault(kind(benches(sent)[0]), sent)
    checks: dict[str, list[Control]] = {}
    for name, sent in first.items():
        if sent.with_class:  # in the view that tells most, whichever are audited
            sent = replace(sent, view=default_views(benches(sent)[0].subject.output)[0])
        for check in (shuffled, components):
            control = check(benches(sent), sizes, among)
            text = f"{name}: {control.text}" if len(first) > 1 else control.text
            named = replace(control, name=f"{control.name} at {name}", text=text)
            checks.setdefault(name, []).append(named)
    return checks


def kind(bench: AuditBench) -> str:
    """Return what has the same attacks as what a bench sends, and as many components."""
    if bench.sent.with_class:
        return "the output"
    return "maps" if bench.of_maps else f"vectors of {_components(bench)}"


def failed(checks: Sequence[Control]) -> list[str]:
    """Return the names of the controls that failed."""
    return [control.name for control in checks if control.ok is False]


def _components(bench: AuditBench) -> int:
    return min(int(np.prod([n or 1 for n in bench.point.shape])), MOST_COMPONENTS)


def shuffled(benches: Sequence[AuditBench], sizes: Sizes, among: int) -> Control:
    """Attack answers that changed places within their class, when the attack learns and when it is tried.

    The 99.9 % lower bounds of what it gains must not be above 0.
    """
    numbers = _climbed(benches, replace(benches[0].sent, control=SHUFFLED), sizes, among).numbers
    picks, baseline = (numbers.found, 1 / among) if numbers.found else (numbers.auc, 0.5)
    bounds = [picks.floor - baseline if picks else 0.0, numbers.detail.floor if numbers.detail else 0.0]
    detail = (
        f"Answers shuffled within their class: 99.9 % lower bounds of the gain {bounds[0]:+.3f} (picks) and "
        f"{bounds[1]:+.3f} (detail), at most 0 wanted."
    )
    ok = max(bounds) <= 0
    return Control("shuffled", ok, f"shuffled {'ok' if ok else 'FAILED'}", detail)


def components(benches: Sequence[AuditBench], sizes: Sizes, among: int) -> Control:
    """Attack a head that sends principal components of the image: most of their closed-form R2 must be reached."""
    count = _components(benches[0])
    sent = replace(benches[0].sent, control=COMPONENTS, components=count, with_class=True)
    heads = [bench.at(sent) for bench in benches]
    envelope = _climbed(benches, sent, sizes, among)
    drawn = np.concatenate([bench.closed_form(ATTACKED) for bench in heads])
    best = _scored(benches, drawn, envelope).detail
    closed = best.value if best else 0.0
    if closed < LEAST_CLOSED_FORM:
        return Control(
            "components", None, f"{count} components skipped",
            f"{count} principal components hold R2 {closed:.3f} in closed form, too little to be reached: skipped.",
        )  # fmt: skip
    reached = envelope.numbers.detail
    share = (reached.value if reached else 0.0) / closed
    ok = share >= NEEDED
    return Control(
        "components", ok, f"{count} components {share:.0%} {'ok' if ok else 'FAILED'}".replace("%", " %"),
        f"A head that sends {count} principal components: R2 {share * closed:.3f} of {closed:.3f} in closed form, "
        f"{100 * NEEDED:.0f} % wanted.",
    )  # fmt: skip


def identity(benches: Sequence[AuditBench], envelope: Envelope) -> Control:
    """Score the true images as if they had been reconstructed: all are found, and no detail is missing."""
    numbers = _scored(benches, np.concatenate([bench.truth(ATTACKED) for bench in benches]), envelope)
    values = [e.value for e in (numbers.found, numbers.auc, numbers.detail) if e is not None]
    ok = bool(values) and min(values) >= NEAR_ONE
    return Control(
        "identity", ok, f"identity {'ok' if ok else 'FAILED'}",
        f"The images themselves score {min(values, default=0.0):.3f} at least, {NEAR_ONE} wanted: less means images "
        "that are nearly equal within a class.",
    )  # fmt: skip


def _scored(benches: Sequence[AuditBench], images: Floats, envelope: Envelope) -> Numbers:
    """Return the numbers of images in the place of what an attack drew of the attacked ones, whole and in order."""
    ends = np.cumsum([len(bench.truth_bytes(ATTACKED)) for bench in benches])[:-1]
    found = [
        bench.score([part], ATTACKED) for bench, part in zip(benches, np.split(images, ends), strict=True)
    ]
    mse, alike, embeddings = (
        np.concatenate([f[name] for f in found]) for name in ("mse", "ssim", "embedding")
    )
    scored = replace(envelope.scored, embeddings=embeddings, mse=mse, ssim=alike)
    return measure(scored, envelope.gallery, among=envelope.numbers.among)


def _climbed(benches: Sequence[AuditBench], sent: Sent, sizes: Sizes, among: int) -> Envelope:
    folds: list[list[Rung]] = [control_rungs(bench, bench.at(sent), sizes) for bench in benches]
    return climb(folds, among=among)

"""Checks of the audit itself, in every run: no leak where there is none, and the known leak where there is one.

A control that fails voids the verdicts: either the attack is too weak to say anything, or the scores are wrong.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mi_keras.auditing.bench import AuditBench
from mi_keras.auditing.envelope import Envelope, climb
from mi_keras.auditing.ladder import Rung, control_rungs
from mi_keras.auditing.report import Control
from mi_keras.auditing.sent import COMPONENTS, SHUFFLED, Sent
from mi_keras.auditing.sizes import Sizes
from mi_keras.auditing.statistics import Numbers, measure
from mi_keras.auditing.subject import ATTACKED
from mi_keras.auditing.views import default_views
from mi_keras.metrics.retrieval import image_embedding
from mi_keras.types import Floats

MOST_COMPONENTS = 32
LEAST_CLOSED_FORM = 0.05  # of R2: below it there is too little to be reached
NEEDED = 0.9  # of the closed form
NEAR_ONE = 0.99


def by_point(
    points: Mapping[Sent, Collection[str]],
    benches: Callable[[Sent], Sequence[AuditBench]],
    sizes: Sizes,
    among: int,
) -> dict[Sent, tuple[Control, Control]]:
    """Run the controls that attack something, and return for each point the two that may void it.

    They depend on nothing but the point: which others are audited, and in which order they are named, changes none.
    Answers are shuffled at every layer, and of the output once, in the view that tells most, whichever are audited. A head
    of so many components is the same wherever it stands, so that it is attacked once by each kind of attack.

    Args:
        points: with the labels of the attacks that were run at each.
    """
    shuffles: dict[Sent, Control] = {}
    heads: dict[tuple[Sent, bool], Control] = {}
    found = {}
    for sent, ran in points.items():
        at = shuffled_at(sent, benches(sent)[0])
        if at not in shuffles:
            shuffles[at] = shuffled(benches(at), sizes, among, None if at.with_class else ran)
        head = head_of(benches(sent)[0])
        if head not in heads:
            heads[head] = components(benches(head[0]), sizes, among, head[1])
        found[sent] = shuffles[at], heads[head]
    return found


def planned(
    points: Mapping[Sent, Collection[str]], benches: Callable[[Sent], Sequence[AuditBench]], sizes: Sizes
) -> Iterator[list[Rung]]:
    """Return the attacks of `by_point`, fold by fold, those of controls that points share more than once."""
    for sent, ran in points.items():
        at, (head, maps) = shuffled_at(sent, benches(sent)[0]), head_of(benches(sent)[0])
        shuffled = replace(at, control=SHUFFLED)
        yield from _folds(
            benches(at), shuffled, sizes, benches(at)[0].of_maps, None if at.with_class else ran
        )
        yield from _folds(benches(head), head, sizes, maps)


def shuffled_at(sent: Sent, bench: AuditBench) -> Sent:
    """Return where answers are shuffled for a point."""
    return replace(sent, view=default_views(bench.subject.output)[0]) if sent.with_class else sent


def head_of(bench: AuditBench) -> tuple[Sent, bool]:
    """Return the head of components that stands for a point, and whether it is attacked as maps are."""
    count = min(int(np.prod([n or 1 for n in bench.point.shape])), MOST_COMPONENTS)
    view = default_views(bench.subject.output)[0]
    return Sent(bench.subject.output_name, view, control=COMPONENTS, components=count), bench.of_maps


def failed(checks: Sequence[Control]) -> list[str]:
    """Return the names of the controls that failed."""
    return [control.name for control in checks if control.ok is False]


def shuffled(
    benches: Sequence[AuditBench], sizes: Sizes, among: int, ran: Collection[str] | None = None
) -> Control:
    """Attack answers that changed places within their class, when the attack learns and when it is tried.

    The 99.9 % lower bounds of what it gains must not be above 0.

    Args:
        ran: the labels of the attacks that are to be checked; None: all.
    """
    sent = benches[0].sent
    at = "the output" if sent.with_class else sent.point
    folds = _folds(benches, replace(sent, control=SHUFFLED), sizes, benches[0].of_maps, ran)
    if len(folds[0]) == 1:  # the class mean alone
        return Control(
            f"shuffled at {at}",
            None,
            f"shuffled skipped at {at}",
            "No attack on these answers was run: skipped.",
        )
    numbers = climb(folds, among=among).numbers
    picks, baseline = (numbers.found, 1 / among) if numbers.found else (numbers.auc, 0.5)
    bounds = [picks.floor - baseline if picks else 0.0, numbers.detail.floor if numbers.detail else 0.0]
    ok = max(bounds) <= 0
    return Control(
        f"shuffled at {at}", ok, "shuffled ok" if ok else f"shuffled FAILED at {at}",
        f"Answers shuffled within their class: 99.9 % lower bounds of the gain {bounds[0]:+.3f} (picks) and "
        f"{bounds[1]:+.3f} (detail), at most 0 wanted.",
    )  # fmt: skip


def components(heads: Sequence[AuditBench], sizes: Sizes, among: int, maps: bool) -> Control:
    """Attack a head that sends principal components of the image: most of their closed-form R2 must be reached.

    Args:
        maps: by the attacks that are for maps.
    """
    sent = heads[0].sent
    name = f"{sent.components} components{' of maps' if maps else ''}"
    envelope = climb(_folds(heads, sent, sizes, maps), among=among)
    drawn = np.concatenate([bench.closed_form(ATTACKED) for bench in heads])
    best = _scored(heads, drawn, envelope).detail
    closed = best.value if best else 0.0
    if closed < LEAST_CLOSED_FORM:
        return Control(
            name, None, f"{name} skipped",
            f"{sent.components} principal components hold R2 {closed:.3f} in closed form, too little to be reached: skipped.",
        )  # fmt: skip
    reached = envelope.numbers.detail
    share = (reached.value if reached else 0.0) / closed
    ok = share >= NEEDED
    return Control(
        name, ok, f"{name} {share:.0%} {'ok' if ok else 'FAILED'}".replace("%", " %"),
        f"A head that sends {sent.components} principal components: R2 {share * closed:.3f} of {closed:.3f} in closed "
        f"form, {100 * NEEDED:.0f} % wanted.",
    )  # fmt: skip


def identity(benches: Sequence[AuditBench], envelope: Envelope) -> Control:
    """Score the true images as if they had been reconstructed: all are found, and no detail is missing.

    Images that nobody could tell apart are no failure of the scores: they are left out of what is picked, and said.
    """
    numbers = _scored(benches, np.concatenate([bench.truth(ATTACKED) for bench in benches]), envelope)
    values = [e.value for e in (numbers.found, numbers.auc, numbers.detail) if e is not None]
    ok = bool(values) and min(values) >= NEAR_ONE
    return Control(
        "identity", ok, f"identity {'ok' if ok else 'FAILED'}",
        f"The images themselves score {min(values, default=0.0):.3f} at least, {NEAR_ONE} wanted.",
    )  # fmt: skip


def _scored(benches: Sequence[AuditBench], images: Floats, envelope: Envelope) -> Numbers:
    """Return the numbers of images in the place of what an attack drew of the attacked ones, whole and in order.

    Without SSIM, which no control looks at, so that images may leave [0, 1] as linear predictions do.
    """
    truth = np.concatenate([bench.truth(ATTACKED) for bench in benches])
    errors = np.square(images - truth).reshape(len(truth), -1).mean(axis=1)
    scored = replace(envelope.scored, embeddings=image_embedding(images), mse=errors)
    return measure(scored, envelope.gallery, among=envelope.numbers.among)


def _folds(
    benches: Sequence[AuditBench], sent: Sent, sizes: Sizes, maps: bool, ran: Collection[str] | None = None
) -> list[list[Rung]]:
    return [control_rungs(bench.at(sent), sizes, maps=maps, ran=ran) for bench in benches]

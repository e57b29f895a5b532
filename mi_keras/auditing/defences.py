"""Defences in the same run: each is attacked by an adversary that knows it, and has its price beside it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.auditing.behind import Behind, as_maps
from mi_keras.auditing.bench import AuditBench
from mi_keras.auditing.bounds import bayes_pick, fano_pick
from mi_keras.auditing.cost import Chosen
from mi_keras.auditing.defence_specs import OF_LAYERS, OF_OUTPUTS, Spec, forms, parse_spec
from mi_keras.auditing.ladder import MOST_NUMBERS, POOL, WHITE_BOX, Rung
from mi_keras.auditing.options import Options
from mi_keras.auditing.price import Price, price
from mi_keras.auditing.report import DefenceRow, PointReport
from mi_keras.auditing.sent import Sent
from mi_keras.auditing.sizes import Sizes
from mi_keras.auditing.statistics import Gallery, Numbers
from mi_keras.auditing.stronger import BUDGETED, WHITE, attacks, climb_all, missed
from mi_keras.auditing.subject import ATTACKED, CHOICE, OWN, Subject
from mi_keras.auditing.verdict import NOT_TRIED, Judgement, Verdict
from mi_keras.auditing.views import SMALLEST, View
from mi_keras.defenses.answers import Noise, Rounding, Temperature
from mi_keras.defenses.defense import Defense
from mi_keras.defenses.maps import KeptMaps, NoisyMaps, QuantizedMaps, map_statistics
from mi_keras.defenses.selection import highest_variance
from mi_keras.errors import InputError
from mi_keras.seeds import derive

NONE = "none"  # the row of what is sent without a defence


def parse_defences(
    texts: Sequence[str], sents: Sequence[Sent], subject: Subject
) -> Mapping[Sent, tuple[Spec, ...]]:
    """Return what is to be tried at each point: the defences of its kind, each once, in the order in which they are named.

    Outputs that are rounded or cut already have their defence, and are left out.

    Raises:
        InputError: a defence is for none of the points.
    """
    found: dict[Sent, tuple[Spec, ...]] = {}
    for spec in dict.fromkeys(map(parse_spec, texts)):
        fitting = [sent for sent in sents if _fits(spec, sent, subject)]
        if not fitting:
            legal = "; ".join(dict.fromkeys(filter(None, (_legal(sent, subject) for sent in sents))))
            legal = legal or "nothing, as all outputs are rounded, cut or a label already"
            raise InputError(f"`defend` must be for what is audited: {legal}; got {spec.text!r}.")
        found |= {sent: (*found.get(sent, ()), spec) for sent in fitting}
    return {sent: found[sent] for sent in sents if sent in found}


@dataclass(frozen=True)
class Tried:
    """A defence at a point: what is sent behind it, what is done beyond that, both in words, and the attacks, fold by fold."""

    sent: Sent
    defense: Behind | None
    words: str
    folds: list[list[Rung]]


def tried(
    specs: Sequence[Spec], benches: Sequence[AuditBench], plan: Chosen, *, adversaries: Sequence[str],
    options: Options, sizes: Sizes,
) -> list[Tried]:  # fmt: skip
    """Describe the attacks on a point behind each defence.

    Args:
        benches: one for each fold.
        plan: the attacks that are run without a defence; where only the class is left, fewer are.
        adversaries: who attacks.
    """
    found = []
    # A pool is shown at the point alone
    adversaries = [adversary for adversary in adversaries if adversary != POOL]
    for spec in specs:
        sent, defense, said = _built(spec, benches[0], options.sends)
        every = [
            attacks(
                bench.at(sent),
                adversaries,
                sizes,
                folds=len(benches),
                queries=options.queries,
                defense=defense,
            )
            for bench in benches
        ]
        folds = [[fold[place] for place in plan.places if place < len(fold)] for fold in every]
        found.append(Tried(sent, defense, said, folds))
    return found


def defence_rows(
    point: PointReport,
    defences: Sequence[Tried],
    benches: Sequence[AuditBench],
    plan: Chosen,
    *,
    adversaries: Sequence[str],
    options: Options,
    judged: Callable[..., Judgement],
) -> tuple[list[DefenceRow], list[str]]:
    """Return what defences of a point leave to attacks, and cost; what is sent without one comes first.

    Args:
        point: as it was attacked without a defence.
        defences: see `tried`, also for the others.
        judged: returns the verdict on an envelope, by the rules of the point itself; `missing`: what was not tried.

    Returns:
        The rows, and behind which defences the white box was not tried, with the reason.
    """
    first, output = benches[0], benches[0].subject.output
    unchanged = Judgement(Verdict(point.verdict), "", {})  # its reason stands with the point
    paid = price(benches, first.sent, None)
    rows, not_tried = [_row(point.name, NONE, point.bytes, paid, unchanged, point)], []
    for each in defences:
        sent, defense = each.sent, each.defense
        climbed = climb_all(each.folds, among=options.among, defense=defense)
        why = missed(climbed, first.at(sent), adversaries, plan.left_out, defense)
        # Where it was not tried without the defence either, that is what is to be said
        known = point.adversary == WHITE_BOX
        not_tried += [f"{WHITE} behind {each.words} at {point.name}: {why}"] if why and known else []
        missing = list(plan.left_out)
        if why is not None and (WHITE_BOX in adversaries or not point.is_output) and why != BUDGETED:
            missing.insert(0, f"{WHITE} behind the defence{f': {why}' if why else ''}")
        envelope, judgement = climbed.published(partial(judged, missing=missing))
        size = sent.view.bytes(output.width)
        if defense and not sent.with_class:
            size = defense.bytes_per_image(first.subject.sent_shape(sent.point))
        once = defense and _louder(defense, math.sqrt(options.sends))  # an honest user sends an image once
        row = _row(point.name, each.words, size, price(benches, sent, once), judgement, envelope.numbers)
        if defense and defense.draws:
            whole = climbed.whole
            row = _bounded(row, defense, benches, whole.numbers, whole.gallery, options.seed)
        rows.append(row)
    return rows, not_tried


def cheapest(points: Sequence[PointReport], rows: Sequence[DefenceRow]) -> str:
    """Say what could be sent in place of what leaks, of what was looked at and of the defences that were tried."""
    leaking = [point.name for point in points if point.verdict == Verdict.LEAKS]
    # Only an output can be sent in place of another without running more of the model where images are
    replaced = [point.name for point in points if point.verdict == Verdict.LEAKS and point.is_output]
    below = [point.name for point in points if point.verdict == Verdict.BELOW and point.is_output]
    said = []
    for name in leaking:
        tried = [row for row in rows if row.point == name and row.words != NONE]
        enough = [row for row in tried if row.verdict == Verdict.BELOW]
        best = min(enough, key=lambda row: (-(row.agreement or 0.0), row.bytes), default=None)
        none = "no tried defence sufficed"
        if any(row.reason.startswith(NOT_TRIED) for row in tried):
            none = "no tried defence could be shown to suffice, as an attack was not tried behind it"
        said += [f"at {name} {best.words if best else none}"] if tried else []
    sentences = []
    if replaced and below:
        sentences.append(f"Below the tolerance in place of {', '.join(replaced)}: {', '.join(below)}.")
    if said:
        sentences.append(
            f"Cheapest defence that sufficed (most classes kept, then fewest bytes): {'; '.join(said)}."
        )
    if leaking and not sentences:
        some = any(point.verdict == Verdict.BELOW for point in points)
        none = f"can be sent in place of {', '.join(leaking)}" if some else "is below the tolerance"
        sentences.append(f"Nothing that was looked at {none}.")
    return " ".join(sentences)


def _fits(spec: Spec, sent: Sent, subject: Subject) -> bool:
    if not sent.with_class:
        channels = subject.target(sent.point).point.shape[-1] or 0
        return spec.name in OF_LAYERS and not (spec.name == "kept" and spec.number > channels)
    is_known = spec.name in OF_OUTPUTS[subject.output.kind]
    return _is_plain(sent) and is_known and not (spec.name == "top" and spec.number > subject.output.width)


def _legal(sent: Sent, subject: Subject) -> str:
    """Return what may be tried at a point, in words; "" for nothing."""
    point = subject.target(sent.point).point
    if not sent.with_class:
        return f"{forms(OF_LAYERS)} at {point.name}, which has {point.shape[-1]} maps"
    if not _is_plain(sent):
        return ""
    kind, width = subject.output.kind, subject.output.width
    return f"{forms(OF_OUTPUTS[kind]).replace('top=K', f'top=1..{width}')} at the output ({kind})"


def _is_plain(sent: Sent) -> bool:
    return sent.view.form != "label" and sent.view.decimals < 0 and not sent.view.top


def _built(spec: Spec, bench: AuditBench, sends: int) -> tuple[Sent, Behind | None, str]:
    """Return what is sent behind a defence, what is done to it beyond a view, and both in words.

    Who averages K sends of an image sees one send of noise that is smaller by sqrt(K), and that is what is drawn.
    """
    sent, view, whole = bench.sent, bench.sent.view, spec.whole
    if spec.name == "rounding":
        return replace(sent, view=replace(view, decimals=whole)), None, Rounding(whole).words
    if spec.name == "top":
        return replace(sent, view=replace(view, top=whole)), None, f"largest {whole} alone"
    if spec.name == "label":
        return replace(sent, view=View("label")), None, "label alone"
    number, averaged = spec.number / math.sqrt(sends), f", {sends} sends averaged" if sends > 1 else ""
    own = bench.values(sent.point, OWN)
    if sent.with_class:
        kind = bench.subject.output.kind
        if spec.name == "temperature":
            behind = Behind(Temperature(spec.number), kind)
            return sent, behind, behind.words
        numbers = np.asarray(Behind(Noise(), kind).plain(np.asarray(own[:])), np.float64)
        spread = float(np.sqrt(np.square(numbers - numbers.mean(axis=0)).mean())) or 1.0
        name = {"probabilities": "log-probabilities'", "embedding": "answers'"}.get(kind, "logits'")
        said = f"noise, {spec.number:g} of the {name} spread{averaged}"
        return sent, Behind(Noise(number * spread), kind), said
    inner: Defense
    if spec.name == "noise":
        inner, said = NoisyMaps(number), f"noise, {spec.number:g} of each map's spread{averaged}"
    elif spec.name == "bits":
        inner = QuantizedMaps(whole)
        said = inner.words
    else:
        channels = own.shape[-1]
        count = max(1, round(spec.number * channels)) if spec.is_share else whole
        maps = own if len(own.shape) == 4 else as_maps(np.asarray(own[:]))
        inner, said = KeptMaps(highest_variance(map_statistics(maps), count)), f"{count} of {channels} maps"
    return sent, Behind(inner, maps=bench.of_maps), said


def _louder(defense: Behind, factor: float) -> Behind:
    """Return a defence with so many times the noise."""
    inner = defense.inner
    if isinstance(inner, Noise | NoisyMaps):
        return replace(defense, inner=replace(inner, deviation=inner.deviation * factor))
    return defense


def _row(
    point: str, said: str, size: int, paid: Price, judgement: Judgement, numbers: Numbers | PointReport
) -> DefenceRow:
    return DefenceRow(
        point, said, size, paid.agreement, paid.accuracy, paid.calibration, str(judgement.verdict), judgement.reason,
        numbers.found, numbers.detail, numbers.auc,
    )  # fmt: skip


def _bounded(
    row: DefenceRow,
    defense: Behind,
    benches: Sequence[AuditBench],
    numbers: Numbers,
    gallery: Gallery,
    seed: int,
) -> DefenceRow:
    """Add what noise leaves to the best attack; nothing where answers are too many to compare."""
    signals = _signals(defense, benches)
    if signals is None or numbers.found is None:
        return row
    # Each image of the gallery may be the one that was sent: the bounds are on a game in which all are as likely
    classes, groups, among, images = gallery.classes, gallery.groups, numbers.among, len(gallery.classes)
    seed = derive(seed, "bayes", row.words)
    best = bayes_pick(signals, 1.0, classes, groups, images, among=among, seed=seed)
    return replace(row, bayes=best, fano=fano_pick(signals, 1.0, classes, groups, images, among=among))


def _signals(defense: Behind, benches: Sequence[AuditBench]) -> NDArray[Any] | None:
    """Return the noiseless answers to the images of the gallery, in its order, in deviations of the noise."""
    sides = [(bench, side) for side in (ATTACKED, CHOICE) for bench in benches]
    sent = benches[0].sent
    rows = [bench.values(sent.point, side) for bench, side in sides]
    if sum(int(np.prod(values.shape)) for values in rows) > MOST_NUMBERS:
        return None
    plain = defense.plain(np.concatenate([np.asarray(values[:], np.float32) for values in rows]))
    if isinstance(defense.inner, NoisyMaps):
        spreads = np.mean([bench.measured(defense)["deviation"] for bench in benches], axis=0)
        plain = plain / np.maximum(defense.inner.deviation * spreads, SMALLEST)
    elif isinstance(defense.inner, Noise):
        sum_to_one = benches[0].subject.output.kind in ("logits", "probabilities")
        if sent.view.form == "probabilities" and sum_to_one:  # what all logits share is lost
            plain = plain - plain.mean(axis=1, keepdims=True)
        plain = plain / defense.inner.deviation
    return plain.reshape(len(plain), -1)

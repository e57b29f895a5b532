"""What a report says of one point, from what attackers got there and the verdict on it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mi_keras.auditing.bench import AuditBench
from mi_keras.auditing.envelope import Envelope
from mi_keras.auditing.exposure import (
    Exposed,
    by_exposure,
    compare_members,
    exposed_by_chance,
    most_exposed,
    worst_class,
)
from mi_keras.auditing.intervals import Doubles
from mi_keras.auditing.options import Options
from mi_keras.auditing.permutation import permutation_p
from mi_keras.auditing.points import name_of
from mi_keras.auditing.report import Attackers, PointReport
from mi_keras.auditing.sent import Sent
from mi_keras.auditing.statistics import Numbers
from mi_keras.auditing.stronger import Climbed, attack_rows
from mi_keras.auditing.subject import ATTACKED
from mi_keras.auditing.verdict import Judgement
from mi_keras.data.preprocess import as_unit
from mi_keras.types import Floats, Ints

API, NETWORK = "API client", "Cloud, network"
BYTES_OF_HALF = 2


def told_of(
    sent: Sent,
    benches: Sequence[AuditBench],
    climbed: Climbed,
    published: Envelope,
    judgement: Judgement,
    *,
    options: Options,
    class_names: Sequence[str],
    attackers: Attackers | None,
    members: Numbers | None,
) -> PointReport:
    """Return what is said of a point.

    Args:
        benches: one for each fold.
        published: the envelope that counts, of those in `climbed`.
        class_names: of the model's classes; others are called by their number.
        members: the numbers on images that the model was trained on; None where these are not known.
    """
    numbers, scored, gallery = published.numbers, published.scored, published.gallery
    worst = worst_class(scored, gallery, among=options.among)
    compared = compare_members(members, numbers) if members else {}
    shape, outside = benches[0].point.shape, benches[0].is_output
    whole = int(np.prod([n or 0 for n in shape]))
    return PointReport(
        listener=API if outside else NETWORK, name=name_of(sent), is_output=outside,
        shape=tuple(int(n or 0) for n in shape),
        bytes=sent.view.bytes(shape[0] or 0) if sent.with_class else BYTES_OF_HALF * whole,
        adversary=climbed.adversary, verdict=str(judgement.verdict), reason=judgement.reason, found=numbers.found,
        found_note=numbers.missing.get("found", ""), auc=numbers.auc, detail=numbers.detail,
        ssim_gain=numbers.ssim_gain, could_be=dict(judgement.could_be),
        p=permutation_p(scored, gallery, seed=options.seed) if numbers.auc else None,
        most_exposed=_known(most_exposed(numbers)),
        exposed_by_chance=_known(_by_chance(benches, published, options)),
        worst_class=(_class_name(worst.label, benches[0], class_names), worst.estimate.value, worst.estimate.n)
        if worst and worst.number == "found" else None,
        members=compared.get("found"), attacks=attack_rows(climbed, published), attackers=attackers,
        pictures=len(_shown(published)),
    )  # fmt: skip


def pictures_of(sent: Sent, benches: Sequence[AuditBench], published: Envelope) -> dict[str, Floats]:
    """Return pictures of the most, the median and the least exposed image, by the names of `Report.pictures`."""
    rows, truth = _shown(published), _truth(benches)
    kinds = {"truth": truth, "rebuilt": published.drawn, "class": published.of_class}
    return {f"{name_of(sent)}:{kind}": as_unit(images[rows]) for kind, images in kinds.items()}


def _shown(published: Envelope) -> list[int]:
    order = by_exposure(published.numbers)
    return list(dict.fromkeys([int(order[0]), int(order[len(order) // 2]), int(order[-1])]))


def _truth(benches: Sequence[AuditBench]) -> NDArray[np.uint8]:
    return np.concatenate([bench.truth_bytes(ATTACKED) for bench in benches])


def _by_chance(benches: Sequence[AuditBench], published: Envelope, options: Options) -> Exposed:
    drawn, truth = published.drawn, _truth(benches)

    def errors(order: Ints) -> Doubles:
        """Images one by one, as all pairs at once may not fit into memory."""
        pairs = zip(order, truth, strict=False)
        return np.array([np.square(drawn[place] / 255.0 - image / 255.0).mean() for place, image in pairs])

    return exposed_by_chance(
        published.scored, published.gallery, errors, seed=options.seed, among=options.among
    )


def _class_name(label: int, bench: AuditBench, names: Sequence[str]) -> str:
    number, classes = label % bench.subject.classes, bench.subject.classes
    return names[number] if len(names) == classes else str(number)


def _known(exposed: Exposed) -> dict[str, float]:
    values = {"found": exposed.found, "detail": exposed.detail}
    return {name: value for name, value in values.items() if not np.isnan(value)}

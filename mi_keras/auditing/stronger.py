"""White-box and pool adversaries, curves over queries, and which attacks were not tried.

Steps on images cost minutes, so that the white box is tried on the first attacked images only. What it finds is held
against the other attacks on the same images, and published in their place where the choice set prefers it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from mi_keras.attacks.attack import Attack
from mi_keras.attacks.pool import PoolMatch
from mi_keras.attacks.white_box import WhiteBox
from mi_keras.attacks.within_class import LinearWithinClass, NetworkWithinClass
from mi_keras.auditing.bench import AuditBench
from mi_keras.auditing.envelope import Envelope, Measured, climb, folds_of
from mi_keras.auditing.in_white import obstacle, probe
from mi_keras.auditing.ladder import (
    CLASS,
    MOST_NUMBERS,
    POOL,
    QUERIES,
    SHADOW,
    UNLIMITED,
    WHITE_BOX,
    Rung,
    decoder,
    rungs,
    shadow_bench,
)
from mi_keras.auditing.report import AttackRow, Curve, CurvePoint
from mi_keras.auditing.shadows import ShadowBench, is_public
from mi_keras.auditing.shadows import untried as without_shadows
from mi_keras.auditing.sizes import Sizes
from mi_keras.auditing.subject import ATTACKED, OWN
from mi_keras.auditing.verdict import Judgement, Verdict
from mi_keras.auditing.views import View
from mi_keras.data.preprocess import as_unit
from mi_keras.defenses.defense import Defense
from mi_keras.experiments.store import Stage

WHITE = "white box"  # the strongest adversary of a layer, whose head network and cloud know
BUDGETED = "left out, as the budget has it"
EITHER = f"{SHADOW}, {QUERIES}"  # neither may do what the other does
GRAVITY = (Verdict.BELOW, Verdict.INCONCLUSIVE, Verdict.LEAKS, Verdict.VOID)
HELD_OUT = 32  # own images by which the steps are chosen
PIXELS = 32 * 96 * 96  # of all images that are optimised together, at the model's size
AGREED = 0.5  # of the probed images


@dataclass(frozen=True)
class Climbed:
    """What adversaries get at a point.

    Attributes:
        whole: the envelope of all but the white box, on all attacked images.
        part: of all, on the images on which the white box was tried; None where it was not.
    """

    whole: Envelope
    part: Envelope | None

    @property
    def tried(self) -> int:
        """On how many images the white box was tried."""
        return len(self.part.scored.mse) if self.part else 0

    @property
    def attacks(self) -> tuple[Measured, ...]:
        """All attacks, the white box last but for the pool."""
        whole = self.whole.attacks
        white = [each for each in self.part.attacks if each.rung.adversary == WHITE_BOX] if self.part else []
        weaker = [each for each in whole if each.rung.adversary != POOL]
        return (*weaker, *white, *(each for each in whole if each.rung.adversary == POOL))

    @property
    def adversary(self) -> str:
        """The strongest that was tried, or both where neither of two is: what is published is the better one's."""
        tried = [each.rung.adversary for each in self.attacks if each.rung.adversary != POOL]
        return EITHER if tried[-1] == QUERIES and SHADOW in tried else tried[-1]

    def published(self, judged: Callable[[Envelope], Judgement]) -> tuple[Envelope, Judgement]:
        """Return the envelope that counts, with its verdict.

        It is that with the white box where the choice set prefers this for "found" or "detail"; but fewer images must not
        make a verdict milder, since who has the weights can do without them.
        """
        whole = (self.whole, judged(self.whole))
        if self.part is None:
            return whole
        part = (self.part, judged(self.part))
        if self.tried == len(self.whole.scored.mse):
            return part
        is_chosen = any(
            self.part.attacks[self.part.chosen[name]].rung.adversary == WHITE_BOX
            for name in ("found", "detail")
        )
        milder = GRAVITY.index(part[1].verdict) < GRAVITY.index(whole[1].verdict)
        if not is_chosen or milder:
            return whole
        if part[1].verdict is Verdict.INCONCLUSIVE:
            few = f"{WHITE} on {self.tried:,} images: more where it is asked for, or in the preset full"
            return part[0], part[1]._replace(reason=f"{part[1].reason} ({few})")
        return part


def attacks(
    bench: AuditBench,
    adversaries: Sequence[str],
    sizes: Sizes,
    *,
    folds: int,
    queries: Sequence[int] = (),
    defense: Defense | None = None,
) -> list[Rung]:
    """Return all attacks of some adversaries on what a bench sends, those of weaker ones first; see `beyond`."""
    weaker = rungs(bench, adversaries, sizes, queries)
    return [*weaker, *beyond(bench, adversaries, sizes, folds, defense)]


def beyond(
    bench: AuditBench, adversaries: Sequence[str], sizes: Sizes, folds: int, defense: Defense | None = None
) -> list[Rung]:
    """Return the attacks of adversaries with weights or a pool at the point of a bench, as far as they are possible.

    Args:
        sizes: how hard they try; `folds`: parts in which images are attacked.
        defense: that is known to who has the weights.
    """
    found = []
    if WHITE_BOX in adversaries and bench.sent.view.form != "label" and not untried(bench, defense):
        # Folds are small; and the first images of all would not be those of each
        few = bench.first(sizes.white_box if folds == 1 else 0)
        label = f"{WHITE} on {few.attacked_count(ATTACKED):,} images, from "
        attack = _white_box(bench, sizes)
        found.append(Rung(WHITE_BOX, attack, few, label + attack.first.label))
    if POOL in adversaries and bench.sent.view.form != "label":
        numbers = len(bench.truth_bytes(ATTACKED)) * math.prod(n or 0 for n in bench.point.shape)
        if numbers <= MOST_NUMBERS:
            found.append(Rung(POOL, PoolMatch(), bench, PoolMatch.label))
    return found


def untried(bench: AuditBench, defense: Defense | None = None) -> str:
    """Return why nobody can step through a model to a point, and a defence there, in a few words; "" where one can."""
    if reason := obstacle(bench.subject, bench.sent.point):
        return reason
    if defense is not None and not defense.differentiable:
        return f"{defense.words} has no gradients"
    agrees = _probed(bench).info["share"] >= AGREED
    return "" if agrees else "the model's gradients are not those of its answers"


def missed(
    climbed: Climbed,
    bench: AuditBench,
    adversaries: Sequence[str],
    left_out: Sequence[str],
    defense: Defense | None = None,
) -> str | None:
    """Return why the white box was not tried, in a few words, "" where nobody asked; None where it was, or a label is sent.

    Args:
        adversaries: who attacks; `left_out`: labels of attacks that the budget left out.
    """
    if climbed.part or bench.sent.view.form == "label":
        return None
    if any(label.startswith(WHITE) for label in left_out):
        return BUDGETED
    return untried(bench, defense) if WHITE_BOX in adversaries else ""


def not_tried(
    benches: Mapping[str, AuditBench],
    adversaries: Sequence[str],
    sizes: Sizes,
    why: Mapping[str, str | None],
    behind: Sequence[str],
) -> list[str]:
    """Name the adversaries that a reader may miss, and why one that was asked for was not possible, by names of points.

    Args:
        why: of the white box, as of `missed`; `behind`: what is to be said of it behind defences.
    """
    idle = [name for name, reason in why.items() if reason == ""]
    seen = {name: bench for name, bench in benches.items() if bench.sent.view.form != "label"}
    unasked = WHITE if len(idle) == len(seen) else f"{WHITE} at {' and '.join(idle)}"
    missed = [
        *([unasked] if idle else []),
        *(f"{WHITE} at {name}: {said}" for name, said in why.items() if said),
        *behind,
    ]
    if SHADOW not in adversaries:
        missed.append("shadow models")
    else:
        whys = {
            name: without_shadows(shadow_bench(bench, sizes))
            for name, bench in seen.items()
            if not is_public(bench)
        }
        for reason in dict.fromkeys(filter(None, whys.values())):
            missed.append(f"shadow models at {' and '.join(n for n in whys if whys[n] == reason)}: {reason}")
    missed += [] if POOL in adversaries else ["a pool of candidates"]
    return [*missed, "the model's conversion, such as TFLite"]


def climb_all(folds: Sequence[Sequence[Rung]], *, among: int, defense: Defense | None = None) -> Climbed:
    """Run all attacks, see `Climbed`; `folds` and `defense` as of `climb`."""
    whole = climb(folds_of(folds, part=False), among=among, defense=defense)
    white = [rung for rung in folds[0] if rung.adversary == WHITE_BOX]
    if not white:
        return Climbed(whole, None)
    return Climbed(whole, climb(folds, among=among, defense=defense, most=white[0].bench.most))


def curve(folds: Sequence[Sequence[Rung]], name: str, *, among: int) -> Curve | None:
    """Return what an adversary gets by the number of answers that it has; None where fewer than two numbers were asked for."""
    counts = sorted({rung.answers for rung in folds[0] if rung.adversary == QUERIES})
    if len(counts) < 2:
        return None
    points = []
    for count in [*counts, *([math.inf] if any(_is_answered(r) and not r.answers for r in folds[0]) else [])]:
        kept = [
            [
                r
                for r in fold
                if r.adversary == CLASS or (_is_answered(r) and (r.answers or math.inf) <= count)
            ]
            for fold in folds
        ]
        numbers = climb(kept, among=among).numbers
        own = len(folds[0][0].bench.own_images())
        points.append(
            CurvePoint(own if count == math.inf else int(count), numbers.found, numbers.auc, numbers.detail)
        )
    return Curve(name, tuple(points))


def attack_rows(climbed: Climbed, published: Envelope) -> tuple[AttackRow, ...]:
    """Return all attacks of a point as a report shows them, with what each was chosen for."""
    chosen = {name: published.attacks[place].rung for name, place in published.chosen.items()}
    return tuple(
        AttackRow(
            measured.rung.adversary, measured.rung.label, measured.numbers.found, measured.numbers.auc,
            measured.numbers.detail, float(np.mean(measured.scored.ssim)),
            tuple(name for name, rung in chosen.items() if rung is measured.rung),
        )
        for measured in climbed.attacks
    )  # fmt: skip


def _is_answered(rung: Rung) -> bool:
    is_public = rung.adversary == SHADOW and not isinstance(rung.bench, ShadowBench)
    return is_public or rung.adversary in (QUERIES, UNLIMITED)


def _white_box(bench: AuditBench, sizes: Sizes) -> WhiteBox:
    """Return the attack, from a network for outputs, which say little, and else from what is linear where that fits."""
    own, columns = len(bench.own_images()), bench.subject.classes
    held_out = min(HELD_OUT, own // 4)
    seen = own - held_out
    first: Attack = LinearWithinClass(1, seen, bench.of_maps)
    if bench.sent.with_class:
        first = NetworkWithinClass("mse", sizes.channels, sizes.epochs, class_columns=columns, images=seen)
    elif bench.of_maps and own * math.prod(n or 0 for n in bench.point.shape) > MOST_NUMBERS:
        first = decoder(sizes, seen)
    sides = zip(bench.subject.image.shape[1:3], bench.image_shape, strict=False)
    together = int(np.clip(PIXELS // math.prod(n or given for n, given in sides), 1, 32))
    return WhiteBox(first, sizes.steps, held_out=held_out, batch_size=together)


def _probed(bench: AuditBench) -> Stage:
    """Look at what the model says itself: nothing that is rounded agrees with differences."""
    plain = bench.at(replace(bench.sent, view=View(bench.sent.view.form)))
    target = plain.target(None)

    def compute(_: object) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        return {}, dict(probe(target, as_unit(bench.truth_bytes(OWN)[:8])))

    told = bench.label(f"gradients checked at {plain.sent.title}")
    return bench.stage("audit_gradients", compute, told=told, model=target.identity, sent=asdict(plain.sent))

"""The attacks of each adversary at one point; a stronger adversary may also use all attacks of a weaker one."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Self

from mi_keras.attacks.attack import Attack
from mi_keras.attacks.baselines import ClassPrototype
from mi_keras.attacks.learned import Learned
from mi_keras.attacks.within_class import LinearWithinClass, NetworkWithinClass
from mi_keras.auditing.bench import AuditBench
from mi_keras.auditing.options import ADVERSARIES
from mi_keras.auditing.sent import Sent
from mi_keras.auditing.shadows import ShadowBench, is_public
from mi_keras.auditing.sizes import Sizes
from mi_keras.auditing.views import View
from mi_keras.settings import DecoderSettings, PrototypeSettings

CLASS, SHADOW, QUERIES, UNLIMITED, WHITE_BOX, POOL = ADVERSARIES
MOST_NUMBERS = 100_000_000  # in all maps together, for an attack that holds them in memory


@dataclass(frozen=True)
class Rung:
    """One attack of one adversary, on what it sees, with so many `answers` to its own images; 0: to all, or none."""

    adversary: str
    attack: Attack
    bench: AuditBench
    label: str
    answers: int = 0

    def by_attacker(self, number: int) -> Self:
        """Return the same by other random choices; the first attacker is number 1."""
        return replace(self, bench=self.bench.by_attacker(number))


def rungs(
    bench: AuditBench, adversaries: Sequence[str], sizes: Sizes, queries: Sequence[int] = ()
) -> list[Rung]:
    """Return the attacks of some adversaries at the point of a bench, those of weaker ones first.

    Who has the weights, or a pool, has more still (`stronger.beyond`); the first has all answers too.
    """
    columns = bench.subject.classes
    of_class = _class_bench(bench)
    found = [Rung(CLASS, LinearWithinClass(columns), of_class, "class mean")]
    found += [Rung(CLASS, attack, of_class, attack.label) for attack in _prototypes(of_class, sizes)]
    found += [
        Rung(CLASS, attack, of_class, f"class alone, {attack.label}")
        for attack in _networks(columns, sizes, 0)
    ]
    public = SHADOW in adversaries and is_public(bench)
    if SHADOW in adversaries and not public:
        known = shadow_bench(bench, sizes)
        found += [Rung(SHADOW, a, known, a.label) for a in known.attacks(_attacks(bench, sizes, 0))]
    asked = sorted(set(queries or [sizes.queries])) if QUERIES in adversaries else []
    own = len(bench.own_images())
    for most in [count for count in asked if count < own]:
        found += [
            Rung(QUERIES, attack, bench, f"{most:,} answers, {attack.label}", most)
            for attack in _attacks(bench, sizes, most)
        ]
    # As many answers as there are images are all
    if public:  # the weakest who has them asks nothing
        found += [
            Rung(SHADOW, a, bench, f"public weights, no query: {a.label}") for a in _attacks(bench, sizes, 0)
        ]
    elif {UNLIMITED, WHITE_BOX} & {*adversaries} or any(count >= own for count in asked):
        found += [Rung(UNLIMITED, attack, bench, attack.label) for attack in _attacks(bench, sizes, 0)]
    return found


def shadow_bench(bench: AuditBench, sizes: Sizes) -> ShadowBench:
    """Return the bench of who asks nothing, at the same point."""
    return ShadowBench(bench, sizes.shadows, sizes.shadow_epochs, sizes.shadow_steps)


def control_rungs(
    controlled: AuditBench, sizes: Sizes, *, maps: bool, ran: Collection[str] | None = None
) -> list[Rung]:
    """Return the attacks by which a control is judged, at what it sends, behind the class mean.

    Args:
        maps: it stands for maps, whatever it sends.
        ran: the labels of the attacks that are run at the point; None: all.
    """
    found = [
        Rung(CLASS, LinearWithinClass(controlled.subject.classes), _class_bench(controlled), "class mean")
    ]
    attacks = _attacks(controlled, sizes, 0)[:2]
    if maps and not controlled.of_maps:
        attacks[1:] = [decoder(sizes, 0)]  # of the components, in the place of maps
    attacks = [attack for attack in attacks if ran is None or attack.label in ran]
    return found + [Rung(UNLIMITED, attack, controlled, attack.label) for attack in attacks]


def _class_bench(bench: AuditBench) -> AuditBench:
    return bench.at(Sent(bench.subject.output_name, View("label")))


def _attacks(bench: AuditBench, sizes: Sizes, images: int) -> list[Attack]:
    """Return the attacks of an adversary with the answers to so many images, 0 for all, the cheapest first."""
    if bench.of_maps:
        wide = len(bench.own_images()) * math.prod(n or 0 for n in bench.point.shape) > MOST_NUMBERS
        linear = [] if wide else [LinearWithinClass(images=images, maps=True)]
        return [*linear, decoder(sizes, images)]
    if bench.sent.view.form == "label":
        return []  # those of the class alone are all that there is to try
    columns = bench.subject.classes if bench.sent.with_class else 1
    return [LinearWithinClass(columns, images), *_networks(columns, sizes, images)]


def _prototypes(bench: AuditBench, sizes: Sizes) -> list[ClassPrototype]:
    """Return the constant of each class that is best for SSIM, or nothing where it would not fit into memory.

    It sees a fixed number of images, whatever the classes. The own image that is most like the others of its class is a
    weaker constant: SSIM 0.34 on digits, 0.20 on faces, where the mean has 0.30 and 0.28 and this has 0.40 and 0.30.
    """
    if bench.subject.classes * math.prod(bench.image_shape) > MOST_NUMBERS // 4:  # it is kept four times
        return []
    return [ClassPrototype(PrototypeSettings(sizes.prototype_steps, batch_size=64))]


def _networks(columns: int, sizes: Sizes, images: int) -> list[NetworkWithinClass]:
    return [
        NetworkWithinClass(
            loss, channels=sizes.channels, epochs=sizes.epochs, class_columns=columns, images=images
        )
        for loss in ("mse", "ssim")
    ]


def decoder(sizes: Sizes, images: int) -> Learned:
    settings = DecoderSettings(
        "compact", epochs=sizes.map_epochs, batch_size=32, learning_rate=2e-3, schedule="cosine", mse=1.0,
        noise_mean=0.0, noise_variance=0.0,
    )  # fmt: skip
    return Learned(settings=settings, images=images or None)

"""Notes of a report on the whole audit: accuracy of shadow models, indistinguishable images, preset smoke."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mi_keras.auditing.bench import AuditBench
from mi_keras.auditing.envelope import Envelope
from mi_keras.auditing.sent import Sent
from mi_keras.auditing.shadows import ShadowBench, facts, weakness
from mi_keras.auditing.stronger import Climbed
from mi_keras.auditing.subject import ATTACKED

SHOWN = 3  # images that a warning names


def smoke(preset: str) -> list[str]:
    """Warn of the preset that tests nothing but that an audit runs."""
    if preset != "smoke":
        return []
    return [
        "The preset smoke only tests that an audit runs: its numbers and verdicts mean nothing. Take quick or full."
    ]


def shadow_facts(climbed: Mapping[Sent, Climbed]) -> list[str]:
    """Say what the shadow models were, where some were trained."""
    return _each_once(map(facts, _shadow_benches(climbed)))


def weak_shadows(climbed: Mapping[Sent, Climbed]) -> list[str]:
    """Warn of shadow models that are too unlike the model to stand for it."""
    return _each_once(map(weakness, _shadow_benches(climbed)))


def indistinct(envelope: Envelope, benches: Sequence[AuditBench], names: Sequence[str]) -> list[str]:
    """Say how many attacked images nobody could tell apart, and which; `names`: of all images."""
    count = len(envelope.scored.mse)
    alike = np.flatnonzero(~envelope.gallery.distinct[:count])
    if not len(alike):
        return []
    rows = np.concatenate([bench.places(ATTACKED) for bench in benches])
    shown = ", ".join(names[row] for row in rows[alike][:SHOWN])
    return [
        f"{len(alike):,} of {count:,} attacked images are of one colour, or equal to one of another group in their class "
        f"({shown}{', ...' if len(alike) > SHOWN else ''}): not even the image itself would be picked, so that they are left out of what is "
        "picked. Take blank images out of the data, and give copies one group (`groups`)."
    ]


def _shadow_benches(climbed: Mapping[Sent, Climbed]) -> list[ShadowBench]:
    """Return one bench with shadow models for each point that has them."""
    found = [[measured.rung.bench for measured in each.attacks] for each in climbed.values()]
    of_point = [[bench for bench in benches if isinstance(bench, ShadowBench)] for benches in found]
    return [benches[0] for benches in of_point if benches]


def _each_once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(filter(None, texts)))

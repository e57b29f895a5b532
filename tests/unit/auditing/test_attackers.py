"""Attackers who differ in their random choices alone: what they share, what they cost, and that no verdict is theirs."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from small_audits import as_text, audited, network, pictures, point_of, stages

from mi_keras.attacks.within_class import LinearWithinClass, NetworkWithinClass
from mi_keras.auditing import attackers, cost, ladder, tables
from mi_keras.auditing.bench import AuditBench
from mi_keras.auditing.card import card
from mi_keras.auditing.contract import inspect
from mi_keras.auditing.cost import Chosen
from mi_keras.auditing.options import Options
from mi_keras.auditing.page import page
from mi_keras.auditing.report import DOCUMENT, Attackers, read_document, write
from mi_keras.auditing.sent import Sent
from mi_keras.auditing.views import View
from mi_keras.errors import InputError
from mi_keras.experiments.case import Case, plan
from mi_keras.experiments.store import Store
from mi_keras.progress import SilentProgress
from tests.unit.auditing import reports

SMALL = NetworkWithinClass("mse", (4, 4, 4), 1, class_columns=3)


def test_another_attacker_learns_otherwise_from_the_same_answers(tmp_path: Path) -> None:
    subject = inspect(network(), "small", pictures(), Options(model_input="0..1", preset="smoke")).subjects[0]
    bench = AuditBench(
        subject, Sent("out", View("logits")), Store(tmp_path), SilentProgress(), seed=1, fold=1
    )
    first, same, other = (plan(Case(SMALL), of) for of in (bench, bench.by_attacker(1), bench.by_attacker(2)))
    assert first.scored.key == same.scored.key
    assert len({first.learned.key, other.learned.key}) == len({first.scored.key, other.scored.key}) == 2
    assert set(first.learned.seeds) == set(other.learned.seeds)
    assert not set(first.learned.seeds.values()) & set(other.learned.seeds.values())
    assert [stage.key for stage in first.observed.stages] == [stage.key for stage in other.observed.stages]
    assert bench.derive("defense", "own") == bench.by_attacker(2).derive("defense", "own")


def test_what_more_attackers_cost_is_that_of_the_published_attacks_that_are_random() -> None:
    def published(*attacks: Any) -> Any:
        chosen = [
            SimpleNamespace(rung=SimpleNamespace(label=attack.label, attack=attack)) for attack in attacks
        ]
        return SimpleNamespace(attacks=chosen, chosen={"found": 0, "detail": len(chosen) - 1, "ssim_gain": 0})

    other = replace(SMALL, loss="ssim")
    known = Chosen((), (), 10.0, {SMALL.label: 3.0, other.label: 5.0, LinearWithinClass.label: 7.0}, 25.0)
    found = [
        attackers.seconds(known, published(*attacks), seeds=4)
        for attacks in ((SMALL,), (SMALL, other), (LinearWithinClass(), SMALL), (LinearWithinClass(),))
    ]
    assert found == [9, 24, 9, 0]
    assert [known.has_room_for(seconds) for seconds in found] == [True, False, True, True]


def test_a_number_of_attackers_has_a_range() -> None:
    with pytest.raises(InputError, match="`attacker_seeds` must be"):
        Options(attacker_seeds=0)


def test_the_spread_stands_in_a_table_of_page_card_and_document(tmp_path: Path) -> None:
    report = reports.digits_report()
    spread = Attackers(5, ("network, MSE", "linear map"), (0.461, 0.484), None)
    shown = replace(report, points=(replace(report.points[0], attackers=spread), *report.points[1:]))
    assert tables.attackers(shown).rows == (
        ("backbone/block_1", "network, MSE, linear map", "5", "46.1 to 48.4 %", "-"),
    )
    fixed = Attackers(3, ("linear map",), (0.6011, 0.6011), (0.3, 0.3), ("linear map",))
    alone = replace(shown, points=(replace(report.points[0], attackers=fixed),))
    said = "linear map (closed form, no seed)"
    assert tables.attackers(alone).rows == (("backbone/block_1", said, "3", "60.1 %", "30.0 %"),)
    assert f"over 3 seeds of the attacker, {said}: 60.1 % picked" in " ".join(str(alone).split())
    write(shown, tmp_path)
    assert read_document(tmp_path / DOCUMENT).points[0].attackers == spread
    for made in (page, card):
        assert "46.1 to 48.4" in made(shown)
        assert "Picked, least to most" not in made(report)


@pytest.mark.slow
def test_more_attackers_are_a_spread_and_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "_networks", lambda *_: [SMALL])
    monkeypatch.setattr(ladder, "_prototypes", lambda *_: [])
    images, model = pictures(), network(scale=4.0)
    one = audited(model, images, tmp_path, at=("logits",))
    before = stages(tmp_path)
    several = audited(model, images, tmp_path, at=("logits",), attacker_seeds=3)
    point, spread = point_of(several, "logits"), point_of(several, "logits").attackers
    assert spread is not None
    assert spread.seeds == several.settings.attacker_seeds == 3
    for name in ("found", "detail"):
        value, (least, most) = getattr(point, name).value, getattr(spread, name)
        assert least <= value <= most
    assert as_text(one, "logits") == as_text(
        replace(several, points=(replace(point, attackers=None),)), "logits"
    )
    published = {row.attack for row in point.attacks if {"found", "detail"} & {*row.chosen_for}}
    assert set(spread.attacks) == published
    new = stages(tmp_path).keys() - before.keys()
    assert bool(new) == (published != {"linear map"})
    monkeypatch.setattr(cost, "_cost", lambda rung, _: 10.0 * isinstance(rung.attack, NetworkWithinClass))
    # Two networks, with the answers and without, in 30 seconds; not one of them eight times more
    short = audited(model, images, tmp_path / "short", at=("logits",), attacker_seeds=9, budget=0.5)
    if published != {"linear map"}:
        assert short.points[0].attackers is None
        assert (
            short.warnings[-1]
            == "Left out at logits, as the budget has it: 8 other seeds of the attacker. `budget=0` leaves nothing out."
        )

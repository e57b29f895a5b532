"""What progress and timings call a stage: whose attack on whose answers, behind which defence."""

import copy
from dataclasses import replace

from mi_keras.defenses.answers import Rounding
from mi_keras.experiments.case import Case, plan
from mi_keras.experiments.stage_words import describe
from mi_keras.experiments.store import Store
from mi_keras.experiments.thesis.rows import inversion
from mi_keras.settings import OBJECTIVES
from tests.unit.experiments.tiny import Config, make_bench


def test_a_scored_attack_is_named_with_its_defence_and_who_answered(tmp_path):
    bench, config = make_bench(tmp_path), Config()
    cases = {letters: Case(inversion(config, letters)) for letters in ("o", "o+a")}
    cases["shadow"] = replace(cases["o"], answered_by="shadow")
    cases["rounded"] = replace(cases["o"], defense=Rounding(1))
    assert {name: describe(plan(case, bench).scored) for name, case in cases.items()} == {
        "o": "inversion test M_I(O) (run 1)",
        "o+a": "inversion test M_I(O + A^L) (run 1)",
        "shadow": "inversion test M_I(O) answered by the shadow model (run 1)",
        "rounded": "inversion test M_I(O) rounding to 1 decimal (run 1)",
    }


def test_words_of_what_it_is_made_from_are_told_once_and_numbered_ones_in_short(tmp_path):
    store = Store(tmp_path)

    def stage(kind, *upstream, words=()):
        return store.stage(kind, lambda _: ({}, {}), upstream=upstream, words=words)

    models = [stage("model", words=(f"shadow {number}",)) for number in (1, 2, 3, 5, 6)]
    answers = [stage("answers", model, words=("rounded", "noise 4")) for model in models]
    assert describe(stage("attack", *answers, *models, words=["mine"])) == (
        "attack mine rounded noise 4 shadow 1 to 3 shadow 5 shadow 6"
    )


def test_progress_tells_every_stage_of_an_attack_from_all_others(tmp_path):
    """Two objectives, a defence, who answered, and a repetition: as many texts as stages, and one for one stage."""
    bench, config = make_bench(tmp_path), Config()
    again = copy.copy(bench)
    again.repetition = 2
    cases = [
        Case(inversion(config, "x", objective), defense, answered_by)
        for objective in OBJECTIVES
        for defense in (None, Rounding(1))
        for answered_by in ("target", "shadow")
    ]
    told = {}

    def note(stage):
        assert told.setdefault(stage.key, stage.told) == stage.told
        for earlier in stage.upstream:
            note(earlier)

    for case in cases:
        for each in (bench, again):
            note(plan(case, each).scored)
    said = [text for text in told.values() if text]
    assert len(set(said)) == len(said) > 20
    assert "run 1: M_I(X~), cross entropy, rounding to 1 decimal, repetition 2, scored on test" in said

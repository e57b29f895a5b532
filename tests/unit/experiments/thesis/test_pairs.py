"""Pairs of models: who attacks whom, what is shared between pairs, and what repeating M_I alone repeats."""

import numpy as np
import pytest
from scipy.spatial.distance import cosine

from mi_keras.attacks.attack import Direct
from mi_keras.attacks.gradient import GradientImage
from mi_keras.errors import InputError
from mi_keras.experiments.case import Case, plan
from mi_keras.experiments.thesis import sec_5_2_pairs, sec_5_2_search
from mi_keras.experiments.thesis.pairs import pairs_of
from mi_keras.experiments.thesis.rows import inversion
from mi_keras.experiments.thesis.work import THESIS
from mi_keras.progress import SilentProgress
from tests.unit.experiments import tiny

COMBINATIONS = ("o", "x", "o+x")


def make_config(section=sec_5_2_pairs, **changed):
    return section.Config(**vars(tiny.Config()) | {"combinations": COMBINATIONS, "targets": 2} | changed)


def keys(bench, combination="o+x"):
    found = plan(Case(inversion(make_config(), combination)), bench)
    return {
        "target": bench.classifier("target").key, "shadow": bench.classifier("shadow").key,
        "observed": found.observed.stages[0].key, "known": found.known[1].stage.key, "seen": found.seen[1].stage.key,
        "learned": found.learned.key, "scored": found.scored.key,
    }  # fmt: skip


def test_a_pair_has_the_shadow_of_one_run_and_the_target_of_another(tmp_path):
    first, second = (tiny.make_bench(tmp_path, run=run) for run in (1, 2))
    mixed, ours, theirs = keys(first.against(2)), keys(first), keys(second)
    assert keys(first.against(1)) == ours
    for name in ("shadow", "known", "learned"):
        assert mixed[name] == ours[name], name
    for name in ("target", "observed"):
        assert mixed[name] == theirs[name], name
    assert mixed["seen"] not in (ours["seen"], theirs["seen"])
    assert len({each["scored"] for each in (mixed, ours, theirs)}) == 3


def test_a_repetition_trains_the_inversion_model_again_and_nothing_else(tmp_path):
    once, again = (
        THESIS.benches(
            tiny.make_splits(), tiny.Config(runs=2, same_models=same), None, SilentProgress(), seed=1
        )
        for same in (False, True)
    )
    for benches in (once, again):
        for bench in benches:
            bench.store = tiny.make_bench(tmp_path).store
    assert keys(again[0]) == keys(once[0])
    assert {n for n, key in keys(again[1]).items() if key != keys(again[0])[n]} == {"learned", "scored"}
    assert not set(keys(again[1]).values()) & set(keys(once[1]).values())
    first, second = (plan(Case(inversion(tiny.Config(), "o")), bench).learned.seeds for bench in again)
    assert len(first) == len(second) == 1
    assert not {*first.values()} & {*second.values()}


@pytest.fixture(scope="module")
def measured(shared_folder):
    benches = [tiny.make_bench(shared_folder / "thesis", run=run) for run in (1, 2)]
    config = make_config(runs=1, combinations=("o", "x"))
    return config, benches, sec_5_2_pairs.run(config, benches[:1])


def test_scores_are_those_of_each_pair_in_its_order(measured):
    config, benches, result = measured
    every = ["M_S 1, M_T 1", "M_S 1, M_T 2", "M_S 2, M_T 1", "M_S 2, M_T 2"]
    assert [str(pair) for pair in pairs_of(config, benches)] == every
    pairs = pairs_of(config, benches[:1])
    rows = {row.name: row for row in result.tables[0].rows}
    for name in config.combinations:
        scores = [plan(Case(inversion(config, name)), pair.bench).scored.arrays["ssim"] for pair in pairs]
        np.testing.assert_array_equal(result.arrays[f"ssim.{name}"], scores)
        np.testing.assert_allclose(rows[name].values["ssim"], np.mean(scores, axis=1), rtol=1e-6)
    assert result.figures[0].rows == ["o", "x"]


def test_what_a_pair_is_like_is_computed_of_its_own_answers(measured):
    config, benches, result = measured
    pair, row = pairs_of(config, benches)[1], result.tables[1].rows[1]
    target = benches[1].output_vector("target", "test").arrays["output_vector"]
    shadow = benches[0].output_vector("shadow", "test").arrays["output_vector"]
    values = {name: float(value[0]) for name, value in row.values.items()}
    assert pair.described() == {name: values[name] for name in pair.described()}
    expected = []
    for t, s in zip(target, shadow, strict=True):
        t, s = (np.delete(each, np.argmax(t)).astype(np.float64) for each in (t, s))
        expected.append(1 - cosine(t - t.mean(), s - s.mean()))
    assert values["agreement"] == pytest.approx(np.mean(expected), abs=1e-6)
    assert values["target_scale"] == pytest.approx(target.std(), rel=1e-5)
    assert values["lead"] == values["ssim_x"] - values["ssim_o"]
    assert values["shadow_loss"] == benches[0].classifier("shadow").info["history"]["validation_loss"][-1]


def test_orders_are_counted_and_the_texts_is_marked():
    rows = {
        sec_5_2_pairs.Name(name): sec_5_2_pairs.Row(name, name, "attack", {"ssim": np.array(values)})
        for name, values in {"o": [0.2, 0.3], "x": [0.4, 0.25], "o+x": [0.3, 0.1]}.items()
    }
    config = make_config()
    orders, lead = sec_5_2_pairs._notes(config, rows)
    assert orders == (
        "Orders by SSIM over 2 pairs: M_I(X~) > M_I(O + X~) > M_I(O) (that of the text): 1; M_I(O) > M_I(X~) > M_I(O + X~): 1."
    )
    assert lead.startswith(
        "M_I(X~) is ahead of M_I(O) in 1 of 2 pairs, by +0.0750 on average, from -0.0500 to +0.2000"
    )
    among = [claim.holds for claim in sec_5_2_pairs._claims(config, rows)[2:]]
    assert among == [True, True, True]
    assert "1 of them below" in sec_5_2_pairs._claims(config, rows)[2].numbers


@pytest.mark.parametrize(
    ("section", "changed", "message"),
    [
        (sec_5_2_pairs, {"targets": 0}, "`targets` must be between 1 and 1000; got 0"),
        (sec_5_2_pairs, {"same_models": True}, "`same_models` must be false where pairs of models are compared"),
        (sec_5_2_search, {"steps": ()}, "`steps` must be distinct numbers, at least one; got"),
        (sec_5_2_search, {"steps": (5, -1)}, "`steps` must be >= 0; got -1"),
        (sec_5_2_search, {"rates": (0.1, 0.1)}, "`rates` must be distinct numbers"),
        (sec_5_2_search, {"rates": (0.0,)}, "`rates` must be a positive finite number; got 0.0"),
        (sec_5_2_search, {"optimizers": ("sgd",)}, "`optimizers` must be among adam, gradient_descent; got"),
    ],
)  # fmt: skip
def test_settings_of_a_study_that_cannot_be_meant_are_refused(section, changed, message):
    with pytest.raises(InputError, match=message):
        make_config(section, **changed)


# The strength of the search


@pytest.fixture(scope="module")
def searched(bench):
    config = make_config(sec_5_2_search, targets=1, steps=(0, 2), rates=(0.1,), optimizers=("adam",))
    return sec_5_2_search.run(config, [bench]), bench


def test_without_a_step_x_is_the_class_average(searched):
    result, _ = searched
    rows = {row.name: row for table in result.tables for row in table.rows}
    np.testing.assert_allclose(
        rows["alone@none"].values["ssim"], rows["class_average"].values["ssim"], rtol=1e-6
    )
    assert rows["alone@adam,0.1,2"].values["ssim"] != pytest.approx(
        rows["alone@none"].values["ssim"], abs=1e-4
    )
    assert "instance_gain" not in rows["alone_validation@none"].values


def test_the_distance_from_the_text_is_the_largest_of_the_four(searched):
    result, _ = searched
    rows = {row.name: row for table in result.tables for row in table.rows}
    for at in ("none", "adam,0.1,2"):
        row = rows[f"x@{at}"]
        for metric, texts in (("ssim", (0.3727, 0.3014, 0.2409)), ("mse", (0.0649, 0.0601, 0.0672))):
            names = (f"x@{at}", f"alone_validation@{at}", f"alone@{at}")
            off = [abs(rows[n].values[metric] - text) for n, text in zip(names, texts, strict=True)]
            np.testing.assert_allclose(row.values[f"off_{metric}"], np.max(off, axis=0), rtol=1e-6)
    assert [claim.holds for claim in result.claims[:3]] == [False] * 3


def test_a_search_meets_the_text_where_all_of_its_scores_do_with_one_pair():
    """The text's own scores with the second of two pairs: there it is met, but for M_I(O)."""
    section = sec_5_2_search

    def row(name):
        text = {metric: value for metric, (value, _) in section.TEXT[name].values.items()}
        off = 0.05 if name == "o" else 0.0
        values = {metric: np.array([value + 0.1, value + off]) for metric, value in text.items()}
        return section.Row(name, name, "attack", values)

    rows = {section.Name(name, "" if name == "o" else "none"): row(name) for name in section.TEXT}
    found = section.Attacked([], {}, rows)
    pairs = [section.Pair(1, number, None) for number in (1, 2)]
    met = [section._met(pairs, found, names, "it") for names in section.MEETINGS]
    assert [claim.holds for claim in met] == [True, True, False]
    assert met[0].numbers.startswith(
        "nearest: no step, M_S 1, M_T 2: X~ alone on validation images 0.3014 / 0.0601"
    )
    assert met[2].numbers.endswith("largest distances 0.0500 of SSIM, 0.0500 of MSE")


def test_validation_images_are_answered_by_the_shadow_model(tmp_path):
    """So the score is the same against whatever target."""
    bench = tiny.make_bench(tmp_path)
    case = Case(Direct(GradientImage(tiny.GRADIENT)), answered_by="shadow", images="shadow_validation")
    assert plan(case, bench.against(2)).scored.key == plan(case, bench).scored.key

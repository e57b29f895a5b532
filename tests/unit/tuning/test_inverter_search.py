"""The search over the settings of M_I as a stage, on tiny models."""

from dataclasses import replace

import pytest

from mi_keras.errors import InputError
from mi_keras.settings import GradientSettings, InverterSettings
from mi_keras.tuning.inverter_search import InverterSearchSettings, inverter_search_stage, tuned
from tests.unit.experiments.tiny import INVERTER, Config

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:keras_tuner.*")
SEARCH = InverterSearchSettings(trials=2, combination="o")
VALUES = {"learning_rate": 2e-3, "dropout": 0.25, "width": 0.5, "input_noise": 0.1}


def stage(bench, inverter=INVERTER, search=SEARCH):
    return inverter_search_stage(bench, Config(gradient=GradientSettings(steps=2), inverter=inverter), search)


def test_the_trials_values_become_settings_of_the_inverter():
    assert tuned(replace(INVERTER, channels=(512, 3, 1), epochs=7), VALUES) == InverterSettings(
        channels=(256, 2, 1), epochs=7, batch_size=8, learning_rate=2e-3, dropout=(0.25,) * 3, input_noise=0.1
    )


def test_the_stage_holds_every_trial_and_is_computed_once(tmp_path, make_bench, recording_progress):
    info = stage(make_bench(tmp_path)).info
    assert len(info["trials"]) == 2
    assert info["failed"] == 0
    best = max(info["trials"], key=lambda row: row["ssim"])
    assert info["best"] == {name: best[name] for name in VALUES}
    assert info["best_ssim"] == best["ssim"]
    silent = recording_progress()
    again = stage(make_bench(tmp_path, progress=silent))
    assert again.info == info
    assert again.arrays["coarse.width"].shape == again.arrays["coarse.ssim"].shape == (2,)
    assert silent.bars == []


def test_neither_the_target_nor_the_test_set_is_touched(tmp_path, make_bench):
    """Its stages are the shadow's: those of other sets and of the target model are never computed."""
    bench = make_bench(tmp_path)
    _ = stage(bench, search=replace(SEARCH, trials=1, combination="o+x")).info
    used = " ".join(entry["stage"] for entry in bench.store.timings)
    assert "shadow_train" in used
    assert "shadow_validation" in used
    assert "test" not in used
    assert "target" not in used


def test_the_key_depends_on_what_is_not_tuned(tmp_path, make_bench):
    bench = make_bench(tmp_path)
    keys = {
        stage(bench).key, stage(bench, replace(INVERTER, epochs=2)).key,
        stage(bench, replace(INVERTER, channels=(5, 4, 4))).key,
        stage(bench, search=replace(SEARCH, combination="x")).key, stage(bench, search=replace(SEARCH, trials=3)).key,
    }  # fmt: skip
    assert len(keys) == 5
    assert stage(bench, replace(INVERTER, learning_rate=1.0, input_noise=0.3)).key in keys


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trials": 0}, "`trials` must be between 1 and 1000000; got 0."),
        ({"combination": "z"}, "`combination` must be one of o, a, x, o+a, o+x, a+x, o+a+x; got 'z'."),
        ({"objective": "z"}, "`objective` must be one of logit_mse, cross_entropy; got 'z'."),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(change, message):
    with pytest.raises(InputError) as caught:
        replace(SEARCH, **change)
    assert str(caught.value) == message

"""The coarse and fine search as one stage, on a tiny CNN."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from mi_keras.attacks.access import Access
from mi_keras.attacks.gradient import reconstruct, start_images
from mi_keras.errors import InputError
from mi_keras.metrics.image import score
from mi_keras.progress import Run
from mi_keras.tuning.gradient_search import SearchSettings, search_stage
from mi_keras.tuning.trials import Trial, check_workers, summarize
from mi_keras.types import Observation
from tests.unit.experiments.tiny import CLASSIFIER, GRADIENT

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:keras_tuner.*")
SEARCH = SearchSettings(coarse_trials=4, fine_trials=2, images=10)


def test_the_stage_holds_every_trial_and_is_computed_once(tmp_path, make_bench, recording_progress):
    progress = recording_progress()
    stage = search_stage(make_bench(tmp_path, progress=progress), GRADIENT, SEARCH)
    info, arrays = stage.info, stage.arrays
    assert ("run 1: coarse search", 4, "trial", 0) in progress.bars
    assert ("run 1: fine search", 2, "trial", 0) in progress.bars
    names = ("l2_weight", "tv_weight", "ssim")
    assert {key: array.shape for key, array in arrays.items()} == (
        {f"coarse.{name}": (4,) for name in names} | {f"fine.{name}": (2,) for name in names}
    )
    assert [(row["stage"], row["number"]) for row in info["trials"]] == [
        *(("coarse", number) for number in range(1, 5)), ("fine", 1), ("fine", 2),
    ]  # fmt: skip
    for stage_name in ("coarse", "fine"):
        for name in names:
            rows = [row[name] for row in info["trials"] if row["stage"] == stage_name]
            np.testing.assert_array_equal(arrays[f"{stage_name}.{name}"], rows)
    assert info["failed"] == 0
    best = max(info["trials"], key=lambda row: row["ssim"])
    assert info["best"] == {name: best[name] for name in ("l2_weight", "tv_weight")}
    assert (info["best_ssim"], info["best_stage"]) == (best["ssim"], best["stage"])
    coarse_best = max(info["trials"][:4], key=lambda row: row["ssim"])
    for row in info["trials"][4:]:
        for name in ("l2_weight", "tv_weight"):
            assert 0.5 <= row[name] / coarse_best[name] <= 1.5
    silent = recording_progress()
    again = search_stage(make_bench(tmp_path, progress=silent), GRADIENT, SEARCH, workers=2)
    assert again.info == info  # the number of workers is not part of what the stage is
    assert silent.bars == []
    assert not list((tmp_path / "unfinished").iterdir())


def test_a_trial_scores_the_reconstructions_of_shadow_training_images(tmp_path, make_bench):
    """Recomputed by hand on all 18 images, where the draw of the subset is no choice."""
    bench, all_images = make_bench(tmp_path), replace(SEARCH, coarse_trials=1, fine_trials=1, images=18)
    gradient = replace(GRADIENT, start="class_instance", steps=2)
    trial = search_stage(bench, gradient, all_images).info["trials"][0]
    vectors = bench.output_vector("shadow", "shadow_train").arrays["output_vector"]
    held = bench.holdings(Access(surrogates=1, images=True), None)
    start = start_images("class_instance", held, Run(seeds={"start": bench.derive("start")}))
    weighted = replace(gradient, l2_weight=trial["l2_weight"], tv_weight=trial["tv_weight"])
    arrays, _ = reconstruct(
        bench.load(bench.classifier("shadow")), Observation(vectors), start, weighted, objective="logit_mse", run=Run(1)
    )  # fmt: skip
    found = score(arrays["images"], bench.splits.shadow_train.images)
    assert trial["ssim"] == pytest.approx(float(found.ssim.mean()), abs=1e-6)
    assert trial["mse"] == pytest.approx(float(found.mse.mean()), abs=1e-6)
    assert trial["ssim_worst_decile"] == pytest.approx(float(np.sort(found.ssim)[:2].mean()), abs=1e-6)


def test_an_interrupted_stage_goes_on_and_equals_one_that_was_not(tmp_path, make_bench, recording_progress):
    small = replace(SEARCH, coarse_trials=2)
    make_bench(tmp_path / "a").output_vector("shadow", "shadow_train").computed()
    stopped = recording_progress(stop_at=3)  # in the fine search: two coarse trials report before
    with pytest.raises(KeyboardInterrupt):
        _ = search_stage(make_bench(tmp_path / "a", progress=stopped), GRADIENT, small).info
    resumed = search_stage(make_bench(tmp_path / "a"), GRADIENT, small)
    whole = search_stage(make_bench(tmp_path / "b"), GRADIENT, small)
    assert resumed.info == whole.info


def test_what_the_result_depends_on_is_in_the_key_and_the_weights_it_replaces_are_not(tmp_path, make_bench):
    def key(gradient=GRADIENT, search=SEARCH, **bench):
        return search_stage(make_bench(tmp_path, **bench), gradient, search).key

    other = [
        key(replace(GRADIENT, steps=4)), key(replace(GRADIENT, start="random")), key(search=replace(SEARCH, images=9)),
        key(search=replace(SEARCH, fine_trials=3)), key(search=replace(SEARCH, objective="cross_entropy")),
        key(classifier=replace(CLASSIFIER, epochs=2)), key(seed=2), key(run=2),
    ]  # fmt: skip
    assert len({key(), *other}) == 9
    assert key(replace(GRADIENT, l2_weight=1.0, tv_weight=0.5)) == key()


def test_failed_trials_are_in_the_stage_as_nothing_and_counted():
    weights = {"l2_weight": 1e-3, "tv_weight": 1e-4}
    scores = {"ssim": 0.5, "mse": 0.1, "ssim_worst_decile": 0.2}
    coarse = [Trial(1, weights, None, "it grew"), Trial(2, weights, scores)]
    arrays, info = summarize({"coarse": coarse, "fine": [Trial(1, weights, None, "so")]}, coarse[1], "coarse")
    np.testing.assert_array_equal(arrays["coarse.ssim"], [np.nan, 0.5])
    np.testing.assert_array_equal(arrays["fine.ssim"], [np.nan])
    np.testing.assert_array_equal(arrays["fine.tv_weight"], [1e-4])
    assert info["failed"] == 2
    nothing = dict.fromkeys(scores)
    assert info["trials"] == [
        {"stage": "coarse", "number": 1, **weights, **nothing, "problem": "it grew"},
        {"stage": "coarse", "number": 2, **weights, **scores, "problem": ""},
        {"stage": "fine", "number": 1, **weights, **nothing, "problem": "so"},
    ]
    json.dumps(info, allow_nan=False)


@pytest.mark.parametrize("name", ["coarse_trials", "fine_trials", "images"])
def test_sizes_that_cannot_be_meant_are_refused(name):
    with pytest.raises(InputError, match=rf"^`{name}` must be between 1 and 1000000; got 0.$"):
        replace(SEARCH, **{name: 0})


def test_an_unknown_objective_and_more_images_than_there_are_are_refused(tmp_path, make_bench):
    with pytest.raises(
        InputError, match=r"^`objective` must be one of logit_mse, cross_entropy; got 'mse'.$"
    ):
        replace(SEARCH, objective="mse")
    with pytest.raises(InputError, match=r"^`images` must be at most the number of .* images, 18; got 19.$"):
        search_stage(make_bench(tmp_path), GRADIENT, replace(SEARCH, images=19))


@pytest.mark.parametrize(
    ("workers", "patience", "message"),
    [
        (-1, 1.0, "`workers` must be between 0 and 64; got -1."),
        (65, 1.0, "`workers` must be between 0 and 64; got 65."),
        (1, 0.0, "`patience` must be above 0 seconds; got 0.0."),
        (1, float("nan"), "`patience` must be above 0 seconds; got nan."),
    ],
)
def test_numbers_that_cannot_be_meant_are_refused(workers, patience, message):
    with pytest.raises(InputError) as caught:
        check_workers(workers, patience)
    assert str(caught.value) == message


def test_the_settings_are_read_without_tensorflow():
    code = "import sys, mi_keras.tuning.gradient_search, mi_keras.tuning.inverter_search; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

"""The sections of `beyond` at their smallest, as a user runs them: rows, targets, and what they share."""

import numpy as np
import pytest

from tests.integration.command import load, reproduce

SECTIONS = ("transfer", "queries", "access", "defences")
pytestmark = pytest.mark.slow  # half a minute each on an idle machine


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("beyond")
    for section in SECTIONS:
        reproduce(folder, "--work", "beyond", "--section", section, "--preset", "smoke")
    return folder, {name: load(folder, f"beyond/{name}") for name in SECTIONS}


def rows(result, table):
    (found,) = (each for each in result["tables"] if each["file"] == table)
    return {row["name"]: row for row in found["rows"]}


def test_every_step_has_a_row_over_all_targets_and_what_chooses_is_no_target(both):
    _, results = both
    recipe = rows(results["transfer"], "recipe")
    steps = {
        "o", "x", "one", "bank", "canonical", "mapped", "mapped_covariance", "mapped_matching", "augmented", "ensemble",
        "whole", "affine", "own_answers", "class_average", "class_prototype",
    }  # fmt: skip
    assert set(recipe) == steps
    for name, row in recipe.items():
        assert row["values"]["ssim"]["n"] == 2, name
        assert {"target_1", "target_2"} <= row["values"].keys()
    assert recipe["whole"]["values"]["held_out"]["n"] == 1
    assert "held_out" not in recipe["own_answers"]["values"]
    queries = rows(results["queries"], "queries")
    assert set(queries) == {
        "q=0", "q=10", "q=100", "tuned=100", "corrected=1", "class_average", "class_prototype",
    }  # fmt: skip
    assert queries["q=0"]["values"]["ssim"] == recipe["whole"]["values"]["ssim"]


def test_sections_share_models_networks_and_answers(both):
    _, results = both
    models, networks = ("classifier", "bank_shadow"), ("BankInverter.fitted",)
    shared = dict.fromkeys(("queries", "access"), models + networks) | {"defences": models}
    for section, kinds in shared.items():
        used = [entry for entry in results[section]["timings"] if entry["stage"].split()[0] in kinds]
        assert used
        assert all(entry["reused"] for entry in used)


def test_each_adversary_has_its_rows_and_class_inversion_none_among_them(both):
    _, results = both
    access = rows(results["access"], "access")
    assert set(access) == {
        "shadow", "asked", "asked_tuned", "linear", "mse", "ssim", "own_answers", "white_mse", "white_ssim",
        "class_average", "class_prototype",
    }  # fmt: skip
    assert (
        access["shadow"]["values"]["ssim"] == rows(results["transfer"], "recipe")["whole"]["values"]["ssim"]
    )
    assert (
        access["asked_tuned"]["values"]["ssim"]
        == rows(results["queries"], "queries")["tuned=100"]["values"]["ssim"]
    )
    assert rows(results["access"], "pool")["pool"]["values"]["ssim"]["mean"] == pytest.approx(1, abs=1e-4)
    inversion = rows(results["access"], "class_inversion")
    assert not set(inversion) & set(access)
    for row in inversion.values():
        assert {name: score["n"] for name, score in row["values"].items()} == dict.fromkeys(
            ("judged", "confidence", "typical", "nearest"), 2
        )
        assert row["values"]["nearest"]["mean"] >= row["values"]["typical"]["mean"]


def test_choices_are_made_before_a_target_has_answered(both):
    """Three alignments and two more networks, each on both shadow models that play the target."""
    stages = [entry["stage"] for entry in both[1]["transfer"]["timings"]]
    target = min(place for place, stage in enumerate(stages) if stage.startswith("classifier target"))
    chosen = [stage for stage in stages[:target] if stage.startswith("Transfer.scored shadow_validation")]
    assert len(chosen) == 10


def test_means_are_those_of_the_kept_scores_and_detail_is_held_to_the_class_average(both):
    folder, results = both
    with np.load(folder / "results/beyond/transfer/smoke/arrays.npz") as arrays:
        recipe = rows(results["transfer"], "recipe")
        for name in ("o", "whole", "class_prototype"):
            found = arrays[f"ssim.{name}"].mean(axis=1, dtype=np.float64)
            assert recipe[name]["values"]["ssim"]["mean"] == pytest.approx(found.mean())
            assert recipe[name]["values"]["ssim"]["std"] == pytest.approx(found.std(ddof=1))
        share = 1 - arrays["mse.whole"].sum(axis=1) / arrays["mse.class_average"].sum(axis=1)
        assert recipe["whole"]["values"]["detail"]["mean"] == pytest.approx(share.mean(), abs=1e-5)


def test_both_adversaries_meet_every_defence_and_its_cost_stands_beside(both):
    folder, results = both
    summary = rows(results["defences"], "defences")
    names = {
        "none", "logits_rounded", "logits_top", "shares_rounded", "shares_top", "temperature", "label", "noise=4/1",
        "noise=4/100", "smoothing=-0.05", "distilled",
    }  # fmt: skip
    assert set(summary) == names
    assert summary["none"]["values"]["agreement"]["mean"] == 1
    assert summary["temperature"]["values"]["agreement"]["mean"] == 1
    assert summary["noise=4/1"]["values"]["agreement"] == summary["noise=4/100"]["values"]["agreement"]
    for name in ("label", "logits_top"):
        assert "ece" not in summary[name]["values"]
    for table, side in (("no_query", "no query"), ("answers", "all answers")):
        found = rows(results["defences"], table)
        assert set(found) == {f"{name}:{side}" for name in names} | {"class_average", "class_prototype"}
        label, prototype = found[f"label:{side}"], found["class_prototype"]
        assert label["values"]["ssim"] == prototype["values"]["ssim"]
    picks = rows(results["defences"], "optimal_pick")
    assert picks["none:best possible"]["values"]["found_10"]["mean"] == pytest.approx(1)
    with np.load(folder / "results/beyond/defences/smoke/arrays.npz") as arrays:
        plain, warm = (arrays[f"ssim.{name}:all answers"] for name in ("none", "temperature"))
        np.testing.assert_allclose(plain, warm, atol=1e-3)


@pytest.fixture(scope="module")
def colour(tmp_path_factory):
    """The section `images` on two sources of the shape of CIFAR-10."""
    folder = tmp_path_factory.mktemp("images")
    for name, seed in (("attacked", 1), ("other", 2)):
        draw = np.random.default_rng(seed)
        arrays = {}
        for part, count in (("train", 400), ("test", 300)):
            labels = (np.arange(count) % 10).astype(np.uint8)[:, None]
            tones = draw.integers(0, 200, (10, 1, 1, 3))[labels[:, 0]]
            noise = draw.integers(0, 56, (count, 32, 32, 3))
            arrays |= {f"x_{part}": (tones + noise).astype(np.uint8), f"y_{part}": labels}
        np.savez(folder / f"{name}.npz", **arrays)
    changed = ("--data", "npz:attacked.npz", "--set", "other=npz:other.npz")
    reproduce(folder, "--work", "beyond", "--section", "images", "--preset", "smoke", *changed)
    return folder, load(folder, "beyond/images")


def test_each_classifier_is_attacked_in_colour_and_one_by_an_adversary_of_other_images_too(colour):
    folder, result = colour
    assert result["data"] == "npz:attacked.npz"
    near, far = rows(result, "images"), rows(result, "elsewhere")
    attacks, baselines = {"o", "whole", "own_answers"}, {"class_average", "class_prototype"}
    targets = {"cnn": 2, "residual": 2, "efficientnet": 1}
    assert set(near) == {f"{classifier}:{row}" for classifier in targets for row in attacks | baselines}
    assert set(far) == {f"cnn:{row}:other" for row in attacks} | {f"cnn:{row}" for row in baselines}
    for name, row in (near | far).items():
        assert row["values"]["ssim"]["n"] == targets[name.partition(":")[0]], name
    accuracy = rows(result, "classifiers")
    assert {name: row["values"]["accuracy"]["n"] for name, row in accuracy.items()} == targets
    with np.load(folder / "results/beyond/images/smoke/arrays.npz") as arrays:
        drawn = arrays["reconstruction.efficientnet:whole"].astype(np.float32)
        assert drawn.shape == arrays["targets"].shape == (100, 32, 32, 3)
        assert np.ptp(drawn, axis=3).max() > 0
        share = 1 - arrays["mse.cnn:whole:other"].sum(axis=1) / arrays["mse.cnn:class_average"].sum(axis=1)
    assert far["cnn:whole:other"]["values"]["detail"]["mean"] == pytest.approx(share.mean(), abs=1e-5)
    for figure in result["figures"]:
        assert (folder / "results/beyond/images/smoke" / figure["file"]).is_file()


def test_each_adversary_chooses_before_the_targets_of_its_classifier_have_answered(colour):
    """Three alignments and two more networks, each on both shadow models that play the target."""
    stages = [entry["stage"] for entry in colour[1]["timings"]]
    answered = [place for place, stage in enumerate(stages) if stage.startswith("classifier target")]
    first = stages[: answered[0]]
    assert sum(stage.startswith("Transfer.scored shadow_validation") for stage in first) == 10
    assert not any("Queried" in stage for stage in first)

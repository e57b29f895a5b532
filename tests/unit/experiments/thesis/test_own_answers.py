"""Section 5.2 on the shadow model's own answers: the same inversion model, fed by M_S instead of M_T."""

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from mi_keras.experiments.case import Case, plan
from mi_keras.experiments.thesis import sec_5_2_input_combinations as section_5_2
from mi_keras.experiments.thesis.rows import inversion
from tests.unit.experiments import tiny


def make_config(**replaced):
    chosen = {"combinations": ("o",), "second_combinations": (), "own_answers": ("o", "x")} | replaced
    return section_5_2.Config(**vars(tiny.Config()) | chosen)


def test_the_inversion_model_is_given_the_answers_of_the_shadow_model_to_the_test_images(bench):
    config = make_config()
    result = section_5_2.run(config, [bench])
    rows = {row.name: row for row in result.tables[1].rows}
    assert set(rows) == {f"{name}@shadow" for name in ("o", "class_average", "class_prototype")}

    images, attack = bench.splits.test.images, inversion(config, "o")
    shadow = bench.load(bench.classifier("shadow"))
    trained = plan(Case(attack), bench).learned
    inverter = attack.load((trained.arrays, {}), (bench.classes,), bench.image_shape)
    logits = shadow(images, training=False)["logits"]
    drawn = np.asarray(inverter(logits, training=False), np.float64)
    ssim = [valid_ssim(a[..., 0], b[..., 0].astype(np.float64)) for a, b in zip(drawn, images, strict=True)]
    assert rows["o@shadow"].values["ssim"] == pytest.approx([np.mean(ssim)], abs=1e-5)
    assert rows["o@shadow"].images == len(images)
    stored = result.arrays["reconstruction.o@shadow"].astype(np.float64)
    np.testing.assert_allclose(stored, drawn, atol=1e-3)  # stored in float16
    (figure,) = [figure for figure in result.figures if figure.file == "own_answers.png"]
    assert figure.rows == ["o", "o@shadow", "class_prototype"]


def test_without_own_answers_there_is_no_such_table_and_its_claims_are_undecided(bench):
    result = section_5_2.run(make_config(own_answers=()), [bench])
    assert [table.file for table in result.tables] == ["table_4"]
    assert "own_answers.png" not in [figure.file for figure in result.figures]
    lost = [claim for claim in result.claims if "shadow model" in claim.text]
    assert len(lost) == 4
    assert all(claim.holds is None for claim in lost)
    left_out = "M_I(O) answered by the shadow model, class prototype answered by the shadow model"
    assert lost[0].numbers == f"not measured in this run: {left_out} (add o to `--set own_answers=...`)"


def valid_ssim(first, second):
    _, full = structural_similarity(
        first, second, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    return full[5:-5, 5:-5].mean()

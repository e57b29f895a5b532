"""Numbers as tables show them: decimals, tiny and huge ones, spreads."""

import pytest

from mi_keras.reports.text import format_fixed, format_number, format_score
from mi_keras.results.rows import Score

DASH = "–"  # noqa: RUF001


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.37271, "0.3727"), (0.0, "0.0000"), (0.001, "0.0010"), (0.00099, "9.900e-04"), (4.4323e-5, "4.432e-05"),
        (-3e-7, "-3.000e-07"), (9999.5, "9999.5000"), (10_000, "1.000e+04"), (-123456.0, "-1.235e+05"), (None, "n/a"),
    ],
)  # fmt: skip
def test_numbers_have_four_decimals_unless_they_are_tiny_or_huge(value, text):
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("value", "metric", "text"),
    [(0.37271, "ssim", "0.3727"), (4.4e-5, "ssim", "0.0000"), (-4.4e-5, "", "0.0000"), (7.5e-4, "mse", "0.0008"), (21.987, "psnr", "21.99")],
)  # fmt: skip
def test_numbers_under_images_are_never_in_scientific_notation(value, metric, text):
    assert format_fixed(value, metric) == text


@pytest.mark.parametrize(
    ("mean", "spread", "text"),
    [
        (0.0649, 0.0009, "0.0649 ± 0.0009"),  # as the published tables have it
        (0.0649, 0.0, "0.0649 ± 0.0000"),
        (0.0649, 0.00002, "0.0649 ± 2.000e-05"),
        (0.1, 1.7e-17, "0.1000 ± 0.0000"),  # five equal numbers, of which floats make a sum
        (4.4e-5, 2e-6, "4.400e-05 ± 2.000e-06"),
        (4.4e-5, 0.01, "4.400e-05 ± 0.0100"),
        (0.0649, None, "0.0649 ± n/a"),
    ],
)
def test_a_spread_is_written_as_its_mean_is(mean, spread, text):
    assert format_score(Score(mean, spread, 2)) == text


def test_a_single_measurement_has_no_spread_and_a_missing_one_is_a_dash():
    assert format_score(Score(0.25, None, 1), single=True) == "0.2500"
    assert format_score(None) == DASH


@pytest.mark.parametrize(
    ("metric", "score", "text"),
    [
        ("psnr", (19.306, 0.1251), "19.31 ± 0.13"), ("psnr", (19.306, None), "19.31 ± n/a"),
        ("psnr", (19.306, 0.0), "19.31 ± 0.00"), ("psnr", (19.306, 0.0032), "19.31 ± 0.003"),
        ("psnr_paper", (46.0, None), "46.00 ± n/a"), ("kilobytes", (1076.25, 0.0), "1,076.2 ± 0.0"),
        ("parameters", (4_226_432.0, None), "4,226,432"), ("parameters", (4_226_432.0, 0.0), "4,226,432"),
        ("kept_maps", (83.6, 1.2), "84 ± 1"), ("ssim", (0.5, 0.01), "0.5000 ± 0.0100"),
    ],
)  # fmt: skip
def test_a_metric_has_its_own_decimals(metric, score, text):
    mean, spread = score
    assert format_score(Score(mean, spread, 2), metric) == text

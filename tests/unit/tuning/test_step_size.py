"""The ranking of step sizes by their distance from thesis Table 3, worked by hand, and what a measurement depends on."""

from dataclasses import replace

import pytest

from mi_keras.settings import GradientSettings
from mi_keras.tuning.step_size import PUBLISHED, TEST, VALIDATION, _measure, ranking
from tests.unit.experiments import tiny

NEAR, FAR = ("logit_mse", "adam", 0.01), ("logit_mse", "adam", 0.1)


def test_the_nearest_comes_first_and_the_test_set_counts_only_where_it_was_measured():
    scores = {
        FAR: {start: [each[0] + 0.04, each[1]] for start, each in PUBLISHED.items()},
        NEAR: {start: [each[0] - 0.01, each[1] + 0.02] for start, each in PUBLISHED.items()},
    }
    (first, *near), (second, *far) = ranking(scores)
    assert (first, second) == (NEAR, FAR)
    assert near == pytest.approx([0.01, 0.02])
    assert far == pytest.approx([0.04, 0])
    both = {
        NEAR: {"random": [*PUBLISHED["random"][:2], PUBLISHED["random"][2] + 0.03, PUBLISHED["random"][3]]}
    }
    assert ranking(both)[0][1:] == pytest.approx([0.015, 0])


def test_what_is_measured_on_validation_images_alone_knows_no_target(tmp_path):
    bench = tiny.make_bench(tmp_path)
    settings = replace(GradientSettings(), steps=1)
    alone, both = (
        _measure(bench, settings, "logit_mse", 4, sets) for sets in ([VALIDATION], [VALIDATION, TEST])
    )
    assert [stage.identity["role"] for stage in alone.upstream] == ["shadow"]
    assert [stage.identity["role"] for stage in both.upstream] == ["shadow", "target"]

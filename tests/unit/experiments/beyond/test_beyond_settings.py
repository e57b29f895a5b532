"""Settings of the sections of `beyond`, and verdicts on numbers that are known."""

from dataclasses import replace

import numpy as np
import pytest

from mi_keras.errors import InputError
from mi_keras.experiments.beyond import sec_queries, sec_transfer
from mi_keras.results import Row


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        (sec_transfer, "bank", 1, "`bank` must be between 2 and 100; got 1"),
        (sec_transfer, "noise", -1.0, "`noise` must be a finite number >= 0; got -1.0"),
        (sec_transfer, "noise_one", float("nan"), "`noise_one` must be a finite number >= 0; got nan"),
        (sec_transfer, "observed", (0,), "`observed` must be between 1 and"),
        (sec_transfer, "observed", (1, 1), "`observed` must name each once"),
        (sec_queries, "queries", (100, 10), "`queries` must be one or more increasing numbers"),
        (sec_queries, "queries", (), "`queries` must be one or more increasing numbers"),
        (sec_queries, "rounds", (0,), "`rounds` must be between 1 and"),
        (sec_queries, "tuned_from", 5, "`tuned_from` must be between 10 and"),
        (sec_queries, "tuning_dropout", 1.0, "`tuning_dropout` must be >= 0 and < 1; got 1.0"),
    ],
)
def test_what_cannot_be_meant_is_refused(section, key, value, message):
    with pytest.raises(InputError, match=message):
        replace(section.PAPER, **{key: value})


def row(name, ssim):
    return Row(name, name, "attack", {"ssim": np.array([ssim - 0.001, ssim + 0.001])})


def test_goals_are_held_to_means_over_targets_and_steps_to_the_step_before():
    goal = "With 1,000 queries the mean SSIM over targets is at least 0.55"
    for last, verdict in ((0.56, True), (0.54, False)):
        rows = {
            name: row(name, ssim) for name, ssim in (("q=0", 0.53), ("q=1000", 0.535), ("tuned=1000", last))
        }
        config = replace(sec_queries.PAPER, queries=(1000,))
        claims = {claim.text: claim.holds for claim in sec_queries._claims(rows, config)}
        assert claims[goal] is verdict
        assert claims["tuned=1000: better than q=0"] is True

"""What stages are computed with: one place for its defaults and for what does not go together."""

import os

import pytest

from mi_keras.arguments import resources_of
from mi_keras.auditing.arguments import parser as audit_parser
from mi_keras.errors import InputError
from mi_keras.experiments.resources import Resources


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ({"workers": 0}, "`workers` must be >= 1; got 0."),
        ({"threads": 1.5}, "`threads` must be a whole number; got 1.5."),
        ({"ray": ""}, "`ray` must be auto or the HOST:PORT of a cluster; got ''."),
        ({"gpus_per_stage": 1}, "`gpus_per_stage` and `memory_per_stage` must go with `ray`; got none."),
        ({"memory_per_stage": 2}, "`gpus_per_stage` and `memory_per_stage` must go with `ray`; got none."),
        ({"ray": "auto", "workers": 2}, "`workers` must be left out with `ray`; got 2."),
        ({"ray": "auto", "memory_per_stage": -1}, "`memory_per_stage` must be a finite number >= 0; got -1."),
        ({"ray": "auto", "gpus_per_stage": 1.5}, "`gpus_per_stage` must be at most 1 or a whole number; got 1.5."),
        ({"ray": "auto", "gpus_per_stage": float("inf")}, "`gpus_per_stage` must be a finite number >= 0; got inf."),
    ],
)  # fmt: skip
def test_what_is_out_of_range_or_does_not_go_together_is_refused(asked, line):
    with pytest.raises(InputError) as refused:
        Resources(**asked)
    assert str(refused.value) == line


def test_what_nobody_has_said_is_said_here(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert Resources().threads_of_each is None
    assert Resources(ray="auto").threads_of_each == 1
    assert Resources(ray="auto", threads=4).threads_of_each == 4
    assert (Resources().processes("quick"), Resources().processes("smoke")) == (2, 1)
    assert Resources(workers=3).processes("smoke") == 3
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert Resources().processes("quick") == 1


def test_a_stage_takes_of_a_machine_what_was_asked_for():
    assert Resources(ray="auto").of_a_stage == {"CPU": 1}
    assert Resources(ray="auto", gpus_per_stage=2.0).of_a_stage == {"CPU": 1, "GPU": 2}
    asked = Resources(ray="auto", threads=4, gpus_per_stage=0.5, memory_per_stage=1.5)
    assert asked.of_a_stage == {"CPU": 4, "GPU": 0.5, "memory": 1_500_000_000}


def test_arguments_of_a_command_make_them():
    given = audit_parser().parse_args(["--ray", "auto", "--threads", "2", "--memory-per-stage", "3"])
    assert resources_of(given) == Resources(threads=2, ray="auto", memory_per_stage=3)
    with pytest.raises(InputError, match="`workers` must be left out with `ray`; got 2"):
        resources_of(given, workers=2)
    del given.workers
    assert resources_of(given, workers=None) == Resources(threads=2, ray="auto", memory_per_stage=3)

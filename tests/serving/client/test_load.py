"""The load figures: their arithmetic against known times, and a whole measurement of a small export."""

import json

import numpy as np
import pytest

from mi_keras.serving.load import BATCHES, main, summary


def test_figures_are_those_of_known_times():
    seconds = np.linspace(0.001, 0.101, 101)  # the median is 51 ms, the 99th percentile 100 ms
    assert summary(seconds, 8) == {"images_s": round(8 / 0.051, 1), "p50_ms": 51.0, "p99_ms": 100.0}


def test_an_export_is_measured_in_process_and_over_grpc(exports, capsys):
    assert main(["--serving", "--model", str(exports / "thesis" / "2"), "--requests", "3"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["model"], figures["endpoint"], figures["weights"]) == ("thesis/2", "invert", "exported")
    assert "not tensorflow_model_server" in figures["grpc_server"]
    for way in ("in_process", "grpc"):
        for batch in BATCHES:
            measured = figures[f"{way}_batch_{batch}"]
            assert 0 < measured["p50_ms"] <= measured["p99_ms"]
            assert measured["images_s"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--requests", "0"], "`requests` must be >= 1; got 0."),
        (
            ["--model", "nowhere"],
            "`model` must be the folder NAME/VERSION of an exported model; got nowhere.",
        ),
    ],
)
def test_bad_input_is_one_line_with_exit_code_2(capsys, arguments, message):
    assert main(["--serving", *arguments]) == 2
    assert capsys.readouterr().err == f"{message}\n"

"""The load figures: their arithmetic against known times, and a whole measurement of a small export."""

import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest

from mi_keras.serving import load, warmup
from mi_keras.serving.client import Client
from mi_keras.serving.load import BATCHES, main, random_export, summary


def test_figures_are_those_of_known_times():
    seconds = np.linspace(0.001, 0.101, 101)  # the median is 51 ms, the 99th percentile 100 ms
    assert summary(seconds, 8) == {"images_s": round(8 / 0.051, 1), "p50_ms": 51.0, "p99_ms": 100.0}


@pytest.mark.slow
def test_an_export_is_measured_in_process_and_over_grpc(exports, monkeypatch, capsys):
    clock, asked, predict = itertools.count(), itertools.count(), Client.predict

    def slow_predict(client, endpoint, inputs):
        cold = next(asked) % (5 + 3) < 5  # warms up for five requests, then three are timed
        for _ in range(1000 if cold else 3):
            next(clock)
        return predict(client, endpoint, inputs)

    monkeypatch.setattr(Client, "predict", slow_predict)
    monkeypatch.setattr(
        load, "time", SimpleNamespace(perf_counter=lambda: next(clock) / 1000)
    )  # a look takes 1 ms
    assert main(["--serving", "--model", str(exports / "thesis" / "2"), "--requests", "3"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["model"], figures["endpoint"], figures["weights"]) == ("thesis/2", "invert", "exported")
    assert "not tensorflow_model_server" in figures["grpc_server"]
    for way, milliseconds in (("in_process", 1.0), ("grpc", 4.0)):
        for batch in BATCHES:
            rate = batch * 1000 / milliseconds
            assert figures[f"{way}_batch_{batch}"] == {
                "images_s": rate, "p50_ms": milliseconds, "p99_ms": milliseconds,
            }  # fmt: skip


def test_the_random_model_is_written_as_an_export_with_its_weights_once(tmp_path):
    import tensorflow as tf

    folder = random_export(tmp_path)
    names = set(tf.saved_model.load(str(folder)).signatures)
    assert names == {"serving_default", "invert", "invert_from_output", "invert_png"}
    size = sum(path.stat().st_size for path in (folder / "variables").glob("*.data-*"))
    weights = 10 * 512 * 16 + 512 + 2_625_665  # parameters of Figure 26
    assert 4 * weights < size < 1.1 * 4 * weights


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


def test_without_the_messages_of_the_server_the_missing_package_is_named(monkeypatch, capsys):
    monkeypatch.setattr(warmup, "find_spec", lambda _: None)
    assert main(["--serving", "--model", "nowhere"]) == 2
    assert capsys.readouterr().err.startswith("`tensorflow-serving-api` must be installed")


@pytest.mark.slow
def test_a_server_that_does_not_come_up_is_quoted(tmp_path, capsys):
    (tmp_path / "broken" / "1").mkdir(parents=True)
    (tmp_path / "broken" / "1" / "saved_model.pb").write_bytes(b"\xff\xff")
    assert main(["--serving", "--model", str(tmp_path / "broken" / "1")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("stopped: the server ended with 1 while it loaded the model and said: ")
    assert "DecodeError: " in said
    assert said.count("\n") == 1

"""Where bfloat16 is asked for: which stages it changes, what it never touches, and processors that gain nothing by it."""

import logging

import numpy as np
import pytest
import tensorflow as tf

from mi_keras import machine as machines
from mi_keras.attacks.learned import Learned
from mi_keras.attacks.shadows import FromShadows
from mi_keras.errors import InputError
from mi_keras.experiments.store import Store
from mi_keras.experiments.thesis.rows import inversion
from mi_keras.machine import BFLOAT16, FLOAT32, as_change, machine, usable_precision
from mi_keras.settings import DecoderSettings
from tests.unit.experiments.test_stages import all_stages
from tests.unit.experiments.tiny import Config, make_bench

ITSELF = {"shadow", "known_x", "x", "inverter"}  # trained or inverted in bfloat16
AFTER = {"known", "known_a", "a", "inversion", "scored"}  # made from these
UNTOUCHED = {"target", "observed", "prototype"}


@pytest.fixture
def with_instructions(monkeypatch):
    """A processor as this one, but for its instructions."""
    monkeypatch.setattr(machines, "_instructions", lambda *names: [names[0]])


@pytest.mark.usefixtures("with_instructions")
def test_it_moves_the_keys_of_what_adversaries_train_and_of_what_follows_and_no_others(tmp_path):
    before, after = (all_stages(make_bench(tmp_path, precision=each)) for each in (FLOAT32, BFLOAT16))
    assert {name for name in before if before[name].key != after[name].key} == ITSELF | AFTER
    assert {name for name in before if before[name].key == after[name].key} == UNTOUCHED
    said = {name for name, stage in after.items() if stage.identity.get("precision") == BFLOAT16}
    assert said == ITSELF
    assert not [name for name, stage in before.items() if "precision" in stage.identity]


@pytest.mark.usefixtures("with_instructions")
def test_answers_of_the_target_are_the_same_bytes_and_networks_come_back_in_float32(tmp_path):
    """In stores of their own, so that nothing is shared. What is exported is made of the graph that is looked at here."""
    benches = [make_bench(tmp_path / each, precision=each) for each in (FLOAT32, BFLOAT16)]
    whole, half = map(all_stages, benches)
    answers = [stages["observed"].arrays["output_vector"] for stages in (whole, half)]
    assert answers[0].dtype == np.float32
    assert answers[0].tobytes() == answers[1].tobytes()
    one, other = (stages["known"].arrays["output_vector"] for stages in (whole, half))
    assert not np.array_equal(one, other)
    assert np.abs(one - other).max() < 0.2 * np.abs(one).max()  # of shadow models of two batches
    attack, fitted, width = inversion(Config(), "o+a+x"), half["inverter"], 3 + 50 + 32 * 32
    model = attack.load((fitted.arrays, fitted.info), (width,), benches[1].image_shape)
    assert {layer.compute_dtype for layer in model.layers} == {FLOAT32}
    call = tf.function(lambda vectors: model(vectors, training=False))
    graph = call.get_concrete_function(tf.TensorSpec((1, width), tf.float32)).graph
    assert tf.bfloat16 not in {tensor.dtype for each in graph.get_operations() for tensor in each.outputs}


@pytest.mark.parametrize("lacking", ["instructions", "oneDNN"])
def test_a_machine_that_gains_nothing_says_so_and_takes_float32(tmp_path, monkeypatch, caplog, lacking):
    has = [] if lacking == "instructions" else ["avx512_bf16"]
    monkeypatch.setattr(machines, "_instructions", lambda *names: has)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0" if lacking == "oneDNN" else "1")
    with caplog.at_level(logging.WARNING, "mi_keras"):
        half = make_bench(tmp_path, precision=BFLOAT16)
    (line,) = caplog.messages
    assert line.startswith("bfloat16 gains nothing here, as ")
    assert line.endswith(": computing in float32")
    assert half.store.precision == FLOAT32
    assert {s.key for s in all_stages(half).values()} == {
        s.key for s in all_stages(make_bench(tmp_path)).values()
    }


def test_instructions_are_read_where_linux_tells_them(tmp_path, monkeypatch):
    told = tmp_path / "cpuinfo"
    monkeypatch.setattr(machines, "Path", lambda _: told)
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    for flags, expected in (
        (None, FLOAT32), ("flags: avx2 avx512f", FLOAT32), ("flags: avx512_bf16_not", FLOAT32),
        ("flags: avx2 avx512_bf16 sse", BFLOAT16), ("flags: amx_bf16", BFLOAT16),
    ):  # fmt: skip
        if flags:
            told.write_text(flags)
        assert usable_precision(BFLOAT16) == expected
        assert usable_precision(FLOAT32) == FLOAT32


def test_a_precision_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match="`precision` must be one of float32, bfloat16; got 'float16'"):
        Store(tmp_path, precision="float16")


def test_results_say_it_where_it_is_not_float32():
    assert as_change(BFLOAT16) == ["precision=bfloat16"]
    assert as_change(FLOAT32) == []
    assert BFLOAT16 in machine(BFLOAT16)["precision"]
    assert "precision" not in machine()


def test_decoders_that_gain_nothing_stay_in_float32():
    gains = {
        name: Learned(settings=DecoderSettings(name)).gains_in_half
        for name in ("transposed", "released", "bicubic", "compact", "large")
    }
    assert gains == {"transposed": False, "released": False, "bicubic": True, "compact": True, "large": True}
    assert FromShadows(Learned()).gains_in_half

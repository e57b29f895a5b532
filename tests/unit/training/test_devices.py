"""Several devices train a model as one does: shown on two logical devices of the CPU, in a process that begins with them."""

import json
import os
import subprocess
import sys

import pytest

from mi_keras.errors import InputError
from mi_keras.experiments.resources import Resources
from mi_keras.experiments.section import Request
from tests.processes import REPOSITORY

LAST = ("activations", "logits", "up_3")  # no normalisation takes their bias away


@pytest.fixture(scope="module")
def found() -> dict:
    return of("cnn")


def of(network: str) -> dict:
    """Return what a process with two devices has found out with a network."""
    command = [sys.executable, "-m", "tests.unit.training.two_devices", network]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, check=True, stdout=subprocess.PIPE, text=True, timeout=300
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("network", ["tcnn", "decoder"])
def test_so_they_do_with_other_networks(network: str) -> None:
    test_two_devices_give_the_weights_of_one_with_the_whole_batch(of(network))


def test_two_devices_give_the_weights_of_one_with_the_whole_batch(found: dict) -> None:
    """With dropout and noise on, statistics of normalisation, an uneven last batch: to the rounding of sums."""
    assert found["replicas"] == 2
    for path, apart in found["variables"].items():
        layer, name = path.split("/")[-2:]
        if name == "bias" and layer not in LAST:
            continue  # its gradient is rounding, which Adam blows up ...
        limit = {"moving_mean": 2e-3, "seed_generator_state": 0}.get(
            name, 2e-5
        )  # ... and which the mean sees
        assert apart <= limit, path
    one, two = found["losses"]
    assert two == pytest.approx(one, rel=1e-5)


def test_statistics_of_each_device_alone_would_be_seen(found: dict) -> None:
    kernels = {path: apart for path, apart in found["own_statistics"].items() if path.endswith("kernel")}
    assert max(kernels.values()) > 1e-3
    assert found["own_statistics"]["norm_2/moving_variance"] > 1e-4


def test_interrupted_and_resumed_on_two_devices_equals_uninterrupted(found: dict) -> None:
    assert found["resumed"]["same"]
    assert set(found["resumed"]["apart"].values()) == {0}


def test_layers_that_look_at_their_own_rows_are_left_to_one_device(found: dict) -> None:
    assert found["shared"] == [False, True, True, True]


def test_more_devices_than_there_are_and_workers_beside_them_are_refused(found: dict) -> None:
    assert found["refused"] == "`devices` must be at most 2, as many as TensorFlow sees of kind CPU; got 3."
    with pytest.raises(InputError, match="`workers` must be 1 where `devices` is 2; got 3"):
        Request("5.2", devices=2, resources=Resources(workers=3))
    with pytest.raises(InputError, match="`devices` must be 1 with `ray`; got 2"):
        Request("5.2", devices=2, resources=Resources(ray="auto"))
    with pytest.raises(InputError, match="`devices` must be >= 1; got 0"):
        Request("5.2", devices=0)

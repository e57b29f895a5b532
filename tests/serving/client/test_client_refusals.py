"""What the client refuses, before it sends anything where it can, and what a server does not have."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from small_export import UNITS, vectors

from mi_keras.errors import InputError
from mi_keras.serving.client import Client


@pytest.mark.parametrize(
    ("which", "message"),
    [
        (
            {"model": "nothing"},
            r"`model` must be one that 127.* serves; got nothing \(server: .*nothing.*\)\.",
        ),
        ({"model": "nothing", "version": 1}, "`model` must be one that .* serves; got nothing"),
        ({"model": "nothing", "label": "stable"}, "`model` must be one that .* serves; got nothing"),
        ({"version": 9}, "`version` of thesis must be loaded by .*, whose newest is 2; got 9\\."),
        (
            {"label": "canary"},
            r"`label` must be one that .* knows; got thesis label canary \(server: .*canary\)\.",
        ),
    ],
    ids=["model", "model and version", "model and label", "version", "label"],
)
def test_what_the_server_does_not_have_is_said(server, rest, which, message):
    client = Client(server.address(rest), **({"model": "thesis"} | which), rest=rest)
    with client, pytest.raises(InputError, match=message):
        client.describe()


def test_a_batch_beyond_the_servers_limit_names_the_limit(server, rest):
    with Client(server.address(rest), "thesis", rest=rest) as client:
        client.predict("invert_from_output", {"output_vector": vectors(64)})
        with pytest.raises(
            InputError, match=r"`batch` must be at most 64, the most rows that .* takes; got 65\."
        ):
            client.predict("invert_from_output", {"output_vector": vectors(65)})


@pytest.mark.parametrize(
    ("endpoint", "inputs", "message"),
    [
        ("inverse", {"output_vector": vectors(2)},
         "`endpoint` of thesis must be one of: invert, invert_from_output, invert_png, serving_default; got inverse."),
        ("invert", {"output_vector": vectors(2)}, "`inputs` of endpoint invert must be .*; got output_vector."),
        ("invert_from_output", {"output_vector": vectors(2)[:, :9]},
         r"`output_vector` of endpoint invert_from_output must be float32 \(rows, 10\); got \(2, 9\)."),
        ("invert_from_output", {"output_vector": np.zeros((0, 10))}, r"got \(0, 10\)."),
        ("invert_from_output", {"output_vector": np.array([["a"] * 10])}, "must be .* numbers; got <U1."),
        ("invert_from_output", {"output_vector": np.full((3, 10), [[0.0], [np.nan], [1]])},
         "`output_vector` must be finite; got NaN or infinity in row 1."),
        ("invert_from_output", {"output_vector": np.full((1, 10), 1e300)}, "must be finite; got .* in row 0."),
        ("invert", {"output_vector": vectors(2), "activations": vectors(3)[:, :UNITS]},
         "`inputs` must have equally many rows; got .*output_vector 2"),
    ],
)  # fmt: skip
def test_wrong_input_is_found_before_anything_is_sent(serve, endpoint, inputs, message):
    asked = []
    with (
        serve(before_predict=lambda: asked.append(1)) as server,
        Client(server.grpc, "thesis") as client,
        pytest.raises(InputError, match=message),
    ):
        client.predict(endpoint, inputs)
    assert asked == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"server": "localhost"}, "`server` must be HOST:PORT; got localhost."),
        ({"server": "localhost:99999"}, "`server` must be HOST:PORT"),
        (
            {"server": "ftp://localhost:1", "rest": True},
            "`server` must be HOST:PORT, http://HOST:PORT or https",
        ),
        ({"server": "http://localhost:1"}, "`server` must be HOST:PORT for gRPC"),
        (
            {"server": "a..b:8501", "rest": True},
            "`server` must be HOST:PORT, where HOST has labels of 1 to 63",
        ),
        ({"server": f"{'a' * 64}.b:8500"}, "`server` must be HOST:PORT, where HOST has labels of 1 to 63"),
        ({"server": "[nothing]:8501"}, r"`server` must be .* or is \[IPv6\]; got \[nothing\]:8501"),
        ({"server": "[::1:8501", "rest": True}, "`server` must be HOST:PORT; got"),
        ({"server": "http://a:b:8501", "rest": True}, "`server` must be HOST:PORT; got"),
        ({"version": 1, "label": "stable"}, "`version` must not go with `label`; got 1 and stable."),
        ({"version": -1}, "`version` must be between 0 and"),
        ({"timeout": 0}, "`timeout` must be above 0 and at most 86400 seconds; got 0."),
        ({"timeout": float("inf")}, "`timeout` must be above 0 and at most 86400 seconds; got inf."),
        ({"timeout": float("nan")}, "`timeout` must be above 0 and at most 86400 seconds; got nan."),
        ({"retries": -1}, "`retries` must be between 0 and 100; got -1."),
        ({"model": ""}, "`model` must be the name of a model; got ''."),
        ({"model": "\udcff"}, r"`model` must be the name of a model; got '\\udcff'."),
        ({"label": ""}, "`label` must be the name of a label; got ''."),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        Client(**({"server": "localhost:8500", "model": "thesis"} | arguments))


def test_grpc_without_its_package_names_the_extra(monkeypatch):
    name = "mi_keras.serving.transport_grpc"
    monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    with pytest.raises(InputError, match=r"`pip install 'mi-keras\[serving\]'` must come before gRPC"):
        Client("localhost:8500", "thesis")


def changed_signatures(loaded):
    """`thesis` with a signature that takes nothing and two that return types without a name here."""
    version = loaded["thesis"][2]
    signatures = {
        name: version.signatures["invert_from_output"].__class__() for name in ("none", "bfloat16", "later")
    }
    for signature in signatures.values():
        signature.CopyFrom(version.signatures["invert_from_output"])
    signatures["none"].inputs.clear()
    signatures["bfloat16"].outputs["image"].dtype = 14
    signatures["later"].outputs["image"].dtype = 9999
    return {"thesis": {2: replace(version, signatures=version.signatures | signatures)}}


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [("none", "`endpoint` of thesis must take an input; got none, which takes none."),
     ("bfloat16", r"`endpoint` of thesis must return types among float32, .*; got bfloat16, which returns image DT_BFLOAT16 \("),
     ("later", "`endpoint` of thesis must return types among .*; got later, which returns image .*9999")],
)  # fmt: skip
def test_endpoints_that_no_array_fits_are_refused(serve, loaded, rest, endpoint, message):
    with (
        serve(changed_signatures(loaded)) as server,
        Client(server.address(rest), "thesis", rest=rest) as client,
        pytest.raises(InputError, match=message),
    ):
        client.predict(endpoint, {"output_vector": vectors(1)})

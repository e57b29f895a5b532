"""The client against servers on real sockets: which model answers, whose answer it is, and what is refused."""

import socketserver
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace

import grpc
import numpy as np
import pytest
from small_export import CLASSES, UNITS, expected_image
from tensorflow_serving.apis import get_model_metadata_pb2, prediction_service_pb2_grpc

from mi_keras.errors import InputError
from mi_keras.serving.client import Client
from mi_keras.serving.contract import ServedModel, ServerError, Unavailable
from mi_keras.serving.loopback_models import Refusal

CLIENTS, REQUESTS = 8, 1000
OVER_BOTH = pytest.mark.parametrize("rest", [False, True], ids=["grpc", "rest"])


def vectors(rows, seed=1):
    return np.random.default_rng(seed).standard_normal((rows, CLASSES), np.float32)


@OVER_BOTH
def test_a_model_describes_its_endpoints(server, rest):
    with Client(server.address(rest), "thesis", rest=rest) as client:
        served = client.describe()
    assert (served.name, served.version) == ("thesis", 2)
    assert set(served.endpoints) == {"serving_default", "invert", "invert_from_output", "invert_png"}
    inputs, outputs = served.endpoints["invert"].inputs, served.endpoints["invert"].outputs
    assert {name: str(info) for name, info in inputs.items()} == {
        "output_vector": "float32 (rows, 10)", "activations": "float32 (rows, 6)",
    }  # fmt: skip
    assert outputs["image"].shape == (None, 8, 8, 1)
    assert served.endpoints["invert_png"].outputs["png_bytes"].dtype == "string"


@OVER_BOTH
@pytest.mark.parametrize(
    ("which", "version"),
    [({}, 2), ({"version": 1}, 1), ({"version": 2}, 2), ({"label": "stable"}, 1)],
    ids=str,
)
def test_the_version_that_was_asked_for_answers(server, rest, which, version):
    sent = vectors(5)
    with Client(server.address(rest), "thesis", rest=rest, **which) as client:
        assert client.describe().version == version
        image = client.predict("invert_from_output", {"output_vector": sent})["image"]
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, expected_image(version, sent), atol=1e-6)


@OVER_BOTH
def test_all_inputs_arrive_under_their_names(server, rest):
    sent, units = vectors(3), vectors(3, seed=2)[:, :UNITS]
    with Client(server.address(rest), "thesis", rest=rest) as client:
        answer = client.predict("invert", {"activations": units, "output_vector": sent})
        png = client.predict("invert_png", {"output_vector": sent, "activations": units})["png_bytes"]
    np.testing.assert_allclose(answer["image"], expected_image(2, sent, units), atol=1e-6)
    assert [content[:8] for content in png] == [b"\x89PNG\r\n\x1a\n"] * 3


@OVER_BOTH
def test_of_many_concurrent_requests_none_is_lost_or_swapped(server, loaded, rest):
    run = loaded["thesis"][2].runnable.signatures["invert_from_output"]
    wrong, done, lock = [], [], threading.Lock()

    def work(worker):
        with Client(server.address(rest), "thesis", rest=rest) as client:
            for number in range(worker, REQUESTS, CLIENTS):
                sent = vectors(1 + number % 3, seed=number)
                image = client.predict("invert_from_output", {"output_vector": sent})["image"]
                expected = run(output_vector=sent)["image"].numpy()
                same = (
                    np.array_equal(image, expected)
                    if server.exact
                    else np.allclose(image, expected, atol=1e-6)
                )
                with lock:
                    done.append(number)
                    if not same:
                        wrong.append(number)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == list(range(REQUESTS))
    assert wrong == []


@OVER_BOTH
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


@OVER_BOTH
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


@OVER_BOTH
def test_a_slow_server_is_given_up_at_the_deadline_and_not_asked_again(serve, rest):
    asked, given_up = [], threading.Event()

    def dawdle():
        asked.append(1)
        given_up.wait(60)

    with (
        serve(before_predict=dawdle) as server,
        Client(server.address(rest), "thesis", rest=rest, timeout=0.3) as client,
    ):
        client.describe()
        started = time.monotonic()
        with pytest.raises(
            ServerError, match=r"no answer within 0\.3 seconds; allow more with --timeout"
        ) as error:
            client.predict("invert_from_output", {"output_vector": vectors(1)})
        assert time.monotonic() - started < 10
        given_up.set()
    assert error.value.filename == server.address(rest)
    assert len(asked) == 1


@OVER_BOTH
def test_a_server_that_is_busy_is_asked_again(serve, rest):
    answers = iter([Refusal("UNAVAILABLE", "The batch scheduling queue is full")] * 2)

    def busy():
        for refusal in answers:
            raise refusal

    with serve(before_predict=busy) as server, Client(server.address(rest), "thesis", rest=rest) as client:
        image = client.predict("invert_from_output", {"output_vector": vectors(1)})["image"]
    np.testing.assert_allclose(image, expected_image(2, vectors(1)), atol=1e-6)


@OVER_BOTH
@pytest.mark.parametrize(
    ("status", "kind"),
    [("INVALID_ARGUMENT", InputError), ("DEADLINE_EXCEEDED", ServerError), ("INTERNAL", ServerError),
     ("RESOURCE_EXHAUSTED", ServerError), ("UNAVAILABLE", Unavailable)],
)  # fmt: skip
def test_only_unavailable_servers_are_asked_again(serve, rest, status, kind):
    asked = []

    def refuse():
        asked.append(1)
        raise Refusal(status, "no\x1b[31m\nreason")

    with (
        serve(before_predict=refuse) as server,
        Client(server.address(rest), "thesis", rest=rest, retries=2) as client,
        pytest.raises(kind) as error,
    ):
        client.predict("invert_from_output", {"output_vector": vectors(1)})
    assert len(asked) == (3 if status == "UNAVAILABLE" else 1)
    assert str(error.value).isprintable()


@OVER_BOTH
def test_no_server_is_an_error_that_names_the_address(closed_address, rest):
    with (
        Client(closed_address, "thesis", rest=rest, retries=1) as client,
        pytest.raises(Unavailable) as error,
    ):
        client.describe()
    assert error.value.filename == closed_address
    assert "no answer from the server" in str(error.value)


def test_64_images_of_320_pixels_travel_in_one_message(server):
    maps = np.random.default_rng(1).random((64, 20, 20, 4), np.float32)
    with Client(server.grpc, "split") as client:
        images = client.predict("reconstruct", {"feature_maps": maps})["image"]
    np.testing.assert_array_equal(images, maps[..., :3].repeat(16, axis=1).repeat(16, axis=2))


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


def test_plain_text_to_another_machine_is_said_once(caplog):
    for _ in range(2):
        Client("192.0.2.1:8501", "thesis", rest=True).close()
        Client("https://192.0.2.1:8501", "thesis", rest=True).close()
        for near in ("127.0.0.2:8501", "[::1]:8501", "localhost:8501"):
            Client(near, "thesis", rest=True).close()
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["192.0.2.1"]


def test_threads_that_ask_first_at_the_same_time_get_one_version(monkeypatch):
    both, asked = threading.Barrier(2), []

    def metadata(*_):
        with suppress(threading.BrokenBarrierError):
            both.wait(0.2)
        asked.append(1)
        return ServedModel("thesis", len(asked), {})

    monkeypatch.setattr("mi_keras.serving.transport_rest.RestTransport.metadata", metadata)
    with Client(None, "thesis", rest=True) as client, ThreadPoolExecutor(2) as threads:
        versions = [each.version for each in threads.map(lambda _: client.describe(), range(2))]
    assert versions == [1, 1]


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


@OVER_BOTH
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


def test_metadata_that_cannot_be_decoded_are_refused():
    class Liar(prediction_service_pb2_grpc.PredictionServiceServicer):
        def GetModelMetadata(self, request, context):
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            packed = response.metadata["signature_def"]
            packed.Pack(get_model_metadata_pb2.SignatureDefMap())
            packed.value = b"\xff\xff"
            return response

    server = grpc.server(ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Liar(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with (
        Client(f"127.0.0.1:{port}", "thesis") as client,
        pytest.raises(ServerError, match="hold no signatures"),
    ):
        client.describe()
    server.stop(None)


@contextmanager
def answering(reply):
    """A port that says `reply` to whatever comes; gives its address and a list that grows with each connection."""
    connections = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            connections.append(1)
            self.request.recv(65536)
            self.request.sendall(reply)

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}", connections
        server.shutdown()


@pytest.mark.parametrize(
    ("scheme", "reply", "kind", "asked"),
    [("http", b"SSH-2.0-OpenSSH_9.6\r\n", ServerError, 1), ("https", b"HTTP/1.1 400 Bad Request\r\n\r\n", ServerError, 1),
     ("http", b"", Unavailable, 2), ("http", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", Unavailable, 2)],
    ids=["no HTTP", "no TLS", "closed", "cut"],
)  # fmt: skip
def test_rest_asks_again_only_what_may_pass(scheme, reply, kind, asked):
    with (
        answering(reply) as (address, connections),
        Client(f"{scheme}://{address}", "thesis", rest=True, retries=1) as client,
        pytest.raises(ServerError) as error,
    ):
        client.describe()
    assert (type(error.value), len(connections)) == (kind, asked)

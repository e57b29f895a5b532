"""The client against servers that are slow, busy, gone or no TensorFlow Serving: what it asks again, and what it says."""

import socketserver
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import grpc
import numpy as np
import pytest
from small_export import expected_image, vectors
from tensorflow_serving.apis import get_model_metadata_pb2, prediction_service_pb2_grpc

from mi_keras.errors import InputError
from mi_keras.serving.client import Client
from mi_keras.serving.contract import ServerError, Unavailable
from mi_keras.serving.loopback_models import Refusal


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


def test_a_server_that_is_busy_is_asked_again(serve, rest):
    answers = iter([Refusal("UNAVAILABLE", "The batch scheduling queue is full")] * 2)

    def busy():
        for refusal in answers:
            raise refusal

    with serve(before_predict=busy) as server, Client(server.address(rest), "thesis", rest=rest) as client:
        image = client.predict("invert_from_output", {"output_vector": vectors(1)})["image"]
    np.testing.assert_allclose(image, expected_image(2, vectors(1)), atol=1e-6)


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


def test_what_a_server_that_ends_leaves_unanswered_goes_to_the_next_at_its_address(serve, capfd):
    """It is told CANCELLED, which is no word of ours."""
    asked, ended = threading.Event(), threading.Event()

    def dawdle():
        asked.set()
        ended.wait(60)

    with ThreadPoolExecutor(1) as pool:
        with serve(before_predict=dawdle) as server:
            client = Client(server.grpc, "thesis", version=2)
            image = pool.submit(client.predict, "invert_from_output", {"output_vector": vectors(1)})
            assert asked.wait(60)
        ended.set()
        with serve(ports=(int(server.grpc.split(":")[1]), 0)), client:
            np.testing.assert_allclose(image.result()["image"], expected_image(2, vectors(1)), atol=1e-6)
    assert capfd.readouterr().err == ""


def test_no_server_is_an_error_that_names_the_address(closed_address, rest):
    with (
        Client(closed_address, "thesis", rest=rest, retries=1) as client,
        pytest.raises(Unavailable) as error,
    ):
        client.describe()
    assert error.value.filename == closed_address
    assert "no answer from the server" in str(error.value)


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
     ("http", b"", Unavailable, 2), ("http", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", Unavailable, 2),
     ("http", b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"a": 1}', Unavailable, 2)],
    ids=["no HTTP", "no TLS", "closed", "cut", "cut to what is JSON"],
)  # fmt: skip
def test_rest_asks_again_only_what_may_pass(scheme, reply, kind, asked):
    with (
        answering(reply) as (address, connections),
        Client(f"{scheme}://{address}", "thesis", rest=True, retries=1) as client,
        pytest.raises(ServerError) as error,
    ):
        client.describe()
    assert (type(error.value), len(connections)) == (kind, asked)


@pytest.mark.parametrize("slow", ["headers", "content"])
def test_rest_gives_up_at_the_deadline_also_where_an_answer_comes_in_drops(slow):
    """Each drop comes in time; all of them do not."""
    head, ended = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n", threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.recv(65536)
            self.request.sendall(head if slow == "headers" else head + b"\r\n")
            with suppress(ConnectionError):
                while not ended.wait(0.05):
                    self.request.sendall(b"X: 1\r\n" if slow == "headers" else b"1")

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        address = f"127.0.0.1:{server.server_address[1]}"
        started = time.monotonic()
        with (
            Client(address, "thesis", rest=True, timeout=0.4) as client,
            pytest.raises(ServerError, match=r"no answer within 0\.4 seconds"),
        ):
            client.describe()
        assert time.monotonic() - started < 5
        ended.set()
        server.shutdown()

"""The loopback servers where they must answer as TensorFlow Serving does, though our client does not ask."""

import json
import shutil
import signal
import socket
import urllib.error
import urllib.request

import grpc
import pytest
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

from mi_keras.serving.loopback import main
from mi_keras.serving.loopback_models import load_models


def ask(address, path, request=None):
    """Return the HTTP code and the JSON of an answer."""
    body = None if request is None else json.dumps(request).encode()
    try:
        with urllib.request.urlopen(f"http://{address}/v1/models/{path}", body) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.loads(refusal.read())


def test_what_is_not_finished_is_not_loaded(exports, tmp_path):
    shutil.copytree(exports / "thesis" / "1", tmp_path / "thesis" / "1")
    unfinished = tmp_path / ".unfinished" / "35-ab-host"
    unfinished.mkdir(parents=True)
    shutil.copy(exports / "thesis" / "1" / "saved_model.pb", unfinished)
    assert {name: list(versions) for name, versions in load_models(tmp_path).items()} == {"thesis": [1]}


def test_trouble_of_the_command_is_one_line(tmp_path, monkeypatch, capsys):
    """And signals are heard afterwards by whom they were before."""
    heard = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["loopback", *arguments])
        return main(), capsys.readouterr().err.strip()

    assert run(str(tmp_path / "nowhere")) == (
        2, f"`folder` must be a folder of exported models; got {tmp_path / 'nowhere'}.",
    )  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for option in ("--grpc-port", "--rest-port"):
            assert run(str(tmp_path), option, str(port)) == (
                1, f"stopped: the port cannot be had: 127.0.0.1:{port}.",
            )  # fmt: skip
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == heard


@pytest.mark.parametrize(
    ("path", "versions"),
    [("thesis", ["2", "1"]), ("thesis/versions/1", ["1"]), ("thesis/labels/stable", ["1"])],
)
def test_the_status_lists_every_version_unless_one_is_named(server, path, versions):
    code, answer = ask(server.rest, path)
    assert code == 200
    assert [each["version"] for each in answer["model_version_status"]] == versions
    assert {each["state"] for each in answer["model_version_status"]} == {"AVAILABLE"}


@pytest.mark.parametrize(("path", "words"), [
    ("nothing", "Could not find any versions of model nothing"), ("thesis/versions/7", "Could not find version 7 of model thesis"),
])  # fmt: skip
def test_the_status_of_what_is_not_there_is_refused_in_the_servers_words(server, path, words):
    assert ask(server.rest, path) == (404, {"error": words})


@pytest.mark.parametrize(
    ("asked", "versions"),
    [({}, [2, 1]), ({"version": {"value": 1}}, [1]), ({"version_label": "stable"}, [1])],
)
def test_the_status_is_told_over_grpc_too(server, asked, versions):
    """By `ModelService`, which other clients ask before anything else."""
    with grpc.insecure_channel(server.grpc) as channel:
        model_status = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus
        request = {"model_spec": {"name": "thesis", **asked}}
        answer = model_status(get_model_status_pb2.GetModelStatusRequest(**request), timeout=60)
        assert [each.version for each in answer.model_version_status] == versions
        assert {(each.state, each.status.error_code) for each in answer.model_version_status} == {(30, 0)}
        for unknown, code in (({"model_spec": {"name": "nothing"}}, "NOT_FOUND"), ({}, "INVALID_ARGUMENT")):
            with pytest.raises(grpc.RpcError) as refused:
                model_status(get_model_status_pb2.GetModelStatusRequest(**unknown), timeout=60)
            assert refused.value.code().name == code


@pytest.mark.parametrize(
    "content", [{"inputs": [[0] * 10]}, {"instances": [[0] * 10]}], ids=["columns", "rows"]
)
def test_a_signature_that_is_not_there_is_named(server, content):
    code, answer = ask(server.rest, "thesis:predict", content | {"signature_name": "inverse"})
    assert code == 400
    assert answer["error"].startswith('Serving signature name: "inverse" not found in signature def')

"""Servers for the client's tests: loopback always, TensorFlow Serving where there is one."""

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

if find_spec("tensorflow_serving") is None:  # comes with the extra `serving`
    collect_ignore_glob = ["test_*.py"]
sys.path.insert(0, str(Path(__file__).parent))

from small_export import vectors, write_all

from mi_keras.serving.served_versions import ServedVersions, config_text

BINARY, URL = shutil.which("tensorflow_model_server"), os.environ.get("TF_SERVING_URL")
FOLDER = Path(__file__).resolve().parents[3] / "exported_models"


class Server:
    """Where a server listens, and whether it computes in this process, so that its answers are ours to the last bit."""

    def __init__(self, over_grpc, over_rest, exact=True):
        self.grpc, self.rest, self.exact = over_grpc, over_rest, exact

    def address(self, rest):
        return self.rest if rest else self.grpc


@pytest.fixture(scope="session")
def exports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    write_all(folder)
    return folder


@pytest.fixture(scope="session")
def loaded(exports):
    """The models in this process: what the loopback servers answer from, and what their answers are compared with."""
    from mi_keras.serving.loopback_models import load_models

    return load_models(exports)


@pytest.fixture(scope="session")
def serve(loaded):
    """Start a loopback server with properties of `LoadedModels`."""
    from mi_keras.serving.loopback import serve_grpc, serve_rest
    from mi_keras.serving.loopback_models import LoadedModels

    @contextmanager
    def start(versions=loaded, ports=(0, 0), **properties):
        models = LoadedModels(versions, **properties)
        with serve_grpc(models, ports[0]) as over_grpc, serve_rest(models, ports[1]) as over_rest:
            yield Server(over_grpc, over_rest)

    return start


@pytest.fixture(scope="session", params=["loopback", *(["tensorflow_serving"] if URL or BINARY else [])])
def server(request, exports, serve):
    with ExitStack() as stack:
        if request.param == "loopback":
            yield stack.enter_context(serve(labels={"thesis": {"stable": 1}}, max_batch_size=64))
        elif URL:
            yield Server(*URL.split(","), exact=False)
        else:
            yield stack.enter_context(_model_server(exports))


@contextmanager
def _model_server(exports):
    ports = [_free_port() for _ in range(2)]
    command = [
        BINARY, f"--port={ports[0]}", f"--rest_api_port={ports[1]}", f"--model_config_file={exports / 'models.config'}",
        "--allow_version_labels_for_unavailable_models=true", "--enable_batching=true",
        f"--batching_parameters_file={FOLDER / 'batching.config'}",
        f"--monitoring_config_file={FOLDER / 'monitoring.config'}",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while not _listens(ports[1]):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
        yield Server(*(f"127.0.0.1:{port}" for port in ports), exact=False)
    finally:
        process.kill()
        process.wait()


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


@pytest.fixture(params=[False, True], ids=["grpc", "rest"])
def rest(request):
    """Which of the two ways to the server a test goes: it goes both."""
    return request.param


@pytest.fixture
def closed_address():
    return f"127.0.0.1:{_free_port()}"


@pytest.fixture
def configured(tmp_path, monkeypatch):
    """The folder of the exports as `mi-keras invert` finds it, with one model in its configuration."""
    (tmp_path / "here" / "exported_models").mkdir(parents=True)
    path = tmp_path / "here" / "exported_models" / "models.config"
    path.write_text(config_text([ServedVersions("thesis", "latest", (2,))]))
    monkeypatch.chdir(tmp_path / "here")
    return path


@pytest.fixture
def outputs(tmp_path):
    """An npz of `vectors(150)`, in double precision as users have them."""
    path = tmp_path / "outputs.npz"
    np.savez(path, output_vector=vectors(150).astype(np.float64))
    return path

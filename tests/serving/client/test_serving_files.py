"""The kept files of `exported_models/`: fields, flags and the health check, as far as they can be tried without a container."""

import re
import subprocess
from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from mi_keras.serving import contract

REPOSITORY = Path(__file__).resolve().parents[3]
FOLDER = REPOSITORY / "exported_models"
# From BatchingParameters in session_bundle_config.proto; wrapped numbers are written `{ value: N }`.
WRAPPED = {"max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads"}


def statements(name):
    """Lines of a file in text format without comments, with `{` and `}` as words of their own."""
    lines = (line.partition("#")[0].strip() for line in (FOLDER / name).read_text().splitlines())
    return [line for line in lines if line]


def test_batching_has_fields_that_the_server_knows():
    fields = {}
    for line in statements("batching.config"):
        wrapped = re.fullmatch(r"(\w+) \{ value: (\d+) \}", line)
        assert wrapped, line
        assert wrapped[1] not in fields
        fields[wrapped[1]] = int(wrapped[2])
    assert set(fields) == WRAPPED  # and so no `allowed_batch_sizes`, to which batches would be padded
    assert fields["max_batch_size"] == contract.LARGEST_BATCH


def test_monitoring_has_fields_that_the_server_knows():
    assert statements("monitoring.config") == [
        "prometheus_config {", "enable: true", 'path: "/monitoring/prometheus/metrics"', "}",
    ]  # fmt: skip


def test_the_kept_models_config_can_be_parsed():
    text = (FOLDER / "models.config").read_text()
    message = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    assert message.WhichOneof("config") == "model_config_list"


def test_the_container_is_pinned_read_only_and_on_this_machine_alone():
    text = (FOLDER / "docker-compose.yml").read_text()
    assert re.findall(r"^    image: (\S+)", text, re.M) == ["tensorflow/serving:2.20.0"]
    ports = re.search(r"^    ports:.*\n((?:      - .*\n)+)", text, re.M)[1]
    assert re.findall(r'- "(.*)"', ports) == ["127.0.0.1:8500:8500", "127.0.0.1:8501:8501"]
    assert re.findall(r"^      - (\S+:/models\S*)", text, re.M) == ["./:/models:ro"]
    for line in (
        "read_only: true",
        "platform: linux/amd64",
        "no-new-privileges:true",
        "- ALL",
        "healthcheck:",
    ):
        assert line in text
    assert "\t" not in text
    files = re.findall(r"--\w+_file=/models/(\S+)", text)
    assert sorted(files) == ["batching.config", "models.config", "monitoring.config"]
    assert all((FOLDER / name).is_file() for name in files)


def health_check(port):
    text = (FOLDER / "docker-compose.yml").read_text()
    program = re.search(r'- -c\n        - "(.*)"\n', text)[1].replace("\\\\", "\\")
    assert "/8501 " in program
    command = ["bash", "-c", program.replace("/8501 ", f"/{port} ")]
    return subprocess.run(command, capture_output=True, timeout=10).returncode


def test_the_health_check_tells_a_server_from_none(serve, closed_address):
    with serve() as server:
        assert health_check(server.rest.rpartition(":")[2]) == 0
    assert health_check(closed_address.rpartition(":")[2]) != 0


def test_exports_are_ignored_by_git_and_the_folders_own_files_are_not():
    lines = (REPOSITORY / ".gitignore").read_text().split()
    assert [line for line in lines if "exported_models" in line] == ["exported_models/*/"]

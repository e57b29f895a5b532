"""`mi-keras invert` says in one line what is wrong: with its arguments, with the server, or with what it answers."""

import json
import subprocess
import sys
import threading
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from small_export import vectors

from mi_keras.serving.invert import main
from mi_keras.serving.served_versions import ServedVersions, config_text

pytestmark = pytest.mark.usefixtures("configured")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input", "missing.npz"], "`--input` must be an npz file of plain arrays; got missing.npz: "),
        (["--input", "text.npz"], "`--input` must be an npz file of plain arrays; got text.npz: "),
        (["--input", "pickled.npz"], "`--input` must be an npz file of plain arrays; got pickled.npz: "),
        (["--input", "empty.npz"], "`--input` must hold at least one array; got empty.npz, which is empty."),
        (
            ["--input", "wide.npz"],
            "`output_vector` of endpoint invert_from_output must be float32 (rows, 10); got (3, 12).",
        ),
        (["--input", "nan.npz"], "`output_vector` must be finite; got NaN or infinity in row 2."),
        (["--input", "other.npz"], "`--input` must hold the inputs of an endpoint ("),
        (["--endpoint", "invert"], "`inputs` of endpoint invert must be "),
        (["--endpoint", "inverse"], "`endpoint` of thesis must be one of: invert,"),
        (
            ["--model", "split", "--endpoint", "features"],
            "`endpoint` must return images; got features, which returns",
        ),
        (["--model", "nothing"], "`model` must be one that "),
        (["--version", "7"], "`version` of thesis must be loaded by "),
        (["--label", "nightly"], "`label` must be one that "),
        (["--batch", "0"], "`batch` must be >= 1; got 0."),
        (["--batch", "100"], "`batch` must be at most 64, the most rows that "),
        (["--batch", "many"], "argument --batch"),
        (["--timeout", "nan"], "`timeout` must be above 0 and at most 86400 seconds; got nan."),
        (["--timeout", "0"], "`timeout` must be above 0 and at most 86400 seconds; got 0.0."),
        (["--out", "/proc/nowhere"], "`--out` must be a folder that can be written; got /proc/nowhere ("),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_with_exit_code_2(serve, outputs, refusal_of, arguments, message):
    Path("text.npz").write_text("no archive")
    np.savez("pickled.npz", output_vector=np.array([{}], object))
    np.savez("empty.npz")
    np.savez("wide.npz", output_vector=vectors(3)[:, [*range(10), 0, 1]])
    np.savez("nan.npz", output_vector=np.vstack([vectors(2), np.full((1, 10), np.nan)]))
    np.savez("other.npz", logits=vectors(3))
    with serve(max_batch_size=64) as server:
        command = ["--input", str(outputs), "--out", "images", "--server", server.grpc, *arguments]
        assert message in refusal_of(main, command)


def rest_arguments(address, folder):
    return ["--rest", "--server", address, "--input", str(folder / "in.npz"), "--out", str(folder / "out")]


@contextmanager
def canned(serve, answer):
    """A REST server with the metadata of `thesis` that answers every prediction with the same words."""
    with serve() as server:
        metadata = urllib.request.urlopen(f"http://{server.rest}/v1/models/thesis/metadata").read()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.reply(metadata)

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.reply(answer.encode())

        def reply(self, body):
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("<html>", "the answer to HTTP 200 is not JSON"),
        ("[]", "the answer must hold image in columns"),
        ('{"outputs": {"image": 1}}', "the answer must hold image in columns"),
        ('{"outputs": [[[[1, 2], [3]]]]}', "the answer must hold image in columns"),
        ('{"outputs": [[[["red"]]]]}', "the answer must hold image in columns"),
        (
            '{"outputs": [[[[0.5]]]]}',
            "the answer must hold 1 rows of image as float32 (rows, 8, 8, 1); got float32 (1, 1,",
        ),
        (
            json.dumps({"outputs": np.full((2, 8, 8, 1), 0.5).tolist()}),
            "the answer must hold 1 rows of image",
        ),
        (
            json.dumps({"outputs": np.full((1, 8, 8, 1), np.nan).tolist()}),
            "the answer holds NaN or infinity in image",
        ),
        ("[" * 100_000, "the answer to HTTP 200 is not JSON"),
    ],
    ids=range(9),
)
def test_a_server_that_answers_nonsense_is_not_believed(serve, tmp_path, capsys, answer, message):
    np.savez(tmp_path / "in.npz", output_vector=vectors(1))
    with canned(serve, answer) as address:
        assert main(rest_arguments(address, tmp_path)) == 1
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_the_command_needs_no_tensorflow_over_rest(serve, tmp_path):
    np.savez(tmp_path / "in.npz", output_vector=vectors(1))
    program = (
        "import sys; from mi_keras.serving.invert import main; assert main(sys.argv[1:]) == 0;"
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras', 'grpc', 'google.protobuf')))"
    )
    with canned(serve, json.dumps({"outputs": np.full((1, 8, 8, 1), 0.5).tolist()})) as address:
        command = [sys.executable, "-c", program, *rest_arguments(address, tmp_path), "--model", "thesis"]
        assert subprocess.run(command, timeout=60).returncode == 0
    assert (np.load(tmp_path / "out" / "images.npz")["images"] == 0.5).all()


@pytest.mark.parametrize("names", [(), ("thesis", "split")])
def test_the_model_must_be_named_unless_there_is_one(outputs, tmp_path, configured, capsys, names):
    configured.write_text(config_text([ServedVersions(name, "latest", (1,)) for name in names]))
    assert main(["--input", str(outputs), "--out", str(tmp_path / "out")]) == 2
    said = f"`--model` must be given: exported_models/models.config names {', '.join(names) or 'none, or is not there'}.\n"
    assert capsys.readouterr().err == said


def test_no_server_is_one_line_with_exit_code_1(outputs, tmp_path, capsys, closed_address):
    arguments = [
        "--server",
        closed_address,
        "--input",
        str(outputs),
        "--out",
        str(tmp_path),
        "--retries",
        "0",
    ]
    assert main([*arguments, "--rest"]) == 1
    assert main(arguments) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("stopped: no answer from the server (Connection refused): 127.0.0.1:")
    assert lines[1].startswith("stopped: no answer from the server (")


def test_a_configuration_that_is_no_text_in_utf8_is_refused(configured, outputs, refusal_of):
    configured.write_bytes(b"# f\xfcr alle")
    said = refusal_of(main, ["--input", str(outputs), "--out", "images"])
    assert said == "`exported_models/models.config` must be text in UTF-8; got 0xfc at byte 3.\n"

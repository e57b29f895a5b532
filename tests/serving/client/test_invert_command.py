"""`mi-keras invert`: from an npz to images, through interruptions, and one line for everything that is wrong."""

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
from PIL import Image
from small_export import expected_image

from mi_keras.serving.invert import main
from mi_keras.serving.loopback_models import Refusal
from mi_keras.serving.served_versions import ServedVersions, config_text

KILLED = Path(__file__).with_name("killed_server.py")
OVER_BOTH = pytest.mark.parametrize("rest", [[], ["--rest"]], ids=["grpc", "rest"])


def vectors(rows):
    return np.random.default_rng(rows).standard_normal((rows, 10))


@pytest.fixture(autouse=True)
def configured(tmp_path, monkeypatch):
    """The folder of the exports as the command finds it, with one model in its configuration."""
    (tmp_path / "here" / "exported_models").mkdir(parents=True)
    path = tmp_path / "here" / "exported_models" / "models.config"
    path.write_text(config_text([ServedVersions("thesis", "latest", (2,))]))
    monkeypatch.chdir(tmp_path / "here")
    return path


@pytest.fixture
def outputs(tmp_path):
    path = tmp_path / "outputs.npz"
    np.savez(path, output_vector=vectors(150))
    return path


@OVER_BOTH
def test_images_npz_and_contact_sheet_are_written(server, outputs, tmp_path, capsys, rest):
    out = tmp_path / "images"
    command = ["--server", server.address(bool(rest)), "--input", str(outputs), "--out", str(out), *rest]
    assert main(command) == 0
    said = capsys.readouterr()
    assert said.out == (
        f"150 images by thesis version 2, endpoint invert_from_output: {out}. All values were in [0, 1].\n"
    )
    assert said.err == ""
    expected = expected_image(2, vectors(150).astype(np.float32))
    with np.load(out / "images.npz", allow_pickle=False) as archive:
        np.testing.assert_allclose(archive["images"], expected, atol=1e-6)
        stored = archive["images"]
        assert [str(archive[name]) for name in ("model", "version", "endpoint")] == [
            "thesis",
            "2",
            "invert_from_output",
        ]
    assert sorted(path.name for path in out.glob("0*.png")) == [f"{number:06d}.png" for number in range(150)]
    np.testing.assert_array_equal(
        np.asarray(Image.open(out / "000149.png")), np.rint(255 * stored[149, ..., 0])
    )
    assert Image.open(out / "contact_sheet.png").width > 1000
    assert not (out / "parts").exists()

    np.savez(outputs, vectors(20))  # fewer, and without a name: what is too many goes
    assert main([*command, "--version", "1"]) == 2
    assert capsys.readouterr().err == (
        f"`--out` must be a folder without images, unless --overwrite is given; got {out / 'images.npz'}.\n"
    )
    assert len(list(out.glob("0*.png"))) == 150
    assert main([*command, "--version", "1", "--overwrite"]) == 0
    assert "20 images by thesis version 1" in capsys.readouterr().out
    assert len(list(out.glob("0*.png"))) == 20


def test_png_bytes_are_images_too(server, tmp_path, capsys):
    sent = {"output_vector": vectors(5), "activations": np.ones((5, 6), int), "unrelated": np.zeros(1)}
    np.savez(tmp_path / "in.npz", **sent)
    command = ["--server", server.rest, "--rest", "--input", str(tmp_path / "in.npz"), "--endpoint"]
    assert main([*command, "invert_png", "--out", str(tmp_path / "png")]) == 0
    assert main([*command, "invert", "--out", str(tmp_path / "float")]) == 0
    assert "endpoint invert:" in capsys.readouterr().out
    images = [np.load(tmp_path / name / "images.npz")["images"] for name in ("png", "float")]
    np.testing.assert_allclose(*images, atol=0.5 / 255 + 1e-6)


@OVER_BOTH
def test_a_server_that_is_killed_mid_request_costs_only_that_request(
    exports, serve, outputs, tmp_path, capsys, rest
):
    process = subprocess.Popen([sys.executable, KILLED, exports, "3"], stdout=subprocess.PIPE, text=True)
    addresses = process.stdout.readline().split()
    address, ports = addresses[1 if rest else 0], [int(each.rpartition(":")[2]) for each in addresses]
    out = tmp_path / "images"
    command = [
        "--input",
        str(outputs),
        "--out",
        str(out),
        "--batch",
        "40",
        "--retries",
        "1",
        *rest,
        "--server",
    ]
    assert main([*command, address]) == 1
    process.wait()
    assert process.returncode == -9
    said = capsys.readouterr()
    assert said.err.startswith("stopped: no answer from the server (")
    assert said.err.endswith(f": {address}. Finished parts are kept; run the same command again to go on.\n")
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert len(list((out / "parts").iterdir())) == 2
    asked = []
    with serve(ports=ports, before_predict=lambda: asked.append(1)):
        assert main([*command, address]) == 0
    assert len(asked) == 2
    assert capsys.readouterr().out.startswith("150 images, 80 of them from before, by thesis version 2")
    images = np.load(out / "images.npz")["images"]
    np.testing.assert_allclose(images, expected_image(2, vectors(150).astype(np.float32)), atol=1e-6)
    assert not (out / "parts").exists()


class FailsOnce:
    """Refuses the third request; counts all."""

    def __init__(self):
        self.asked = 0

    def __call__(self):
        self.asked += 1
        if self.asked == 3:
            raise Refusal("INTERNAL", "out of luck")


@pytest.mark.parametrize(
    ("change", "asked", "kept"),
    [
        ("nothing", 1, 100),
        ("a damaged part", 2, 50),
        ("input", 2, 50),
        ("version", 3, 0),
        ("server", 3, 0),
        ("--no-resume", 3, 0),
    ],
)
def test_parts_are_kept_for_the_same_question_alone(serve, outputs, tmp_path, capsys, change, asked, kept):
    out, trouble, more = tmp_path / "images", FailsOnce(), []
    command = ["--input", str(outputs), "--out", str(out), "--batch", "50", "--retries", "0", "--server"]
    with serve(before_predict=trouble) as server, serve(before_predict=trouble) as other:
        assert main([*command, server.grpc]) == 1
        assert "the server failed with INTERNAL (out of luck)" in capsys.readouterr().err
        second = max((out / "parts").iterdir())
        if change == "a damaged part":
            second.write_bytes(second.read_bytes()[:100])
        elif change == "input":
            changed = vectors(150)
            changed[0, 0] += 1
            np.savez(outputs, output_vector=changed)
        elif change == "version":
            more = ["--version", "1"]
        elif change == "--no-resume":
            more = [change]
        assert main([*command, other.grpc if change == "server" else server.grpc, *more]) == 0
    assert trouble.asked == 3 + asked
    assert (f"{kept} of them from before" if kept else "150 images by") in capsys.readouterr().out
    assert not (out / "parts").exists()


@OVER_BOTH
def test_a_version_that_is_unloaded_meanwhile_is_no_bad_input(serve, loaded, outputs, tmp_path, capsys, rest):
    versions, asked = {"thesis": dict(loaded["thesis"])}, []

    def unload_after_two():
        asked.append(1)
        if len(asked) == 2:
            del versions["thesis"][2]

    command = ["--input", str(outputs), "--out", str(tmp_path / "images"), "--batch", "50", *rest, "--server"]
    with serve(versions, before_predict=unload_after_two) as server:
        assert main([*command, server.address(bool(rest))]) == 1
        said = capsys.readouterr().err
        assert said.startswith(
            "stopped: thesis version 2 was unloaded; finished parts are kept for --version 2: 127.0"
        )
        assert said.count("\n") == 1
        versions["thesis"][2] = loaded["thesis"][2]
        assert main([*command, server.address(bool(rest)), "--version", "2"]) == 0
    assert len(asked) == 3
    assert capsys.readouterr().out.startswith("150 images, 100 of them from before, by thesis version 2")


@pytest.mark.parametrize(("endpoint", "asked"), [("invert_from_output", 3), ("invert", 1)])
def test_rows_that_are_solved_for_travel_a_few_at_a_time(serve, outputs, tmp_path, endpoint, asked):
    requests = []
    np.savez(outputs, output_vector=vectors(9), activations=np.ones((9, 6)))
    command = ["--input", str(outputs), "--out", str(tmp_path / "images"), "--endpoint", endpoint]
    with serve(before_predict=lambda: requests.append(1)) as server:
        assert main([*command, "--server", server.grpc]) == 0
    assert len(requests) == asked


def test_the_help_says_both_sizes_of_a_request(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "rows a request (default: 64, for invert_from_output 4)" in " ".join(
        capsys.readouterr().out.split()
    )


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
        (["--timeout", "0"], "`timeout` must be above 0 and at most 86400 seconds; got 0.0."),
        (["--out", "/proc/nowhere"], "`--out` must be a folder that can be written; got /proc/nowhere ("),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_with_exit_code_2(serve, outputs, capsys, arguments, message):
    Path("text.npz").write_text("no archive")
    np.savez("pickled.npz", output_vector=np.array([{}], object))
    np.savez("empty.npz")
    np.savez("wide.npz", output_vector=vectors(3)[:, [*range(10), 0, 1]])
    np.savez("nan.npz", output_vector=np.vstack([vectors(2), np.full((1, 10), np.nan)]))
    np.savez("other.npz", logits=vectors(3))
    with serve(max_batch_size=64) as server:
        command = ["--input", str(outputs), "--out", "images", "--server", server.grpc, *arguments]
        try:
            code = main(command)
        except SystemExit as end:  # argparse's own way
            code = end.code
    said = capsys.readouterr()
    assert (code, said.out) == (2, "")
    assert message in said.err
    assert said.err.count("\n") == 1


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


@pytest.mark.parametrize("names", [(), ("thesis", "split")])
def test_the_model_must_be_named_unless_there_is_one(outputs, tmp_path, configured, capsys, names):
    configured.write_text(config_text([ServedVersions(name, "latest", (1,)) for name in names]))
    assert main(["--input", str(outputs), "--out", str(tmp_path / "out")]) == 2
    said = f"`--model` must be given: exported_models/models.config names {', '.join(names) or 'none, or is not there'}.\n"
    assert capsys.readouterr().err == said


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

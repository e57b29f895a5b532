"""`mi-keras invert`: from an npz to images, and through interruptions."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_export import expected_image, vectors

from mi_keras.serving.invert import main
from mi_keras.serving.loopback_models import Refusal

KILLED = Path(__file__).with_name("killed_server.py")

pytestmark = pytest.mark.usefixtures("configured")


def to(address, rest):
    """The arguments that name a server and the way to it."""
    return ["--server", address, *(["--rest"] if rest else [])]


def test_images_npz_and_contact_sheet_are_written(server, outputs, tmp_path, capsys, rest):
    out = tmp_path / "images"
    command = [*to(server.address(rest), rest), "--input", str(outputs), "--out", str(out)]
    assert main(command) == 0
    said = capsys.readouterr()
    assert said.out == (
        f"150 images by thesis version 2, endpoint invert_from_output: {out}. All values were in [0, 1].\n"
    )
    assert said.err == ""
    expected = expected_image(2, vectors(150))
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


# Over REST it is slow: what is made of a connection that is lost there has fast tests of its own (`test_client_failures`)
@pytest.mark.parametrize("rest", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["grpc", "rest"])
def test_a_server_that_is_killed_mid_request_costs_only_that_request(
    exports, serve, outputs, tmp_path, capsys, rest
):
    process = subprocess.Popen([sys.executable, KILLED, exports, "3"], stdout=subprocess.PIPE, text=True)
    addresses = process.stdout.readline().split()
    ports = [int(each.rpartition(":")[2]) for each in addresses]
    out = tmp_path / "images"
    command = [
        *to(addresses[rest], rest),
        "--input",
        str(outputs),
        "--out",
        str(out),
        "--batch",
        "40",
        "--retries",
        "1",
    ]
    assert main(command) == 1
    process.wait()
    assert process.returncode == -9
    said = capsys.readouterr()
    assert said.err.startswith("stopped: no answer from the server (")
    assert said.err.endswith(
        f": {addresses[rest]}. Finished parts are kept; run the same command again to go on.\n"
    )
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert len(list((out / "parts").glob("*/*.npz"))) == 2
    asked = []
    with serve(ports=ports, before_predict=lambda: asked.append(1)):
        assert main(command) == 0
    assert len(asked) == 2
    assert capsys.readouterr().out.startswith("150 images, 80 of them from before, by thesis version 2")
    images = np.load(out / "images.npz")["images"]
    np.testing.assert_allclose(images, expected_image(2, vectors(150)), atol=1e-6)
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
        second = max((out / "parts").glob("*/*.npz"))
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


def test_a_version_that_is_unloaded_meanwhile_is_no_bad_input(serve, loaded, outputs, tmp_path, capsys, rest):
    versions, asked = {"thesis": dict(loaded["thesis"])}, []

    def unload_after_two():
        asked.append(1)
        if len(asked) == 2:
            del versions["thesis"][2]

    with serve(versions, before_predict=unload_after_two) as server:
        command = [
            *to(server.address(rest), rest),
            "--input",
            str(outputs),
            "--out",
            str(tmp_path / "images"),
        ]
        command += ["--batch", "50"]
        assert main(command) == 1
        said = capsys.readouterr().err
        assert said.startswith(
            "stopped: thesis version 2 was unloaded; finished parts are kept for --version 2: 127.0"
        )
        assert said.count("\n") == 1
        versions["thesis"][2] = loaded["thesis"][2]
        assert main([*command, "--version", "2"]) == 0
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
    assert "inputs per request (default: 64, for invert_from_output 4)" in " ".join(
        capsys.readouterr().out.split()
    )

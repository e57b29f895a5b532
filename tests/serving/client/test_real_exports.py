"""What `mi-keras export` wrote, configured, served and asked: the images are those of the Python path."""

import shutil

import numpy as np
import pytest

from mi_keras.serving import config, invert
from mi_keras.serving.loopback import serve_grpc, serve_rest
from mi_keras.serving.loopback_models import LoadedModels, load_models

pytestmark = (
    pytest.mark.slow
)  # trains what it exports; the other tests of the client serve exports that are made by hand


@pytest.fixture(scope="module")
def served(export_of, split_export, tmp_path_factory):
    """Exports of both works in one folder, and the addresses of servers that loaded them."""
    folder = tmp_path_factory.mktemp("exported_models")
    exports = {exported.folder.parent.name: exported for exported in (export_of("o+a+x"), split_export)}
    for name, exported in exports.items():
        shutil.copytree(exported.folder, folder / name / exported.folder.name)
    models = LoadedModels(load_models(folder), max_batch_size=64)
    with serve_grpc(models) as over_grpc, serve_rest(models) as over_rest:
        yield folder, exports, {"grpc": over_grpc, "rest": over_rest}


def test_they_are_found_and_configured(served, capsys):
    folder, exports, _ = served
    assert config.main(["--folder", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "skipped" not in said
    assert all(f"{name}: latest, version 1\n" in said for name in exports)


@pytest.mark.parametrize("way", ["grpc", "rest"])
@pytest.mark.parametrize(
    ("model", "endpoint"),
    [("tiny-o-a-x", "invert"), ("tiny-o-a-x", "invert_from_output"), ("tiny-o-a-x", "invert_png"),
     ("tiny-split", "reconstruct"), ("tiny-split", "reconstruct_png")],
)  # fmt: skip
def test_images_are_those_of_the_python_path(served, tmp_path, capsys, model, endpoint, way):
    _, exports, addresses = served
    trained = exports[model].trained
    (signature,) = [each for each in trained.signatures if each.name == endpoint]
    samples = trained.samples
    inputs = {name: samples[f"{endpoint}/input/{name}"] for name in signature.inputs}
    np.savez(tmp_path / "outputs.npz", **inputs)
    command = ["--server", addresses[way], "--model", model, "--endpoint", endpoint, "--batch", "3"]
    command += ["--input", str(tmp_path / "outputs.npz"), "--out", str(tmp_path / "images")]
    assert invert.main([*command, *(["--rest"] if way == "rest" else [])]) == 0
    assert f"endpoint {endpoint}:" in capsys.readouterr().out
    (output,) = signature.outputs
    expected = samples[f"{endpoint}/output/{output}"]
    if expected.dtype == np.uint8:
        expected = expected / np.float32(255)
    images = np.load(tmp_path / "images" / "images.npz")["images"]
    np.testing.assert_allclose(images, np.clip(expected, 0, 1), atol=signature.tolerance.largest)

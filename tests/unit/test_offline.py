"""`offline`: with every socket refused, each door that could fetch either needs nothing or says so before work begins."""

import socket
from pathlib import Path

import pytest

from mi_keras.data.face_sources import open_faces
from mi_keras.data.sources import load_source
from mi_keras.errors import InputError
from mi_keras.experiments.registry import find
from mi_keras.experiments.section import Request
from mi_keras.models.imagenet import imagenet_file
from mi_keras.models.mobilenet import build_split_mobilenet, encoder_of
from mi_keras.settings import EncoderSettings

MINIMALISTIC = EncoderSettings(variant="minimalistic")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError(f"the network was asked: {arguments}")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))


def test_sections_refuse_weights_that_would_be_downloaded_before_any_is_run(tmp_path: Path) -> None:
    for experiment in find("split", "all"):
        section = experiment.load()
        request = Request(section=experiment.number, work="split", preset="smoke", offline=True)
        with pytest.raises(InputError) as caught:
            section.prepare(request)
        assert str(caught.value) == (
            "`encoder.weights` must be at hand for imagenet where `offline` forbids the download: "
            f"{tmp_path}/keras/models/weights_mobilenet_v3_large_224_1.0_float.h5 is missing; drop `offline` once, or give "
            "the path of a weights file, or `random` to see the wiring."
        )
        section.prepare(
            Request(section="6", work="split", preset="smoke", offline=True, encoder_weights="random")
        )


@pytest.mark.slow  # builds MobileNet three times
def test_weights_that_were_downloaded_are_used_offline() -> None:
    import keras

    with pytest.raises(
        InputError, match=r"^`encoder.weights` must be at hand for imagenet where `offline` forbids"
    ):
        encoder_of(MINIMALISTIC, 32, offline=True)
    file = imagenet_file(minimalistic=True)
    file.parent.mkdir(parents=True)
    published = keras.applications.MobileNetV3Large(
        input_shape=(224, 224, 3), minimalistic=True, weights=None
    )
    published.save(file)  # as files of Keras 2 are, of which the downloaded one is
    kept = build_split_mobilenet(input_shape=(32, 32, 3), minimalistic=True, weights="imagenet", offline=True)
    for layer in published.layers:
        for own, other in zip(
            layer.weights, kept.whole.get_layer(layer.name).weights if layer.weights else (), strict=True
        ):
            assert (own.numpy() == other.numpy()).all()
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(InputError, match="or what is kept is damaged"):
        encoder_of(MINIMALISTIC, 32, offline=True)


@pytest.mark.parametrize("door", [load_source, open_faces])
def test_no_metadata_of_a_set_that_is_not_prepared_is_asked_for(
    door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorFlow Datasets asks its bucket where a process has allowed it; its own client is no Python socket."""
    from tensorflow_datasets.core.utils import gcs_utils

    monkeypatch.setattr(gcs_utils, "_is_gcs_disabled", False)
    monkeypatch.setattr(gcs_utils, "exists", lambda path: pytest.fail(f"{path} was asked for"))
    with pytest.raises(InputError, match=r"is not prepared in .* and `offline` forbids the download"):
        door("tfds:cifar10", offline=True)
    assert gcs_utils._is_gcs_disabled is False

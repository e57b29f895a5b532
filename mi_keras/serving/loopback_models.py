"""What the loopback servers answer from: SavedModels in memory, and refusals in the words of TensorFlow Serving."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mi_keras.quiet import quiet_libraries
from mi_keras.serving.contract import Tensors
from mi_keras.serving.layout import models_in, version_folders

with quiet_libraries():
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2


class Refusal(Exception):
    """A request that is answered with a status and words, in those of TensorFlow Serving where they are known."""

    def __init__(self, status: str, words: str) -> None:
        super().__init__(words)
        self.status = status


@dataclass(frozen=True)
class LoadedVersion:
    """One version in memory: what runs, and the signatures as they lie in its file."""

    version: int
    runnable: Any
    signatures: Mapping[str, Any]


class LoadedModels:
    """What one server holds and how it behaves.

    Args:
        versions: for each model, its versions by number (see `load_models`).
        labels: for each model, versions by label.
        max_batch_size: rows of the largest request, None for any.
        before_predict: called at the start of every prediction; it may wait, or raise `Refusal`.
    """

    def __init__(
        self,
        versions: Mapping[str, Mapping[int, LoadedVersion]],
        *,
        labels: Mapping[str, Mapping[str, int]] | None = None,
        max_batch_size: int | None = None,
        before_predict: Callable[[], object] = lambda: None,
    ) -> None:
        self._versions = versions
        self._labels, self._max_batch_size, self._before_predict = (
            labels or {},
            max_batch_size,
            before_predict,
        )

    def find(self, name: str, version: int | None = None, label: str | None = None) -> LoadedVersion:
        """Return one version of a model.

        Raises:
            Refusal: it is not there.
        """
        if label is not None:
            version = self._labels.get(name, {}).get(label)
            if version is None:
                raise Refusal("INVALID_ARGUMENT", f"Unrecognized servable version label: {label}")
        versions = self._versions.get(name, {})
        found = versions.get(max(versions, default=0) if version is None else version)
        if found is None:
            asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise Refusal("NOT_FOUND", f"Servable not found for request: {asked}")
        return found

    def status(self, name: str, version: int | None = None) -> list[int]:
        """Return the versions of a model whose status is told, the newest first: all that are loaded, or the one asked for.

        Raises:
            Refusal: it is not there.
        """
        loaded = sorted(self._versions.get(name, {}), reverse=True)
        if version is None and not loaded:
            raise Refusal("NOT_FOUND", f"Could not find any versions of model {name}")
        if version is not None and version not in loaded:
            raise Refusal("NOT_FOUND", f"Could not find version {version} of model {name}")
        return loaded if version is None else [version]

    def predict(self, model: LoadedVersion, endpoint: str, inputs: Tensors) -> dict[str, NDArray[Any]]:
        """Run a batch through one signature.

        Raises:
            Refusal: the signature is not there, or does not take these inputs.
        """
        self._before_predict()
        if endpoint not in model.signatures:
            raise Refusal("FAILED_PRECONDITION", f'Serving signature key "{endpoint}" not found.')
        if set(inputs) != set(model.signatures[endpoint].inputs):
            raise Refusal("INVALID_ARGUMENT", f"input size does not match signature: {', '.join(inputs)}")
        rows = len(next(iter(inputs.values())))
        if self._max_batch_size is not None and rows > self._max_batch_size:
            raise Refusal(
                "INVALID_ARGUMENT",
                f"Task size {rows} is larger than maximum input batch size {self._max_batch_size}",
            )
        try:
            outputs = model.runnable.signatures[endpoint](
                **{name: tf.constant(array) for name, array in inputs.items()}
            )
        except (tf.errors.InvalidArgumentError, ValueError, TypeError) as error:
            raise Refusal("INVALID_ARGUMENT", str(error)) from None
        return {name: output.numpy() for name, output in outputs.items()}


def load_models(folder: Path) -> dict[str, dict[int, LoadedVersion]]:
    """Load every `<name>/<version>/` SavedModel in a folder; hidden folders hold what is not finished."""
    models: dict[str, dict[int, LoadedVersion]] = {}
    for model in models_in(folder):
        for version, path in version_folders(model):
            graph = path / "saved_model.pb"
            if graph.is_file():
                signatures = (
                    saved_model_pb2.SavedModel.FromString(graph.read_bytes()).meta_graphs[0].signature_def
                )
                runnable = tf.saved_model.load(str(path))
                models.setdefault(model.name, {})[version] = LoadedVersion(
                    version, runnable, dict(signatures)
                )
    return models

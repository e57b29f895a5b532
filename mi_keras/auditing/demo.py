"""The audit without a model or data at hand: a small CNN, trained on embedded digits, and digits that it has not seen."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mi_keras.data.mnist import read_embedded_mnist
from mi_keras.data.preprocess import preprocess
from mi_keras.data.source import Source
from mi_keras.experiments.store import Store
from mi_keras.models.cnn import build_cnn
from mi_keras.models.variables import weights_of, with_weights
from mi_keras.progress import Arrays, Progress, Run, Workspace
from mi_keras.seeds import derive
from mi_keras.settings import IMAGE_SIZE, ClassifierSettings
from mi_keras.training.classifier import train_classifier
from mi_keras.types import Floats, Images, Ints

NAME, DATA = "demo (small CNN on digits)", "mnist (embedded)"


@dataclass(frozen=True)
class Size:
    """How much of the digits is used: `trained` by the model, `validated` on, and `others`, which it has not seen."""

    trained: int = 4_000
    validated: int = 500
    others: int = 4_500
    epochs: int = 5


SIZES = {"smoke": Size(1_500, 100, 420, 4), "quick": Size(), "full": Size(8_000, 1_000, 11_000, 10)}


@dataclass(frozen=True)
class Demo:
    """A trained model, with images `(count, 32, 32, 1)` in [0, 1], labels, and which of them it was trained on."""

    model: keras.Model
    images: Floats
    labels: Ints
    trained_on: NDArray[np.bool_]


def demo(store: Store, progress: Progress, *, preset: str, seed: int) -> Demo:
    """Return the demonstration's model, trained now if the store has none, and its images."""
    source, size = read_embedded_mnist(), SIZES[preset]
    settings = ClassifierSettings(channels=(32, 64, 128), epochs=size.epochs)
    order = np.random.default_rng(derive(seed, "demo", "order")).permutation(len(source.train_images))
    ends = np.cumsum([size.trained, size.validated, size.others])
    trained, validated, others = np.split(order[: ends[-1]], ends[:-1])
    classes = len(source.class_names)

    def compute(workspace: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
        run = Run(
            derive(seed, "demo"), workspace=workspace, progress=progress, label="the model to be audited"
        )
        cnn, history = train_classifier(
            _images(source, trained), _images(source, validated), settings, classes=classes, run=run
        )
        return weights_of(cnn), {"history": history}

    stage = store.stage(
        "audit_demo",
        compute,
        told="the demonstration's model, trained",
        settings=asdict(settings),
        size=asdict(size),
        data=source.fingerprint,
        seed=seed,
    )
    store.compute_first([stage])
    model = build_cnn((IMAGE_SIZE, IMAGE_SIZE, 1), classes, channels=settings.channels)
    places = np.concatenate([trained, others])
    images = _images(source, places)
    return Demo(
        with_weights(model, stage.arrays), images.images, images.labels, np.arange(len(places)) < len(trained)
    )


def _images(source: Source, places: NDArray[np.int64]) -> Images:
    images = preprocess(source.train_images[places])
    return Images(images, source.train_labels[places], places.astype(np.uint64))

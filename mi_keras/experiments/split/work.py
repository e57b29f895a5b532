"""What the runner needs to know of the split attack: its pictures, and the stages of a run (split 3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mi_keras.data.face_source import FaceSource
from mi_keras.data.face_sources import DEFAULT_FACES, open_faces
from mi_keras.data.faces import counts, split_faces
from mi_keras.experiments.store import Store
from mi_keras.seeds import derive
from mi_keras.settings import FaceSettings
from mi_keras.work import Progress

if TYPE_CHECKING:
    from mi_keras.experiments.split.stages import Pipeline

DEFAULT_DATA = DEFAULT_FACES


@dataclass(frozen=True)
class Faces:
    """Pictures divided in two, not yet read.

    Attributes:
        training, held_out: keys of the candidates on either side, more than are used.
        training_count, held_out_count: how many of them to use.
        seed: of the division.
    """

    source: FaceSource
    settings: FaceSettings
    training: tuple[str, ...]
    held_out: tuple[str, ...]
    training_count: int
    held_out_count: int
    seed: int


def open_data(spec: str, *, offline: bool) -> FaceSource:
    """Find the pictures that `--data` names (see `data.face_sources.open_faces`)."""
    return open_faces(spec, offline=offline)


def prepare(source: FaceSource, config: Any, *, seed: int) -> Faces:
    """Divide the pictures in training and held-out ones.

    Raises:
        InputError: there are too few.
    """
    seed = derive(seed, "faces")
    training, held_out = split_faces(source.keys, config.faces, seed=seed)
    return Faces(
        source, config.faces, training, held_out, *counts(config.faces, len(training), len(held_out)), seed
    )


def pipelines(
    faces: Faces, config: Any, store: Store, progress: Progress, *, seed: int
) -> Sequence["Pipeline"]:
    """Return the stages of each run of a section, which share one encoder; imports TensorFlow."""
    from mi_keras.experiments.split.encoder import Encoder
    from mi_keras.experiments.split.stages import Pipeline

    encoder = Encoder(config.encoder, config.faces.size)
    return [
        Pipeline(faces, encoder, store, progress, seed=seed, run=number)
        for number in range(1, config.runs + 1)
    ]


def describe(faces: Faces) -> dict[str, Any]:
    """Return the fields of a result that tell of its data."""
    return {"data": faces.source.name}

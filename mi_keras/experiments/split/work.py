"""What all sections of the split attack share: its pictures, and the bench of a run (split 3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from mi_keras.data.face_division import counts, divide_faces
from mi_keras.data.face_source import FaceSource
from mi_keras.data.face_sources import DEFAULT_FACES, open_faces
from mi_keras.experiments.store import Store
from mi_keras.models.imagenet import require_imagenet
from mi_keras.progress import Progress
from mi_keras.seeds import derive
from mi_keras.settings import EncoderSettings, FaceSettings

if TYPE_CHECKING:
    from mi_keras.experiments.split.bench import SplitBench


@dataclass(frozen=True)
class Faces:
    """Pictures divided in two, not yet read.

    Attributes:
        sides: of "training" and "held_out" the keys of candidates, more than are used, and how many to use.
        seed: of the division.
        fingerprint: of what was divided.
        group_of: by key its group, none of which is on both sides; empty where the division is by name.
    """

    source: FaceSource
    settings: FaceSettings
    sides: Mapping[str, tuple[tuple[str, ...], int]]
    seed: int
    fingerprint: str
    group_of: Mapping[str, str]


class SplitSettingsOf(Protocol):
    """The settings that pictures and encoder depend on."""

    @property
    def runs(self) -> int: ...
    @property
    def faces(self) -> FaceSettings: ...
    @property
    def encoder(self) -> EncoderSettings: ...


@dataclass(frozen=True)
class SplitWork:
    """Pictures, divided into training and held-out ones (see `section.Work`); `offline`: no weights are downloaded."""

    offline: bool = False
    default_data: ClassVar[str] = DEFAULT_FACES

    def kept_offline(self) -> "SplitWork":
        return SplitWork(offline=True)

    def open_data(self, spec: str, *, offline: bool) -> FaceSource:
        return open_faces(spec, offline=offline)

    def prepare(self, source: FaceSource, config: SplitSettingsOf, *, seed: int) -> Faces:
        if self.offline and config.encoder.weights == "imagenet":
            require_imagenet(
                config.encoder.variant == "minimalistic", "encoder.weights"
            )  # before anything is computed
        seed = derive(seed, "faces")
        divided = divide_faces(source, config.faces, seed=seed)
        wanted = counts(config.faces, len(divided.training), len(divided.held_out))
        sides = {"training": (divided.training, wanted[0]), "held_out": (divided.held_out, wanted[1])}
        return Faces(source, config.faces, sides, seed, divided.fingerprint, divided.group_of)

    def benches(
        self, data: Faces, config: SplitSettingsOf, store: Store, progress: Progress, *, seed: int
    ) -> Sequence["SplitBench"]:
        """Return the bench of each run; they share one encoder."""
        from mi_keras.experiments.split.bench import SplitBench
        from mi_keras.models.mobilenet import encoder_of

        encoder = encoder_of(config.encoder, config.faces.size, offline=self.offline)
        runs = range(1, config.runs + 1)
        return [SplitBench(data, encoder, store, progress, seed=seed, run=number) for number in runs]

    def describe(self, data: Faces) -> dict[str, object]:
        return {"data": data.source.name}


SPLIT = SplitWork()

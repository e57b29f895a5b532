"""Faces behind several layers of one model: the pictures of the split attack, and a bench for each layer of each run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from mi_keras.experiments.split.work import Faces, SplitSettingsOf, SplitWork
from mi_keras.experiments.store import Store
from mi_keras.progress import Progress

if TYPE_CHECKING:
    from mi_keras.experiments.beyond.layers_bench import LayersBench

Benches = Sequence[Mapping[str, "LayersBench"]]  # of each run, by cut


class LayerSettingsOf(SplitSettingsOf, Protocol):
    """The settings that pictures, encoder and layers depend on."""

    @property
    def cuts(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class LayersWork(SplitWork):
    """The pictures of the split attack, and what several layers send of them; a run has a bench for each."""

    def kept_offline(self) -> "LayersWork":
        return LayersWork(offline=True)

    def benches(  # type: ignore[override]  # of several layers
        self, data: Faces, config: LayerSettingsOf, store: Store, progress: Progress, *, seed: int
    ) -> Benches:
        """Return the benches of each run, which share encoders; imports TensorFlow."""
        from mi_keras.experiments.beyond.layers_bench import LayersBench
        from mi_keras.models.mobilenet import encoder_of

        encoders = {
            cut: encoder_of(replace(config.encoder, cut=cut), config.faces.size, offline=self.offline)
            for cut in config.cuts
        }
        return [
            {
                cut: LayersBench(data, encoder, store, progress, seed=seed, run=number)
                for cut, encoder in encoders.items()
            }
            for number in range(1, config.runs + 1)
        ]


LAYERS = LayersWork()

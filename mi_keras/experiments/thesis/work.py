"""What all sections of the thesis share: its data, and the bench of a run (thesis 3.3)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from mi_keras.data.source import Source
from mi_keras.data.sources import DEFAULT_SOURCE, load_source
from mi_keras.data.splits import Splits, make_splits
from mi_keras.experiments.store import Store
from mi_keras.experiments.thesis.sizes import Classified, Inverted
from mi_keras.progress import Progress
from mi_keras.seeds import derive

if TYPE_CHECKING:
    from mi_keras.experiments.thesis.bench import ThesisBench


Benches = Sequence["ThesisBench"]  # one per run


class ThesisWork:
    """Labelled images, cut into five sets (see `section.Work`)."""

    default_data = DEFAULT_SOURCE

    def kept_offline(self) -> Self:
        return self  # only its data could be downloaded, and `open_data` is told

    def open_data(self, spec: str, *, offline: bool) -> Source:
        return load_source(spec, offline=offline)

    def prepare(self, source: Source, config: Classified, *, seed: int) -> Splits:
        return make_splits(source, config.data, seed=derive(seed, "data"))

    def benches(
        self, data: Splits, config: Classified, store: Store, progress: Progress, *, seed: int
    ) -> Benches:
        from mi_keras.experiments.thesis.bench import ThesisBench, describe_data

        described = describe_data(data, config.data, derive(seed, "data"))
        same_models = isinstance(config, Inverted) and config.same_models
        return [
            ThesisBench(
                data, described, config.classifier, store, progress, seed=seed,
                run=1 if same_models else number, repetition=number if same_models else 1,
            )
            for number in range(1, config.runs + 1)
        ]  # fmt: skip

    def describe(self, data: Splits) -> dict[str, object]:
        return {"data": data.source_name, "class_names": list(data.class_names)}


THESIS = ThesisWork()

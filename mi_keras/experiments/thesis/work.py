"""What the runner needs to know of the thesis: its data, and the stages of a run (thesis 3.3)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mi_keras.data.source import Source
from mi_keras.data.sources import DEFAULT_SOURCE, load_source
from mi_keras.data.splits import Splits, make_splits
from mi_keras.experiments.store import Store
from mi_keras.seeds import derive
from mi_keras.work import Progress

if TYPE_CHECKING:
    from mi_keras.experiments.thesis.stages import Pipeline

DEFAULT_DATA = DEFAULT_SOURCE


def open_data(spec: str, *, offline: bool) -> Source:
    """Read the labelled images that `--data` names (see `data.sources.load_source`)."""
    return load_source(spec, offline=offline)


def prepare(source: Source, config: Any, *, seed: int) -> Splits:
    """Cut the five sets of a section.

    Raises:
        InputError: the source has too few images for the settings.
    """
    return make_splits(source, config.data, seed=derive(seed, "data"))


def pipelines(
    splits: Splits, config: Any, store: Store, progress: Progress, *, seed: int
) -> Sequence["Pipeline"]:
    """Return the stages of each run of a section; imports TensorFlow."""
    from mi_keras.experiments.thesis.stages import Pipeline, describe_data

    data = describe_data(splits, config.data, derive(seed, "data"))
    return [
        Pipeline(splits, data, store, progress, seed=seed, run=number) for number in range(1, config.runs + 1)
    ]


def describe(splits: Splits) -> dict[str, Any]:
    """Return the fields of a result that tell of its data."""
    return {"data": splits.source_name, "class_names": list(splits.class_names)}

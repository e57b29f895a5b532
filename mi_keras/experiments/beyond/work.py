"""What all sections of `beyond` share: the thesis's data, and the bench of each target."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mi_keras.data.splits import Splits
from mi_keras.experiments.beyond.sizes import Banked
from mi_keras.experiments.store import Store
from mi_keras.experiments.thesis.work import ThesisWork
from mi_keras.progress import Progress
from mi_keras.seeds import derive

if TYPE_CHECKING:
    from mi_keras.experiments.beyond.bench import BeyondBench

Benches = Sequence["BeyondBench"]  # one per target


class BeyondWork(ThesisWork):
    """The thesis's five sets of images (see `section.Work`); a run is a target."""

    def benches(  # type: ignore[override]  # its settings are those of `beyond`
        self, data: Splits, config: Banked, store: Store, progress: Progress, *, seed: int
    ) -> Benches:
        """Return the bench of each target, which share one adversary; imports TensorFlow."""
        from mi_keras.experiments.beyond.bench import BeyondBench
        from mi_keras.experiments.thesis.bench import describe_data

        described = describe_data(data, config.data, derive(seed, "data"))
        return [
            BeyondBench(
                data, described, config.classifier, store, progress, bank=config.bank, seed=seed, run=number
            )
            for number in range(1, config.runs + 1)
        ]


def words(config: Banked, benches: Benches) -> str:
    """Return one line on what was scored."""
    splits = benches[0].splits
    return (
        f"{len(splits.test):,} test images (D_F) behind each of {len(benches)} targets, {len(splits.shadow_train):,} "
        f"images of the adversary, {config.bank} shadow models in its bank"
    )


BEYOND = BeyondWork()

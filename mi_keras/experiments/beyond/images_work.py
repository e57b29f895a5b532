"""What the section `images` attacks: a source's images and another's, and the targets of each classifier."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from mi_keras.data.source import Source
from mi_keras.data.sources import DEFAULT_SOURCE, load_source
from mi_keras.data.splits import Splits, make_splits
from mi_keras.errors import InputError
from mi_keras.experiments.beyond.sizes import MOST, Banked
from mi_keras.experiments.beyond.work import Benches
from mi_keras.experiments.presets import MOST_RUNS, check_choices
from mi_keras.experiments.store import Store
from mi_keras.models.architectures import AnyClassifier, EfficientNetSettings, ResidualSettings
from mi_keras.progress import Progress
from mi_keras.seeds import derive
from mi_keras.settings import check_whole

if TYPE_CHECKING:
    from mi_keras.experiments.beyond.elsewhere import ElsewhereBench

CNN, RESIDUAL, EFFICIENTNET = CLASSIFIERS = ("cnn", "residual", "efficientnet")
LABELS = {CNN: "CNN", RESIDUAL: ResidualSettings.name, EFFICIENTNET: EfficientNetSettings.name}


@dataclass(frozen=True)
class Pictured(Banked):
    """Settings that images and targets of the section depend on.

    Attributes:
        other: where the second adversary has its images from, in the form of `--data`; "" for no such adversary.
        classifiers: that are attacked.
        elsewhere: those of them that the second adversary attacks.
        residual, efficientnet: of the classifiers beside the thesis's CNN.
        efficientnet_runs, efficientnet_bank: targets, at most as many as `runs`, and shadow models of EfficientNetB0, which
            takes six times as long to train as the CNN of `quick`.
    """

    other: str = ""
    classifiers: tuple[str, ...] = CLASSIFIERS
    elsewhere: tuple[str, ...] = CLASSIFIERS
    residual: ResidualSettings = ResidualSettings()
    efficientnet: EfficientNetSettings = EfficientNetSettings()
    efficientnet_runs: int = 5
    efficientnet_bank: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choices("classifiers", self.classifiers, CLASSIFIERS, at_least_one=True)
        check_choices("elsewhere", self.elsewhere, CLASSIFIERS)
        check_whole("efficientnet_runs", self.efficientnet_runs, 1, MOST_RUNS)
        check_whole("efficientnet_bank", self.efficientnet_bank, 2, MOST)

    def settings_of(self, name: str) -> AnyClassifier:
        """Return the settings of a classifier by its name."""
        of: dict[str, AnyClassifier] = {
            CNN: self.classifier,
            RESIDUAL: self.residual,
            EFFICIENTNET: self.efficientnet,
        }
        return of[name]

    def banked(self, name: str) -> Self:
        """Return the settings with as many targets and shadow models as the classifier has."""
        if name != EFFICIENTNET:
            return self
        return replace(self, bank=self.efficientnet_bank, runs=min(self.runs, self.efficientnet_runs))


@dataclass(frozen=True)
class Sources:
    """The attacked images, and those of the second adversary, where there is one."""

    attacked: Splits
    other: Splits | None


@dataclass(frozen=True, eq=False)
class Targets:
    """The targets of one classifier.

    Attributes:
        classifier: its name.
        near: their benches before an adversary with images of the same source.
        far: before the second adversary; none where it does not attack them.
    """

    classifier: str
    near: Benches
    far: "Sequence[ElsewhereBench]"


@dataclass(frozen=True)
class ImagesWork:
    """Two sources, cut alike, and the targets of each classifier (see `section.Work`).

    Attributes:
        offline: the second source is not downloaded either.
    """

    offline: bool = False
    default_data: ClassVar[str] = DEFAULT_SOURCE

    def kept_offline(self) -> "ImagesWork":
        return ImagesWork(offline=True)

    def open_data(self, spec: str, *, offline: bool) -> Source:
        return load_source(spec, offline=offline)

    def prepare(self, source: Source, config: Pictured, *, seed: int) -> Sources:
        attacked = make_splits(source, config.data, seed=derive(seed, "data"))
        if not config.other:
            return Sources(attacked, None)
        try:
            found = load_source(config.other, offline=self.offline)
        except InputError as error:
            raise InputError(str(error).replace("`data", "`other")) from None  # under its own name
        other = make_splits(found, config.data, seed=derive(seed, "data"))
        _check_together(attacked, other)
        return Sources(attacked, other)

    def benches(
        self, data: Sources, config: Pictured, store: Store, progress: Progress, *, seed: int
    ) -> Sequence[Targets]:
        """Return the targets of each classifier; imports TensorFlow."""
        from mi_keras.experiments.beyond.bench import BeyondBench
        from mi_keras.experiments.beyond.elsewhere import ElsewhereBench
        from mi_keras.experiments.thesis.bench import describe_data

        drawn = derive(seed, "data")
        described = describe_data(data.attacked, config.data, drawn)
        found = []
        for name in config.classifiers:
            sizes = config.banked(name)
            near = [
                BeyondBench(
                    data.attacked, described, config.settings_of(name), store, progress, bank=sizes.bank, seed=seed,
                    run=number,
                )
                for number in range(1, sizes.runs + 1)
            ]  # fmt: skip
            far: list[ElsewhereBench] = []
            if data.other and name in config.elsewhere:
                both = {**described, "other": describe_data(data.other, config.data, drawn)}
                far = [ElsewhereBench.of(bench, data.other, both) for bench in near]
            found.append(Targets(name, near, far))
        return found

    def describe(self, data: Sources) -> dict[str, object]:
        return {"data": data.attacked.source_name, "class_names": list(data.attacked.class_names)}


def _check_together(attacked: Splits, other: Splits) -> None:
    """Refuse a second source whose images and classes the same networks cannot take, or that is not another one."""
    wanted, got = ((splits.test.images.shape[3], len(splits.class_names)) for splits in (attacked, other))
    if wanted != got:
        raise InputError(
            f"`other` must have images of {wanted[0]} channels in {wanted[1]} classes, as `data` has; "
            f"{other.source_name} has {got[0]} and {got[1]}."
        )
    own, others = (np.concatenate([part.ids for part in each.sets.values()]) for each in (attacked, other))
    if shared := len(np.intersect1d(own, others)):
        raise InputError(
            f"`other` must share no image with `data`; {shared} of {other.source_name} are in both."
        )


IMAGES = ImagesWork()

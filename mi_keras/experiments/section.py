"""What a section is to the runner: a work's data and benches, settings by preset, and the function that measures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

from mi_keras.errors import InputError
from mi_keras.experiments.resources import Resources
from mi_keras.machine import FLOAT32
from mi_keras.overrides import apply_overrides, changed_keys, settings_json
from mi_keras.progress import Progress
from mi_keras.settings import check_whole

if TYPE_CHECKING:
    from mi_keras.experiments.store import Store
    from mi_keras.results import ExperimentResult

PRESETS = {  # what each may be called, said under every table
    "smoke": "Preset smoke checks the wiring: its numbers and verdicts mean nothing.",
    "quick": "Preset quick is smaller than the text: its numbers are not a reproduction.",
    "paper": "Preset paper has the sizes of the text, where nothing was changed.",
}
DEFAULT_PRESET = "quick"


class Settings(Protocol):
    """What the runner needs of a section's settings; they are a frozen dataclass."""

    @property
    def runs(self) -> int: ...


C = TypeVar("C", bound=Settings)
Source = TypeVar("Source")
Data = TypeVar("Data")
Bench = TypeVar("Bench")
Bench_co = TypeVar("Bench_co", covariant=True)
C_contra = TypeVar("C_contra", bound=Settings, contravariant=True)


class Work(Protocol[Source, C_contra, Data, Bench_co]):
    """What all sections of a text share. `C_contra` are the settings that its data and models depend on."""

    @property
    def default_data(self) -> str: ...
    def kept_offline(self) -> Self:
        """Return the same work, which downloads nothing whatever its settings name."""

    def open_data(self, spec: str, *, offline: bool) -> Source:
        """Find the images that `--data` names; raises `InputError` where it cannot."""

    def prepare(self, source: Source, config: C_contra, *, seed: int) -> Data:
        """Divide the images as the settings say; raises `InputError` where there are too few."""

    def benches(
        self, data: Data, config: C_contra, store: "Store", progress: Progress, *, seed: int
    ) -> Sequence[Bench_co]:
        """Return the bench of each run; imports TensorFlow."""

    def describe(self, data: Data) -> dict[str, object]:
        """Return the fields of a result that tell of its data."""


@dataclass(frozen=True)
class Request:
    """What the user asked for on the command line.

    Attributes:
        overrides: `key=value` texts for the section's settings.
        data: the work's own form of a source; None for its default.
        runs: repetitions; None leaves the preset's.
        out: folder of the results.
        force: compute every stage anew.
        offline: never download.
        encoder_weights: of the split attack, in place of the preset's.
        precision: of the store (see `store.Store`).
        devices: GPUs that train one model together, by one process. They move sums of floats.
        resources: what stages are computed with.
    """

    section: str
    work: str = "thesis"
    preset: str = DEFAULT_PRESET
    overrides: Sequence[str] = ()
    runs: int | None = None
    seed: int = 1
    data: str | None = None
    out: Path = Path("results")
    force: bool = False
    offline: bool = False
    encoder_weights: str | None = None
    precision: str = FLOAT32
    devices: int = 1
    resources: Resources = field(default_factory=Resources)

    def __post_init__(self) -> None:
        check_whole("devices", self.devices, 1)
        ray, workers = self.resources.ray, self.resources.workers
        if self.devices > 1 and ray is not None:
            raise InputError(f"`devices` must be 1 with `ray`; got {self.devices}.")
        if self.devices > 1 and workers not in (None, 1):
            raise InputError(f"`workers` must be 1 where `devices` is {self.devices}; got {workers}.")


@dataclass(frozen=True)
class Prepared:
    """A section with its settings and data, ready to be run.

    Attributes:
        runs: repetitions.
        changed: `key=value` of every setting that differs from the preset's.
        settings: all of them, as JSON values.
        about: fields of the result that tell of its data.
        run: measures; what the store holds is read.
    """

    runs: int
    changed: list[str]
    settings: dict[str, object]
    about: dict[str, object]
    run: "Callable[[Store, Progress], ExperimentResult]"


@dataclass(frozen=True)
class Experiment:
    """What can be asked for: a section of a text, or a search in the shape of one.

    Attributes:
        work, number, title: what its results carry.
        module: dotted path of a module with a `SECTION`, or "MODULE:NAME" of another name; "" where `code` is given.
        code: the section itself.
        subfolder: of its results, below the folder of all results; "" for that of the work and the number.
        study: not a section of the text but a question about one, too long to be asked with all of them.
    """

    work: str
    number: str
    title: str
    module: str = ""
    code: "AnySection | None" = None
    subfolder: str = ""
    study: bool = False

    @property
    def folder(self) -> str:
        """Where its results go, below the folder of all results."""
        return self.subfolder or folder_of(self.work, self.number)

    def load(self) -> "AnySection":
        """Return the section, importing its module.

        Raises:
            InputError: there is no such module, or it has no `SECTION`.
        """
        if self.code is not None:
            return self.code
        module, _, name = self.module.partition(":")
        name = name or "SECTION"
        try:
            found = import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not module.startswith(error.name):
                raise  # the module is there, and what it imports is not
            raise InputError(f"`module` of section {self.number} must be there; got {self.module}.") from None
        if not hasattr(found, name):
            raise InputError(f"`module` of section {self.number} must have a `{name}`; got {module}.")
        section: AnySection = getattr(found, name)
        return section


@dataclass(frozen=True)
class Section(Generic[Source, C, Data, Bench]):
    """A section of a text.

    Attributes:
        presets: its settings by name of the preset.
        measure: from settings and one bench per run to what is written down.
        check: raises `InputError` where settings and data do not go together.
    """

    work: Work[Source, C, Data, Bench]
    presets: Mapping[str, C]
    measure: "Callable[[C, Sequence[Bench]], ExperimentResult]"
    check: Callable[[C, Data], None] | None = None

    def configure(self, request: Request) -> C:
        """Return the settings of a preset with what the request changes."""
        if request.preset not in self.presets:
            raise InputError(f"`preset` must be one of {', '.join(self.presets)}; got {request.preset!r}.")
        weights = [f"encoder.weights={request.encoder_weights}"] if request.encoder_weights else []
        config = apply_overrides(self.presets[request.preset], [*weights, *request.overrides])
        if request.runs is not None:
            config = replace(config, runs=request.runs)  # type: ignore[type-var]
        return config

    def divided(self, config: C, request: Request) -> Data:
        """Return the divided images; raises `InputError` where there are too few of them."""
        work = self._work(request)
        source = work.open_data(request.data or work.default_data, offline=request.offline)
        return work.prepare(source, config, seed=request.seed)

    def benches(self, config: C, request: Request, store: "Store", progress: Progress) -> Sequence[Bench]:
        """Return the bench of each run; imports TensorFlow."""
        return self._benches(self.divided(config, request), config, request, store, progress)

    def _benches(
        self, data: Data, config: C, request: Request, store: "Store", progress: Progress
    ) -> Sequence[Bench]:
        return self._work(request).benches(data, config, store, progress, seed=request.seed)

    def _work(self, request: Request) -> Work[Source, C, Data, Bench]:
        return self.work.kept_offline() if request.offline else self.work

    def prepare(self, request: Request, *, alone: bool = False) -> Prepared:
        """Apply the request and check all that can be wrong with it; raises `InputError`.

        Args:
            alone: it is run next, and its data are kept until then.
        """
        config = self.configure(request)
        data = self.divided(config, request)
        if self.check:
            self.check(config, data)
        kept = data if alone else None  # not while others run
        return Prepared(
            config.runs,
            changed_keys(config, self.presets[request.preset]),
            settings_json(config),
            self.work.describe(data),
            lambda store, progress: self.measure(
                config,
                self._benches(
                    self.divided(config, request) if kept is None else kept, config, request, store, progress
                ),
            ),
        )


AnySection = Section[Any, Any, Any, Any]  # of whatever work, as the runner sees it


def folder_of(work: str, name: str) -> str:
    """Return where a section or "all" of a work goes, below the folder of all results."""
    # The thesis's folders are older than the second work
    return name if work == "thesis" else f"{work}/{name}"

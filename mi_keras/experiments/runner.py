"""The one runner: a registered section, a preset and overrides in; result.json and arrays.npz out."""

import json
import platform
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from mi_keras.errors import InputError, Interrupted
from mi_keras.experiments.console import TerminalProgress
from mi_keras.experiments.overrides import apply_overrides, changed_keys
from mi_keras.experiments.registry import DEFAULT_PRESET, PRESETS, Experiment, find, load_work
from mi_keras.experiments.store import Store, home, versions
from mi_keras.files import replace_file, sha256, write_arrays, write_text
from mi_keras.quiet import quiet_libraries
from mi_keras.results import SCHEMA, ExperimentResult
from mi_keras.work import SilentProgress


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


def run(request: Request, console: Console) -> Iterator[Path]:
    """Reproduce a section, or all of a work, and yield the folder of each section's results as it is finished.

    Overrides must be of settings that each of the sections has.

    Stages that the store holds are read, not computed; an interrupted run goes on where it was.

    Raises:
        InputError: anything wrong with the request, found before any work is done.
        Interrupted: Ctrl-C.
    """
    sections = find(request.work, request.section)
    yield from run_experiments(sections, request, console)


def run_experiments(experiments: Sequence[Experiment], request: Request, console: Console) -> Iterator[Path]:
    """Run experiments one after another with one store, and yield the folder of each's results (see `run`)."""
    planned = [
        (experiment, configure(experiment, request), request.out / experiment.folder / request.preset)
        for experiment in experiments
    ]
    work = load_work(request.work)
    source = work.open_data(request.data or work.DEFAULT_DATA, offline=request.offline)
    for experiment, config, folder in planned:
        data = work.prepare(source, config, seed=request.seed)  # refuses what does not fit
        if check := getattr(experiment.load(), "check", None):
            check(config, data)
        _check_writable(folder)
    store = Store(home(), force=request.force)
    for experiment, config, folder in planned:
        data = work.prepare(source, config, seed=request.seed)
        _run_one(experiment, config, folder, request, data, store, console)
        yield folder


def reopen(experiment: Experiment, request: Request) -> tuple[Any, Any, Sequence[Any]]:
    """Return a section's settings, its data and the stages of each run, to read what an earlier run has left.

    Raises:
        InputError: anything wrong with the request.
    """
    work, config = load_work(request.work), configure(experiment, request)
    source = work.open_data(request.data or work.DEFAULT_DATA, offline=request.offline)
    data = work.prepare(source, config, seed=request.seed)
    with quiet_libraries():
        pipelines = work.pipelines(data, config, Store(home()), SilentProgress(), seed=request.seed)
    return config, data, pipelines


def _run_one(
    experiment: Experiment,
    config: Any,
    folder: Path,
    request: Request,
    data: Any,
    store: Store,
    console: Console,
) -> None:
    work = load_work(request.work)
    with quiet_libraries():  # TensorFlow takes seconds to import
        pipelines = work.pipelines(data, config, store, TerminalProgress(console), seed=request.seed)
    store.start_record()
    started = time.perf_counter()
    try:
        result: ExperimentResult = experiment.load().run(config, pipelines)
    except KeyboardInterrupt:
        raise Interrupted(store.current or "reading the store") from None
    timings = [
        *store.timings,
        {"stage": "all", "seconds": round(time.perf_counter() - started, 3), "reused": False},
    ]
    replace_file(folder / "arrays.npz", lambda path: write_arrays(path, result.arrays, compressed=True))
    document = {
        "schema": SCHEMA, "work": experiment.work, "section": experiment.number, "title": experiment.title, "preset": request.preset,
        "changed": changed_keys(config, experiment.load().PRESETS[request.preset]),
        "runs": config.runs, "seed": request.seed, "settings": asdict(config),
        "versions": {"python": platform.python_version()} | versions(), "timings": timings,
        "written": datetime.now(UTC).isoformat(timespec="seconds"), "measured": result.measured,
        "notes": [*result.notes, *_other_versions(store), PRESETS[request.preset]],
        "tables": [table.to_json() for table in result.tables], "claims": [claim.to_json() for claim in result.claims],
        "figures": list(result.figures), "arrays_sha256": sha256(folder / "arrays.npz"), **work.describe(data),
    }  # fmt: skip
    text = json.dumps(document, indent=1, allow_nan=False) + "\n"
    _remove_reports(folder)
    replace_file(folder / "result.json", lambda path: write_text(path, text))


def configure(experiment: Experiment, request: Request) -> Any:
    """Return an experiment's settings for a preset with the overrides applied."""
    if request.preset not in PRESETS:
        raise InputError(f"`--preset` must be one of {', '.join(PRESETS)}; got {request.preset!r}.")
    weights = request.encoder_weights
    overrides = [*([f"encoder.weights={weights}"] if weights else []), *request.overrides]
    config = apply_overrides(experiment.load().PRESETS[request.preset], overrides)
    return config if request.runs is None else replace(config, runs=request.runs)


def _remove_reports(folder: Path) -> None:
    """Delete the tables and figures of the result that is about to be replaced: settings may have changed which there are."""
    try:
        earlier = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        names = [f"{table['file']}.csv" for table in earlier["tables"]]
        names += [figure["file"] for figure in earlier["figures"]]
    except (OSError, ValueError, KeyError, TypeError):
        return  # none, or no result of ours: its files are left alone
    for name in names:
        if Path(name).name == name and name.endswith((".csv", ".png")):
            (folder / name).unlink(missing_ok=True)


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"`--out` must be a folder that can be written; got {str(folder)!r}: {error.strerror}."
        ) from None


def _other_versions(store: Store) -> list[str]:
    """Say so where a stored stage was computed with other versions than this run's."""
    now = versions()
    others = {
        f"{name} {used[name]}" for used in store.versions for name in used if used[name] != now.get(name)
    }
    return [f"Some stages were computed with {', '.join(sorted(others))}."] if others else []

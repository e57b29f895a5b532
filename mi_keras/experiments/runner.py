"""The one runner: a registered section, a preset and overrides in; result.json and arrays.npz out."""

import gc
import json
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from mi_keras.console import TerminalProgress
from mi_keras.errors import InputError, interruptible
from mi_keras.experiments.registry import find
from mi_keras.experiments.resources import Resources
from mi_keras.experiments.section import PRESETS, Experiment, Prepared, Request
from mi_keras.experiments.store import Store, open_store
from mi_keras.experiments.team import Team
from mi_keras.experiments.workers import team_of
from mi_keras.files import check_writable, sha256, write_arrays, write_text
from mi_keras.machine import as_change, computed_otherwise, machine, use_threads, versions
from mi_keras.progress import Progress
from mi_keras.quiet import quiet_libraries
from mi_keras.results import SCHEMA, ExperimentResult
from mi_keras.whole import replace_file


def run(request: Request, console: Console) -> Iterator[Path]:
    """Reproduce a section, or all of a work, and yield the folder of each section's results as it is finished.

    Overrides must be of settings that each of the sections has. Stages that the store holds are read, not computed; an
    interrupted run goes on where it was.

    Raises:
        InputError: anything wrong with the request, found before a stage is computed; nothing is left in the results.
        Interrupted: Ctrl-C.
    """
    yield from run_experiments(find(request.work, request.section), request, console)


def run_experiments(experiments: Sequence[Experiment], request: Request, console: Console) -> Iterator[Path]:
    """Run experiments one after another with one store, and yield the folder of each's results (see `run`)."""
    use_threads(request.resources.threads_of_each)
    alone = len(experiments) == 1
    ready = [(experiment, experiment.load().prepare(request, alone=alone)) for experiment in experiments]
    for experiment in experiments:
        check_writable("out", _folder(experiment, request))
    progress = TerminalProgress(console)
    with _team(experiments, request, progress) as team:
        store = open_store(
            force=request.force, precision=request.precision, devices=request.devices, run=_words(request, ready), progress=progress, team=team
        )  # fmt: skip
        for number, (experiment, prepared) in enumerate(ready, start=1):
            team.narrow(experiments=[asdict(experiment)])
            result = _measure(prepared, store)
            if alone and all(stage["reused"] for stage in store.timings[:-1]):
                progress.announce("Nothing was computed: all of it was stored already.")
            if number < len(ready):
                team.go_ahead()
            _write(experiment, prepared, result, request, store)
            yield _folder(experiment, request)
        store.renewal.end()


def follow(job: Mapping[str, Any], team: Team, progress: Progress) -> None:
    """Compute the stages of experiments beside the process that runs them (see `workers`); `job`: their fields, and of the request."""
    asked = job["request"]
    request = Request(**{**asked, "out": Path(asked["out"]), "resources": Resources(**asked["resources"])})
    use_threads(request.resources.threads_of_each)
    experiments = [Experiment(**each) for each in job["experiments"]]
    ready = [(each, each.load().prepare(request)) for each in experiments]
    store = open_store(
        precision=request.precision, devices=request.devices, run=_words(request, ready), progress=progress, team=team
    )  # fmt: skip
    for _, prepared in ready:
        _measure(prepared, store)


@contextmanager
def _team(experiments: Sequence[Experiment], request: Request, progress: Progress) -> Iterator[Team]:
    """Give a team of as many processes as are asked for, or of a cluster, until the block ends."""
    known = all(each.module for each in experiments)  # else no other process can find it
    follows = f"{__name__}:follow"
    job: dict[str, Any] = {"request": {**asdict(request), "out": str(request.out)}}
    job["experiments"] = [asdict(each) for each in experiments if known]
    if request.resources.ray and not known:
        raise InputError(f"`ray` must go with a section of a module; got {experiments[0].title}.")
    alone = not known or request.devices > 1
    size = 1 if alone else request.resources.processes(request.preset)
    with team_of(follows, job, request.resources, size, progress) as team:
        yield team


def _words(request: Request, ready: Sequence[tuple[Experiment, Prepared]]) -> str:
    """Return what is asked for, whatever it is written to, as one text."""
    asked = [
        request.seed,
        request.data,
        [[each.folder, prepared.runs, prepared.settings] for each, prepared in ready],
        *as_change(request.precision),
    ]
    return json.dumps(asked)


def _folder(experiment: Experiment, request: Request) -> Path:
    return request.out / experiment.folder / request.preset


def _measure(prepared: Prepared, store: Store) -> ExperimentResult:
    store.start_record()
    started = time.perf_counter()
    first = "tensorflow" not in sys.modules
    with interruptible(lambda: store.current or "reading the store"):
        with quiet_libraries():  # TensorFlow is imported here, and takes seconds to
            from mi_keras.models.scope import check_keras, let_idle_threads_sleep
            from mi_keras.training.devices import mirrored

            let_idle_threads_sleep()
        check_keras()
        mirrored(store.devices)
        if first:  # what libraries hold stays: the collector need not go through it again and again
            gc.freeze()
        result = prepared.run(store, store.progress)
    all_of_it = {"stage": "all", "seconds": round(time.perf_counter() - started, 3), "reused": False}
    store.timings.append(all_of_it)
    return result


def _write(
    experiment: Experiment, prepared: Prepared, result: ExperimentResult, request: Request, store: Store
) -> None:
    folder = _folder(experiment, request)
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / "arrays.npz", lambda path: write_arrays(path, result.arrays, compressed=True))
    document = {
        "schema": SCHEMA, "work": experiment.work, "section": experiment.number, "title": experiment.title, "preset": request.preset,
        "changed": [*prepared.changed, *as_change(store.precision)], "runs": prepared.runs, "seed": request.seed, "settings": prepared.settings,
        "versions": {"python": platform.python_version()} | versions(), "machine": machine(store.precision) | ({"devices": str(store.devices)} if store.devices > 1 else {}), "timings": store.timings,
        "written": datetime.now(UTC).isoformat(timespec="seconds"), "measured": result.measured,
        "notes": [*result.notes, *computed_otherwise(store.computed_with), PRESETS[request.preset]],
        "tables": [table.to_json() for table in result.tables], "claims": [claim.to_json() for claim in result.claims],
        "figures": [figure.to_json() for figure in result.figures], "arrays_sha256": sha256(folder / "arrays.npz"), **prepared.about,
    }  # fmt: skip
    text = json.dumps(document, indent=1, allow_nan=False) + "\n"
    _remove_reports(folder)
    replace_file(folder / "result.json", lambda path: write_text(path, text))


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

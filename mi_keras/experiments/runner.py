"""The one runner: a registered section, a preset and overrides in; result.json and arrays.npz out."""

import json
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from mi_keras.data.sources import DEFAULT_SOURCE, load_source
from mi_keras.data.splits import make_splits
from mi_keras.errors import InputError, Interrupted
from mi_keras.experiments.console import TerminalProgress
from mi_keras.experiments.overrides import apply_overrides
from mi_keras.experiments.registry import DEFAULT_PRESET, PRESETS, Section, find
from mi_keras.experiments.result import SCHEMA, ExperimentResult
from mi_keras.experiments.store import Store, home
from mi_keras.quiet import quiet_libraries
from mi_keras.seeds import derive


@dataclass(frozen=True)
class Request:
    """What the user asked for on the command line.

    Attributes:
        overrides: `key=value` texts for the section's settings.
        runs: repetitions; None leaves the preset's.
        out: folder of the results.
        force: compute every stage anew.
        offline: never download.
    """

    section: str
    work: str = "thesis"
    preset: str = DEFAULT_PRESET
    overrides: Sequence[str] = ()
    runs: int | None = None
    seed: int = 1
    data: str = DEFAULT_SOURCE
    out: Path = Path("results")
    force: bool = False
    offline: bool = False


def run(request: Request, console: Console) -> Path:
    """Reproduce a section and return the folder of its results.

    Stages that the store holds are read, not computed; an interrupted run goes on where it was.

    Raises:
        InputError: anything wrong with the request, found before any work is done.
        Interrupted: Ctrl-C.
    """
    section = find(request.work, request.section)
    config = configure(section, request)
    folder = request.out / section.number / request.preset
    _check_writable(folder)
    store = Store(home(), force=request.force)
    source = load_source(request.data, offline=request.offline)
    split_seed = derive(request.seed, "data")
    splits = make_splits(source, config.data, seed=split_seed)
    data = {"fingerprint": source.fingerprint, "splits": asdict(config.data), "seed": split_seed}
    with quiet_libraries():
        from mi_keras.experiments.stages import Pipeline  # here: TensorFlow takes seconds to import

    progress = TerminalProgress(console)
    pipelines = [
        Pipeline(splits, data, store, progress, seed=request.seed, run=number)
        for number in range(1, config.runs + 1)
    ]
    started = time.perf_counter()
    try:
        result: ExperimentResult = section.load().run(config, pipelines)
    except KeyboardInterrupt:
        raise Interrupted(store.current or "reading the store") from None
    timings = [
        *store.timings,
        {"stage": "all", "seconds": round(time.perf_counter() - started, 3), "reused": False},
    ]
    document = {
        "schema": SCHEMA, "work": section.work, "section": section.number, "title": section.title,
        "table": section.load().TABLE, "preset": request.preset, "data": source.name, "runs": config.runs,
        "seed": request.seed, "settings": asdict(config), "versions": _versions(), "timings": timings,
        "written": datetime.now(UTC).isoformat(timespec="seconds"), "measured": result.measured,
        "class_names": list(splits.class_names), "rows": [row.to_json() for row in result.rows],
        "claims": [claim.to_json() for claim in result.claims], "figures": list(result.figures),
    }  # fmt: skip
    _replace_file(folder / "arrays.npz", lambda path: _save_arrays(path, result))
    _replace_file(folder / "result.json", lambda path: path.write_text(json.dumps(document, indent=1) + "\n"))
    return folder


def configure(section: Section, request: Request) -> Any:
    """Return the section's settings for a preset with the overrides applied."""
    if request.preset not in PRESETS:
        raise InputError(f"`--preset` must be one of {', '.join(PRESETS)}; got {request.preset!r}.")
    config = apply_overrides(section.load().PRESETS[request.preset], request.overrides)
    return config if request.runs is None else replace(config, runs=request.runs)


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"`--out` must be a folder that can be written; got {str(folder)!r}: {error.strerror}."
        ) from None


def _save_arrays(path: Path, result: ExperimentResult) -> None:
    with open(path, "wb") as file:
        np.savez_compressed(
            file, allow_pickle=False, **{name: np.asarray(a) for name, a in result.arrays.items()}
        )


def _replace_file(path: Path, write: Any) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _versions() -> dict[str, str]:
    packages = ("mi-keras", "tensorflow", "keras", "numpy")
    return {"python": platform.python_version()} | {package: version(package) for package in packages}

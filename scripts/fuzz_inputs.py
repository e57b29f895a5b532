"""Give hostile and broken input to every door that takes data, and say what came of it (docs/reliability.md).

Command:  python scripts/fuzz_inputs.py [--count 400] [--seed 1]
Each input must be refused by one line that names what is wrong, be listed with its reason, or be taken as what it is. A
traceback, a message of several lines or with characters that steer a terminal, a call without an end, memory beyond a limit,
markup that gets onto a page, and a stored stage that is lost are faults: they are printed, and the exit code is 1.
"""

import contextlib
import hashlib
import io
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# A script finds what lies beside it, not `scripts`
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from mi_keras.command import OneLineErrors, guarded
from mi_keras.errors import InputError
from mi_keras.quiet import quiet_libraries
from scripts import fuzz_files as files
from scripts.fuzz_commands import arguments_of, assignment
from scripts.fuzz_pages import page_faults

LONGEST = 60  # seconds of one call
MOST_MEMORY = 2 * 1024**3  # bytes that one call may add to the largest size of the process
Draw = np.random.Generator
REFUSED, LISTED, TAKEN, FAULT = "refused", "listed", "taken", "fault"


@dataclass(frozen=True)
class Try:
    """One input: what it is, and the call that takes it."""

    what: str
    call: Callable[[], object]


Door = Callable[[Draw, Path], Try]


class NoEnd(BaseException):
    """The call took longer than `LONGEST`."""


def main(arguments: list[str] | None = None) -> int:
    """Run the tries; return the exit code."""
    parser = OneLineErrors(
        prog="fuzz_inputs.py", description="Give hostile input to every door that takes data."
    )
    parser.add_argument("--count", type=int, default=400, help="inputs in all (default: 400)")
    parser.add_argument("--seed", type=int, default=1, help="of the inputs (default: 1)")
    options = parser.parse_args(arguments)
    return guarded(lambda: _run(options.count, options.seed)) or int(_FAULTS > 0)


_FAULTS = 0


def _run(count: int, seed: int) -> None:
    global _FAULTS
    with quiet_libraries():
        import tensorflow  # noqa: F401
    doors, found = _doors(), {name: Counter[str]() for name in _doors()}
    with tempfile.TemporaryDirectory(prefix="mi_keras-fuzz-") as made, contextlib.chdir(made):
        os.environ["MI_KERAS_HOME"] = str(Path(made, "store"))
        kept = _stored(Path(made, "store"))
        for number in range(count):
            name = list(doors)[number % len(doors)]
            folder = Path(made, f"{number:05d}")
            folder.mkdir()
            draw = np.random.default_rng([seed, number])
            attempt = doors[name](draw, folder)
            kind, detail = _outcome(attempt.call)
            if kind == FAULT:
                print(f"{number} {name}, {attempt.what}: {detail}", flush=True)
            found[name][kind] += 1
        lost = kept != _contents(Path(made, "store", "stages"))
    kinds = (REFUSED, LISTED, TAKEN, FAULT)
    print(f"| door | {' | '.join(kinds)} |\n|---|{'--:|' * len(kinds)}")
    for name, counts in found.items():
        print(f"| {name} | {' | '.join(str(counts[kind]) for kind in kinds)} |")
    total = sum(found.values(), Counter())
    print(f"| all {count} | {' | '.join(str(total[kind]) for kind in kinds)} |")
    print("Stored stages were changed." if lost else "Every stored stage is as it was.")
    _FAULTS = total[FAULT] + lost


def _outcome(call: Callable[[], object]) -> tuple[str, str]:
    """Return what came of a call, and what is wrong with that."""

    def stop(*_: object) -> None:
        raise NoEnd

    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST)
    try:
        kind, detail = _said(call)
    except NoEnd:
        kind, detail = FAULT, f"no end within {LONGEST} s"
    except Exception as error:
        kind, detail = FAULT, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    finally:
        signal.alarm(0)
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    if grown > MOST_MEMORY:
        return FAULT, f"{grown:,} bytes of memory in {time.perf_counter() - started:.1f} s ({kind})"
    return kind, detail


def _said(call: Callable[[], object]) -> tuple[str, str]:
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            answer = call()
    except ValueError as error:  # InputError is one; arrays of public functions may be refused by a plain one
        text = str(error)
        fair = (
            "\n" not in text
            and text.isprintable()
            and (isinstance(error, InputError) or text.startswith("`"))
        )
        return (REFUSED, "") if fair else (FAULT, f"{type(error).__name__}: {text!r:.300}")
    if isinstance(answer, Refusal):
        return (REFUSED, "") if not answer.fault else (FAULT, answer.fault)
    if isinstance(answer, list):  # names with reasons
        bad = [pair for pair in answer if not all(text.isprintable() for text in pair)]
        return (FAULT, f"shown raw: {bad[0]!r}") if bad else (LISTED if answer else TAKEN, "")
    return (FAULT, answer) if isinstance(answer, str) and answer else (TAKEN, "")


@dataclass(frozen=True)
class Refusal:
    """How a command ended that had to refuse; `fault` is what is wrong with that, or ""."""

    fault: str


def command(arguments: list[str], *, of: Callable[[list[str]], int] | None = None) -> Refusal:
    """Run a command of the command line, which must end with one line and exit code 2."""
    from mi_keras.cli import main as every_command

    out, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        try:
            code: object = (of or every_command)(arguments)
        except SystemExit as end:
            code = end.code
    lines = [line for line in said.getvalue().splitlines() if line.strip()]
    if code != 2 or len(lines) != 1 or "Traceback" in lines[0] or not lines[0].isprintable():
        return Refusal(f"exit code {code}, said {said.getvalue()!r:.300} for {arguments}")
    return Refusal("")


def _doors() -> dict[str, Door]:
    return {
        "npz of labelled images": _npz, "folder and zip of pictures": _pictures, "pool of an audit": _pool,
        "model file": _model, "weights file": _weights, "result files": _result, "pages with hostile names": _pages,
        "arrays of public functions": _arrays, "commands": _command,
    }  # fmt: skip


def _npz(draw: Draw, folder: Path) -> Try:
    from mi_keras.data.sources import load_source
    from mi_keras.data.splits import make_splits
    from mi_keras.settings import SplitSettings

    what, path = files.npz(draw, folder)

    def call() -> object:
        make_splits(load_source(f"npz:{path}"), SplitSettings(4, 6, "stratified"), seed=1)
        return None

    return Try(what, call)


def _pictures(draw: Draw, folder: Path) -> Try:
    from mi_keras.data.face_division import divide_faces
    from mi_keras.data.face_sources import open_faces
    from mi_keras.data.faces import load_faces
    from mi_keras.settings import FaceSettings

    what, spec = files.pictures(draw, folder)
    settings = FaceSettings(20, 192, 3, str(draw.choice(["name", "content"])))

    def call() -> object:
        divided = divide_faces(source := open_faces(spec), settings, seed=1)
        keys = (*divided.training, *divided.held_out)
        return list(load_faces(source, keys, np.zeros((len(keys), 32, 32, 3), np.uint8)).skipped)

    return Try(what, call)


def _pool(draw: Draw, folder: Path) -> Try:
    from mi_keras.auditing.pool import read_pool

    what, data = (files.npz if draw.random() < 0.5 else files.pictures)(draw, folder)
    options: dict[str, Any] = {"pixels": draw.choice([None, "0..1", "0..255", "-1..1"])}
    options |= {"labels": "folder"} if draw.random() < 0.3 else {}
    options |= {"size": (16, 16)} if draw.random() < 0.7 else {}

    def call() -> object:
        pool = read_pool(data, **options)
        shown = [(text, "") for text in (*pool.names, *pool.class_names, *pool.notes, pool.name)]
        return [*pool.skipped, *(pair for pair in shown if not pair[0].isprintable())]

    return Try(what, call)


def _model(draw: Draw, folder: Path) -> Try:
    from mi_keras.auditing.loading import load_model

    what, path = files.model(draw, folder)
    return Try(what, lambda: load_model(str(path)) and None)


def _weights(draw: Draw, folder: Path) -> Try:
    from mi_keras.models.weights import read_weights

    what, path = files.model(draw, folder)
    return Try(what, lambda: read_weights(path) and None)


def _result(draw: Draw, folder: Path) -> Try:
    from mi_keras.auditing.page import page
    from mi_keras.auditing.report import read_document
    from mi_keras.reports.files import load_result
    from mi_keras.reports.markdown import markdown_page

    what, path = files.result(draw, folder)
    if path.is_file():
        return Try(what, lambda: page(read_document(path)) and None)
    return Try(what, lambda: markdown_page(load_result(path)[0]) and None)


def _pages(draw: Draw, folder: Path) -> Try:
    return Try("hostile names", lambda: page_faults(draw))


def _arrays(draw: Draw, folder: Path) -> Try:
    from mi_keras import types
    from mi_keras.auditing.pool import read_pool
    from mi_keras.metrics.image import score
    from mi_keras.metrics.retrieval import image_embedding, retrieval_probability
    from mi_keras.overrides import apply_overrides

    what, array = files.array(draw)
    good = np.random.default_rng(0).random((4, 16, 16, 1), np.float32)
    calls: list[Callable[[], object]] = [
        lambda: score(array, good), lambda: score(good, array), lambda: score(array, array),
        lambda: read_pool(array), lambda: read_pool((array, np.arange(4))), lambda: read_pool((good, array), pixels="0..1"),
        lambda: image_embedding(array), lambda: types.Observation(array),
        lambda: types.Images(array, np.arange(len(array)) if array.ndim else np.arange(1), np.arange(4, dtype=np.uint64)),
        lambda: retrieval_probability(array, array, np.arange(4), 2),
        lambda: apply_overrides(_config(), [assignment(draw)]),
    ]  # fmt: skip
    number = int(draw.integers(len(calls)))

    def call() -> None:
        calls[number]()

    return Try(f"{what}, call {number}", call)


def _config() -> object:
    from mi_keras.experiments.split.sec_6_decoders import PRESETS

    return PRESETS["smoke"]


def _command(draw: Draw, folder: Path) -> Try:
    arguments = arguments_of(draw, folder)
    return Try(" ".join(arguments), lambda: command(arguments))


def _stored(root: Path) -> dict[str, str]:
    """Store a stage, and return what then lies there."""
    from mi_keras.experiments.store import Store

    Store(root).stage("kept", lambda workspace: ({"numbers": np.arange(9)}, {"count": 9})).computed()
    return _contents(root / "stages")


def _contents(folder: Path) -> dict[str, str]:
    paths: Iterator[Path] = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


if __name__ == "__main__":
    raise SystemExit(main())

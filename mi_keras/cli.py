"""The command line `mi-keras`, which `scripts/reproduce.py` opens too."""

import argparse
import errno
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler

from mi_keras.errors import InputError, Interrupted
from mi_keras.experiments.registry import ALL, DEFAULT_PRESET, PRESETS, SECTIONS, WORKS, folder_of_all

STOPPED, BAD_INPUT, INTERRUPTED = 1, 2, 130  # 130 is 128 + SIGINT, as shells report it


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code (see `guarded`)."""
    options = _parser().parse_args(arguments)
    if options.list:
        return guarded(_list_sections)
    again = (
        "run it again without --force to go on." if options.force else "run the same command again to go on."
    )
    return guarded(lambda: _reproduce(options), f"What is finished is kept; {again}")


def guarded(work: Callable[[], object], go_on: str = "") -> int:
    """Do `work` and turn the ways it can end early into one line on standard error and an exit code.

    Returns 0, or 2 for bad input, 130 for Ctrl-C, 1 for a full disk or other trouble with files, too little memory or
    a diverged run.
    """
    messages = Console(stderr=True)
    handler = RichHandler(console=messages, show_time=False, show_path=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    try:
        work()
        sys.stdout.flush()
        return 0
    except InputError as error:
        return _say(messages, str(error), BAD_INPUT)
    except (FloatingPointError, MemoryError) as error:
        return _say(messages, f"stopped: {str(error) or 'not enough memory'}. {go_on}", STOPPED)
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return STOPPED
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        trouble = (
            "no space left on the disk" if full else f"{error.strerror or error}: {error.filename or ''}"
        )
        return _say(messages, f"stopped: {trouble}. {go_on}", STOPPED)
    except (KeyboardInterrupt, Interrupted) as error:
        place = f" in: {error}" if str(error) else ""
        return _say(messages, f"stopped by Ctrl-C{place}. {go_on}", INTERRUPTED)


def _say(messages: Console, line: str, code: int) -> int:
    messages.print(line, markup=False, highlight=False, soft_wrap=True)
    return code


def _reproduce(options: argparse.Namespace) -> None:
    if options.section is None:
        raise InputError("`--section` must be given; see --list.")
    from mi_keras.experiments.runner import Request, run  # here: --list and --help answer at once
    from mi_keras.reports.files import read_report, write_reports
    from mi_keras.reports.html import write_overview
    from mi_keras.reports.tables import print_result

    if options.encoder_weights and options.work != "split":
        raise InputError(f"`--encoder-weights` must go with --work split; got --work {options.work}.")
    request = Request(
        section=options.section, work=options.work, preset=options.preset, overrides=options.set, runs=options.runs,
        seed=options.seed, data=options.data, out=options.out, force=options.force, offline=options.offline,
        encoder_weights=options.encoder_weights,
    )  # fmt: skip
    console, reports = Console(), []
    for folder in run(request, Console(stderr=True)):
        reports.append(report := read_report(folder))
        write_reports(folder, report)
        if not options.json:
            print_result(report.result, console)
            console.print(f"\nPage, tables, figures and arrays: {folder}\n", soft_wrap=True)
    if options.section == ALL:
        page = write_overview(
            reports, request.out / folder_of_all(request.work) / request.preset / "index.html"
        )
        if not options.json:
            console.print(f"All sections on one page: {page}", soft_wrap=True)
    if options.json:
        results = [report.result for report in reports]
        print(json.dumps(results if options.section == ALL else results[0], indent=1))


def _list_sections() -> None:
    for section in SECTIONS:
        print(
            f"--work {section.work} --section {section.number}  {section.title}  (presets: {', '.join(PRESETS)})"
        )


class OneLineErrors(argparse.ArgumentParser):
    """A parser whose complaints are one line, as all others are."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(2, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = OneLineErrors(
        prog="mi-keras", description="Reproduce image reconstruction attacks, section by section.",
        epilog="Results go to OUT/SECTION/PRESET; finished stages are kept in $MI_KERAS_HOME (default: .mi_keras).",
    )  # fmt: skip
    parser.add_argument("--section", help="section number, for example 5.2 (see --list), or all")
    parser.add_argument(
        "--work",
        default="thesis",
        choices=WORKS,
        help="which text (default: thesis)",
    )
    parser.add_argument(
        "--preset",
        default=DEFAULT_PRESET,
        choices=tuple(PRESETS),
        help=f"size of the run (default: {DEFAULT_PRESET})",
    )
    parser.add_argument(
        "--runs", type=int, metavar="N", help="repetitions with derived seeds (default: the preset's)"
    )
    parser.add_argument("--seed", type=int, default=1, help="root of all random choices (default: 1)")
    parser.add_argument(
        "--data",
        metavar="SOURCE",
        help="thesis: mnist (embedded, default), tfds:NAME or npz:FILE; split: photographs (of a dependency, default), "
        "folder:PATH, zip:PATH or tfds:NAME",
    )
    parser.add_argument(
        "--encoder-weights",
        metavar="WEIGHTS",
        help="split: of MobileNetV3; imagenet (downloaded, default), a weights FILE of Keras, or random",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a setting, for example gradient.steps=100",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("results"),
        metavar="DIR",
        help="folder of the results (default: results)",
    )
    parser.add_argument("--force", action="store_true", help="compute every stage anew")
    parser.add_argument("--offline", action="store_true", help="never download data")
    parser.add_argument("--list", action="store_true", help="list the sections")
    parser.add_argument("--json", action="store_true", help="print result.json instead of the tables")
    return parser

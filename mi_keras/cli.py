"""The command line `mi-keras`; `scripts/reproduce.py` is the same."""

import argparse
import json
import sys
from collections.abc import Sequence

from rich.console import Console

from mi_keras.arguments import (
    add_arguments,
    add_machines,
    add_processes,
    add_results,
    request_of,
    resources_of,
)
from mi_keras.command import OneLineErrors, guarded, say_path
from mi_keras.commands import COMMANDS, run_command
from mi_keras.experiments.registry import ALL, PRESETS, all_sections
from mi_keras.experiments.section import folder_of
from mi_keras.machine import prepare_libraries


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code (see `guarded`).

    Where the first argument is one of `COMMANDS`, that command reads the others; else they are of a reproduction.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    prepare_libraries()
    if arguments and arguments[0] in COMMANDS:
        return run_command(arguments[0], arguments[1:])
    parser = _parser()
    if arguments and not arguments[0].startswith("-"):
        parser.error(
            f"the first argument must be an option or one of {', '.join(COMMANDS)}; got {arguments[0]}"
        )
    options = parser.parse_args(arguments)
    if options.list:
        return guarded(_list_sections)
    go_on = "What is finished is kept; run the same command again to go on."
    return guarded(lambda: _reproduce(options), go_on, parser)


def _reproduce(options: argparse.Namespace) -> None:
    request = request_of(
        options, runs=options.runs, out=options.out, force=options.force,
        devices=options.devices, resources=resources_of(options),
    )  # fmt: skip
    from mi_keras.experiments.runner import run  # here: --list and --help answer at once
    from mi_keras.reports.files import read_report, write_reports
    from mi_keras.reports.html import write_overview
    from mi_keras.reports.tables import print_result

    console, reports, documents = Console(), [], []
    for folder in run(request, Console(stderr=True)):
        reports.append(report := read_report(folder))
        documents.append(json.loads((folder / "result.json").read_text(encoding="utf-8")))
        write_reports(folder, report)
        if not options.json:
            print_result(report.result, console)
            say_path(console, "\nPage, tables, figures and arrays", folder, "\n")
    if options.section == ALL:
        page = write_overview(
            reports, request.out / folder_of(request.work, ALL) / request.preset / "index.html"
        )
        if not options.json:
            say_path(console, "All sections on one page", page)
    if options.json:
        print(json.dumps(documents if options.section == ALL else documents[0], indent=1))


def _list_sections() -> None:
    for section in all_sections():
        print(
            f"--work {section.work} --section {section.number}  {section.title}  (presets: {', '.join(PRESETS)})"
        )


def _parser() -> OneLineErrors:
    parser = OneLineErrors(
        prog="mi-keras", description="Reproduce image reconstruction attacks, section by section.",
        epilog="Results go to OUT/SECTION/PRESET; finished stages are kept in $MI_KERAS_HOME (default: .mi_keras). "
        f"Other commands: mi-keras {'|'.join(COMMANDS)} --help.",
    )  # fmt: skip
    add_arguments(parser, section="section number, for example 5.2 (see --list), or all")
    parser.add_argument(
        "--runs", type=int, metavar="N", help="repetitions with derived seeds (default: the preset's)"
    )
    add_processes(parser)
    add_machines(parser)
    add_results(parser)
    parser.add_argument("--force", action="store_true", help="compute every stage anew")
    parser.add_argument("--list", action="store_true", help="list the sections")
    parser.add_argument("--json", action="store_true", help="print result.json instead of the tables")
    return parser

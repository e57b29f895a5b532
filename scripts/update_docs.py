"""Rewrite the parts of docs/ that are drawn from code and measurements: architecture, result tables, paper map, notebook.

Command:  python scripts/update_docs.py [RESULTS] [--audit NAME=FOLDER ...]
With RESULTS (a folder as `reproduce.py --section all --preset quick --out RESULTS` leaves it), the result.json of each
section is first copied to docs/measured/, from which the tables and the map are written. With `--audit`, the audit.json of an
audit's folder is copied to docs/measured/audits/NAME.json; that of the demo brings its picture with it.
"""

import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from mi_keras.auditing.card import part
from mi_keras.auditing.report import read_document
from mi_keras.command import OneLineErrors, guarded
from mi_keras.data.face_sources import DEFAULT_FACES
from mi_keras.data.sources import DEFAULT_SOURCE
from mi_keras.errors import InputError
from mi_keras.experiments.registry import SECTIONS, find
from mi_keras.files import write_text
from mi_keras.quiet import quiet_libraries
from mi_keras.reports.files import load_result
from mi_keras.reports.paper_map import load_measured, paper_map_document
from mi_keras.reports.tables import claims_markdown, markdown_table
from mi_keras.reports.text import escape_markdown
from mi_keras.results import StoredResult
from mi_keras.whole import replace_file

# A script finds what lies beside it, not `scripts`
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from scripts.audit_picture import audit_picture
from scripts.diagrams import architecture_document
from scripts.notebook import notebook_document
from scripts.torch_picture import picture as torch_picture
from scripts.torch_tables import part as torch_table

DOCS = Path(__file__).resolve().parents[1] / "docs"
MEASURED = DOCS / "measured"
SHOWN = ("quick", "paper")
MORE = (
    "runs=",
    "decimals=",
    "own_answers=",
    "other=",
)  # settings of `quick` that only add to what it measures
OTHER_DATA = (("beyond", "images"),)  # sections that are about images which do not come with the package
# Measured beside the preset as it is, under a name with the setting's own at its end; other data may have fewer images then
VARIANTS = ("same_models=true", "classifiers=cnn", "faces.size=320")
OF_VARIANTS = ("elsewhere=", "data.test_per_class=")
AUDITS = MEASURED / "audits"  # NAME.json: copies of the audit.json of audits
WITH_PICTURE = "demo"  # the audit whose pictures the README shows
WITH_TABLES = (
    *(
        DOCS / name
        for name in (
            "results.md",
            "thesis.md",
            "split.md",
            "beyond.md",
            "audits.md",
            "tutorial.md",
            "performance.md",
            "gradient_settings.md",
        )
    ),
    DOCS.parent / "README.md",
)
OF_SECTIONS = {(each.work, each.number, each.title) for each in SECTIONS}
BLOCK = re.compile(r"(<!-- measured (\S+) (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
TORCH = re.compile(r"(<!-- torch (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
AUDIT = re.compile(r"(<!-- audit (\S+) (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrite what is generated; return the exit code."""
    parser = OneLineErrors(prog="update_docs.py", description="Rewrite the generated parts of docs/.")
    parser.add_argument(
        "results", nargs="?", type=Path, metavar="RESULTS", help="folder with new measurements"
    )
    parser.add_argument(
        "--audit", action="append", default=[], metavar="NAME=FOLDER", help="folder of a new audit"
    )
    options = parser.parse_args(arguments)
    return guarded(lambda: update(options.results, options.audit))


def update(results: Path | None, audits: Sequence[str] = ()) -> None:
    """Take over new measurements, if any, and rewrite the documents: all of them, or none where something is wrong."""
    new = _new(results) if results else {}
    for name, folder in map(_named, audits):
        text = (folder / "audit.json").read_text(encoding="utf-8")
        if name == WITH_PICTURE:
            audit_picture(folder / "pictures.npz", DOCS / "images" / f"audit_{name}.png")
        replace_file(AUDITS / f"{name}.json", partial(write_text, text=text))
    measured = load_measured(MEASURED) | {name: result for name, (result, _) in new.items()}
    with quiet_libraries():
        texts = {DOCS / "architecture.md": architecture_document()}
    texts[DOCS / "paper_map.md"] = paper_map_document(measured)
    texts |= {path: with_tables(path.read_text(), measured) for path in WITH_TABLES}
    texts[DOCS / "tutorial.ipynb"] = notebook_document(texts[DOCS / "tutorial.md"])
    torch_picture(DOCS / "images/table_4.png", measured)
    MEASURED.mkdir(exist_ok=True)
    texts |= {MEASURED / f"{name}.json": text for name, (_, text) in new.items()}
    for path, text in texts.items():
        replace_file(path, partial(write_text, text=text))


def _named(given: str) -> tuple[str, Path]:
    name, _, folder = given.partition("=")
    if not re.fullmatch(r"[a-z]+", name) or not (Path(folder) / "audit.json").is_file():
        raise InputError(
            f"`--audit` must be NAME=FOLDER, a folder that `mi-keras audit` wrote; got {given!r}."
        )
    read_document(Path(folder) / "audit.json")  # refused before anything is written
    return name, Path(folder)


def _new(results: Path) -> dict[str, tuple[StoredResult, str]]:
    """Return the results of a folder that documents may show, and the texts of their files; what was changed stands above each of their tables.

    Of sections on digits those of their own data, of `OTHER_DATA` those of other data, and of `quick` unchanged but for
    `MORE` and `VARIANTS`; of those on faces, those of faces.
    """
    found: dict[str, tuple[StoredResult, str]] = {}
    for preset in SHOWN:
        paths = [*results.glob(f"*/{preset}/result.json"), *results.glob(f"*/*/{preset}/result.json")]
        for folder in sorted(path.parent for path in paths):
            result, _ = load_result(folder)
            if (result.work, result.section, result.title) not in OF_SECTIONS:
                continue  # a search of that section, in the same shape
            (section,) = find(result.work, result.section)
            digits = section.load().work.default_data == DEFAULT_SOURCE
            if (result.work, result.section) in OTHER_DATA:
                own = result.data != DEFAULT_SOURCE
            else:
                own = result.data == DEFAULT_SOURCE if digits else result.data != DEFAULT_FACES
            variants = [setting for setting in result.changed if setting in VARIANTS]
            other = [
                setting
                for setting in result.changed
                if not setting.startswith(MORE + OF_VARIANTS * bool(variants)) and setting not in VARIANTS
            ]
            if result.seed == 1 and own and not (digits and preset == "quick" and other):
                text = (folder / "result.json").read_text(encoding="utf-8")
                settings = (each.partition("=")[0].rpartition(".")[2] for each in variants)
                name = [result.work, result.section, preset, *settings]
                found[".".join(name)] = result, text
    if not found:
        raise InputError(
            f"`RESULTS` must hold SECTION/PRESET/result.json that documents may show; got {str(results)!r}."
        )
    return found


def with_tables(text: str, measured: Mapping[str, StoredResult]) -> str:
    """Fill every block `<!-- measured thesis.5.2.quick table_4 -->` ... `<!-- end -->` with that table.

    In the place of a table, `claims` stands for the verdicts and `notes` for what was measured on; `table_4:ssim,mse` has
    the columns of these scores alone. `<!-- measured quick times -->` stands for where the time of all that preset's results went,
    `<!-- torch NAME -->` for a table of `torch_tables`.
    """

    def fill(match: re.Match[str]) -> str:
        if match.group(2, 3) == ("quick", "times"):
            return f"{match.group(1)}{times(measured)}{match.group(4)}"
        if match.group(2) not in measured:
            raise InputError(f"`docs/measured` must hold {match.group(2)}.json; it is missing: give RESULTS.")
        result = measured[match.group(2)]
        wanted = match.group(3)
        if wanted == "claims":
            body = claims_markdown(result)
        elif wanted == "notes":
            lines = [f"Measured: {result.measured}.", *result.notes]
            body = "\n\n".join(map(escape_markdown, lines)) + "\n"
        else:
            file, _, metrics = wanted.partition(":")
            (table,) = (table for table in result.tables if table.file == file)
            shown = replace(table, metrics=tuple(metrics.split(","))) if metrics else table
            body = markdown_table(result, shown)
        return f"{match.group(1)}{body}{match.group(4)}"

    def filled(match: re.Match[str]) -> str:
        return f"{match.group(1)}{torch_table(match.group(2), measured)}{match.group(3)}"

    return TORCH.sub(filled, AUDIT.sub(_audited, BLOCK.sub(fill, text)))


def times(measured: Mapping[str, StoredResult]) -> str:
    """Return of each result of preset `quick` the seconds of its stages, and which kinds of stage they went to."""
    lines = ["| results | stages | seconds | where they went |", "|---|--:|--:|---|"]
    for name, result in sorted(measured.items()):
        if result.preset != "quick":
            continue
        kinds: Counter[str] = Counter()
        for each in result.timings[:-1]:  # the last is all of it, beside which stages of other days were read
            kinds[each.stage.split()[0]] += each.seconds
        total = sum(kinds.values())
        shares = [f"{kind} {seconds / total:.0%}" for kind, seconds in kinds.most_common(3)]
        lines.append(f"| {name} | {len(result.timings) - 1} | {total:,.0f} | {', '.join(shares)} |")
    return "\n".join(lines) + "\n"


def _audited(match: re.Match[str]) -> str:
    """Fill a block `<!-- audit NAME PART -->`."""
    report = read_document(AUDITS / f"{match.group(2)}.json")
    return f"{match.group(1)}{part(report, match.group(3))}{match.group(4)}"


if __name__ == "__main__":
    raise SystemExit(main())

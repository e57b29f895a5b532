"""The generated documents against the registry, the code and the stored measurements."""

import argparse
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from dataclasses import asdict
from importlib import import_module, util
from pathlib import Path

import numpy as np
import pytest

from mi_keras.cli import main
from mi_keras.errors import InputError
from mi_keras.experiments.registry import SECTIONS
from mi_keras.reports.paper_items import EQUATIONS, FIGURES, TABLES
from mi_keras.reports.paper_map import load_measured, paper_map_document

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
ROOTS = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "exported_models/README.md")
PAGES = (*ROOTS, *(f"docs/{path.name}" for path in sorted(DOCS.glob("*.md"))))
DOORS = re.compile(r"mi-keras |python scripts/|python -m (?:tuning|mi_keras)\.")
UNMEASURED: set[str] = set()  # sections of which docs/beyond.md says that they were not run to their end
QUICK = [f"thesis.{section.number}.quick" for section in SECTIONS if section.work == "thesis"]


@pytest.fixture(scope="module")
def measured():
    return load_measured(DOCS / "measured")


def test_the_map_is_what_registry_and_measurements_say(measured):
    assert (DOCS / "paper_map.md").read_text() == paper_map_document(measured)


def test_the_map_shows_each_preset_that_was_measured_and_the_command_for_it(measured):
    both = {name: measured["thesis.5.2.quick"] for name in ("thesis.5.2.quick", "thesis.5.2.paper")}
    lines = [line for line in paper_map_document(both).split("\n") if "--section 5.2" in line]
    quick = [line for line in lines if " | quick | " in line]
    paper = [line for line in lines if "--section 5.2 --preset paper | " in line and " | paper | " in line]
    assert len(quick) == len(paper) == len(measured["thesis.5.2.quick"].claims) + 1  # and Table 4


def test_every_section_was_measured_at_the_sizes_it_has_now(measured):
    names = {f"{section.work}.{section.number}" for section in SECTIONS}
    assert {name for name in names if f"{name}.quick" not in measured} == UNMEASURED
    for section in SECTIONS:
        if f"{section.work}.{section.number}" in UNMEASURED:
            continue
        result = measured[f"{section.work}.{section.number}.quick"]
        settings = json.loads(json.dumps(asdict(section.load().presets["quick"])))
        if "encoder" in settings:  # the full model's weights need a network
            settings["encoder"] |= {name: result.settings["encoder"][name] for name in ("weights", "variant")}
        else:  # more runs, decimals and own answers than the preset has are welcome
            more = {changed.partition("=")[0] for changed in result.changed}
            assert more <= {"runs", "decimals", "own_answers", "other"}
            assert result.runs >= settings["runs"]
            for name in ("decimals", "own_answers") if section.work == "thesis" else ():
                assert set(result.settings.get(name, ())) >= set(settings.get(name, ()))
            settings |= {name: result.settings[name] for name in more}
        defaults = json.loads(json.dumps(asdict(section.load().presets["paper"])))
        assert result.settings == without_newer(settings, result.settings, defaults)
        assert result.title == section.title


def without_newer(settings, measured, defaults):
    """Leave out what is newer than a measurement, where it is at the default that stands for what there was before."""
    return {
        name: without_newer(value, measured[name], defaults[name]) if isinstance(value, dict) else value
        for name, value in settings.items()
        if name in measured or value != defaults[name]
    }


@pytest.fixture(scope="module")
def script():
    specification = util.spec_from_file_location("update_docs", REPOSITORY / "scripts" / "update_docs.py")
    module = util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_a_search_is_not_taken_for_the_section_that_it_is_of(script, tmp_path):
    document = json.loads((DOCS / "measured" / "thesis.5.1.quick.json").read_text())
    for folder, title in (
        ("5.1", document["title"]),
        ("search/gradient", "Random search of the two weights"),
    ):
        place = tmp_path / folder / "quick"
        place.mkdir(parents=True)
        np.savez(place / "arrays.npz", none=np.zeros(1))
        (place / "result.json").write_text(json.dumps({**document, "title": title, "arrays_sha256": None}))
    ((name, (result, _)),) = script._new(tmp_path).items()
    assert (name, result.title) == ("thesis.5.1.quick", document["title"])
    with pytest.raises(InputError, match=r"must hold SECTION/PRESET/result\.json"):
        script._new(tmp_path / "search")


def test_the_result_tables_of_the_documents_are_those_of_the_measurements(measured, script):
    for path in script.WITH_TABLES:
        text = path.read_text()
        assert script.with_tables(text, measured) == text, path
        assert any(block.search(text) for block in (script.BLOCK, script.AUDIT, script.TORCH)), path
    assert len(script.BLOCK.findall((DOCS / "results.md").read_text())) >= 2 * len(QUICK)


DEFENDED = (  # the rows of docs/defences.md, in their order: row of the section, and what else is said of it
    ("label", ""), ("shares_rounded", ""), ("shares_top", ""), ("logits_top", ""), ("smoothing=0.1", "ece"),
    ("noise=4/1", "accuracy"), ("noise=4/100", "accuracy"),
)  # fmt: skip


def test_the_page_for_defenders_has_the_numbers_of_the_section(measured):
    page = (DOCS / "defences.md").read_text()
    tables = {table.file: table for table in measured["beyond.defences.quick"].tables}
    rows = {row.name: row for row in tables["defences"].rows}
    cells = [line.split("|") for line in page.splitlines() if line.startswith("| ")][1:]
    assert len(cells) == len(DEFENDED)
    for (name, cost), (_, _, _, found, price, _) in zip(DEFENDED, cells, strict=True):
        assert found.strip() == f"{rows[name].values['found_answers'].mean:.2f}", name
        if cost:
            said = [f"{rows[each].values[cost].mean:.3f}" for each in (name, "none")]
            assert re.findall(r"0\.\d+", price) == said, name
    picks = {row.name: row for row in tables["optimal_pick"].rows}
    assert f"distillation ({rows['distilled'].values['found_answers'].mean:.2f}: worse" in page
    assert (
        f"with {picks['noise=4/1:best possible'].values['found_10'].mean:.2f} from one noisy answer" in page
    )


def test_the_documents_are_updated_by_the_command_that_is_documented(tmp_path):
    command = "python scripts/update_docs.py"
    assert command in (REPOSITORY / "CONTRIBUTING.md").read_text()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    arguments = [sys.executable, REPOSITORY / command.split()[1], "--help"]
    finished = subprocess.run(
        arguments, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert "[RESULTS]" in finished.stdout


def test_the_map_leaves_out_no_number_of_the_text():
    assert [table.number for table in TABLES] == list(range(1, 7))
    figures = []
    for item in FIGURES:
        first, *last = [int(number) for number in re.findall(r"\d+", item.numbers)]
        figures += range(first, (last or [first])[0] + 1)
    assert figures == list(range(1, 33))
    assert [int(e.number) for e in EQUATIONS if e.number.isdigit()] == list(range(1, 17))


def test_mapped_tables_and_figures_are_made_by_their_sections(measured):
    for table in TABLES:
        rows = {
            row.name
            for found in measured[f"thesis.{table.section}.quick"].tables
            if found.file == table.file
            for row in found.rows
        }
        assert table.row in rows
    for figure in FIGURES:
        for name in figure.files:
            if figure.section:
                assert name in {f.file for f in measured[f"thesis.{figure.section}.quick"].figures}, name
            else:
                assert (REPOSITORY / name).is_file()


@pytest.mark.parametrize("equation", EQUATIONS, ids=lambda equation: equation.number)
def test_mapped_equations_are_there_and_tested(equation):
    module, _, name = equation.code.partition(":")
    assert callable(getattr(import_module(module), name))
    assert name in (REPOSITORY / equation.test).read_text()


@pytest.mark.parametrize(
    "path", sorted(DOCS.glob("*.md")) + [REPOSITORY / n for n in ROOTS], ids=lambda p: p.name
)
def test_every_link_within_the_repository_leads_somewhere(path):
    for link in re.findall(r"\]\(([^)#\s]*)(?:#[^)]*)?\)", path.read_text()):
        assert not link or link.startswith("http") or (path.parent / link).exists(), link


def test_the_readme_is_read_in_one_sitting():
    assert len((REPOSITORY / "README.md").read_text().splitlines()) <= 130


@pytest.mark.slow
def test_the_code_for_users_of_the_library_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / "library.md").read_text(), re.DOTALL | re.MULTILINE)
    exec("\n".join(blocks), {"__name__": "library"})
    similarity, *_ = capsys.readouterr().out.split()
    assert 0.2 < float(similarity) < 0.32  # "about 0.27"


def tutorial(changes=()):
    """Run the cells of the notebook of the tutorial one after the other, with changed words; return what they leave."""
    notebook = json.loads((DOCS / "tutorial.ipynb").read_text())
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    text = "\n\n".join(code)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    names = {"__name__": "tutorial"}
    exec(text, names)
    return names


def test_the_notebook_is_the_tutorial(script):
    page = (DOCS / "tutorial.md").read_text()
    text = (DOCS / "tutorial.ipynb").read_text()
    assert script.notebook_document(page) == text
    cells = json.loads(text)["cells"]
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert ["".join(cell["source"]) + "\n" for cell in cells if cell["cell_type"] == "code"] == blocks


def test_the_tutorial_runs_on_fewer_images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MI_KERAS_HOME", str(tmp_path / "store"))
    less = [("[:5000]", "[:1000]"), ("[5000:9000]", "[1000:1400]"), ('preset="quick"', 'preset="smoke"'),
            ('preset="smoke"', 'preset="smoke", budget=0'),  # attacks are not timed first
            ('"probabilities", "rounded=3", "label"', '"label"'), ('"top=1", "rounding=1"', '"top=1"')]  # fmt: skip
    names = tutorial(less)
    assert [point.name for point in names["report"].points] == ["label"]
    assert (tmp_path / "audit/index.html").is_file()


@pytest.mark.slow
def test_the_tutorial_runs_and_says_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MI_KERAS_HOME", str(tmp_path / "store"))
    report = tutorial()["report"]
    assert [point.verdict for point in report.points] == ["LEAKS", "LEAKS", "BELOW TOLERANCE"]


def commands():
    """Return every command of this package and its scripts in the sh blocks of the documents."""
    found = []
    for name in PAGES:
        for block in re.findall(
            r"^```sh\n(.*?)^```", (REPOSITORY / name).read_text(), re.DOTALL | re.MULTILINE
        ):
            found += lines(block)
    return [line for line in dict.fromkeys(found) if DOORS.match(line)]


def lines(block):
    """Return the commands of a block of shell code, without comments, each on one line."""
    commands = re.split(r"(?<!\\)\n|&&", block.replace("\\\n", " "))
    return [" ".join(words) for words in (shlex.split(each, comments=True) for each in commands) if words]


def enter(program, *arguments):
    """Run a command as its words say."""
    if program == "mi-keras":
        main(arguments)
    elif arguments[0] == "-m":
        sys.argv = list(arguments[1:])
        import_module(arguments[1]).main()
    else:
        sys.argv = list(arguments)
        runpy.run_path(str(REPOSITORY / arguments[0]), run_name="__main__")


class Parsed(Exception):
    """The arguments were understood."""


@pytest.mark.parametrize("command", commands())
def test_every_command_of_the_documents_is_understood(command, monkeypatch):
    parse, words = argparse.ArgumentParser.parse_args, command.split()

    def parse_only(parser, arguments=None, namespace=None):
        for action in parser._actions:
            action.required = action.required and "..." not in words  # it stands for further arguments
        parse(parser, arguments, namespace)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_only)
    monkeypatch.setattr(sys, "argv", sys.argv)
    with pytest.raises(Parsed):
        enter(*(word for word in words if word != "..."))


def test_the_documents_show_every_kind_of_command():
    shown = {" ".join(command.split()[:2]) for command in commands()}
    names = ("mi-keras invert", "mi-keras serve-config", "python scripts/reproduce.py", "mi-keras search")
    assert set(names) <= shown

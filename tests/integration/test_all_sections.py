"""Every section of the thesis at its smallest in one command, as a user runs it: in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mi_keras.experiments.registry import SECTIONS
from mi_keras.experiments.thesis.paper_items import FIGURES, TABLES

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "reproduce.py"


def reproduce(folder, *arguments):
    environment = os.environ | {"MI_KERAS_HOME": str(folder / "store"), "COLUMNS": "100"}
    finished = subprocess.run(
        [sys.executable, str(SCRIPT), "--preset", "smoke", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    return finished


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    folder = tmp_path_factory.mktemp("all")
    finished = reproduce(folder, "--section", "all")
    results = {
        section.number: json.loads((folder / f"results/{section.number}/smoke/result.json").read_text())
        for section in SECTIONS
        if section.work == "thesis"
    }
    return folder, finished, results


def rows(result, table):
    (found,) = (each for each in result["tables"] if each["file"] == table)
    return {row["name"]: row for row in found["rows"]}


def test_every_table_and_figure_of_the_map_is_there(everything):
    folder, finished, _ = everything
    for table in TABLES:
        assert (folder / f"results/{table.section}/smoke/{table.file}.csv").is_file()
    for figure in FIGURES:
        for name in figure.files if figure.section else ():
            assert (folder / f"results/{figure.section}/smoke/{name}").is_file(), name
    assert finished.stderr == ""
    assert max(map(len, finished.stdout.splitlines())) < 400  # only sentences are longer than the window
    for number in ("4.2", "5.1", "5.2", "5.3", "5.4"):
        assert f"thesis {number}: " in finished.stdout


def test_one_page_holds_everything(everything):
    folder, _, results = everything
    page = (folder / "results/all/smoke/index.html").read_text()
    assert page.count("data:image/png;base64,") == sum(len(result["figures"]) for result in results.values())
    for result in results.values():
        for table in result["tables"]:
            assert table["title"].split('"')[0] in page


def test_sections_share_what_they_have_in_common(everything):
    """No defence is the plain attack, and one training serves all sections: to the last digit, and without a second one."""
    _, _, results = everything
    plain, truncated = rows(results["5.2"], "table_4"), rows(results["5.4"], "table_6")
    unrounded = rows(results["5.3"], "rounding_sweep")
    for model in ("o", "x"):
        assert (
            plain[model]["values"]
            == truncated[f"{model}@k=10"]["values"]
            == unrounded[f"{model}@none"]["values"]
        )
    start = rows(results["5.1"], "table_3")["x_class_average@test"]
    assert start["values"]["ssim"] == plain["gradient_reconstruction"]["values"]["ssim"]
    used = [entry for entry in results["5.2"]["timings"] if entry["stage"].startswith("classifier")]
    assert len(used) == 2
    assert all(entry["reused"] for entry in used)


@pytest.mark.slow  # draws every figure a second time; the same of one section is in test_section_5_2
def test_all_again_reads_the_store_and_gives_one_list_as_json(everything):
    folder, _, results = everything
    again = json.loads(reproduce(folder, "--section", "all", "--json").stdout)
    assert [result["section"] for result in again] == list(results)
    for result in again:
        assert all(entry["reused"] for entry in result["timings"] if entry["stage"] != "all")
        assert result["tables"] == results[result["section"]]["tables"]

"""A section of a user's own package, registered by the dotted path of its module, runs like any other."""

import io
import json
import re
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from mi_keras.errors import InputError
from mi_keras.experiments import registry, runner
from mi_keras.experiments.resources import Resources
from mi_keras.experiments.section import Experiment, Request, Section
from mi_keras.experiments.team import Team
from mi_keras.experiments.thesis.sizes import Classified
from mi_keras.experiments.thesis.work import THESIS as THESIS_WORK
from mi_keras.machine import ONEDNN, machine
from mi_keras.progress import SilentProgress
from mi_keras.reports.files import load_result

PACKAGE = "package_of_a_user"
THESIS = ("4.2", "5.1", "5.2", "5.3", "5.4", "7")  # sections that are there without the user's
KNOWN = ("4.2", "5.1", "5.2", "5.2-pairs", "5.2-search", "5.3", "5.4", "7")  # and the studies
MODULE = '''
"""How much knowing the class gives on a fraction of the images; in a package of one's own."""

from dataclasses import dataclass, replace

from mi_keras.experiments.section import Section
from mi_keras.experiments.thesis.rows import PROTOTYPE, Name, baselines, image_arrays, image_row, plan_rows
from mi_keras.experiments.team import Team
from mi_keras.experiments.thesis.sizes import SMOKE, Reconstructed
from mi_keras.experiments.thesis.work import THESIS
from mi_keras.results import ExperimentResult, Table


@dataclass(frozen=True)
class Config(Reconstructed):
    runs: int = 1
    share: float = 1.0


def measure(config, benches):
    plans = plan_rows(benches, baselines(config.prototype))
    rows = [image_row(name, name.method, plans, Name(PROTOTYPE)) for name in plans]
    table = Table("mine", "Mine", "method", ("ssim", "mse"), rows, "ssim")
    arrays = image_arrays(benches[0].splits.test, plans)
    return ExperimentResult([table], [], f"a share of {config.share:g}", arrays)


SIZES = {name: SMOKE[name] for name in ("data", "classifier", "prototype")}
PRESETS = {"smoke": replace(Config(), **SIZES), "quick": Config(), "paper": Config()}
SECTION = Section(THESIS, PRESETS, measure)
'''


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """An experiment whose module lies in a user's package; what a test registers is forgotten after it."""
    folder = tmp_path / "site" / PACKAGE
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "baselines_only.py").write_text(MODULE)
    monkeypatch.syspath_prepend(folder.parent)
    monkeypatch.setattr(registry, "SECTIONS", list(registry.SECTIONS))
    monkeypatch.setenv("MI_KERAS_HOME", str(tmp_path / "store"))
    yield Experiment("thesis", "9.1", "Knowing the class", f"{PACKAGE}.baselines_only")
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def request(folder, **fields):
    sizes = ["data.train_per_class=6", "data.test_per_class=6", "classifier.epochs=1", "prototype.steps=2"]
    return Request(section="9.1", preset="smoke", overrides=sizes, out=folder / "results", **fields)


def run(asked):
    return list(runner.run(asked, Console(file=io.StringIO())))


def test_a_section_of_a_users_package_runs_and_writes_a_result_like_any_other(tmp_path, mine):
    registry.register(mine)
    assert PACKAGE not in sys.modules  # it is imported when it is run
    (folder,) = run(request(tmp_path))
    assert folder == tmp_path / "results" / "9.1" / "smoke"
    result, arrays = load_result(folder)  # which checks it
    assert (result.work, result.section, result.title) == ("thesis", "9.1", "Knowing the class")
    assert (result.measured, result.data) == ("a share of 1", "mnist")
    assert result.settings["share"] == 1.0
    average, prototype = result.tables[0].rows
    assert (average.name, prototype.name) == ("class_average", "class_prototype")
    scores = arrays["ssim.class_average"]
    assert average.values["ssim"].mean == pytest.approx(float(np.mean(scores)), abs=1e-6)
    used = {entry.stage for entry in result.timings}
    assert used >= {"classifier target (run 1)", "class_average (run 1)", "all"}
    written = json.loads((folder / "result.json").read_text())["timings"]
    (again,) = run(request(tmp_path))
    timings = json.loads((again / "result.json").read_text())["timings"]
    assert len(timings) > 2
    assert all(entry["reused"] for entry in timings if entry["stage"] != "all")
    assert {entry["stage"] for entry in timings} <= {entry["stage"] for entry in written}


def test_a_run_says_what_it_took_from_the_store_and_how_that_was_computed(tmp_path, mine, monkeypatch):
    registry.register(mine)
    kernels, said, notes = machine()["oneDNN"], [], []
    for number in range(3):
        if number == 2:
            monkeypatch.setenv(
                ONEDNN, "0" if kernels != "off" else "1"
            )  # TensorFlow is loaded: what is recorded changes
        said.append(io.StringIO())
        (folder,) = runner.run(request(tmp_path), Console(file=said[-1], width=300))
        notes.append(json.loads((folder / "result.json").read_text())["notes"])
    stored = [each.getvalue() == "Nothing was computed: all of it was stored already.\n" for each in said]
    assert stored == [False, True, True]
    otherwise = [[each for each in found if "with other versions or settings" in each] for found in notes]
    assert otherwise[:2] == [[], []]
    assert len(otherwise[2]) == 1
    assert f": oneDNN: {kernels} (now o" in otherwise[2][0]


def test_the_section_of_the_walk_through_runs(tmp_path, mine):
    """As `docs/add_section.md` has it, word by word."""
    text = (Path(__file__).parents[3] / "docs/add_section.md").read_text()
    (code,) = re.findall(r"<!-- \S+/sec_widths.py -->\n   ```python\n(.*?)   ```\n", text, re.DOTALL)
    (tmp_path / "site" / PACKAGE / "widths.py").write_text(textwrap.dedent(code))
    registry.register(Experiment("thesis", "widths", "How wide", f"{PACKAGE}.widths"))
    asked = request(tmp_path)
    (folder,) = run(replace(asked, section="widths", overrides=[*asked.overrides, "inverter.channels=4,4,4"]))
    result, _ = load_result(folder)
    labels = [row.label for row in result.tables[0].rows]
    assert labels == ["M_I(O), width / 1", "M_I(O), width / 2", "class average", "class prototype"]
    assert [claim.text for claim in result.claims] == ["Wider draws more"]


def test_a_users_section_takes_settings_of_its_own(mine):
    registry.register(mine)
    (found,) = registry.find("thesis", "9.1")
    prepared = found.load().prepare(Request(section="9.1", preset="smoke", overrides=["share=0.5"]))
    assert prepared.changed == ["share=0.5"]


def test_a_section_that_a_worker_does_not_know_comes_to_it_with_its_job(tmp_path, mine):
    asked = request(tmp_path, resources=Resources(workers=2))
    with runner._team([mine], asked, SilentProgress()) as team:
        job = json.loads(team._begin)["job"]
    runner.follow(job, Team(), SilentProgress())
    assert list(tmp_path.glob("store/stages/classifier/*/meta.json"))


def test_all_sections_of_a_work_are_those_of_the_user_too(mine):
    registry.register(mine)
    registry.register(mine)  # twice is once
    assert [each.number for each in registry.find("thesis", "all")] == [*THESIS, "9.1"]
    assert "9.1" not in [each.number for each in registry.find("split", "all")]


@pytest.mark.parametrize("number", ["5.2", "9.1"])
def test_a_number_that_is_taken_is_refused(mine, number):
    registry.register(mine)
    known = list(registry.SECTIONS)
    with pytest.raises(InputError, match=rf"^`number` must be new in work thesis; got {number}\.$"):
        registry.register(Experiment("thesis", number, "Another", f"{PACKAGE}.another"))
    assert known == registry.SECTIONS
    registry.register(Experiment("split", number, "Of the other work", f"{PACKAGE}.another"))


def test_sections_of_installed_packages_are_found_by_their_entry_points(mine, monkeypatch):
    asked = []

    def entry_points(*, group):
        asked.append(group)
        return [SimpleNamespace(load=lambda: mine)]

    monkeypatch.setattr(registry, "entry_points", entry_points)
    assert registry.find("thesis", "9.1") == registry.find("thesis", "9.1") == (mine,)
    assert set(asked) == {"mi_keras.sections"}


def test_an_unknown_section_is_refused_with_those_there_are(tmp_path, mine):
    registry.register(mine)
    with pytest.raises(InputError) as caught:
        run(Request(section="9.2", out=tmp_path / "results"))
    assert str(caught.value) == (
        f"`section` of work thesis must be one of: {', '.join(KNOWN)}, 9.1, all; got 9.2."
    )
    assert not (tmp_path / "results").exists()


def test_what_prepare_refuses_is_found_before_the_store_is_touched(tmp_path, mine):
    registry.register(mine)
    with pytest.raises(InputError, match=r"^`overrides=gradient.tv_weight` must be a number; got 'much'\.$"):
        run(Request(section="9.1", overrides=["gradient.tv_weight=much"], out=tmp_path / "results"))
    assert not (tmp_path / "store").exists()


def test_what_is_refused_as_late_as_by_its_models_leaves_no_folder_among_the_results(
    tmp_path, mine, monkeypatch
):
    refused = Section(THESIS_WORK, {"smoke": Classified(runs=1)}, refuse)
    registry.register(Experiment("thesis", "9.2", "Refused", code=refused))
    with pytest.raises(InputError, match="no weights"):
        run(Request(section="9.2", preset="smoke", out=tmp_path / "results"))
    assert not (tmp_path / "results").exists()


def refuse(config, benches):
    raise InputError("no weights")

"""On two machines of a Ray cluster the bytes of a run without it: a grid of seven combinations, five runs and three defences; an audit,
and a search."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.integration.command import call, load, reproduce

GRID = [
    "--section", "5.3", "--preset", "smoke", "--runs", "5", "--threads", "1", "--set", "combinations=o,a,x,o+a,o+x,a+x,o+a+x",
    "--set", "decimals=0,1", "--set", "data.train_per_class=12", "--set", "data.test_per_class=9", "--set", "prototype.steps=3",
]  # fmt: skip
AUDIT = [
    "model.keras", "--data", "data", "--labels", "folder", "--model-input", "0..1", "--defend", "rounding=0", "--attacker-seeds", "2",
    "--preset", "smoke", "--budget", "0", "--threads", "1",
]  # fmt: skip
SEARCH = [
    "--preset", "smoke", "--threads", "1", "--set", "data.method=stratified", "--set", "data.train_per_class=4", "--set",
    "classifier.epochs=1", "--set", "gradient.steps=2", "--set", "search.coarse_trials=3", "--set", "search.fine_trials=2",
    "--set", "search.images=8",
]  # fmt: skip
pytestmark = pytest.mark.slow


@pytest.fixture
def cluster(monkeypatch):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")  # as on the cluster, where `--threads` is for NumPy too
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


@pytest.fixture
def alone(tmp_path):
    return _made(tmp_path / "alone")


@pytest.fixture
def on_ray(tmp_path):
    return _made(tmp_path / "ray")


def _made(folder):
    folder.mkdir()
    return folder


def stages_of(alone, on_ray):
    """Return the files of all stages, which are the same on both sides but for when and where they were computed."""
    found = {path.relative_to(alone): path for path in alone.glob("store/stages/*/*/*")}
    for name, path in found.items():
        if name.name == "meta.json":
            here, there = (json.loads((folder / name).read_text()) for folder in (alone, on_ray))
            assert {each: here[each] for each in ("identity", "info", "sha256")} == {
                each: there[each] for each in ("identity", "info", "sha256")
            }
        else:
            assert path.read_bytes() == (on_ray / name).read_bytes(), name
    return found.keys(), {path.relative_to(on_ray) for path in on_ray.glob("store/stages/*/*/*")}


def test_a_grid_on_two_machines_is_byte_for_byte_that_of_one_process(cluster, alone, on_ray):
    reproduce(on_ray, *GRID, "--ray", cluster.address, timeout=1800)
    reproduce(alone, *GRID, timeout=1800)
    here, there = stages_of(alone, on_ray)
    assert here == there
    assert len({name.parent for name in here if name.parent.parent.name == "inversion"}) >= 7 * 5 * 3
    assert load(on_ray, "5.3")["tables"] == load(alone, "5.3")["tables"]
    assert load(on_ray, "5.3")["claims"] == load(alone, "5.3")["claims"]
    assert os.listdir(on_ray / "store" / "temporary") == []


def test_an_audit_on_two_machines_that_cannot_read_model_and_data_is_that_of_one_process(
    cluster, alone, on_ray
):
    """What it is given is deleted before the first stage is computed; all stages are computed by tasks."""
    program = Path(__file__).with_name("audit_on_ray.py")
    for folder, gone, more in ((on_ray, "model.keras,data", ["--ray", cluster.address]), (alone, "", [])):
        _write_files(folder)
        finished = call(folder, "computed", gone, *AUDIT, *more, program=(program,), timeout=1800)
        assert finished.returncode == 0, finished.stderr
        assert ("Ray: 2 stages at a time on 2 machines." in finished.stderr) == (folder is on_ray)
    assert not (on_ray / "computed").exists()
    assert not (on_ray / "model.keras").exists()
    here, there = stages_of(alone, on_ray)
    assert here == there
    for name in ("audit.json", "index.html"):
        assert (on_ray / "audit" / name).read_bytes() == (alone / "audit" / name).read_bytes()


def _write_files(folder):
    sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "auditing"))
    from PIL import Image
    from small_audits import band_reader, in_bands

    band_reader().save(folder / "model.keras")
    for number, (image, band) in enumerate(zip(*in_bands(), strict=True)):
        (folder / "data" / str(band)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.squeeze(image)).save(folder / "data" / str(band) / f"{number}.png")


def test_a_search_whose_trials_are_tasks_is_that_of_one_process(cluster, alone, on_ray):
    for folder, more in ((on_ray, ["--ray", cluster.address]), (alone, [])):
        finished = call(folder, *SEARCH, *more, program=("-m", "mi_keras.tuning.search"), timeout=1800)
        assert finished.returncode == 0, finished.stderr
    here, there = stages_of(alone, on_ray)
    more = {name.parent for name in there - here}
    assert {name.parent.name for name in more} == {"search_trial"}
    assert len(more) == 3 + 2
    assert here < there
    results = [json.loads(path.read_text()) for path in _results(alone, on_ray)]
    assert results[0]["tables"] == results[1]["tables"]
    assert results[0]["arrays_sha256"] == results[1]["arrays_sha256"]


def _results(*folders):
    return [folder / "results" / "search" / "gradient" / "smoke" / "result.json" for folder in folders]

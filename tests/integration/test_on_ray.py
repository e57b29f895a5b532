"""A grid of seven combinations, five runs and three defences on two machines of a Ray cluster: the bytes of a run without it."""

import json
import os

import pytest

from tests.integration.command import load, reproduce

GRID = [
    "--section", "5.3", "--preset", "smoke", "--runs", "5", "--threads", "1", "--set", "combinations=o,a,x,o+a,o+x,a+x,o+a+x",
    "--set", "decimals=0,1", "--set", "data.train_per_class=12", "--set", "data.test_per_class=9", "--set", "prototype.steps=3",
]  # fmt: skip


@pytest.mark.slow
def test_a_grid_on_two_machines_is_byte_for_byte_that_of_one_process(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    from ray.cluster_utils import Cluster

    alone, on_ray = tmp_path / "alone", tmp_path / "ray"
    for folder in (alone, on_ray):
        folder.mkdir()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    try:
        reproduce(on_ray, *GRID, "--ray", cluster.address, timeout=1800)
    finally:
        cluster.shutdown()
    reproduce(alone, *GRID, timeout=1800)
    found = {path.relative_to(alone): path for path in alone.glob("store/stages/*/*/*")}
    assert {path.relative_to(on_ray) for path in on_ray.glob("store/stages/*/*/*")} == found.keys()
    for name, path in found.items():
        if name.name == "meta.json":  # all but when and where
            here, there = (json.loads((folder / name).read_text()) for folder in (alone, on_ray))
            assert {each: here[each] for each in ("identity", "info", "sha256")} == {
                each: there[each] for each in ("identity", "info", "sha256")
            }
        else:
            assert path.read_bytes() == (on_ray / name).read_bytes(), name
    assert len({name.parent for name in found if name.parent.parent.name == "inversion"}) >= 7 * 5 * 3
    assert load(on_ray, "5.3")["tables"] == load(alone, "5.3")["tables"]
    assert load(on_ray, "5.3")["claims"] == load(alone, "5.3")["claims"]
    assert os.listdir(on_ray / "store" / "temporary") == []

"""How well stages on Ray fill machines: the stages of a section, each a sleep of the length that was measured, on virtual machines.

    python scripts/scale.py --nodes 1 2 4 8 16
    python scripts/scale.py --grid --seconds 960 --nodes 4 8 16

The stages, and what each is made from, are those of section 5.2, preset paper, with the recorded seconds of one run for each of
its runs; with --grid those of section 5.3 with all combinations of inputs, without a defence and behind two, which take as long
as those of the same kind in 5.2. The bound is the larger of two: all seconds
divided by the machines, and the seconds of the longest chain of stages.
"""

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from statistics import fmean

from mi_keras.machine import prepare_libraries

REPOSITORY = Path(__file__).resolve().parents[1]
MEASURED = REPOSITORY / "docs" / "measured" / "thesis.5.2.paper.json"
RUNS = 5
# Without a defence, rounded to one decimal and to none
GRID = ["combinations=o,a,x,o+a,o+x,a+x,o+a+x", "decimals=0,1"]


class Seen(Exception):
    """What the section asks for is known, and nothing of it computed."""


def shape(grid=False):
    """Return kind, seconds and positions of upstream of each stage that the section computes, each after what it is made from."""
    from mi_keras.experiments.registry import find
    from mi_keras.experiments.section import Request
    from mi_keras.experiments.stage_words import describe
    from mi_keras.experiments.store import Store
    from mi_keras.experiments.team import Team
    from mi_keras.machine import BFLOAT16
    from mi_keras.progress import SilentProgress
    from mi_keras.quiet import quiet_libraries

    seen, by_name, by_kind = [], {}, {}
    recorded = json.loads(MEASURED.read_text())
    for each in recorded["timings"]:
        name = (
            each["stage"].rpartition(" (run")[0].replace(f" {BFLOAT16}", "")
        )  # here it is described in float32
        kind = each["stage"].split()[0]
        by_name.setdefault(name, []).append(each["seconds"])
        by_kind.setdefault(kind, []).append(each["seconds"])

    class Looking(Team):
        def meets(self, wanted):
            seen.extend(wanted)
            raise Seen

    changes = [each for each in recorded["changed"] if each.partition("=")[0] not in ("runs", "precision")]
    number, changes = ("5.3", GRID) if grid else ("5.2", changes)
    request = Request(number, preset="paper", runs=RUNS, overrides=changes)
    prepared = find("thesis", number)[0].load().prepare(request)
    with quiet_libraries(), tempfile.TemporaryDirectory() as folder, suppress(Seen):
        prepared.run(Store(Path(folder), team=Looking()), SilentProgress())
    places, stages = {}, []

    def add(stage):
        if stage.key not in places:
            upstream = [add(each) for each in stage.upstream]
            known = by_name.get(describe(stage).rpartition(" (run")[0]) or by_kind.get(stage.kind)
            places[stage.key] = len(stages)
            stages.append(
                (stage.kind, fmean(known or [0.1]), upstream)
            )  # of averages of images nothing is recorded
        return places[stage.key]

    for stage in seen:
        add(stage)
    return stages


def described(store, job):
    """Return stages of the shape that sleep."""
    stages = []
    for number, (kind, seconds, upstream) in enumerate(job["stages"]):

        def compute(workspace, seconds=seconds * job["scale"]):
            time.sleep(seconds)
            return {}, {}

        stages.append(store.stage(kind, compute, upstream=[stages[each] for each in upstream], number=number))
    return stages


def follow(job, team, progress):
    """Describe the stages in a task (see `ray_tasks`); a first call of its own, so that every machine has a process."""
    from mi_keras.experiments.store import open_store

    run(open_store(progress=progress, team=team), job)


def run(store, job):
    """Return the seconds of all but the first call."""
    store.compute(
        store.stage("begun", lambda _: (time.sleep(job["begin"]), ({}, {}))[1], number=each)
        for each in range(job["nodes"])
    )
    started = time.monotonic()
    store.compute(described(store, job))
    return time.monotonic() - started


def ways_of(stages):
    """Return of each stage the seconds from its start to the end of the longest chain that it begins."""
    ways = [seconds for _, seconds, _ in stages]
    for number in reversed(range(len(stages))):
        for each in stages[number][2]:
            ways[each] = max(ways[each], stages[each][1] + ways[number])
    return ways


def handed_out(nodes, stages):
    """Return the seconds that it takes where handing out takes none, the longest way first."""
    ways, ends, running, now = ways_of(stages), {}, [], 0.0
    while len(ends) < len(stages):
        ready = [
            n
            for n, (_, _, upstream) in enumerate(stages)
            if n not in ends and all(ends.get(e, now + 1) <= now for e in upstream)
        ]
        for number in sorted(ready, key=lambda n: -ways[n])[: nodes - len(running)]:
            ends[number] = now + stages[number][1]
            running.append(ends[number])
        now = min(running)
        running = [end for end in running if end > now]
    return max(ends.values())


def measured(nodes, stages, scale):
    """Return the seconds that virtual machines of one core take."""
    from ray.cluster_utils import Cluster

    from mi_keras.experiments.ray_tasks import RayTasks
    from mi_keras.experiments.resources import Resources
    from mi_keras.experiments.store import Store
    from mi_keras.progress import SilentProgress

    job = {"stages": stages, "scale": scale, "nodes": nodes, "begin": 2.0 + nodes}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    for _ in range(nodes - 1):
        cluster.add_node(num_cpus=1)
    with tempfile.TemporaryDirectory() as folder:
        team = RayTasks("scale:follow", job, Resources(ray=cluster.address), SilentProgress())
        try:
            return run(Store(Path(folder), team=team), job)
        finally:
            team.close()
            cluster.shutdown()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 4, 8, 16], metavar="N")
    parser.add_argument(
        "--seconds", type=float, default=120, help="that one machine sleeps for (default: 120)"
    )
    parser.add_argument(
        "--grid", action="store_true", help="of section 5.3, with all combinations of inputs, in place of 5.2"
    )
    options = parser.parse_args()
    prepare_libraries()
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    logging.getLogger("ray").setLevel(logging.ERROR)
    sys.path.insert(0, str(Path(__file__).parent))
    stages = shape(options.grid)
    total = sum(seconds for _, seconds, _ in stages)
    print(f"{len(stages)} stages, {total:.0f} s as measured, slept in {options.seconds:.0f}\n", flush=True)
    print(
        "| machines | bound (s) | handed out in no time (s) | measured (s) | bound / measured | handed out in no time / measured |"
    )
    print("|--:|--:|--:|--:|--:|--:|", flush=True)
    scale = options.seconds / total
    for nodes in options.nodes:
        bound, least = max(total / nodes, *ways_of(stages)) * scale, handed_out(nodes, stages) * scale
        took = measured(nodes, stages, scale)
        print(
            f"| {nodes} | {bound:.1f} | {least:.1f} | {took:.1f} | {bound / took:.2f} | {least / took:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()

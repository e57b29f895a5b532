"""Stages as tasks of a Ray cluster: each on a machine that has room for it, with no file system that machines share.

The process that runs the experiment stays the only one with a store that lasts. A task describes the same experiment up to
the call of `Store.compute` that its stage belongs to, computes that stage in a store on its own disk, and sends back the files. What a stage
is made from it asks for when it reads it; each machine keeps what it has had, and what the process brings (`Team.bring`). The same bytes
come back as from this machine with as many threads, where the processors have the same instructions.
"""

import json
import logging
import os
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mi_keras.display import line_of
from mi_keras.errors import DamagedFile, InputError, LostTooOften
from mi_keras.experiments.graph import Beside, Graph
from mi_keras.experiments.ray_library import AUTO, PLACE, check_address, check_answer, library, signals_kept
from mi_keras.experiments.ray_stage import Failed, Reader, compute_stage, delete, write
from mi_keras.experiments.resources import Resources
from mi_keras.experiments.stage_words import told
from mi_keras.experiments.store import Stage, Store
from mi_keras.experiments.team import Team
from mi_keras.progress import Progress

log = logging.getLogger("mi_keras")

TRIES = 3  # that a stage is sent out, each with Ray's own retries
RAYS_RETRIES = 2
WAIT_AT_MOST = 1.0  # seconds until it is looked again whether machines have come or gone
# That Ray raises where it does not start or is not found
OF_A_START = ConnectionError, RuntimeError, ValueError, OSError
GROWTH = "TF_FORCE_GPU_ALLOW_GROWTH"  # else this process, or the first of two stages that share a GPU, takes all of its memory
OF_LINEAR_ALGEBRA = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"  # threads of NumPy's
# What numbers may depend on, beside the threads; passed on where it is set here
CARRIED = (
    "KERAS_BACKEND", "MPLBACKEND", "TF_ENABLE_ONEDNN_OPTS", "NVIDIA_TF32_OVERRIDE", "TF_NUM_INTEROP_THREADS",
    *OF_LINEAR_ALGEBRA, "TF_CPP_MIN_LOG_LEVEL",
)  # fmt: skip


class RayTasks(Team):
    """A team of the machines of a Ray cluster (see `team.Team`); what it is brought joins the job in each task.

    Args:
        follow: "MODULE:FUNCTION" of what describes the same experiment in a task (see `workers.Workers`).
        job: JSON values.
        resources: what a stage takes of a machine, and where they are: `ray` is the address of a cluster that this machine is part of,
            or "auto": that of $RAY_ADDRESS, or one that is started on this machine, for its own processes alone, and ends with this team.
        progress: told how many stages are computed at a time.

    Raises:
        InputError: Ray is not installed, or no Ray answers at the address.
    """

    apart = True

    def __init__(self, follow: str, job: Mapping[str, Any], resources: Resources, progress: Progress) -> None:
        self._follow, self._job, self._progress = follow, dict(job), progress
        self._needs = resources.of_a_stage
        self._address = (os.environ.get("RAY_ADDRESS") or None) if resources.ray == AUTO else resources.ray
        os.environ.setdefault(GROWTH, "true")
        self._ray = library(alone=self._address is None)
        if self._address and self._address != AUTO:  # from $RAY_ADDRESS: one that runs on this machine
            check_address(self._address)
            check_answer(self._address)
        self._name = f"mi_keras-{uuid.uuid4().hex}"
        self._started: Path | None = None  # where the Ray that was started here keeps its own
        self._task: Any = None
        self._reader: Any = None
        self._agreed: list[Any] = []
        self._values: dict[str, Any] = {}  # not yet brought to the cluster
        self._brought: dict[str, Any] = {}  # references to those that are
        self._tries: dict[str, int] = {}
        self._beside = Beside()  # what holds for one call of `compute` holds for the next
        self._said = 0

    def narrow(self, **job: Any) -> None:
        self._job |= job
        self._agreed.clear()

    def agree(self, value: Callable[[], Any]) -> Any:
        self._agreed.append(json.loads(json.dumps(value())))
        return self._agreed[-1]

    def bring(self, name: str, value: Callable[[], Any]) -> None:
        self._values[name] = value()

    def compute(self, graph: Graph, store: Store) -> None:
        if not len(graph):
            super().compute(graph, store)
            return
        if self._task is None:
            self._connect(store)
        while self._values:
            name, value = self._values.popitem()
            self._brought[name] = self._ray.put(value)
        running: dict[Any, Stage] = {}
        graph.at_once, graph.beside = max(self.slots(), 1), self._beside
        store.progress.expect(*graph.left())
        store.current = "stages on Ray"
        try:
            with self._progress.bar("on Ray", len(graph), "") as bar:
                while len(graph):
                    self._send(graph, running)
                    if not running:  # every machine is lost: others may come
                        time.sleep(WAIT_AT_MOST)
                    done, _ = self._ray.wait(list(running), timeout=WAIT_AT_MOST)
                    for reference in done:
                        if self._take(reference, running.pop(reference), store):
                            bar.advance()
            store.current = ""
        finally:
            self._cancel(list(running))

    def _cancel(self, running: list[Any]) -> None:
        # Tasks of a Ray that was started here end with it; asking one that has ended already takes a minute
        if self._started is not None:
            return
        for reference in running:
            self._ray.cancel(reference, force=True)
        if running:
            self._ray.wait(running, num_returns=len(running), timeout=10)

    def close(self) -> None:
        if self._task is not None and self._started is None:
            with suppress(Exception):  # what is left then is in folders of temporary files
                self._sweep()
        self._task = None
        self._ray.shutdown()
        for folder in [
            *Path(tempfile.gettempdir()).glob(f"{self._name}-*"),
            *([self._started] if self._started else []),
        ]:
            shutil.rmtree(folder, ignore_errors=True)

    def _connect(self, store: Store) -> None:
        ray, needs = self._ray, self._needs
        threads = str(needs["CPU"])
        variables = dict.fromkeys(OF_LINEAR_ALGEBRA, threads)  # else as each machine has them
        variables |= {name: os.environ[name] for name in CARRIED if name in os.environ}
        variables |= {
            "TF_NUM_INTRAOP_THREADS": threads,
            "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)),
            GROWTH: os.environ[GROWTH],
        }
        options: dict[str, Any] = {"address": self._address}
        if self._address is None:
            # A short name, which becomes part of those of sockets; Ray opens its own folder in it to all users
            self._started = Path(tempfile.mkdtemp(prefix="ray-"))
            options = {"address": "local", "include_dashboard": False, "_temp_dir": str(self._started / "r")}
        logging.getLogger("ray").setLevel(logging.ERROR)  # its advice is for who runs the cluster
        with signals_kept():
            try:
                ray.init(
                    **options, runtime_env={"env_vars": variables}, log_to_driver=False, configure_logging=False, logging_level=logging.ERROR
                )  # fmt: skip
            except Exception as error:
                # Where its start takes too long, Ray raises a plain one
                if type(error) is not Exception and not isinstance(error, OF_A_START):
                    raise
                raise InputError(f"{PLACE}; got {self._address or AUTO}: {line_of(error)}.") from None
        here = self._on(ray.get_runtime_context().get_node_id())
        reader = ray.remote(
            num_cpus=0, max_restarts=-1, max_task_retries=-1, max_concurrency=4, scheduling_strategy=here
        )(Reader)
        self._reader = reader.remote(store.root.resolve(), store.artifacts.shelf)
        self._task = ray.remote(
            num_cpus=needs["CPU"], num_gpus=needs.get("GPU", 0), memory=needs.get("memory"), max_retries=RAYS_RETRIES,
            max_calls=1 if "GPU" in needs else 0,  # what TensorFlow holds of a GPU it gives back when its process ends
        )(compute_stage)  # fmt: skip
        if not self.slots():
            self.close()
            raise InputError(
                f"`ray` must be a cluster with a machine that has {needs} for a stage; none has."
            )

    def slots(self) -> int:
        """Return how many stages the machines of the cluster can compute at a time."""
        alive = [node for node in self._ray.nodes() if node["Alive"]]
        rooms = [
            min(int(node["Resources"].get(name, 0) / amount + 1e-6) for name, amount in self._needs.items())
            for node in alive
        ]
        if sum(rooms) != self._said:
            self._said = sum(rooms)
            self._progress.announce(
                f"Ray: {self._said} stages at a time on {sum(room > 0 for room in rooms)} machines."
            )
        return self._said

    def _send(self, graph: Graph, running: dict[Any, Stage]) -> None:
        graph.at_once = max(slots := self.slots(), 1)
        out = {stage.key for stage in running.values()}
        for stage in graph.ready():
            if len(running) >= slots:
                return
            if stage.key not in out:
                sent = self._task.remote(
                    self._follow,
                    self._job,
                    self._brought,
                    stage.kind,
                    stage.key,
                    self._name,
                    self._reader,
                    os.getcwd(),
                    self._agreed,
                )
                graph.sent(stage)
                running[sent] = stage

    def _take(self, reference: Any, stage: Stage, store: Store) -> bool:
        """Take what a task has sent into the store; return False where it has to be sent out again."""
        errors = self._ray.exceptions
        try:
            found = self._ray.get(reference)
            if isinstance(found, Failed):
                raise found.raised()
            store.take(stage, lambda into: write(found, into))
            return True
        except errors.RayTaskError as error:
            if not isinstance(error.cause, errors.RayError):
                raise
            reason = line_of(error.cause)
        except (errors.RayError, DamagedFile) as error:
            reason = line_of(error)
        self._tries[stage.key] = self._tries.get(stage.key, 0) + 1
        if self._tries[stage.key] >= TRIES:
            raise LostTooOften(f"{told(stage)} was lost {TRIES} times on Ray: {reason}")
        log.warning("%s was lost on Ray (%s): it is sent out again", told(stage), reason)
        return False

    def _on(self, node: str) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return NodeAffinitySchedulingStrategy(node, soft=False)

    def _sweep(self) -> None:
        """Delete what tasks have kept on the machines of the cluster."""
        sweep = self._ray.remote(num_cpus=0, max_retries=0)(delete)
        alive = [node["NodeID"] for node in self._ray.nodes() if node["Alive"]]
        left = [sweep.options(scheduling_strategy=self._on(node)).remote(self._name) for node in alive]
        if left:
            self._ray.wait(left, num_returns=len(left), timeout=30)

"""What stages are computed with: processes of this machine, or a share of the machines of a cluster."""

import os
from dataclasses import dataclass

from mi_keras.errors import InputError
from mi_keras.settings import check_not_negative, check_whole


@dataclass(frozen=True)
class Resources:
    """What stages are computed with; no result depends on it but by the number of threads, which moves sums of floats.

    Attributes:
        workers: processes of this machine that compute, this one included; None for the usual number (see `processes`).
        threads: of each of them in an operation of TensorFlow; None for the usual number (see `threads_of_each`).
        ray: a cluster, in place of processes of this machine; "auto" or an address (see `ray_tasks.RayTasks`).
        gpus_per_stage: that a stage takes of a machine there; 0.5 lets two stages share one. Above 1 a whole number.
        memory_per_stage: GB that a stage takes of a machine there; None where nobody counts it.

    Raises:
        InputError: a number is out of range, or what is asked for does not go together.
    """

    workers: int | None = None
    threads: int | None = None
    ray: str | None = None
    gpus_per_stage: float = 0
    memory_per_stage: float | None = None

    def __post_init__(self) -> None:
        for name in ("workers", "threads"):
            if (count := getattr(self, name)) is not None:
                check_whole(name, count, 1)
        if self.ray is not None and not self.ray:
            raise InputError("`ray` must be auto or the HOST:PORT of a cluster; got ''.")
        if self.ray is None and (self.gpus_per_stage or self.memory_per_stage):
            raise InputError("`gpus_per_stage` and `memory_per_stage` must go with `ray`; got none.")
        if self.ray is not None and self.workers is not None:
            raise InputError(f"`workers` must be left out with `ray`; got {self.workers}.")
        check_not_negative("gpus_per_stage", self.gpus_per_stage)
        check_not_negative("memory_per_stage", self.memory_per_stage or 0)
        if self.gpus_per_stage > 1 and self.gpus_per_stage % 1:  # as Ray has it
            raise InputError(
                f"`gpus_per_stage` must be at most 1 or a whole number; got {self.gpus_per_stage}."
            )

    @property
    def threads_of_each(self) -> int | None:
        """Threads of each process. Where nobody has said it: on a cluster one; on this machine None, which leaves it to TensorFlow."""
        return 1 if self.threads is None and self.ray is not None else self.threads

    def processes(self, preset: str) -> int:
        """Return how many processes of this machine compute.

        Where nobody has said it: two; one with preset smoke, and on a machine of one core.
        """
        usual = 2 if preset != "smoke" and (os.cpu_count() or 1) > 1 else 1
        return usual if self.workers is None else self.workers

    @property
    def of_a_stage(self) -> dict[str, float]:
        """What a stage takes of a machine of the cluster, by Ray's names; as many cores as it has threads."""
        asked = {
            "CPU": self.threads_of_each or 1,
            "GPU": self.gpus_per_stage,
            "memory": int((self.memory_per_stage or 0) * 1e9),
        }
        return {name: amount for name, amount in asked.items() if amount}

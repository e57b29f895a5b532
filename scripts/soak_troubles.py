"""What may happen to a store between two runs or during one, for `soak.py`."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from scripts.soak_jobs import Job, contents, mounted


def full_disk(job: Job, root: Path) -> str:
    """Let the disk run full under the store, then make it larger."""
    with mounted(root / "small disk", "size=300k") as store:
        process = job.start(root / "full", store)
        _, said = process.communicate()
        line = said.strip().splitlines()[-1]
        subprocess.run(["mount", "-o", "remount,size=200m", str(store)], check=True)
        job.finish(root / "full", store)
        job.check(root / "full", store)
        return f"exit code {process.returncode}, {line!r}; with room it finished"


def read_only(job: Job, root: Path) -> str:
    """Ask for a finished store that cannot be written."""
    with mounted(root / "read only", "size=200m") as store:
        job.finish(root / "before", store)
        subprocess.run(["mount", "-o", "remount,ro", str(store)], check=True)
        before = contents(store)
        process = job.start(root / "after", store)
        _, said = process.communicate()
        same = "unchanged" if contents(store) == before else "CHANGED"
        return f"exit code {process.returncode}, {said.strip().splitlines()[-1]!r}; the store is {same}"


def strange_path(job: Job, root: Path) -> str:
    """Use a folder whose name has what names seldom have."""
    folder = root / "Ein Pfad mit Lücken, 'Äpfeln' und 雪"
    job.finish(folder)
    job.check(folder)
    return "as elsewhere"


def two_at_once(job: Job, root: Path) -> str:
    """Start a job twice at the same time with one store."""
    store, folders = root / "shared", [root / "first", root / "second"]
    processes = [job.start(folder, store) for folder in folders]
    ended = [process.communicate()[1] for process in processes]
    for folder in folders:
        job.check(folder, store)
    waited = sum("waiting for it" in said for said in ended)
    return f"exit codes {[process.returncode for process in processes]}; {waited} said that it waits"


CLOCK = r"""
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long set_back(void) {
    long seconds = 0;
    FILE *file = fopen(getenv("SET_BACK"), "r");
    if (file) { if (fscanf(file, "%ld", &seconds) != 1) seconds = 0; fclose(file); }
    return seconds;
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME) now->tv_sec -= set_back();
    return failed;
}
int gettimeofday(struct timeval *now, void *zone) {
    struct timespec exact;
    int failed = clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec; now->tv_usec = exact.tv_nsec / 1000;
    return failed;
}
time_t time(time_t *into) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (into) *into = exact.tv_sec;
    return exact.tv_sec;
}
"""  # the time of day goes back by the seconds that a file holds; no system's other clocks do
YEAR = 365 * 86400
OTHER = 54321  # a user and a group that no machine has
ELSEWHERE = (
    "unshare", "--uts", "sh", "-c", 'hostname elsewhere && exec "$@"', "sh",
    "setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups",
    "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",  # Python may lie where he may not read
)  # fmt: skip


def clock_set_back(job: Job, root: Path) -> str:
    """Set the clock back by a year in the middle of a run that is killed later, and by two before it goes on."""
    folder = root / "run"
    folder.mkdir(parents=True)
    library, file = root / "clock.so", root / "seconds"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(library)], input=CLOCK.encode(), check=True,
        capture_output=True,
    )  # fmt: skip
    under = ("env", f"LD_PRELOAD={library}", f"SET_BACK={file}")
    process = job.start(folder, under=under)
    for count, seconds in ((4, YEAR), (8, 2 * YEAR)):
        wait_for_stages(count, folder / "store", process)
        file.write_text(str(seconds))
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    said = process.communicate()[1]
    for path in (folder / "store").rglob("*"):
        os.utime(path, (time.time() + YEAR,) * 2)
    before = stages(folder / "store")
    said += job.finish(folder, under=under)
    job.check(folder)
    kept = before.items() <= stages(folder / "store").items()
    times = re.findall(r"(-?[0-9.]+) s$", said, re.MULTILINE)
    return (
        f"{len(before)} stages were there when it went on: {'all kept' if kept else 'NOT ALL KEPT'}; "
        f"the least of {len(times)} times said is {min(map(float, times))} s"
    )


def copied_store(job: Job, root: Path) -> str:
    """Copy a store that is in use, and when it is finished, to another path, host and user, without its times too."""
    process = job.start(root / "here")
    wait_for_stages(8, root / "here" / "store", process)
    copies = {"in use": ("-a",), "finished": ("-a",), "without times": ("-r", "--no-preserve=all")}
    found = []
    for name, how in copies.items():
        copy = root / name
        copy.mkdir()
        # of what comes and goes while it is copied `cp` complains
        subprocess.run(["cp", *how, str(root / "here" / "store"), str(copy)], capture_output=True)
        if process.returncode is None:
            process.communicate()
        subprocess.run(["chown", "-R", f"{OTHER}:{OTHER}", str(copy)], check=True)
        before = stages(copy / "store")
        said = job.finish(copy, under=ELSEWHERE)
        job.check(copy)
        after = stages(copy / "store")
        kept = "all kept" if before.items() <= after.items() else "NOT ALL KEPT"
        waited = ", WAITED" if "waiting" in said else ""
        found.append(f"{name}: {len(before)} of {len(after)} stages came, {kept}{waited}")
    return "; ".join(found)


TROUBLES: Mapping[str, Callable[[Job, Path], str]] = {
    "full disk": full_disk, "read-only store": read_only, "strange path": strange_path, "two processes, one store": two_at_once,
 "clock set back": clock_set_back, "copied store": copied_store,
}  # fmt: skip


def wait_for_stages(count: int, store: Path, process: "subprocess.Popen[str]") -> None:
    """Wait until a process has finished so many stages, or has ended."""
    while len(stages(store)) < count and process.poll() is None:
        time.sleep(0.02)


def stages(store: Path) -> dict[str, int]:
    """Return the finished stages of a store, each with what tells whether it was written anew."""
    return {str(path): path.stat().st_ino for path in store.glob("stages/*/*")}

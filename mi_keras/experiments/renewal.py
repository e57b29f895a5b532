"""What `--force` is to replace, marked in the store before the first stage: cut off, it goes on and mixes nothing."""

import hashlib
import json
import logging
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mi_keras.whole import locked, replace_file, sync_folder

log = logging.getLogger("mi_keras")
FOLDER = "forced"


class Renewal:
    """Whether the stages of a run are computed anew, and which of them have been since it began.

    A mark on the disk stands from the start of a forced run to its end. The same run, with or without `--force`, finds
    it and goes on: what was finished before the mark counts as not there. Beside it lies an empty file for each stage that
    was begun, and one for each that was finished, so that several processes can share a run: who ends it, ends it for all.

    Args:
        root: of the store.
        run: what is asked for, in words that are the same when it is asked for again.
        force: begin, if it has not begun.
    """

    def __init__(self, root: Path, run: str, *, force: bool) -> None:
        name = hashlib.sha256(run.encode()).hexdigest()[:24]
        self._mark, self._stages = root / FOLDER / f"{name}.json", root / FOLDER / name
        self._finished: set[str] = set()  # by this object, whose run may have ended
        self.active, self._ended = force, False
        if force or self._mark.exists():
            with locked(root / "locks" / name, lambda: None):  # several may begin it at the same time
                self._begin(run, force)
        if others := [path for path in self._mark.parent.glob("*.json") if path != self._mark]:
            log.warning(
                "a run with --force has begun and not ended; of what it shares with this one some is computed "
                "anew and some is not: %s", ", ".join(map(str, others))
            )  # fmt: skip

    def _begin(self, run: str, force: bool) -> None:
        if self._mark.exists():
            if not force:
                log.warning("this run was begun with --force and cut off: going on with it")
            self.active = True
        elif force:
            shutil.rmtree(self._stages, ignore_errors=True)
            self._stages.mkdir(parents=True)
            text = json.dumps({"run": run}, indent=1)
            replace_file(self._mark, lambda path: path.write_text(text, encoding="utf-8"))

    def is_new(self, key: str) -> bool:
        """Return whether a stored stage may be used: nothing is forced, or it was computed since this began."""
        if not self.active or key in self._finished or (self._stages / f"{key}.finished").exists():
            return True
        return not self._ended and not self._mark.exists()  # another process has ended it

    def begin(self, key: str, clear: Callable[[], object]) -> None:
        """Note that a stage is begun; `clear` deletes what there is of it, where that is of an earlier run."""
        if self.active and not (self._stages / f"{key}.begun").exists():
            clear()
            self._note(f"{key}.begun")

    def finish(self, key: str) -> None:
        """Note that a stage was computed."""
        self._finished.add(key)
        if self.active:
            self._note(f"{key}.finished")

    def end(self) -> None:
        """Take the mark away: the whole run is done. What it computed stays new for this object."""
        self._ended = True
        self._mark.unlink(missing_ok=True)
        shutil.rmtree(self._stages, ignore_errors=True)

    def _note(self, name: str) -> None:
        self._stages.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # another process has just ended the run
            (self._stages / name).touch()
            sync_folder(self._stages)

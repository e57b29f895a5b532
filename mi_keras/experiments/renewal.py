"""What `--force` is to replace, marked in the store before the first stage: cut off, it goes on and mixes nothing."""

import hashlib
import json
import logging
from pathlib import Path

from mi_keras.errors import DamagedFile
from mi_keras.whole import replace_file

log = logging.getLogger("mi_keras")
FOLDER = "forced"


class Renewal:
    """Whether the stages of a run are computed anew, and which of them have been since it began.

    A mark on the disk stands from the start of a forced run to its end. The same run, with or without `--force`, finds
    it and goes on: what was finished before the mark counts as not there.

    Args:
        root: of the store.
        run: what is asked for, in words that are the same when it is asked for again.
        force: begin, if it has not begun.
    """

    def __init__(self, root: Path, run: str, *, force: bool) -> None:
        self._path = root / FOLDER / f"{hashlib.sha256(run.encode()).hexdigest()[:24]}.json"
        self._run = run
        self._begun: list[str] = []
        self._finished: list[str] = []
        self.active = force
        if self._path.exists():
            self._read()
            if not force:
                log.warning("this run was begun with --force and cut off: going on with it")
            self.active = True
        elif force:
            self._save()
        if others := [path for path in self._path.parent.glob("*.json") if path != self._path]:
            log.warning(
                "a run with --force has begun and not ended; of what it shares with this one some is computed "
                "anew and some is not: %s", ", ".join(map(str, others))
            )  # fmt: skip

    def is_new(self, key: str) -> bool:
        """Return whether a stored stage may be used: nothing is forced, or it was computed since this began."""
        return not self.active or key in self._finished

    def begin(self, key: str) -> bool:
        """Note that a stage is begun; return whether what is there of it is of an earlier run and has to go."""
        if not self.active or key in self._begun:
            return False
        self._begun.append(key)
        return True

    def save_begun(self) -> None:
        """Put on the disk what has been begun, once what was there of it before has gone."""
        if self.active:
            self._save()

    def finish(self, key: str) -> None:
        """Note that a stage was computed."""
        if self.active:
            self._finished.append(key)
            self._save()

    def end(self) -> None:
        """Take the mark away: the whole run is done. What it computed stays new for this object."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> None:
        try:
            mark = json.loads(self._path.read_text(encoding="utf-8"))
            self._begun, self._finished = [*map(str, mark["begun"])], [*map(str, mark["finished"])]
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedFile(f"{self._path} is damaged ({error}); deleted, --force begins anew") from None

    def _save(self) -> None:
        self._path.parent.mkdir(exist_ok=True)
        text = json.dumps({"run": self._run, "begun": self._begun, "finished": self._finished}, indent=1)
        replace_file(self._path, lambda path: path.write_text(text, encoding="utf-8"))

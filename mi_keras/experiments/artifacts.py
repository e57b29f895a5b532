"""Results of stages on the disk: sealed folders that are there whole or not at all, and verified when read."""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from mi_keras.errors import DamagedFile
from mi_keras.files import (
    LARGE,
    WRONG_FORMAT,
    is_damage,
    map_array,
    read_arrays,
    seal_of,
    sha256,
    write_arrays,
    write_text,
)
from mi_keras.machine import machine, versions
from mi_keras.progress import Arrays
from mi_keras.whole import sync_folder, sync_tree, temporary_folder

ARRAYS, META = "arrays.npz", "meta.json"
SETTLED = 10**9  # nanoseconds after a change: sooner, a second one might show the same time


class Shelf(Protocol):
    """Where results are that are not on this disk. What comes from it is trusted when seal and checksums are right, not before."""

    def fetch(self, kind: str, key: str, identity: Mapping[str, Any], into: Path) -> bool:
        """Write the files of a result into an empty folder; return False where there is none."""

    def keep(self, kind: str, key: str, folder: Path) -> None:
        """Be given a result that is new on this disk."""


class Artifacts:
    """The folders `stages/KIND/KEY/{arrays.npz,meta.json}`, and `NAME.npy` of large arrays, below a root.

    A folder appears by being renamed when it is complete.

    Args:
        shelf: asked for what is not there, and given what is new.
    """

    def __init__(self, root: Path, shelf: Shelf | None = None) -> None:
        self._root, self.shelf = root, shelf
        self._hashes: dict[Path, tuple[tuple[int, int, int], str]] = {}  # of files as they were then
        self._whole: set[str] = set()  # keys whose large arrays were verified in the life of this object

    def folder(self, kind: str, key: str) -> Path:
        """Return where the result of a stage is, or would be."""
        return self._root / "stages" / kind / key

    def meta(self, kind: str, key: str, identity: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what is written of a result, without its seal; None where there is no result, nor on the shelf.

        Raises:
            DamagedFile: it is not whole, or that of another stage.
        """
        folder, shelf = self.folder(kind, key), self.shelf
        if not folder.exists() and not (
            shelf and self._take(kind, key, identity, lambda into: shelf.fetch(kind, key, identity, into))
        ):
            return None
        return self._verified(folder, key, identity)

    def take(self, kind: str, key: str, identity: Mapping[str, Any], fill: Callable[[Path], object]) -> None:
        """Give a result that another machine computed its place, in place of what is there; `fill` writes its files into a folder.

        Raises:
            DamagedFile: it is not whole, or that of another stage; nothing has changed then.
        """
        self._take(kind, key, identity, lambda into: (fill(into), True)[1], new=True)

    def _take(
        self,
        kind: str,
        key: str,
        identity: Mapping[str, Any],
        fill: Callable[[Path], bool],
        *,
        new: bool = False,
    ) -> bool:
        with temporary_folder(self._root / "temporary") as temporary:
            folder = temporary / "new"
            folder.mkdir()
            if not fill(folder):
                return False
            self._whole.discard(key)
            self._verified(folder, key, identity)
            self.put(kind, key, folder, temporary if new else None)
        if new:
            self._keep(kind, key)
        return True

    def _keep(self, kind: str, key: str) -> None:
        if self.shelf:
            self.shelf.keep(kind, key, self.folder(kind, key))

    def _verified(self, folder: Path, key: str, identity: Mapping[str, Any]) -> dict[str, Any]:
        try:
            meta: dict[str, Any] = json.loads((folder / META).read_text(encoding="utf-8"))
            seal = meta.pop("seal")
            whole = seal == seal_of(meta) and meta["identity"] == identity
            whole = whole and meta["sha256"] == self._sha256(folder / ARRAYS)
            if key not in self._whole:  # reading them all takes a while
                whole = whole and all(sha256(folder / n) == s for n, s in meta.get("large", {}).items())
        except (*WRONG_FORMAT, OSError) as error:
            if not is_damage(folder, error):
                raise  # it may be good
            raise DamagedFile(f"{folder}: {error}") from None
        if not whole:
            raise DamagedFile(f"{folder} does not match its checksum")
        self._whole.add(key)
        return meta

    def _sha256(self, path: Path) -> str:
        """Return a file's hash, taken anew where the file is not as it was the last time: a stage is looked at two or three times."""
        status = path.stat()
        now = status.st_ino, status.st_size, status.st_mtime_ns
        before, found = self._hashes.get(path, (None, ""))
        if now != before:
            found = sha256(path)
            if time.time_ns() - status.st_mtime_ns > SETTLED:
                self._hashes[path] = now, found
        return found

    def arrays(self, kind: str, key: str) -> dict[str, NDArray[Any]]:
        """Return the arrays of a result, but for the large ones."""
        return read_arrays(self.folder(kind, key) / ARRAYS)

    def large(self, kind: str, key: str, name: str) -> NDArray[Any]:
        """Open a large array of a result for reading.

        Raises:
            DamagedFile: it is not whole; the next `meta` verifies it again.
        """
        try:
            return map_array(self.folder(kind, key) / f"{name}{LARGE}")
        except DamagedFile:
            self._whole.discard(key)
            raise

    def took(self, kind: str) -> Iterator[tuple[dict[str, Any], float]]:
        """Return identity and seconds of each result of a kind, as far as they can be read: for forecasts alone."""
        for path in self._root.glob(f"stages/{kind}/*/{META}"):
            try:
                meta = json.loads(path.read_text(encoding="utf-8"))
                yield dict(meta["identity"]), float(meta["seconds"])
            except (*WRONG_FORMAT, OSError):
                continue

    def files(self, kind: str, key: str) -> list[Path]:
        """Return the files of a result that is there."""
        folder = self.folder(kind, key)
        return [folder / name for name in names_in(folder)]

    def write(
        self,
        kind: str,
        key: str,
        identity: Mapping[str, Any],
        arrays: Arrays,
        info: Mapping[str, Any],
        seconds: float,
        unfinished: Path,
    ) -> None:
        """Write a result; large arrays are moved from the folder of unfinished work."""
        with temporary_folder(self._root / "temporary") as temporary:
            new = temporary / "new"
            new.mkdir()
            write_arrays(new / ARRAYS, arrays)
            large = sorted(unfinished.glob(f"*{LARGE}"))
            meta = {"kind": kind, "identity": identity, "info": info, "seconds": seconds,
                    "versions": versions(), "machine": machine(), "sha256": sha256(new / ARRAYS)}  # fmt: skip
            if large:
                meta["large"] = {path.name: sha256(path) for path in large}
            write_text(new / META, json.dumps(meta | {"seal": seal_of(meta)}, indent=1, allow_nan=False))
            if large:  # from here on nothing may say how far arrays that are no longer there were filled
                for part in unfinished.glob("*.npz"):
                    part.unlink()
                sync_folder(unfinished)
            for path in large:
                os.replace(path, new / path.name)
            self.put(kind, key, new, temporary)
        self._keep(kind, key)

    def put(self, kind: str, key: str, new: Path, temporary: Path | None) -> None:
        """Give a complete folder its place; what is there is moved into the temporary one, or stays if there is none."""
        folder = self.folder(kind, key)
        folder.parent.mkdir(parents=True, exist_ok=True)
        sync_tree(new)  # before it has its name
        if temporary and folder.exists():  # damaged or forced
            os.replace(folder, temporary / "replaced")
        try:
            os.replace(new, folder)
        except OSError:
            if temporary or not folder.exists():  # else another process has been faster
                raise
        sync_folder(folder.parent)
        sync_folder(folder.parent.parent)


def names_in(folder: Path) -> list[str]:
    """Return the names of all files of a result, by what is written of it; `META` is the last.

    Raises:
        DamagedFile: it cannot be read, or one is no name of a large array.
    """
    try:
        large = list(json.loads((folder / META).read_text(encoding="utf-8")).get("large", {}))
    except WRONG_FORMAT as error:
        raise DamagedFile(f"{folder / META}: {error}") from None
    for name in large:
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(LARGE):
            raise DamagedFile(f"{name!r} is no name of an array")
    return [ARRAYS, *large, META]

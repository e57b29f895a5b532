"""The user's store: a folder, or the URL of an object store with a folder of this disk in front of it."""

import hashlib
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mi_keras.display import line_of
from mi_keras.errors import DamagedFile, InputError
from mi_keras.experiments.artifacts import META, names_in
from mi_keras.progress import Progress

log = logging.getLogger("mi_keras")

HOME_VARIABLE, DEFAULT_HOME = "MI_KERAS_HOME", ".mi_keras"
CACHE_VARIABLE = "MI_KERAS_CACHE"


def home() -> Path:
    """Return the folder of the user's store: `$MI_KERAS_HOME`, by default `.mi_keras` in the working folder.

    Where that is a URL, it is `$MI_KERAS_CACHE`, by default a folder of the URL's own in `.mi_keras/remote`.
    """
    place = os.environ.get(HOME_VARIABLE) or DEFAULT_HOME
    if "://" not in place:
        return Path(place)
    own = Path(DEFAULT_HOME, "remote", hashlib.sha256(place.encode()).hexdigest()[:12])
    return Path(os.environ.get(CACHE_VARIABLE) or own)


def shelf_at_home(progress: Progress | None = None) -> "Remote | None":
    """Return what is behind the folder where `$MI_KERAS_HOME` is a URL; `progress` is told where the folder is.

    Raises:
        InputError: fsspec, or its part for this kind of URL, is not installed; or nothing can be read there.
    """
    url = os.environ.get(HOME_VARIABLE, "")
    if "://" not in url:
        return None
    shelf = Remote(url)
    if progress is not None:
        progress.announce(f"Results are kept at {_shown(url)}, and a copy of those in use in {home()}.")
    return shelf


def _shown(url: str) -> str:
    """Return a URL without the name and password that it may hold."""
    return re.sub(r"://[^/]*@", "://", url)


class Remote:
    """Results at a URL that fsspec understands, in the layout of `artifacts.Artifacts`; see there for `Shelf`.

    A result is there when its `meta.json` is, which is written last. There are no locks: who computes a stage at the same time on
    another host computes it too.

    Args:
        url: for example s3://BUCKET/PATH.
    """

    def __init__(self, url: str) -> None:
        self._url, self._said = _shown(url), ""
        try:
            import fsspec

            self._files, self._root = fsspec.url_to_fs(url)
            self._files.exists(f"{self._root}/stages")  # says at once that nobody is let in
        except ImportError as error:
            why = (
                'needs fsspec: pip install "mi-keras[remote]"'
                if error.name == "fsspec"
                else f"needs: {error}"
            )
            raise InputError(f"`{HOME_VARIABLE}` must be a folder or a URL; {self._url} {why}.") from None
        except Exception as error:  # each of its file systems has its own
            raise InputError(
                f"`{HOME_VARIABLE}` must be a folder or a URL; got {self._url}: {_shown(line_of(error))}."
            ) from None

    def fetch(self, kind: str, key: str, identity: Mapping[str, Any], into: Path) -> bool:
        folder = self._folder(kind, key)
        try:
            if not self._files.exists(f"{folder}/{META}"):
                return False
            self._files.get_file(f"{folder}/{META}", str(into / META))
            *others, _ = names_in(into)
            for name in others:
                self._files.get_file(f"{folder}/{name}", str(into / name))
        except FileNotFoundError as error:
            raise DamagedFile(f"{self._url}, {kind} {key}: {line_of(error)}") from None
        except DamagedFile:
            raise
        except Exception as error:
            if self._said != (why := line_of(error)):  # else once for each stage
                log.warning(
                    "%s cannot be read now (%s): what is not on this disk is computed", self._url, why
                )
            self._said = why
            return False
        return True

    def keep(self, kind: str, key: str, folder: Path) -> None:
        there = self._folder(kind, key)
        try:
            *others, _ = names_in(folder)
            if self._files.exists(f"{there}/{META}"):  # of a forced run, or damaged: nobody finds half of it
                self._files.rm_file(f"{there}/{META}")
            self._files.makedirs(there, exist_ok=True)
            for name in [*others, META]:
                self._files.put_file(str(folder / name), f"{there}/{name}")
        except Exception as error:
            log.warning(
                "%s %s is kept in %s alone, as %s cannot be written: %s",
                kind,
                key,
                folder,
                self._url,
                line_of(error),
            )

    def _folder(self, kind: str, key: str) -> str:
        return f"{self._root}/stages/{kind}/{key}"

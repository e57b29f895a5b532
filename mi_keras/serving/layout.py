"""Where exports lie: `ROOT/NAME/VERSION/`, as TensorFlow Serving reads them; written whole or not at all."""

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

from mi_keras.errors import InputError
from mi_keras.whole import remove_leftovers, sync_folder, sync_tree, temporary_folder

FOLDER = Path("exported_models")  # of all models, unless told
UNFINISHED = ".unfinished"  # beside the models: the server is given folders of models only
HIGHEST_VERSION = 2**63 - 1  # of TensorFlow Serving
MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
NAME_RULE = "must be 1 to 100 of a-z, 0-9, '.', '_' and '-', and begin with a letter or digit"


def check_name(name: str) -> str:
    """Return a name that a model can have on a server and as a folder.

    Raises:
        InputError: it is none.
    """
    if not MODEL_NAME.fullmatch(name):
        raise InputError(f"`--name` {NAME_RULE}; got {name!r}.")
    return name


def version_number(name: str) -> int | None:
    """Return the version that a folder of this name is, or None for no version; as on the server, zeros may precede."""
    if not (name.isascii() and name.isdigit()):
        return None
    return number if (number := int(name)) <= HIGHEST_VERSION else None


def models_in(root: Path) -> list[Path]:
    """Return the folders of models by name; hidden ones are none.

    Raises:
        InputError: there is no such folder.
    """
    if not root.is_dir():
        raise InputError(f"`folder` must be a folder of exported models; got {root}.")
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def version_folders(model: Path) -> list[tuple[int, Path]]:
    """Return the folders of a model's versions in ascending order; the same number may come twice, as 07 and 7."""
    if not model.is_dir():
        return []
    numbered = ((version_number(path.name), path) for path in model.iterdir() if path.is_dir())
    return sorted((number, path) for number, path in numbered if number is not None)


def versions_of(model: Path) -> dict[int, Path]:
    """Return the folder of each of a model's versions, in ascending order; as 7 rather than 07 where there are both."""
    return dict(version_folders(model))


def find_version(path: Path) -> Path:
    """Return the folder of one version: the highest in `path`, or `path` itself where it has none and is a number.

    Raises:
        InputError: there is no such folder.
    """
    if versions := versions_of(path):  # first: the name of a model may be a number too
        return list(versions.values())[-1]
    if path.is_dir() and version_number(path.resolve().name) is not None:
        return path
    raise InputError(
        f"`export` must be a folder NAME or NAME/VERSION that `mi-keras export` wrote; got {path}."
    )


def publish(
    root: Path,
    name: str,
    version: int | None,
    fill: Callable[[Path], object],
    seal: Callable[[Path, int], object],
) -> Path:
    """Write a version of a model to a temporary folder, and rename that when it is complete and on the disk.

    What processes that are gone have left unfinished is deleted.

    Args:
        root: folder of all models, created on demand.
        version: None for one more than the highest there is.
        fill: writes everything into an empty folder.
        seal: adds what names the version. Called again with the next number where another process took it meanwhile.

    Returns:
        The folder of the version.

    Raises:
        InputError: the version is there already, or `root` is no folder that can be written.
    """
    model, unfinished = root / name, root / UNFINISHED
    try:
        unfinished.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"`--out` must be a folder that can be written; got {str(root)!r}: {error.strerror}."
        ) from None
    remove_leftovers(unfinished)
    _check_free(model, version)
    with temporary_folder(unfinished) as temporary:
        fill(temporary)
        while True:
            number = max(versions_of(model), default=0) + 1 if version is None else version
            seal(temporary, number)
            sync_tree(temporary)  # before the name: after a power failure a version is whole or not there
            model.mkdir(exist_ok=True)  # not before: a server takes a model without versions for a mistake
            try:
                os.rename(temporary, model / str(number))
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                _check_free(model, version)
                continue
            for changed in (
                model,
                unfinished,
                root,
            ):  # the name of the version, its former one, that of the model
                sync_folder(changed)
            return model / str(number)


def _check_free(model: Path, version: int | None) -> None:
    if version is None:
        return
    if not 1 <= version <= HIGHEST_VERSION:
        raise InputError(f"`--version` must be from 1 to {HIGHEST_VERSION}; got {version}.")
    if version in versions_of(model):
        raise InputError(f"`--version` must be free; {model / str(version)} is there already.")

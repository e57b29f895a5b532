"""What an export must pass before it appears: its model is of the same run, and it answers as the Python path does."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mi_keras.command import CheckFailed
from mi_keras.display import line_of
from mi_keras.errors import DamagedFile, InputError
from mi_keras.serving.layout import versions_of
from mi_keras.serving.manifest import read_manifest
from mi_keras.serving.verify import replay

if TYPE_CHECKING:
    from mi_keras.serving.signatures import Signature

# Fields of the manifest that `export.default_name` leaves out
NOT_IN_THE_NAME = ("data", "seed", "run", "changed")


def check_same_run(model: Path, about: Mapping[str, Any]) -> None:
    """Refuse a next version of a model whose newest one is of another run: the server would exchange them unasked.

    Raises:
        InputError: data, seed, run or changed settings are others than in the newest version that can be read.
    """
    for folder in reversed(versions_of(model).values()):
        try:
            newest = read_manifest(folder)
        except DamagedFile:
            continue
        for field in NOT_IN_THE_NAME:
            if newest[field] != about[field]:
                raise InputError(
                    f"`--name` must be given for another run than that of {folder}; its `{field}` is "
                    f"{_in_words(newest[field])}, got {_in_words(about[field])}."
                )
        return


def check_answers(signatures: Sequence["Signature"], folder: Path, manifest: Mapping[str, Any]) -> None:
    """Refuse what does not answer as the Python path does, before a server can find it.

    Raises:
        CheckFailed: an answer differs, or more than it may on the machine that writes the export.
    """
    verification = replay(folder, manifest)
    problems = verification.problems
    distances = {entry["name"]: entry["largest"] for entry in verification.endpoints}
    for signature in signatures:
        name, largest, allowed = signature.name, distances[signature.name], signature.largest_here
        if largest is not None and allowed is not None and not largest <= allowed:
            problems.append(
                f"{name}: largest distance is {largest:.2g}, not within {allowed:.2g} on the machine that writes it"
            )
    if problems:
        raise CheckFailed(
            f"the export gives other answers than the models in the store: {'; '.join(problems)}"
        )


def _in_words(value: object) -> str:
    return line_of(", ".join(map(str, value)) if isinstance(value, list) else str(value)) or "nothing"

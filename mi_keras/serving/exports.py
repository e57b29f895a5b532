"""What is exported: every version in a folder against its manifest; nothing is loaded, nor TensorFlow imported."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mi_keras.errors import DamagedFile
from mi_keras.serving.layout import models_in, version_folders
from mi_keras.serving.manifest import check_files, read_manifest


@dataclass(frozen=True)
class ExportedVersion:
    """A folder that a server takes for a version of a model.

    Attributes:
        name: of the model.
        number: of the version.
        folder: its place.
        manifest: None where there is none to go by, as in a SavedModel from elsewhere.
        fault: why it is no whole export; empty where it is.
    """

    name: str
    number: int
    folder: Path
    manifest: Mapping[str, Any] | None
    fault: str


def exports_in(root: Path) -> Iterator[ExportedVersion]:
    """Yield every version of every model in a folder, by name and number.

    Raises:
        InputError: there is no such folder.
    """
    for model in models_in(root):
        for number, folder in version_folders(model):
            manifest, fault = None, ""
            try:
                manifest = read_manifest(folder)
                check_files(folder, manifest)
            except DamagedFile as damage:
                fault = str(damage)
            if folder.name != str(number):  # the server takes 07 too, but beside 7 only one of them
                fault = f"the folder must be called {number}"
            yield ExportedVersion(model.name, number, folder, manifest, fault)

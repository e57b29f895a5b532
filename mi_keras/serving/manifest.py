"""`manifest.json` of an export: what it is, and the SHA-256 of every file beside it; imports no TensorFlow.

The seal is a hash and no signature: it shows damage and files that were exchanged, not who wrote the manifest. Whoever
rewrites files, manifest and seal together goes unnoticed, so call no export whose origin you do not trust.
"""

import json
import math
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mi_keras.errors import DamagedFile
from mi_keras.files import WRONG_FORMAT, is_damage, seal_of, sha256, write_text
from mi_keras.serving.layout import version_number

SCHEMA = "mi_keras.export/2"
EXTRA = "assets.extra"  # TensorFlow Serving leaves what lies there alone, but for the warm-up records
MANIFEST, SAMPLES = f"{EXTRA}/manifest.json", f"{EXTRA}/samples.npz"
WARMUP = f"{EXTRA}/tf_serving_warmup_requests"
LARGEST = 4 * 1024**2  # bytes of a manifest; ours have some thousands
MEASURES = ("largest", "mean", "score", "row")  # of a tolerance, see `signatures.Tolerance`
_IN_WORDS = {str: "text", int: "whole number", float: "finite number", list: "list"}
_FIELDS: Mapping[str, type] = {
    "schema": str, "name": str, "version": int, "work": str, "section": str, "attack": str, "preset": str,
    "changed": list, "data": str, "seed": int, "run": int, "scores": dict, "baseline": dict, "default_endpoint": str, "endpoints": dict,
    "warmup": dict, "stages": dict, "versions": dict, "intended_use": str, "licence": str, "files": dict,
}  # fmt: skip


def write_manifest(folder: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """Write the manifest of an export whose other files are all there, and return it as `read_manifest` does."""
    (folder / MANIFEST).unlink(missing_ok=True)
    files = {
        name: {"sha256": sha256(folder / name), "bytes": (folder / name).stat().st_size}
        for name in sorted(_files_in(folder))
    }
    sealed = {"schema": SCHEMA, **content, "files": files}
    text = json.dumps(sealed | {"seal": seal_of(sealed)}, indent=1, allow_nan=False)
    write_text(folder / MANIFEST, text + "\n")
    return sealed


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of an export, whose name and place must be those that it states; reads no other file.

    Raises:
        DamagedFile: there is none, it is cut or changed, of another kind, or of another folder.
        OSError: it cannot be read now, whole or not.
    """
    path = folder / MANIFEST
    if (folder / EXTRA).is_symlink() or path.is_symlink() or not path.is_file():
        raise DamagedFile(f"{MANIFEST} is missing: not written by `mi-keras export`")
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"larger than {LARGEST} bytes")
        manifest = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
        if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA}")
        if manifest.pop("seal", None) != seal_of(manifest):
            raise ValueError("its content does not match its seal")
        if wrong := [name for name, kind in _FIELDS.items() if not _is_a(kind, manifest.get(name))]:
            raise ValueError(f"it lacks {', '.join(wrong)}")
        _check_entries(manifest)
    except (*WRONG_FORMAT, OverflowError, OSError) as error:
        if isinstance(error, OSError) and not is_damage(path, error):
            raise
        raise DamagedFile(f"{MANIFEST} is cut or changed: {error}") from None
    place = folder.resolve()
    if (manifest["name"], manifest["version"]) != (place.parent.name, version_number(place.name)):
        raise DamagedFile(f"{MANIFEST} is of {manifest['name']}/{manifest['version']}, another folder")
    return manifest


def check_files(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Compare every file of an export with its manifest.

    Raises:
        DamagedFile: a file is missing, cut, changed, not of the export, or is a link or a device.
    """
    described = manifest["files"]
    found = _files_in(folder) - {MANIFEST}
    if missing := sorted(described.keys() - found):
        raise DamagedFile(f"{missing[0]} is missing")
    if more := sorted(found - described.keys()):
        raise DamagedFile(f"{more[0]} is not of the export")
    for name, expected in described.items():
        size = (folder / name).stat().st_size
        if size != expected["bytes"]:
            raise DamagedFile(f"{name} has {size} bytes in place of {expected['bytes']}")
        if sha256(folder / name) != expected["sha256"]:
            raise DamagedFile(f"{name} was changed: its SHA-256 is another")


def _files_in(folder: Path) -> set[str]:
    """Return the plain files below a folder by relative name; what is neither file nor folder is refused unread."""
    found = set()
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            relative, mode = path.relative_to(folder).as_posix(), path.lstat().st_mode
            if stat.S_ISLNK(mode):
                raise DamagedFile(f"{relative} is a link; an export has none")
            if stat.S_ISREG(mode):
                found.add(relative)
            elif not stat.S_ISDIR(mode):
                raise DamagedFile(f"{relative} is no plain file")
    return found


def _check_entries(manifest: Mapping[str, Any]) -> None:
    """Raise where entries that are read by listing and verifying are of another form, also behind a seal that fits."""
    for entry in manifest["files"].values():
        _check(str, entry["sha256"])
        _check(int, entry["bytes"])
    for metric, score in manifest["scores"].items():
        _check(float, score["mean"], manifest["baseline"][metric]["mean"])
        _check(int, score["n"])
    for endpoint in manifest["endpoints"].values():
        for field in (*endpoint["inputs"].values(), *endpoint["outputs"].values()):
            _check(list, field["shape"])
            _check(str, field["dtype"])
            if field["range"] is not None:
                least, greatest = field["range"]
                _check(float, least, greatest)
        _check(float, *(endpoint["tolerance"][measure] for measure in MEASURES))
        _check(float, *endpoint.get("sample_scores", {}).values())
        _check(int, *endpoint["warmup_rows"])
    _check(str, manifest.get("output_kind", ""))  # which earlier ones lack
    if "saved_model.pb" not in manifest["files"]:
        raise ValueError("it describes no saved_model.pb")
    if manifest["default_endpoint"] not in manifest["endpoints"]:
        raise ValueError("its default endpoint is none of its endpoints")


def _check(kind: type, *values: object) -> None:
    for value in values:
        if not _is_a(kind, value):
            raise ValueError(f"{value!r:.40} is no {_IN_WORDS[kind]}")


def _is_a(kind: type, value: object) -> bool:
    """Return whether a value of JSON is of a type; true and false are no numbers, and these are finite."""
    if isinstance(value, bool):
        return False
    if kind is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, kind)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON")

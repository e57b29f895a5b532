"""Writes an export: SavedModel, samples, warm-up records and manifest, which appear together or not at all."""

import platform
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras

from mi_keras.data.preprocess import as_unit
from mi_keras.files import write_arrays
from mi_keras.machine import machine, versions
from mi_keras.metrics.image import score
from mi_keras.serving.contract import DEFAULT_ENDPOINT, INPUT_KINDS
from mi_keras.serving.layout import check_name, publish
from mi_keras.serving.manifest import EXTRA, SAMPLES, WARMUP, write_manifest
from mi_keras.serving.signatures import Signature
from mi_keras.serving.trained import TRUTH, Trained
from mi_keras.serving.warmup import check_installed, write_warmup

INTENDED_USE = (
    "Research on reconstruction attacks, and audits of models that you own or are allowed to attack. It draws images of "
    "what others put into a model: do not point it at outputs of people who have not agreed to that."
)


def write_export(
    trained: Trained,
    about: Mapping[str, Any],
    root: Path,
    name: str,
    version: int | None = None,
    *,
    check: Callable[[Path, Mapping[str, Any]], object] | None = None,
) -> Path:
    """Write `root/name/version` and return it.

    Args:
        trained: endpoints, samples and what they were made of.
        about: further fields of the manifest: what run it was.
        root: folder of all exported models.
        name: of the model, on the server too.
        version: None for the next one.
        check: called with the complete folder and the manifest before it gets its name; what it raises keeps the
            export from appearing.

    Raises:
        InputError: the name is none, the version is there already, or the messages of TensorFlow Serving are missing.
    """
    check_name(name)
    check_installed()
    archive = (
        keras.export.ExportArchive()
    )  # `track` would write every weight twice: functions name theirs themselves
    for signature in trained.signatures:  # the first becomes `serving_default` too
        archive.add_endpoint(signature.name, signature.call, signature.specs())
    records = 0

    def fill(folder: Path) -> None:
        nonlocal records
        archive.write_out(str(folder), verbose=False)
        (folder / EXTRA).mkdir()
        write_arrays(folder / SAMPLES, trained.samples, compressed=True)
        endpoints = {signature.name: signature for signature in trained.signatures}
        default = {DEFAULT_ENDPOINT: trained.signatures[0]}
        requests = [
            (endpoint, _inputs(trained, each), each.warmup_rows)
            for endpoint, each in (endpoints | default).items()
        ]
        records = write_warmup(folder / WARMUP, name, requests)

    def seal(folder: Path, number: int) -> None:
        content = {
            "name": name, "version": number, **about, **trained.about,
            "default_endpoint": trained.signatures[0].name,
            "endpoints": {signature.name: _described(trained, signature) for signature in trained.signatures},
            "warmup": {"records": records},
            "versions": {"python": platform.python_version()} | versions(), "machine": machine(),
            "written": datetime.now(UTC).isoformat(timespec="seconds"), "intended_use": INTENDED_USE,
        }  # fmt: skip
        manifest = write_manifest(folder, content)
        if check:
            check(folder, manifest)

    return publish(root, name, version, fill, seal)


def _inputs(trained: Trained, signature: Signature) -> dict[str, Any]:
    return {name: trained.samples[f"{signature.name}/input/{name}"] for name in signature.inputs}


def _described(trained: Trained, signature: Signature) -> dict[str, Any]:
    """Return an endpoint as in the manifest, with what its images of the samples score."""
    entry: dict[str, Any] = {
        "inputs": {
            name: field.to_json() | {"kind": INPUT_KINDS[name]} for name, field in signature.inputs.items()
        },
        "outputs": {name: field.to_json() for name, field in signature.outputs.items()},
        "tolerance": signature.tolerance.to_json(),
        "warmup_rows": list(signature.warmup_rows),
    }
    for name in signature.outputs:
        images = as_unit(trained.samples[f"{signature.name}/output/{name}"])
        if images.shape == trained.samples[TRUTH].shape:
            scores = score(images, trained.samples[TRUTH])
            entry["sample_scores"] = {"ssim": float(scores.ssim.mean()), "mse": float(scores.mse.mean())}
    return entry

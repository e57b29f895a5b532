"""Sends many rows to a server a batch at a time, keeps every answer at once, and writes the images."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.errors import InputError
from mi_keras.serving.checks import IMAGE_OUTPUTS, checked_inputs, choose_endpoint, find_endpoint
from mi_keras.serving.client import Client
from mi_keras.serving.contract import LARGEST_BATCH, ServerError
from mi_keras.serving.outputs import PARTS, Part, PartStore, to_part, write_images
from mi_keras.types import Floats
from mi_keras.work import Progress, SilentProgress


@dataclass(frozen=True)
class Inverted:
    """What `invert` did.

    Attributes:
        images: `(count, height, width, channels)` float32 in [0, 1].
        version: of the model that made them.
        endpoint: that made them.
        clipped: how many values came back outside [0, 1].
        reused: how many images an earlier, interrupted run had left.
    """

    images: Floats
    version: int
    endpoint: str
    clipped: int
    reused: int


def invert(
    client: Client,
    arrays: Mapping[str, NDArray[Any]],
    out: Path,
    *,
    endpoint: str | None = None,
    batch: int = LARGEST_BATCH,
    resume: bool = True,
    progress: Progress | None = None,
) -> Inverted:
    """Send all rows, `batch` at a time, and write the images that come back.

    Every answer is on the disk before the next request goes out; after an interruption or a failure the same call
    goes on behind the last of them. All input is checked before the first row is sent.

    Args:
        client: the model on its server.
        arrays: inputs by name, `(rows, ...)`.
        out: folder for `images.npz`, a PNG an image, `contact_sheet.png`, and meanwhile `parts/`.
        endpoint: name of a signature; None is the one that uses most of `arrays`.
        batch: rows of a request.
        resume: False sends again what an interrupted call already had.
        progress: hears of every finished part.

    Returns:
        The images and where they came from.

    Raises:
        InputError: an argument, or something in `arrays`, breaks a rule.
        ServerError: the server is not reachable, too slow, or answers something else.
    """
    if batch < 1:
        raise InputError(f"`batch` must be >= 1; got {batch}.")
    served = client.describe()
    endpoint = endpoint or choose_endpoint(served, tuple(arrays))
    signature = find_endpoint(served, endpoint)
    if not any(name in signature.outputs for name in IMAGE_OUTPUTS):
        raise InputError(
            f"`endpoint` must return images; got {endpoint}, which returns {', '.join(signature.outputs)}."
        )
    inputs = checked_inputs(endpoint, signature, arrays)
    count = len(next(iter(inputs.values())))
    store = PartStore(out / PARTS, (served.name, str(served.version), endpoint))
    starts = range(0, count, batch)
    chunks = [{name: array[start : start + batch] for name, array in inputs.items()} for start in starts]
    parts = [
        store.load(start, chunk) if resume else None for start, chunk in zip(starts, chunks, strict=True)
    ]
    reused = sum(len(part.images) for part in parts if part)
    with (progress or SilentProgress()).bar("invert", count, "images", reused) as bar:
        for number, (start, chunk) in enumerate(zip(starts, chunks, strict=True)):
            if parts[number] is None:
                parts[number] = part = _ask(client, endpoint, chunk)
                store.save(start, chunk, part)
                bar.advance(len(part.images))
    whole = [part for part in parts if part]
    if len({part.images.shape[1:] for part in whole}) > 1:
        raise ServerError(client.server, "the images of different requests have different sizes")
    images = np.concatenate([part.images for part in whole])
    clipped = sum(part.clipped for part in whole)
    provenance = {"model": served.name, "version": str(served.version), "endpoint": endpoint}
    write_images(
        out, images, title=f"{served.name} version {served.version}: {endpoint}", note=clipped_note(clipped),
        provenance=provenance,
    )  # fmt: skip
    store.clear()
    return Inverted(images, served.version, endpoint, clipped, reused)


def _ask(client: Client, endpoint: str, chunk: dict[str, NDArray[Any]]) -> Part:
    try:
        return to_part(client.predict(endpoint, chunk))
    except InputError:  # a ValueError of its own, which needs no other words
        raise
    except ValueError as error:
        raise ServerError(client.server, f"the answer must be images; got {error}") from None


def clipped_note(clipped: int) -> str:
    """Say how many values were clipped."""
    return f"{clipped:,} values outside [0, 1] were clipped." if clipped else "All values were in [0, 1]."

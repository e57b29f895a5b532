"""Sends many rows to a server a batch at a time, keeps every answer at once, and writes the images."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mi_keras.errors import InputError
from mi_keras.files import read_arrays
from mi_keras.progress import Progress, SilentProgress
from mi_keras.serving.checks import IMAGE_OUTPUTS, checked_inputs, choose_endpoint, find_endpoint
from mi_keras.serving.client import Client
from mi_keras.serving.contract import LARGEST_BATCH, SMALL_BATCHES, ServerError
from mi_keras.serving.outputs import IMAGES, first_result, write_images
from mi_keras.serving.parts import PARTS, PartStore, to_part
from mi_keras.types import Floats
from mi_keras.whole import locked

LOCK = ".invert.lock"  # in the folder of the images, while they are written


@dataclass(frozen=True)
class Inverted:
    """What `invert` did.

    Attributes:
        out: folder of the images.
        count: of images.
        version: of the model that made them.
        endpoint: that made them.
        clipped: how many values came back outside [0, 1].
        reused: how many images an earlier, interrupted run had left.
    """

    out: Path
    count: int
    version: int
    endpoint: str
    clipped: int
    reused: int

    def images(self) -> Floats:
        """Read all images from `images.npz`: `(count, height, width, channels)` float32 in [0, 1]."""
        return read_arrays(self.out / IMAGES)["images"]


def invert(
    client: Client,
    arrays: Mapping[str, NDArray[Any]],
    out: Path,
    *,
    endpoint: str | None = None,
    batch: int | None = None,
    resume: bool = True,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Inverted:
    """Send all rows, `batch` at a time, and write the images that come back.

    Every answer is on the disk before the next request goes out; after an interruption or a failure the same call
    goes on behind the last of them. All input is checked before the first row is sent. Besides the input, only the images
    of one request are in memory at a time.

    Args:
        client: the model on its server.
        arrays: inputs by name, `(rows, ...)`.
        out: folder for `images.npz`, a PNG an image, `contact_sheet.png`, and meanwhile `parts/`.
        endpoint: name of a signature; None is the one that uses most of `arrays`.
        batch: rows of a request; None is what `SMALL_BATCHES` has for the endpoint, else `LARGEST_BATCH`.
        resume: False sends again what an interrupted call already had.
        overwrite: replace the images that an earlier, finished call left in `out`.
        progress: hears of every finished part.

    Returns:
        The images and where they came from.

    Raises:
        InputError: an argument, or something in `arrays`, breaks a rule.
        ServerError: the server is not reachable, too slow, or answers something else.
    """
    if batch is not None and batch < 1:
        raise InputError(f"`batch` must be >= 1; got {batch}.")
    served = client.describe()
    endpoint = endpoint or choose_endpoint(served, arrays)
    signature = find_endpoint(served, endpoint)
    if not any(name in signature.outputs for name in IMAGE_OUTPUTS):
        raise InputError(
            f"`endpoint` must return images; got {endpoint}, which returns {', '.join(signature.outputs)}, and is for "
            "`mi_keras.serving.client.Client`."
        )
    inputs = checked_inputs(endpoint, signature, arrays)
    count, rows = len(next(iter(inputs.values()))), batch or SMALL_BATCHES.get(endpoint, LARGEST_BATCH)
    chunks = {
        start: {name: array[start : start + rows] for name, array in inputs.items()}  # views
        for start in range(0, count, rows)
    }
    question = (client.server, served.name, str(served.version), endpoint)
    out.mkdir(parents=True, exist_ok=True)
    with _alone_in(out):
        store = PartStore(out / PARTS, question)
        there = {
            start: len(part.images)
            for start, chunk in chunks.items()
            if resume and (part := store.load(start, chunk))
        }
        earlier = first_result(out)
        if (
            earlier and not there and not overwrite
        ):  # with parts of the same question it is this call that was cut off
            raise InputError(
                f"`--out` must be a folder without images, unless --overwrite is given; got {earlier}."
            )
        with (progress or SilentProgress()).bar("invert", count, "images", sum(there.values())) as bar:
            for start, chunk in chunks.items():
                if start not in there:
                    with _nothing_but_images(client.server):
                        part = to_part(client.predict(endpoint, chunk))
                    store.save(start, chunk, part)
                    bar.advance(len(part.images))
        with _nothing_but_images(client.server):
            whole = store.gather(chunks, count)
        provenance = {"model": served.name, "version": str(served.version), "endpoint": endpoint}
        title = f"{served.name} version {served.version}: {endpoint}"
        write_images(out, whole.images, title=title, note=clipped_note(whole.clipped), provenance=provenance)
        store.clear()
        return Inverted(out, count, served.version, endpoint, whole.clipped, sum(there.values()))


@contextmanager
def _alone_in(out: Path) -> Iterator[None]:
    """Keep every other call out of a folder, whose images it would mix with these."""

    def busy() -> None:
        raise InputError(f"`--out` must be a folder that no other process writes to now; got {out}.")

    lock = out / LOCK
    with locked(lock, busy):
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def clipped_note(clipped: int) -> str:
    """Say how many values were clipped."""
    return f"{clipped:,} values outside [0, 1] were clipped." if clipped else "All values were in [0, 1]."


@contextmanager
def _nothing_but_images(server: str) -> Iterator[None]:
    try:
        yield
    except InputError:  # a ValueError of its own, which needs no other words
        raise
    except ValueError as error:
        raise ServerError(server, f"the answer must be images; got {error}") from None

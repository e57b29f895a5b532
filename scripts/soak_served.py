"""Many requests to a server that is ended and started again, for `soak.py`: is each answer that of its own request?"""

import random
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mi_keras.quiet import quiet_libraries
from mi_keras.serving.client import Client
from mi_keras.serving.contract import ServerError
from scripts.soak_jobs import Server

CLIENTS = 8  # by turns over gRPC and REST
RESTARTS = 5  # by turns by SIGKILL and SIGTERM
VECTORS, MOST_ROWS = 2000, 3
NEAR = 1e-4  # an answer and the one to be expected, which is computed in a batch of another size
PATIENCE = 40  # retries: the server loads TensorFlow and the model before it answers


def requests(server: Server, model: Path, count: int, seed: int) -> dict[str, object]:
    """Send `count` requests, restart the server on the way, and say what came back."""
    draw = np.random.default_rng(seed)
    vectors = draw.normal(0, 3, (VECTORS, 10)).astype(np.float32)
    expected = _computed_here(model, vectors)
    apart = _closest(expected)
    if apart < 10 * NEAR:
        raise SystemExit(
            f"two of the answers to be expected differ by {apart}: swapped ones would not be seen"
        )
    counts: Counter[str] = Counter()
    sizes = draw.integers(1, MOST_ROWS + 1, count)
    starts = draw.integers(0, VECTORS - MOST_ROWS, count)
    left, lock = iter(range(count)), threading.Lock()

    def client(number: int) -> None:
        rest = bool(number % 2)
        with Client(server.rest if rest else server.grpc, model.name, rest=rest, retries=PATIENCE) as asked:
            while (request := _next(left, lock)) is not None:
                rows = slice(starts[request], starts[request] + sizes[request])
                try:
                    answer = asked.predict("invert", {"output_vector": vectors[rows]})["image"]
                    came = "right" if np.abs(answer - expected[rows]).max() < NEAR else "swapped or wrong"
                except ServerError as error:
                    came = f"lost: {error}"
                with lock:
                    counts[came] += 1

    restarts: list[str] = []
    since = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(client, number) for number in range(CLIENTS)]
        for number in range(1, RESTARTS + 1):
            while counts.total() < count * number / (RESTARTS + 1) and not all(one.done() for one in clients):
                time.sleep(0.01)
            time.sleep(random.Random(seed + number).uniform(0, 0.2))
            by = (signal.SIGKILL, signal.SIGTERM)[number % 2]
            restarts.append(f"{by.name} at {counts.total()}: {server.end(by)}")
            server.start()
        for one in clients:
            one.result()
    return {
        "requests": count, "clients": CLIENTS, "restarts": restarts, "seconds": round(time.monotonic() - since),
        "closest answers": round(apart, 4), **counts,
    }  # fmt: skip


def _next(left: "object", lock: threading.Lock) -> int | None:
    with lock:
        return next(left, None)  # type: ignore[call-overload]


def _computed_here(model: Path, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what the export gives without any server."""
    with quiet_libraries():
        import tensorflow as tf
    (version,) = (path for path in model.iterdir() if path.name.isdigit())
    run = tf.saved_model.load(str(version)).signatures["invert"]
    return np.concatenate(
        [run(output_vector=tf.constant(part))["image"].numpy() for part in np.split(vectors, 20)]
    )


def _closest(images: NDArray[np.float32]) -> float:
    """Return how far the two images that are most alike are apart, at the pixel where they differ most."""
    flat = images.reshape(len(images), -1)
    return min(
        float(np.abs(flat[place + 1 :] - flat[place]).max(axis=1).min()) for place in range(len(flat) - 1)
    )

"""Trained attacks as they are exported, read from the store: what those of both works share. Nothing is trained here."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mi_keras.experiments.stage_words import describe
from mi_keras.experiments.store import Stage
from mi_keras.serving.signatures import Signature

TRUTH = "truth"


class NotTrained(Exception):
    """A stage that an export needs is not in the store; the message names it."""


@dataclass(frozen=True)
class Trained:
    """What an export is made of.

    Attributes:
        signatures: the endpoints; the first is the default.
        samples: "ENDPOINT/input/NAME" and "ENDPOINT/output/NAME" as the Python path has them, images for PNG files, and
            "truth", the images behind them.
        about: fields of the manifest.
    """

    signatures: Sequence[Signature]
    samples: Mapping[str, NDArray[Any]]
    about: Mapping[str, Any]


@contextmanager
def on_cpu() -> Iterator[None]:
    """Let TensorFlow compute on the CPU, for which the tolerances are: a GPU's TF32 convolutions differ by 1e-3."""
    with tf.device("/CPU:0"):
        yield


def need(*stages: Stage) -> None:
    """Raise `NotTrained` unless every stage is in the store."""
    for stage in stages:
        if not stage.store.has(stage):
            raise NotTrained(describe(stage))


def sample(endpoint: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return inputs of an endpoint and its outputs in Python under the names that they have in `Trained.samples`."""
    return {
        **{f"{endpoint}/input/{name}": array for name, array in inputs.items()},
        **{f"{endpoint}/output/{name}": array for name, array in outputs.items()},
    }


def summary(scored: Stage, metrics: Sequence[str]) -> dict[str, dict[str, float | int]]:
    """Return mean and sample standard deviation over the images of a scored stage, and how many these are."""
    arrays = scored.arrays
    return {
        name: {
            "mean": float(arrays[name].mean(dtype=np.float64)),
            "std": float(arrays[name].std(dtype=np.float64, ddof=1)),
            "n": len(arrays[name]),
        }
        for name in metrics
    }


def licence(source: str, note: str) -> str:
    """Return what the manifest says of rights in an export whose weights come from a source of images."""
    rights = f"Code: Apache-2.0. The weights are made from the images of {source}, whose licence holds for them too."
    return f"{rights} {note}".strip()

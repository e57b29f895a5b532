"""Labelled images: `load_source` turns the value of `--data` into a `Source` (thesis 3.3)."""

from mi_keras.data.mnist import read_embedded_mnist
from mi_keras.data.npz_source import read_npz
from mi_keras.data.source import Source
from mi_keras.data.tfds_source import read_tfds
from mi_keras.errors import InputError

__all__ = ["DEFAULT_SOURCE", "Source", "load_source"]

DEFAULT_SOURCE = "mnist"


def load_source(spec: str, *, offline: bool = False) -> Source:
    """Read the labelled images that `spec` names. A failure is an error; no other source is used instead.

    Args:
        spec: `mnist` for the embedded subset, `tfds:NAME` for a set of TensorFlow Datasets, `npz:FILE` for
            a file with the keys x_train, y_train, x_test and y_test.
        offline: never download; a `tfds:` data set must be on the disk already.

    Raises:
        InputError: `spec` has another form, or its images cannot be read.
    """
    scheme, _, name = spec.partition(":")
    if spec == "mnist":
        return read_embedded_mnist()
    if scheme == "tfds" and name:
        return read_tfds(name, offline=offline)
    if scheme == "npz" and name:
        return read_npz(name)
    raise InputError(f"`data` must be mnist, tfds:NAME or npz:FILE; got {spec!r}.")

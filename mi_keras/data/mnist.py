"""The embedded MNIST: 2,000 training and 400 test images of each digit, the sizes of thesis 3.3.1.

`scripts/build_embedded_mnist.py` makes the file out of the official 70,000 images.
"""

import hashlib
import io
import lzma
from pathlib import Path

import numpy as np

from mi_keras.data.source import Source, fingerprint
from mi_keras.errors import InputError

EMBEDDED_FILE = Path(__file__).parent / "embedded" / "mnist_thesis.npz.xz"
EMBEDDED_SHA256 = "5a4fb485658bbedfbbc6d08334a38dc386472675ec5944ddacc8b4e76931f8ef"


def read_embedded_mnist() -> Source:
    """Return the images that come with the package: `(20000, 28, 28, 1)` and `(4000, 28, 28, 1)` uint8.

    Raises:
        InputError: the file is missing or its SHA-256 is not the one of this version.
    """
    packed = EMBEDDED_FILE.read_bytes() if EMBEDDED_FILE.is_file() else b""
    found = hashlib.sha256(packed).hexdigest()
    if found != EMBEDDED_SHA256:
        raise InputError(
            f"`data='mnist'`: the embedded data file is damaged or missing, reinstall mi-keras; {EMBEDDED_FILE} "
            f"must have SHA-256 {EMBEDDED_SHA256[:12]}..., got {found[:12]}... ({len(packed)} bytes)."
        )
    with np.load(io.BytesIO(lzma.decompress(packed)), allow_pickle=False) as arrays:
        train_images = arrays["x_train"][..., np.newaxis]  # (20000, 28, 28, 1)
        test_images = arrays["x_test"][..., np.newaxis]
        train_labels = arrays["y_train"].astype(np.int64)
        test_labels = arrays["y_test"].astype(np.int64)
    return Source(
        name="mnist",
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        class_names=tuple("0123456789"),
        fingerprint=fingerprint(train_images, train_labels, test_images, test_labels),
    )

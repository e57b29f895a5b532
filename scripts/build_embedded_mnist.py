"""Build the MNIST subset that comes with the package: 2,000 + 400 images per digit (thesis 3.3.1).

    python scripts/build_embedded_mnist.py            # write it into the package and print its SHA-256
    python scripts/build_embedded_mnist.py --check    # rebuild in memory and compare with the package's file

Reads the official 70,000 images as `tfds:mnist`. The choice depends on the images, the seed below and numpy's
generator alone, not on the order in which TensorFlow Datasets stores the records.
"""

import argparse
import hashlib
import io
import lzma
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mi_keras.data.mnist import EMBEDDED_FILE, EMBEDDED_SHA256
from mi_keras.data.sources import Source, load_source
from mi_keras.seeds import derive
from mi_keras.settings import SplitSettings
from mi_keras.types import Ints
from mi_keras.whole import replace_file

SEED = 0
COMPRESSION = 9 | lzma.PRESET_EXTREME


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=EMBEDDED_FILE, help="file to write; default: the package's"
    )
    parser.add_argument("--check", action="store_true", help="write nothing, compare with the package's file")
    arguments = parser.parse_args()

    packed = pack(load_source("tfds:mnist"))
    found = hashlib.sha256(packed).hexdigest()
    if arguments.check:
        shipped = hashlib.sha256(EMBEDDED_FILE.read_bytes()).hexdigest()
        print(f"rebuilt {found}\nshipped {shipped}\nexpected by mi_keras.data.mnist {EMBEDDED_SHA256}")
        return 0 if found == shipped == EMBEDDED_SHA256 else 1
    replace_file(arguments.out, lambda path: path.write_bytes(packed))
    print(f"{arguments.out}: {len(packed)} bytes\nEMBEDDED_SHA256 = {found!r}")
    return 0


def pack(source: Source) -> bytes:
    """Return the bytes of the file: an uncompressed npz, whose zip members carry no time, inside xz."""
    sizes = SplitSettings()
    train_seed, test_seed = derive(SEED, "embedded", "train"), derive(SEED, "embedded", "test")
    train = choose(source.train_images, source.train_labels, sizes.train_per_class, train_seed)
    test = choose(source.test_images, source.test_labels, sizes.test_per_class, test_seed)
    archive = io.BytesIO()
    np.savez(
        archive,
        x_train=source.train_images[train, :, :, 0],
        y_train=source.train_labels[train].astype(np.uint8),
        x_test=source.test_images[test, :, :, 0],
        y_test=source.test_labels[test].astype(np.uint8),
    )
    return lzma.compress(archive.getvalue(), preset=COMPRESSION)


def choose(images: NDArray[np.generic], labels: Ints, per_class: int, seed: int) -> Ints:
    """Return `(classes * per_class,)` positions, `per_class` of each label, shuffled."""
    digests = [hashlib.sha256(image.tobytes()).digest() for image in images]
    order = np.array(sorted(range(len(labels)), key=lambda position: (labels[position], digests[position])))
    by_class = [order[labels[order] == number] for number in np.unique(labels)]
    generator = np.random.default_rng(seed)
    chosen = [generator.choice(one_class, per_class, replace=False) for one_class in by_class]
    return generator.permutation(np.concatenate(chosen))


if __name__ == "__main__":
    sys.exit(main())

"""Finds near-duplicates, such as exact copies and copies in another format, which must not be divided between two
sets."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.data.preprocess import LUMA, as_bytes
from mi_keras.metrics.retrieval import image_embedding
from mi_keras.types import Floats, Ints

# Cosine of luma averaged to 16x16, above which two images are one. Measured on JPEG copies of 2,000 images each, the share
# found at Pillow's quality 50, 75 and 95: MNIST 100, 100, 100 %, CIFAR-10 86, 100, 100 %, CelebA (64 px) 100, 100, 100 %;
# the smallest cosine from 75 up is 0.9982. What it takes for one among different images: 7 pairs of thin digits in all
# 24,000 of MNIST (0.9961 at most), 1 pair of 14,000 in CIFAR-10 (0.9994) and 5 of 10,000 in CelebA (96 px), which are the
# same photographs. In colour it would find 43 % of CIFAR-10 at quality 50: JPEG keeps little of colour. Mirrored, cropped
# and turned copies are not found; copies shrunk to half only where images are large (all of CelebA, 25 % of CIFAR-10), and
# those of hardly any contrast not always (2 of 146 tiles of photographs, with a deviation below 18 of 255).
NEAR = 0.995
SIDE = 16
BLOCK = 1024  # rows compared at a time; two blocks' cosines are 4 MB
CELLS = 2**24  # numbers embedded at a time: 128 MB in float64
FLAT = 1e-3  # norm, of pixels in [0, 1], below which an image is one colour and has no direction


def merge_near_duplicates(images: NDArray[Any], groups: Ints, *, near: float = NEAR) -> Ints:
    """Return `(count,)` group numbers in which groups with near-duplicates of each other are one.

    A near-duplicate of a near-duplicate belongs to the group too. The number of a merged group is the smallest of its own.

    Args:
        images: `(count, height, width, channels)`, uint8 in 0..255 or float32 in [0, 1].
        groups: `(count,)` numbers from 0.
        near: cosine above which two images are near-duplicates.
    """
    root = np.arange(groups.max() + 1)  # of each group, the smallest number it is merged with
    # Equal ones of one colour have no direction and would not be found below
    _, first, place = np.unique(image_digests(images), return_index=True, return_inverse=True)
    root = _united(root, groups[first[place]], groups)
    vectors = _unit_vectors(images)
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK]
        for other in range(start, len(vectors), BLOCK):
            rows, columns = np.nonzero(block @ vectors[other : other + BLOCK].T > near)
            root = _united(root, groups[start + rows], groups[other + columns])
    return root[groups]


def near_any(images: NDArray[Any], others: NDArray[Any], *, near: float = NEAR) -> NDArray[np.bool_]:
    """Return `(count,)` whether an image is a near-duplicate of any of `others`, of the same shape and numbers."""
    vectors, found = _unit_vectors(others), np.isin(image_digests(images), image_digests(others))
    own = _unit_vectors(images)
    for start in range(0, len(own), BLOCK):
        rows = slice(start, start + BLOCK)
        for other in range(0, len(vectors), BLOCK):
            found[rows] |= (own[rows] @ vectors[other : other + BLOCK].T > near).any(axis=1)
    return found


def image_digests(images: NDArray[Any]) -> list[bytes]:
    """Return the SHA-256 of each image in 8 bits, whichever numbers it is given in.

    Args:
        images: `(count, height, width, channels)`, uint8 in 0..255 or float32 in [0, 1].
    """
    digests = []
    for image in images:
        pixels = image if image.dtype == np.uint8 else as_bytes(image)
        digests.append(hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).digest())
    return digests


def _united(root: Ints, first: Ints, second: Ints) -> Ints:
    """Return the roots after the groups of each pair are made one."""
    while True:
        one, two = root[first], root[second]
        if np.array_equal(one, two):
            return root
        target = np.arange(len(root))
        np.minimum.at(target, np.maximum(one, two), np.minimum(one, two))
        root = target[root]  # of chains one link a round


def _unit_vectors(images: NDArray[Any]) -> Floats:
    """Return `(count, 256)` embeddings of length 1, and zeros for an image of one colour, which is near to none."""
    vectors = np.empty((len(images), SIDE * SIDE), np.float32)
    step = max(1, CELLS // int(np.prod(images.shape[1:])))
    scale = 1 / 255 if images.dtype == np.uint8 else 1.0
    for start in range(0, len(images), step):
        block = images[start : start + step]
        grey = block @ LUMA if block.shape[3] == 3 else block.mean(axis=3, dtype=np.float32)
        embedded = image_embedding(grey[..., np.newaxis] * np.float32(scale), SIDE)
        norms = np.linalg.norm(embedded, axis=1, keepdims=True)
        vectors[start : start + step] = np.where(norms < FLAT, 0, embedded / np.maximum(norms, FLAT))
    return vectors

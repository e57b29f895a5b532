"""Images shifted, turned, scaled and with thicker or thinner strokes: more images for an adversary to give to its own
models."""

import numpy as np
from scipy import ndimage

from mi_keras.types import Floats

# Twice the deviation of what is drawn: pixels, degrees, share, and logarithm of the power of the pixels
SHIFT, TURN, SCALE, STROKE = 1.5, 8.0, 0.08, 0.15


def augmented(images: Floats, *, seed: int) -> Floats:
    """Return a changed copy of each image `(count, height, width, channels)` in [0, 1]."""
    draw = np.random.default_rng(seed)
    centre = (np.array(images.shape[1:3]) - 1) / 2
    changed = np.empty_like(images)
    for number, image in enumerate(images):
        turn = np.deg2rad(draw.normal(0, TURN / 2))
        scale = np.exp(draw.normal(0, SCALE / 2, size=2))
        matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * scale
        offset = centre - matrix @ centre + draw.normal(0, SHIFT / 2, size=2)
        power = np.exp(draw.normal(0, STROKE / 2))
        for channel in range(images.shape[3]):
            moved = ndimage.affine_transform(image[..., channel], matrix, offset, order=1, mode="nearest")
            changed[number, ..., channel] = np.clip(moved, 0, 1) ** power
    return changed

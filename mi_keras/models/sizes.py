"""How feature maps become an image of a given size: number of doublings, their widths, and the final crop."""

from collections.abc import Sequence

import keras

from mi_keras.errors import InputError

NARROWEST = 16  # channels where a ladder of widths is continued


def doublings(map_size: tuple[int, int], image_size: tuple[int, int]) -> int:
    """Return the smallest number of doublings after which `(height, width)` maps are as large as the image."""
    count = 0
    while any(length << count < pixels for length, pixels in zip(map_size, image_size, strict=True)):
        count += 1
    return count


def doublings_of_vector(image_size: tuple[int, int]) -> int:
    """Return the number of doublings, at least one, that leave 4 to 8 rows or columns to start from on the longer side."""
    return max(1, (max(image_size) // 4).bit_length() - 1)


def start_size(image_size: tuple[int, int], count: int) -> tuple[int, int]:
    """Return the smallest maps that are as large as the image after `count` doublings."""
    height, width = (-(-pixels // 2**count) for pixels in image_size)
    return height, width


def ladder(widths: Sequence[int], count: int) -> tuple[int, ...]:
    """Return the last `count` of the widths, or all of them and more by halves: finer maps have fewer channels."""
    extended = list(widths[-count:])
    while len(extended) < count:
        extended.append(min(extended[-1], max(NARROWEST, extended[-1] // 2)))
    return tuple(extended)


def fit(maps: keras.KerasTensor, image_size: tuple[int, int], doubled: int) -> keras.KerasTensor:
    """Return `(batch, height, width, channels)` maps at the image's size.

    Where they are larger only because their start was rounded up, as padding rounds it, the border is cut off; where the
    ratio of image to maps is no power of two, all of them are resized.
    """
    size = tuple(maps.shape[1:3])
    if size == image_size:
        return maps
    excess = [length - pixels for length, pixels in zip(size, image_size, strict=True)]
    if all(0 <= more < 2**doubled for more in excess):
        borders = tuple((more // 2, more - more // 2) for more in excess)
        return keras.layers.Cropping2D(borders, name="crop")(maps)
    return keras.layers.Resizing(*image_size, interpolation="bilinear", name="resize")(maps)


def checked_image_shape(image_shape: Sequence[int]) -> tuple[int, int, int]:
    """Return `(height, width, channels)` of the image.

    Raises:
        InputError: one of them is no number >= 1.
    """
    if len(image_shape) != 3 or any(not isinstance(n, int) or n < 1 for n in image_shape):
        raise InputError(f"`image_shape` must be (height, width, channels), each >= 1; got {image_shape!r}.")
    height, width, channels = image_shape
    return height, width, channels

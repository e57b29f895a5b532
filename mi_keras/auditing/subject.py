"""`Subject`: the audited model, its images, and how images are converted to the model's input."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mi_keras.auditing.options import SMALLEST_ATTACKED
from mi_keras.auditing.views import Output
from mi_keras.data.preprocess import as_bytes, as_unit
from mi_keras.errors import InputError
from mi_keras.metrics.retrieval import image_embedding
from mi_keras.models.copies import computes_in_half
from mi_keras.models.target import Target, observed_at
from mi_keras.types import Fix, Floats, Images, Ints

OWN, CHOICE, ATTACKED, MEMBERS = "own", "choice", "attacked", "members"
SIDES = (OWN, CHOICE, ATTACKED, MEMBERS)
BATCH = 64  # images answered together

Prepare = Callable[[Floats], NDArray[Any]]  # images in [0, 1] at the model's size -> what the model expects


@dataclass(frozen=True)
class Side:
    """The images of one side of the division.

    Attributes:
        images: `(count, height, width, channels)` uint8 or float32 in [0, 1], as they were given.
        truth: the same at the size at which they are reconstructed, uint8, with ids.
        groups: `(count,)` numbers.
        labels: `(count,)`, or None.
    """

    images: NDArray[Any]
    truth: Images
    groups: Ints
    labels: Ints | None


@dataclass(eq=False)
class Subject:
    """A model with the images that it is audited with; nothing in it changes the model.

    Attributes:
        model: the user's own object.
        name: in tables.
        output_name: of the output that tells the class.
        output: what that output says.
        prepare: see `Prepare`.
        sides: by the names in `SIDES`; "members" only where it is known what the model was trained on.
        data: what identifies images and division, as JSON values.
        class_of_all: one class is made of all images.
        random: two calls on the same images gave two answers.
        fix: what inputs beside the image are held at, by name.
        public: the layer up to which everybody has the model with its weights; "" for none.
    """

    model: keras.Model
    name: str
    output_name: str
    output: Output
    prepare: Prepare
    sides: Mapping[str, Side]
    data: Mapping[str, Any]
    class_of_all: bool = False
    random: bool = False
    fix: Fix = field(default_factory=dict)
    public: str = ""
    _targets: dict[str, Target] = field(default_factory=dict)
    _embeddings: dict[str, Floats] = field(default_factory=dict)
    _answers: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = field(default_factory=dict)

    @property
    def image(self) -> keras.KerasTensor:
        """What the model takes an image as, `(batch, height, width, channels)`."""
        return self.target(self.output_name).image

    @property
    def classes(self) -> int:
        """How many classes scores and attacks tell apart."""
        return 1 if self.class_of_all else self.output.classes

    @property
    def attack_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)` of what is reconstructed."""
        height, width, channels = self.sides[ATTACKED].truth.images.shape[1:]
        return height, width, channels

    def embeddings(self, side: str) -> Floats:
        """Return the pixel embeddings of the truth of a side, `(count, units)`, computed once."""
        if side not in self._embeddings:
            self._embeddings[side] = image_embedding(as_unit(self.sides[side].truth.images))
        return self._embeddings[side]

    def target(self, point: str) -> Target:
        """Return the model as it is observed at a point, copied once."""
        if point not in self._targets:
            self._targets[point] = observed_at(self.model, point, self.fix, argument="at")
        return self._targets[point]

    def in_float32(self, point: str) -> Target:
        """Return the same with a head that computes in single precision: gradients of less are noise.

        Raises:
            InputError: it answers otherwise than the model.
        """
        if not computes_in_half(self.model):
            return self.target(point)
        name = f"{point} in float32"
        if name not in self._targets:
            self._targets[name] = observed_at(self.model, point, self.fix, in_float32=True, argument="at")
        return self._targets[name]

    def classes_of(self, answers: NDArray[Any]) -> Ints:
        """Return the class of each answer of the output."""
        return np.zeros(len(answers), np.int64) if self.class_of_all else self.output.classes_of(answers)

    def sent_shape(self, point: str) -> tuple[int, ...]:
        """Return the shape of what is sent of one image; of a model of free size, of images as they were given."""
        shape = self.target(point).point.shape
        if None not in shape:
            return tuple(int(n or 0) for n in shape)
        return self.answers(point)(self.sides[ATTACKED].images[:1]).shape[1:]

    def answers(self, point: str) -> Callable[[NDArray[Any]], NDArray[Any]]:
        """Return the function from images as they were given to what is sent at a point, `(count, ...)` float32."""
        if point not in self._answers:
            self._answers[point] = partial(answering(self.target(point)), prepare=self.prepare)
        return self._answers[point]


def answering(target: Target) -> Callable[..., NDArray[Any]]:
    """Return the function from images as they were given, and how they are prepared, to what a target sends, float32."""
    image = target.image
    seen = tf.TensorSpec([None, *image.shape[1:]], image.dtype)
    call = tf.function(lambda batch: target.head(batch, training=False), [seen], autograph=False)

    def answer(images: NDArray[Any], prepare: Prepare) -> NDArray[Any]:
        parts = []
        for start in range(0, len(images), BATCH):
            given = prepared(images[start : start + BATCH], image.shape[1:3], prepare, image.dtype)
            parts.append(np.asarray(call(tf.constant(given)), np.float32))
        return np.concatenate(parts)

    return answer


def check_takes_images(image: keras.KerasTensor) -> None:
    """Refuse an input that takes no images."""
    shape = tuple(image.shape[1:])
    if len(shape) != 3 or shape[2] not in (1, 3):
        raise InputError(f"`model` must take images (height, width, 1 or 3); its input is {shape}.")


def prepared(
    images: NDArray[Any], size: tuple[int | None, int | None], prepare: Prepare, dtype: str
) -> NDArray[Any]:
    """Return images as a model takes them in: resized where it has a size of its own, then prepared."""
    given = prepare(resize(as_unit(images), size))
    if np.dtype(dtype).kind not in "iu":
        return np.asarray(given, dtype)
    return np.clip(np.rint(given), np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype)


def resize(images: Floats, size: tuple[int | None, int | None]) -> Floats:
    """Return images in [0, 1] at a size, averaged over areas where they are made smaller; None keeps what they have."""
    height, width = (wanted or found for wanted, found in zip(size, images.shape[1:3], strict=True))
    if (height, width) == images.shape[1:3]:
        return images
    resized = tf.image.resize(images, (height, width), method="bilinear", antialias=True)
    return np.clip(np.asarray(resized, np.float32), 0, 1)


def attacked_size(
    given: tuple[int, int], model: tuple[int | None, int | None], wanted: int
) -> tuple[int, int]:
    """Return height and width of what is reconstructed: the smaller of the model's input and `wanted`, in its shape.

    A side of less than 16 pixels is enlarged to as many.
    """
    height, width = (m or g for m, g in zip(model, given, strict=True))
    share = min(1, wanted / max(height, width))
    rows, columns = (max(SMALLEST_ATTACKED, round(n * share)) for n in (height, width))
    return rows, columns


def truth_of(images: NDArray[Any], ids: NDArray[np.uint64], size: tuple[int, int]) -> Images:
    """Return what an attack should reconstruct, as bytes."""
    small = np.concatenate(
        [as_bytes(resize(as_unit(images[i : i + BATCH]), size)) for i in range(0, len(images), BATCH)]
    )
    return Images(small, np.zeros(len(images), np.int64), ids)

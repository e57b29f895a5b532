"""A head that sends principal components of the image: as its leak is known, attacks can be checked against it."""

from dataclasses import dataclass

import numpy as np

from mi_keras.attacks.ridge import class_means, less_class_means, principal_axes
from mi_keras.data.preprocess import as_unit
from mi_keras.types import Floats, Images, Ints


@dataclass(frozen=True)
class ComponentsHead:
    """It knows the adversary's images.

    Attributes:
        means: `(classes, height, width, channels)` of each class.
        axes: `(components, pixels)` along which images differ most from the mean of their class.
    """

    means: Floats
    axes: Floats

    @classmethod
    def of(cls, own: Images, classes: int, count: int) -> "ComponentsHead":
        images = as_unit(own.images)
        means = class_means(images, own.labels, classes, own.groups).astype(np.float32)
        rest = images - means[own.labels] if own.groups is None else less_class_means(images, own.labels)
        return cls(means, principal_axes(rest.reshape(len(rest), -1), count))

    def sent(self, images: Floats, classes: Ints) -> Floats:
        """Return what it sends of images in [0, 1], `(count, components)`."""
        return ((images - self.means[classes]).reshape(len(images), -1) @ self.axes.T).astype(np.float32)

    def best(self, images: Floats, classes: Ints) -> Floats:
        """Return the best that can be drawn from what it sends of images, `(count, height, width, channels)`."""
        drawn = self.means[classes] + (self.sent(images, classes) @ self.axes).reshape(images.shape)
        return np.asarray(drawn, np.float32)

"""Builds the classifier that settings describe."""

import keras

from mi_keras.models.architectures import AnyClassifier, EfficientNetSettings, ResidualSettings
from mi_keras.models.cnn import build_cnn
from mi_keras.models.efficientnet import build_efficientnet
from mi_keras.models.residual import build_residual
from mi_keras.settings import DEFAULT_HEAD, HeadSettings


def build_classifier(
    settings: AnyClassifier,
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    head: HeadSettings = DEFAULT_HEAD,
    seed: int = 1,
) -> keras.Model:
    """Build a classifier from images `(batch, *input_shape)` in [0, 1] to `logits` and `activations`.

    Args:
        head: of the thesis's CNN; no other has one.

    Raises:
        InputError: the image is too small for it.
    """
    if isinstance(settings, EfficientNetSettings):
        return build_efficientnet(input_shape, classes, seed=seed)
    if isinstance(settings, ResidualSettings):
        return build_residual(
            input_shape, classes, channels=settings.channels, blocks=settings.blocks, seed=seed
        )
    return build_cnn(input_shape, classes, channels=settings.channels, head=head, seed=seed)

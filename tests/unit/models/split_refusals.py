"""What `build_split_mobilenet` says of arguments that it refuses."""

import functools

import pytest

from mi_keras.errors import InputError
from mi_keras.models import mobilenet

_whole_once = functools.cache(mobilenet._whole)  # built once for all that is refused: nobody gets to see it


def message_of(**settings: object) -> str:
    """Return the one line with which a small model is refused."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mobilenet, "_whole", _whole_once)
        with pytest.raises(InputError) as caught:
            mobilenet.build_split_mobilenet(**{"input_shape": (32, 64, 3), "minimalistic": True} | settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)

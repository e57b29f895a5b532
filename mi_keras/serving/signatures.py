"""The endpoints of an export: functions of tensors with named inputs and outputs, made of trained models."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import keras
import tensorflow as tf

from mi_keras.attacks.attack import Solver
from mi_keras.attacks.learned import Learned

INPUT_NAMES = {
    "o": "output_vector",
    "a": "activations",
    "x": "gradient_reconstruction",
}  # by letter of a combination
# Of its warm-up requests: a row alone, and several as the server joins them. More sizes would warm nothing up, since
# nothing is compiled per shape on a CPU, and 64 rows of the feature maps of 320-pixel images make a record of 70 MB.
WARMUP_ROWS = (1, 4)


@dataclass(frozen=True)
class Field:
    """A named input or output.

    Attributes:
        shape: of one row; the number of rows is open.
        dtype: "float32" or "string".
        range: least and greatest value; None: any finite one.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    range: tuple[float, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the field as in the manifest."""
        return {
            "shape": [None, *self.shape],
            "dtype": self.dtype,
            "range": list(self.range) if self.range else None,
        }


@dataclass(frozen=True)
class Tolerance:
    """How far answers may lie from those of the Python path when the export was written, on this machine or another.

    Attributes:
        largest: any value.
        mean: the values of a row, on average.
        score: mean SSIM and MSE of the samples.
        row: any value of a row that comes alone, from the same row in a batch on the same machine.
    """

    largest: float
    mean: float
    score: float
    row: float

    def to_json(self) -> dict[str, float]:
        """Return the tolerance as in the manifest."""
        return asdict(self)


@dataclass(frozen=True)
class Signature:
    """One endpoint.

    Attributes:
        call: the inputs as tensors, in the order of `inputs`, to the outputs by name.
        largest_here: as `tolerance.largest`, on the machine that writes the export; None where that is no stricter.
        warmup_rows: numbers of rows that the server's warm-up requests have.
    """

    name: str
    inputs: Mapping[str, Field]
    outputs: Mapping[str, Field]
    call: Callable[..., dict[str, tf.Tensor]]
    tolerance: Tolerance
    largest_here: float | None = None
    warmup_rows: tuple[int, ...] = WARMUP_ROWS

    def specs(self) -> list[tf.TensorSpec]:
        """Return what TensorFlow traces the endpoint with."""
        return [tf.TensorSpec([None, *field.shape], field.dtype, name) for name, field in self.inputs.items()]


DIRECT = Tolerance(1e-5, 1e-6, 1e-4, 1e-5)  # a forward pass, in another order of float32 sums
# A vector that comes to lie on the threshold with the rounding of one machine takes a step more on another
RECOVERED = Tolerance(0.02, 2e-3, 2e-3, 0.02)
# Other kernels round otherwise, which moved images by up to 0.2 and 0.01 on average
SOLVED = Tolerance(0.5, 0.05, 0.05, 1e-5)
# Every row is solved as in Python, to the bit. Measured: 0, for both objectives and 3 to 200 steps
SOLVED_HERE = 1e-4
DEEP = Tolerance(1e-3, 1e-4, 1e-3, 1e-3)  # values of tens, through thirty convolutions
DECODED = Tolerance(1e-4, 1e-5, 1e-4, 1e-4)
PIXELS = Tolerance(1.01 / 255, 1e-3, 1e-3, 1.01 / 255)  # a step of the eight bits


def inversion_signatures(
    attack: Learned,
    tcnn: keras.Model,
    combination: str,
    fields: Mapping[str, Field],
    image: Field,
    solvers: Sequence[Solver],
) -> list[Signature]:
    """Return the endpoints of an inversion model: `invert`, `invert_from_output`, `invert_png` (thesis 3.7).

    Args:
        tcnn: the network of `attack`, M_I.
        combination: the parts of its input.
        fields: O, A^L and X~ by letter.
        image: what it answers.
        solvers: each part as a function of output vectors (see `Input.in_graph`).
    """
    letters = combination.split("+")
    inputs = {INPUT_NAMES[letter]: fields[letter] for letter in letters}

    def invert(*parts: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"image": attack.draw(tcnn, parts)}

    def invert_from_output(output_vector: tf.Tensor) -> dict[str, tf.Tensor]:
        return invert(*(solve(output_vector) for solve in solvers))

    direct = Signature("invert", inputs, {"image": image}, invert, DIRECT)
    tolerance = SOLVED if "x" in letters else RECOVERED if "a" in letters else DIRECT
    largest_here = SOLVED_HERE if "x" in letters else None
    if "a" in letters:
        # Measured: 2e-7, but 2e-5 with logits of tens, where one row in four takes a step more beside others
        tolerance, largest_here = replace(tolerance, row=RECOVERED.row), RECOVERED.largest
    from_output = Signature(
        "invert_from_output", {"output_vector": fields["o"]}, {"image": image}, invert_from_output, tolerance,
        largest_here=largest_here, warmup_rows=(1,) if combination != "o" else WARMUP_ROWS,  # a server starts sooner
    )  # fmt: skip
    return [direct, from_output, _as_png(direct)]


def decoder_signatures(attack: Learned, head: keras.Model, decoder: keras.Model) -> list[Signature]:
    """Return the endpoints of a decoder and the head whose maps it decodes: `reconstruct`, `features`, `reconstruct_png`.

    Args:
        head: images in [0, 1] to feature maps (split 4).
        decoder: the network of `attack`.
    """
    maps = {"feature_maps": Field(tuple(head.output_shape[1:]))}
    image = {"image": Field(tuple(head.input_shape[1:]), range=(0.0, 1.0))}

    def reconstruct(feature_maps: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"image": attack.draw(decoder, [feature_maps])}

    def features(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"feature_maps": head(images, training=False)}

    direct = Signature("reconstruct", maps, image, reconstruct, DECODED)
    return [direct, Signature("features", image, maps, features, DEEP), _as_png(direct)]


def _as_png(signature: Signature) -> Signature:
    """Return the endpoint `NAME_png`; REST encodes bytes in base64 where a name ends in `_bytes`."""

    def call(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        image = tf.clip_by_value(signature.call(*inputs)["image"], 0.0, 1.0)
        return {"png_bytes": tf.io.encode_png(tf.cast(tf.round(255.0 * image), tf.uint8))}

    outputs = {"png_bytes": Field((), "string")}
    return Signature(f"{signature.name}_png", signature.inputs, outputs, call, PIXELS)

"""Settings of every step; the defaults are the published values (thesis 3, 5.1 and Appendix A)."""

from dataclasses import dataclass
from numbers import Real

from mi_keras.errors import InputError

COMBINATIONS = ("o", "a", "x", "o+a", "o+x", "a+x", "o+a+x")
OBJECTIVES = ("logit_mse", "cross_entropy")
STARTS, OPTIMIZERS = ("class_average", "class_instance", "random"), ("adam", "gradient_descent")
KNOWN = ("solved", "extracted")  # A^L of the adversary's own images; the first is what stages of old have
ACTIVATIONS = ("none", "relu", "sigmoid", "gelu", "silu")
LARGEST = 1_000_000  # of any count or weight: beyond it something else was meant
DECODERS = ("transposed", "bicubic", "compact", "large")
RELEASED, EVEN = "released", "even"  # the published code's transposed one; ours, of one size for any layer
PUBLISHED_DECODERS = ("transposed", "bicubic", RELEASED)  # which answer ImageNet-normalised images
GRADIENT_TERMS = ("total", "objective", "l2", "total_variation")
IMAGE_SIZE = 32  # thesis 3.3.1: 28 -> 32; the transposed CNN grows 4 -> 8 -> 16 -> 32
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # split 4.1; PyTorch's RGB
FOUND_TOLERATED = 0.2  # default of what may be found among as many above chance


@dataclass(frozen=True)
class SplitSettings:
    """How a labelled source is cut into disjoint sets (thesis 3.3.1).

    Attributes:
        train_per_class: of the source's training part, halved into target and shadow.
        test_per_class: of the source's test part, cut in three.
        method: "random" as the text says, or "stratified" for equal class counts in every set.
    """

    train_per_class: int = 2000
    test_per_class: int = 400
    method: str = "random"

    def __post_init__(self) -> None:
        _at_least("train_per_class", self.train_per_class, 2)
        _at_least("test_per_class", self.test_per_class, 3)
        _one_of("method", self.method, ("random", "stratified"))


@dataclass(frozen=True)
class ClassifierSettings:
    """Target and shadow CNN, M_T and M_S (thesis 3.1.1, 4.2, Appendix A)."""

    channels: tuple[int, ...] = (128, 256, 512)
    epochs: int = 20
    batch_size: int = 64  # not stated in the text
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        _check_fit(self.channels, self.epochs, self.batch_size, self.learning_rate)


@dataclass(frozen=True)
class HeadSettings:
    """What stands between the two linear layers of the classifier (thesis 3.1.1, 4.2); the defaults are its choice.

    Attributes:
        activation: "none", "relu", "sigmoid", "gelu" (with the error function) or "silu".
        dropout: probability that a unit is dropped in training, in [0, 1), after the activation.
    """

    activation: str = "none"
    dropout: float = 0.5

    def __post_init__(self) -> None:
        _one_of("activation", self.activation, ACTIVATIONS)
        if not 0 <= self.dropout < 1:
            raise InputError(f"`dropout` must be >= 0 and < 1; got {self.dropout!r}.")


@dataclass(frozen=True)
class GradientSettings:
    """Gradient reconstruction X~ (thesis 3.4 and 5.1).

    Attributes:
        steps: exact number of updates per image; 0 leaves the start.
        start, optimizer: of `STARTS` and `OPTIMIZERS`; of the optimizer the text says nothing (see docs/gradient_settings.md).
        learning_rate: step size, in units of pixel value for Adam; chosen at the text's width, where smaller models take 0.03.
        l2_weight, tv_weight: lambda_reg-l2 of formula 3, on the sum of squares of an image, and lambda_reg-tv of formula 4, on
            the sum of its absolute neighbour differences.
        batch_size: images optimised together at most; results depend on it by float rounding alone.
    """

    steps: int = 400
    start: str = "class_average"
    optimizer: str = "adam"
    learning_rate: float = 0.1
    l2_weight: float = 4.4323e-5
    tv_weight: float = 9.48785e-3
    batch_size: int = 128

    def __post_init__(self) -> None:
        _at_least("steps", self.steps, 0)
        _one_of("start", self.start, STARTS)
        _one_of("optimizer", self.optimizer, OPTIMIZERS)
        check_positive("learning_rate", self.learning_rate)
        _at_least("l2_weight", self.l2_weight, 0)
        _at_least("tv_weight", self.tv_weight, 0)
        _at_least("batch_size", self.batch_size, 1)


@dataclass(frozen=True)
class ActivationSettings:
    """Last-linear-layer activations A^L (thesis 3.5).

    Attributes:
        method, start: "gradient_descent" as in the text or "minimum_norm", the closed form; "random" (normal) or "zeros".
        threshold: tau, the mean squared error of the logits below which a vector stops moving.
        learning_rate: eta of the update.
        max_steps: bound on the number of updates; vectors still above tau are counted and reported.
        known: A^L of the adversary's own images, from which M_I learns: "solved" from their output vectors (thesis 3.7), or
            "extracted" by a forward pass of the shadow model (thesis 1, 3.5).
    """

    method: str = "gradient_descent"
    start: str = "random"
    threshold: float = 1.5
    learning_rate: float = 0.1
    max_steps: int = 10_000
    known: str = KNOWN[0]

    def __post_init__(self) -> None:
        _one_of("method", self.method, ("gradient_descent", "minimum_norm"))
        _one_of("known", self.known, KNOWN)
        _one_of("start", self.start, ("random", "zeros"))
        check_positive("threshold", self.threshold)
        check_positive("learning_rate", self.learning_rate)
        _at_least("max_steps", self.max_steps, 1)


@dataclass(frozen=True)
class InverterSettings:
    """Inversion model M_I (thesis 3.6, 5.2, Appendix A).

    Attributes:
        dropout: probability that a value is dropped in training, in [0, 1), after each of the three inner maps.
        input_noise: deviation of Gaussian noise on training inputs, in deviations of these; not in the text.
    """

    channels: tuple[int, ...] = (512, 256, 128)
    epochs: int = 20
    batch_size: int = 64  # not stated in the text
    learning_rate: float = 1e-3
    dropout: tuple[float, ...] = (0.3, 0.5, 0.5)
    input_noise: float = 0.0

    def __post_init__(self) -> None:
        _check_fit(self.channels, self.epochs, self.batch_size, self.learning_rate)
        if len(self.dropout) != 3 or not all(0 <= rate < 1 for rate in self.dropout):
            raise InputError(f"`dropout` must be three numbers >= 0 and < 1; got {self.dropout!r}.")
        _at_least("input_noise", self.input_noise, 0)


@dataclass(frozen=True)
class FaceSettings:
    """Images of the split attack (split 3, 3.1, 4.1).

    Attributes:
        faces: images to use at most, training and held-out ones together; fewer where the source has fewer.
        size: height and width that every image is resized to: a multiple of 32, and 192 as MS-SSIM needs 161.
        train_share: training images for each held-out one.
        division: by "name", as published results are, or by "content" (see `data.face_division`).
        groups: "folder": the pictures of a folder, such as one person's, are on one side; by content only.
    """

    faces: int = 40_000
    size: int = 320
    train_share: int = 10
    division: str = "name"
    groups: str = "none"

    def __post_init__(self) -> None:
        _at_least("faces", self.faces, 20)
        _at_least("train_share", self.train_share, 1)
        _one_of("division", self.division, ("name", "content"))
        _one_of("groups", self.groups, ("none", "folder"))
        if self.groups != "none" and self.division == "name":
            raise InputError("`groups` must be none where `division` is name; use `division` content.")
        if self.size < 192 or self.size % 32 or self.size > 1024:
            raise InputError(f"`size` must be a multiple of 32 from 192 to 1024; got {self.size!r}.")


@dataclass(frozen=True)
class EncoderSettings:
    """The attacked model, MobileNetV3-Large, and what is sent of it (split 4).

    Attributes:
        weights: "imagenet" (downloaded by Keras), "random", or a weights or model file of Keras.
        variant: "full", or "minimalistic" (no squeeze-and-excitation, hard-swish and 5x5 kernels).
        cut: C1 to C5, or the layer after which the model is cut.
    """

    weights: str = "imagenet"
    variant: str = "full"
    cut: str = "C4"

    def __post_init__(self) -> None:
        _one_of("variant", self.variant, ("full", "minimalistic"))


@dataclass(frozen=True)
class DecoderSettings:
    """A decoder and its training; the defaults are the text's (split 4.1).

    Attributes:
        decoder: one of `DECODERS`, "released" or "even"; those of the text answer normalised images.
        schedule: of the learning rate: "step" (times 0.93 after every third epoch) or "cosine" (to zero).
        mse, l1, ms_ssim: weights of mean squared and mean absolute error and 1 - MS-SSIM in the loss.
        noise_mean, noise_variance: of Gaussian noise on normalised training images, before the encoder.
    """

    decoder: str
    epochs: int = 25
    batch_size: int = 128
    learning_rate: float = 2.5e-4
    schedule: str = "step"
    mse: float = 1.0
    l1: float = 0.0
    ms_ssim: float = 0.0
    noise_mean: float = 0.02
    noise_variance: float = 0.02

    def __post_init__(self) -> None:
        _one_of("decoder", self.decoder, (*DECODERS, RELEASED, EVEN))
        _one_of("schedule", self.schedule, ("step", "cosine"))
        _at_least("epochs", self.epochs, 1)
        _at_least("batch_size", self.batch_size, 2)
        check_positive("learning_rate", self.learning_rate)
        for name in ("mse", "l1", "ms_ssim", "noise_variance"):
            _at_least(name, getattr(self, name), 0)
        if not abs(self.noise_mean) <= LARGEST:
            raise InputError(f"`noise_mean` must be a finite number; got {self.noise_mean!r}.")
        if not self.mse + self.l1 + self.ms_ssim:
            raise InputError("`mse`, `l1` and `ms_ssim` must not all be 0.")


@dataclass(frozen=True)
class PrototypeSettings:
    """Class prototype: the image per class with the highest mean SSIM on the shadow training set."""

    steps: int = 400
    learning_rate: float = 0.03  # falls to zero along a cosine
    batch_size: int = 512  # images of any class per update

    def __post_init__(self) -> None:
        _at_least("steps", self.steps, 1)
        check_positive("learning_rate", self.learning_rate)
        _at_least("batch_size", self.batch_size, 1)


def _check_fit(channels: tuple[int, ...], epochs: int, batch_size: int, learning_rate: float) -> None:
    if len(channels) != 3 or min(channels) < 1:
        raise InputError(f"`channels` must be three numbers >= 1; got {channels!r}.")
    _at_least("epochs", epochs, 1)
    _at_least("batch_size", batch_size, 2)  # batch normalisation needs two
    check_positive("learning_rate", learning_rate)


def _at_least(name: str, value: float, low: float) -> None:
    if not (isinstance(value, Real) and value >= low):  # so written, NaN fails too
        raise InputError(f"`{name}` must be >= {low}; got {value!r}.")
    if value > LARGEST:
        raise InputError(f"`{name}` must be <= {LARGEST}; got {value!r}.")


def check_whole(name: str, value: int, low: int, high: int | None = None) -> None:
    """Raise `InputError` unless a value is a whole number of at least `low` and, where there is one, at most `high`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"`{name}` must be a whole number; got {value!r}.")
    if value < low or (high is not None and value > high):
        rule = f">= {low}" if high is None else f"between {low} and {high}"
        raise InputError(f"`{name}` must be {rule}; got {value!r}.")


def check_positive(name: str, value: float) -> None:
    """Raise `InputError` unless a number is above 0 and finite."""
    if not (isinstance(value, Real) and 0 < value < float("inf")):
        raise InputError(f"`{name}` must be a positive finite number; got {value!r}.")


def check_not_negative(name: str, value: float) -> None:
    """Raise `InputError` unless a number is finite and at least 0."""
    if not (isinstance(value, Real) and 0 <= value < float("inf")):
        raise InputError(f"`{name}` must be a finite number >= 0; got {value!r}.")


def _one_of(name: str, value: str, legal: tuple[str, ...]) -> None:
    if value not in legal:
        raise InputError(f"`{name}` must be one of {', '.join(legal)}; got {value!r}.")


# At the end because making one calls the checks above. Ours: networks for a bank's and a target's answers, the corrector
BANK_NETWORK = InverterSettings(epochs=32, learning_rate=2e-3, dropout=(0.0, 0.0, 0.0))
TUNING = InverterSettings(epochs=20, learning_rate=2e-3, dropout=(0.1, 0.1, 0.1))
CORRECTION = InverterSettings((128, 4, 24), 12, 64, 1e-3, (0.0, 0.0, 0.0))
DEFAULT_HEAD = HeadSettings()  # the text's choice; then the ten rows of Table 1 in its order
HEADS = tuple(HeadSettings(activation, dropout) for activation in ACTIVATIONS for dropout in (0.0, 0.5))

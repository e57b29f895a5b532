"""Every table, figure and equation of the two works, and where this package has it."""

from dataclasses import dataclass

DRAWINGS = "docs/architecture.md"


@dataclass(frozen=True)
class PaperTable:
    """A table of the text: the section that measures it, the table's file there, and its headline number."""

    number: int
    section: str
    file: str
    row: str
    metric: str


@dataclass(frozen=True)
class PaperFigure:
    """A figure of the text: `files` of a section's results, or of the repository where `section` is empty."""

    numbers: str
    what: str
    section: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class PaperEquation:
    """An equation of the text: the code that is it, the test that holds it against something outside, and any difference."""

    number: str
    what: str
    code: str
    test: str
    difference: str = ""


@dataclass(frozen=True)
class SplitRow:
    """A row of the split text's Table 1: `name` there, and the rows of section 6-published as the text says, and with all."""

    name: str
    row: str
    together: str


SPLIT_ROWS = (
    SplitRow("Decoder with ConvTranspose", "transposed", "transposed@all"),
    SplitRow("Decoder with Upsampling+Conv", "bicubic", "bicubic@all"),
)
TABLES = (
    PaperTable(1, "4.2", "table_1", "none+dropout", "f1"),
    PaperTable(2, "4.2", "table_2", "shadow", "f1"),
    PaperTable(3, "5.1", "table_3", "x_class_average@test", "ssim"),
    PaperTable(4, "5.2", "table_4", "x", "ssim"),
    PaperTable(5, "5.3", "table_5", "x@d=1", "ssim"),
    PaperTable(6, "5.4", "table_6", "x@k=1", "ssim"),
)
FIGURES = (
    PaperFigure("1", "shadow and target model", "", (DRAWINGS,)),
    PaperFigure("2", "inversion model", "", (DRAWINGS,)),
    PaperFigure("3", "class distributions", "5.2", ("figure_3.png",)),
    PaperFigure("4", "starts of the gradient reconstruction", "5.1", ("figure_4.png",)),
    PaperFigure("5", "training workflow", "", (DRAWINGS,)),
    PaperFigure("6", "testing workflow", "", (DRAWINGS,)),
    PaperFigure("7", "confusion matrices", "4.2", ("figure_7.png",)),
    PaperFigure("8", "random search", "5.1", ("figure_8.png",)),
    PaperFigure("9 to 12", "gradient reconstructions", "5.1", ("figures_9_12.png", "median_per_class.png")),
    PaperFigure("13, 14", "M_I(X~)", "5.2", ("figure_13_14.png", "median_per_class.png")),
    PaperFigure("15 to 19", "M_I(O) over k", "5.4", ("figures_15_19.png", "twos_without_loop_o.png")),
    PaperFigure("20 to 24", "M_I(X~) over k", "5.4", ("figures_20_24.png", "twos_without_loop_x.png")),
    PaperFigure("25", "layers of M_T and M_S", "", (DRAWINGS,)),
    PaperFigure("26", "layers of M_I", "", (DRAWINGS,)),
    PaperFigure("27", "M_I(O)", "5.2", ("figure_27.png",)),
    PaperFigure("28", "M_I(A^L)", "5.2", ("figure_28.png",)),
    PaperFigure("29", "M_I(O + A^L)", "5.2", ("figure_29.png",)),
    PaperFigure("30", "M_I(O + X~)", "5.2", ("figure_30.png",)),
    PaperFigure("31", "M_I(A^L + X~)", "5.2", ("figure_31.png",)),
    PaperFigure("32", "M_I(O + A^L + X~)", "5.2", ("figure_32.png",)),
)
_GRADIENT = (
    "mi_keras.attacks.gradient:reconstruct",
    "tests/unit/attacks/test_gradient.py",
)
_SSIM = ("mi_keras.metrics.image:ssim", "tests/unit/metrics/test_image.py")
_BIASED = "local moments are biased (1/N), as in `tf.image.ssim`"
EQUATIONS = (
    PaperEquation("3.4, update of I", "gradient step and clamp", *_GRADIENT, "Adam where the text shows the plain gradient"),
    PaperEquation("1", "total loss of X~", *_GRADIENT),
    PaperEquation("2", "cross-entropy term", *_GRADIENT, "y is the class that M_T predicts; no adversary has the label"),
    PaperEquation("3", "L2 term", *_GRADIENT),
    PaperEquation("4", "total variation term", "mi_keras.metrics.image:total_variation", "tests/unit/metrics/test_image.py"),
    PaperEquation(
        "3.5, update of A^L", "last-linear-layer activations",
        "mi_keras.attacks.activations:recover_activations", "tests/unit/attacks/test_activations.py",
        "the threshold is checked per vector, not per batch; `activation.known` says how own images have theirs",
    ),
    PaperEquation(
        "5", "weighted F1", "mi_keras.metrics.classification:weighted_f1", "tests/unit/metrics/test_classification.py"
    ),
    PaperEquation("6", "Gaussian window of SSIM", *_SSIM),
    PaperEquation("7", "local mean", *_SSIM),
    PaperEquation("8", "luminance", *_SSIM),
    PaperEquation("9", "local standard deviation", *_SSIM, _BIASED),
    PaperEquation("10", "contrast", *_SSIM),
    PaperEquation("11", "structure of an image", *_SSIM),
    PaperEquation("12", "structure", *_SSIM, _BIASED),
    PaperEquation("13", "SSIM as a product", *_SSIM),
    PaperEquation("14", "SSIM", *_SSIM, "plain, in [-1, 1]: the text speaks of 0 to 1 but reports values of this form"),
    PaperEquation("15", "mean squared error", "mi_keras.metrics.image:mse", "tests/unit/metrics/test_image.py"),
    PaperEquation(
        "16", "cross-entropy of the classifiers", "mi_keras.training.classifier:train_classifier", "tests/unit/training/test_classifier.py"
    ),
)  # fmt: skip

"""The metrics of all tables and figures: their names, headings, directions and decimals."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A column of numbers.

    Attributes:
        label: its heading.
        higher_is_better: for what the row does; None: neither.
        negligible: a difference too small to speak of: no verdict rests on less, and none calls more "the same".
        digits: decimals shown: the four of published scores, or fewer where the unit is so small that more say nothing.
    """

    label: str
    higher_is_better: bool | None = None
    negligible: float = 0.005
    digits: int = 4


METRICS: Mapping[str, Metric] = {
    "ssim": Metric("SSIM", True),
    "mse": Metric("MSE", False, 0.002),
    "instance_gain": Metric("instance gain", True),
    "prototype_distance": Metric("distance to prototype", True),
    "loop_rate": Metric("with a loop"),
    "f1": Metric("weighted F1", True),
    "training_loss": Metric("training loss", False),
    "validation_loss": Metric("validation loss", False),
    "accuracy": Metric("accuracy", True),
    "ece": Metric("ECE", False),
    "psnr": Metric("PSNR (dB)", True, 0.1, digits=2),
    "ms_ssim": Metric("MS-SSIM", True),
    # The split text's convention: on ImageNet-normalised values
    "psnr_paper": Metric("PSNR, text's convention (dB)", True, 0.1, digits=2),
    "psnr_paper_batch": Metric("PSNR of a batch, text's convention (dB)", True, 0.1, digits=2),
    "ssim_paper": Metric("SSIM, text's convention", True),
    "ms_ssim_paper": Metric("MS-SSIM, text's convention", True),
    "feature_distance": Metric("feature distance", False),
    "retrieval_100": Metric("found among 100 by features", True, 0.01),
    "retrieval_1000": Metric("found among 1,000 by features", True, 0.01),
    "pixel_retrieval_100": Metric("found among 100 by pixels", True, 0.01),
    "pixel_retrieval_1000": Metric("found among 1,000 by pixels", True, 0.01),
    "found_10": Metric("found among 10 of its class", True, 0.01),
    "detail": Metric("R2 within the class", True),
    "parameters": Metric("parameters", digits=0),
    "kept_maps": Metric("maps sent", digits=0),
    "kilobytes": Metric("kB per image", False, 1.0, digits=1),
    "agreement": Metric("top-1 agreement", True, 0.01),
    "logit_cosine": Metric("cosine of logits", True, 0.01),
    "l2_weight": Metric("L2 weight"),
    "tv_weight": Metric("TV weight"),
}

# How near a measured value of split Table 1 must come for the published one to be called explained: a third of what the
# mean face and the bicubic decoder differ by in PSNR, and more than the rounding of its two digits in the others
EXPLAINED_WITHIN: Mapping[str, float] = {"psnr_paper_batch": 0.7, "ssim_paper": 0.01, "ms_ssim_paper": 0.02}

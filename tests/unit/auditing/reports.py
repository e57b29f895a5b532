"""Made-up reports of an audit: every verdict, every number that may be missing, names that need escaping."""

import functools
from dataclasses import replace

import numpy as np
from skimage import data
from skimage.filters import gaussian
from skimage.transform import resize

from mi_keras.auditing.intervals import Estimate
from mi_keras.auditing.report import (
    AttackRow,
    Control,
    Curve,
    CurvePoint,
    DataFacts,
    DefenceRow,
    ModelFacts,
    PointReport,
    Report,
    Settings,
)
from mi_keras.data.mnist import read_embedded_mnist

EVIL = """<script>alert("1")</script>|&amp;`'*_x_*"""
LONG = "x" * 300
KINDS = ("truth", "rebuilt", "class")


def about(value, half=0.03):
    """Return an estimate with an interval of this half width."""
    return Estimate(value, value - half, value + half, value + 0.84 * half, 1334, 1334, value - 1.6 * half)


def point(name="logits", verdict="LEAKS", found=0.471, detail=0.258, **changes):
    """Return an output point of the digits, as the specification's prototype measured it."""
    best = ("found", "detail")
    attacks = (
        AttackRow("class", "mean of the class", about(0.1), about(0.5), about(0.0), 0.317, ()),
        AttackRow("queries", "learned, 1,000 answers", about(0.38), about(0.79), about(0.19), 0.40, ()),
        AttackRow(
            "unlimited", "learned, MSE", about(found or 0.4), about(0.838), about(detail or 0.2), 0.436, best
        ),
        AttackRow("unlimited", "learned, 1 - SSIM", None, about(0.809), None, 0.55, ()),
    )
    made = PointReport(
        listener="API client",
        name=name,
        is_output=True,
        shape=(10,),
        bytes=40,
        adversary="unlimited",
        verdict=verdict,
        reason="the lower end of found is above the tolerance",
        found=None if found is None else about(found),
        found_note="",
        auc=about(0.838),
        detail=None if detail is None else about(detail, 0.02),
        ssim_gain=about(0.119),
        could_be={},
        p=0.0001,
        most_exposed={"found": 1.0, "detail": 0.61},
        worst_class=("7", 0.62, 131),
        members=about(0.12, 0.09),
        attacks=attacks,
        pictures=3,
    )
    return replace(made, **changes)


def layer(name, verdict, found, detail, **changes):
    """Return a point inside the network."""
    given = {
        "listener": "Cloud, network",
        "is_output": False,
        "shape": (7, 7, 32),
        "bytes": 6272,
        "adversary": "white_box",
    }
    return point(name, verdict, found, detail, **{**given, **changes})


def defence(words, agreement, accuracy, calibration, verdict, found, detail, *, at="logits", size=40):
    """Return a defence that was tried."""
    return DefenceRow(at, words, size, agreement, accuracy, calibration, verdict, "", found, detail)


def curve():
    """Return what leaks at the logits by the number of answers; with few of them, "found" could not be measured."""
    measured = {10: (None, -0.01), 100: (0.19, 0.06), 1000: (0.38, 0.19), 2500: (0.471, 0.258)}
    points = [
        CurvePoint(n, found and about(found), about(0.7), about(detail))
        for n, (found, detail) in measured.items()
    ]
    return Curve("logits", tuple(points))


@functools.cache
def digits_report():
    """Return an audit of the embedded digits with a point of every verdict, and defences; not to be changed."""
    points = (
        layer("backbone/block_1", "LEAKS", 0.97, 0.71, bytes=81_000, shape=(14, 14, 64)),
        layer(
            "backbone/block_6_expand_relu",
            "INCONCLUSIVE",
            0.24,
            0.05,
            could_be={"found": 0.33, "detail": 0.08},
            reason="the interval holds the tolerance",
            worst_class=None,
            members=None,
        ),
        layer(
            "backbone/block_9",
            "VOID",
            0.31,
            0.12,
            reason='control "shuffled" failed',
            pictures=0,
            most_exposed={},
        ),
        layer(
            "backbone/global_pool",
            "LEAKS",
            None,
            0.18,
            found_note="62 images lie in classes of ten or more",
            bytes=256,
            shape=(64,),
        ),
        point(),
        point("probabilities", "BELOW TOLERANCE", 0.13, -0.004, adversary="queries", pictures=1),
    )
    leaks, unclear, below = "LEAKS", "INCONCLUSIVE", "BELOW TOLERANCE"
    defences = (
        defence("none", 1.0, 0.991, 0.006, leaks, about(0.471), about(0.258)),
        defence("rounding to 1 decimal", 0.999, 0.991, 0.006, leaks, about(0.463), about(0.25)),
        defence(
            "probabilities, rounded to 3 decimals", 0.996, 0.988, 0.012, below, about(0.109), about(0.006)
        ),
        replace(
            defence("noise of 0.5, one send", 0.982, 0.976, 0.021, unclear, about(0.21), about(0.04)),
            bayes=about(0.337),
            fano=0.617,
        ),
        defence("label only", 1.0, 0.991, None, below, about(0.1), about(-0.004), size=1),
        replace(
            defence(
                "half of the channels", 0.97, None, None, leaks, None, about(0.55), at="backbone/block_1"
            ),
            auc=about(0.93),
        ),
    )
    return Report(
        model=ModelFacts("chest_small.keras", "9f" * 32, 123_456, (28, 28, 1), "logits", 10),
        data=DataFacts(
            name="mnist",
            fingerprint="ab" * 32,
            images=5168,
            groups=5168,
            grouped_by="image",
            labelled=True,
            sides={"adversary": 2500, "choice": 334, "attacked": 1334, "trained on": 1000},
            moved=3,
            skipped=(("scan_17.png", "cut off"),),
            pixels="0..255 (declared)",
            model_input="0..1 (accuracy 0.99, next 0.11)",
            attack_shape=(28, 28, 1),
            folds=1,
        ),
        settings=Settings(
            "quick", 0, ("class", "queries", "unlimited"), 0.2, 0.05, True, 10, "predicted", 20.0
        ),
        points=points,
        defences=defences,
        controls=(
            Control("shuffled", True, "shuffled ok", "gain -0.035 [-0.05..-0.02]"),
            Control("components", None, "components", "the closed form is 0.02, below 0.05"),
            Control("identity", False, "identity 0.71", "R2 0.71, 0.95 is needed"),
        ),
        assumed=(
            "pixels 0..255 (declared)",
            "Each image is its own group.",
            "Trained on: 1,000 images, named",
        ),
        not_tried=("shadow", "a conversion to TFLite"),
        warnings=("3 near-duplicates were moved to the side of their twin.",),
        cheapest="Cheapest that sufficed: probabilities rounded to 3 decimals. For backbone/block_1 no tried defence did.",
        versions={"mi_keras": "0.1.0", "keras": "3.12.0", "tensorflow": "2.20.0"},
        machine={"processor": "x86-64, AVX2", "threads": "2"},
        pictures=_digits(points),
        curves=(curve(),),
    )


@functools.cache
def photograph_report():
    """Return an audit in colour, without labels, with names that need escaping and without defences; not to be changed."""
    name = f"embedding {EVIL}"
    colour = point(
        name, "LEAKS", None, 0.41, listener=EVIL, adversary=EVIL, auc=None, found_note=EVIL, pictures=2
    )
    report = digits_report()
    whole = np.stack([resize(image, (96, 96)) for image in (data.astronaut(), data.chelsea(), data.coffee())])
    blurred = np.stack([gaussian(image, 4, channel_axis=-1) for image in whole])
    pictures = {
        f"{name}:truth": whole[:2],
        f"{name}:rebuilt": blurred[:2],
        f"{name}:class": np.repeat(blurred.mean(0, keepdims=True), 2, 0),
    }
    return replace(
        report,
        model=replace(
            report.model, name=f"{EVIL}.keras", input_shape=(224, 224, 3), classes=0, output="embedding"
        ),
        data=replace(
            report.data, name=EVIL, labelled=False, grouped_by="folder", groups=412, sides={EVIL: 9}
        ),
        settings=replace(report.settings, class_of="all", tolerance_is_default=False),
        points=(colour,),
        defences=(),
        curves=(),
        controls=(Control(EVIL, False, EVIL, EVIL),),
        assumed=(EVIL,),
        not_tried=(),
        warnings=(EVIL, "\x1b[31m red \u202e", f"{LONG} [{LONG}]"),
        cheapest="",
        versions={EVIL: EVIL},
        machine={EVIL: EVIL},
        pictures={key: np.asarray(array, np.float32) for key, array in pictures.items()},
    )


def _digits(points):
    source = read_embedded_mnist()
    truth = source.test_images[[3, 500, 900]].astype(np.float32) / 255
    pictures = {}
    for n, made in enumerate(points):
        blur = 0.6 + 0.5 * n
        rebuilt = np.stack([gaussian(image, blur, channel_axis=-1) for image in truth])
        typical = np.stack([source.test_images[k : k + 400].mean(0) / 255 for k in (0, 400, 800)])
        for kind, images in zip(KINDS, (truth, rebuilt, typical), strict=True):
            if made.pictures:
                pictures[f"{made.name}:{kind}"] = images[: made.pictures].astype(np.float32)
    return pictures

"""The arguments of `mi-keras audit`, and the options that they make."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mi_keras.arguments import add_cluster, add_processes
from mi_keras.auditing.options import ADVERSARIES, DEFAULT_ADVERSARIES, DEFAULT_BUDGET, PRESETS, Options
from mi_keras.auditing.verdict import Tolerance
from mi_keras.command import OneLineErrors
from mi_keras.errors import InputError
from mi_keras.machine import FLOAT32, PRECISIONS


def parsed(made: OneLineErrors, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments as `parser` reads them, the adversaries by name."""
    given = made.parse_args(arguments)
    given.adversaries = _names(given)
    return given


def options_of(given: argparse.Namespace) -> Options:
    """Return the options that arguments make; raises `InputError`."""
    return Options(
        at=tuple(given.at), adversaries=given.adversaries, preset=given.preset, seed=given.seed,
        pixels=given.pixels, model_input=given.model_input, output=given.output, output_kind=given.output_kind,
        labels=given.labels, groups=given.groups, size=_size(given.size), trained_on=given.trained_on,
        class_names=tuple(given.class_names.split(",")) if given.class_names else None,
        class_of=given.class_of, attack_size=given.attack_size, among=given.among, budget=given.budget,
        defend=tuple(given.defend), sends=given.sends,
        queries=_counts(given.queries), fix=fix_of(given.fix), public_backbone=given.public_backbone,
        attacker_seeds=given.attacker_seeds,
        tolerance=Tolerance.parse(given.tolerance) if given.tolerance is not None else None,
    )  # fmt: skip


def fix_of(texts: Sequence[str]) -> dict[str, float | list[float]]:
    """Return the constant values of inputs other than the image."""
    found: dict[str, float | list[float]] = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        try:
            numbers = [float(part) for part in value.split(",")]
        except ValueError:
            numbers = []
        if not name or not numbers or name in found:
            raise InputError(
                f"`fix` must be NAME=NUMBER, or NAME=NUMBER,NUMBER,... for a vector, once for each name; got {text!r}."
            )
        found[name] = numbers if len(numbers) > 1 else numbers[0]
    return found


def _names(given: argparse.Namespace) -> tuple[str, ...]:
    """Return the adversaries, with commas or without; a last word that is none is the MODEL, if that is missing."""
    words = list(given.adversaries or ())
    if len(words) > 1 and given.model is None and words[-1] not in ADVERSARIES:
        given.model = words.pop()
    return tuple(name for word in words for name in word.strip(",").split(","))


def _counts(text: str | None) -> tuple[int, ...]:
    parts = text.split(",") if text else []
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"`queries` must be whole numbers with commas, such as 10,100,1000; got {text!r}.")
    return tuple(int(part) for part in parts)


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 2 or not all(part.isdecimal() and int(part) for part in parts):
        raise InputError(f"`size` must be H,W, whole numbers >= 1; got {text!r}.")
    return int(parts[0]), int(parts[1])


def parser() -> OneLineErrors:
    """Return the parser of `mi-keras audit`."""
    made = OneLineErrors(
        prog="mi-keras audit", description="Find out what can be rebuilt of an image from what a Keras model sends out.",
        epilog="Without MODEL: a demonstration on embedded digits. Finished steps are kept in $MI_KERAS_HOME (default: "
        ".mi_keras). Exit codes with --fail-above: 3 where an upper bound is above the limit, 4 where nothing can be said.",
    )  # fmt: skip
    add = made.add_argument
    add("model", nargs="?", metavar="MODEL", help="a .keras or .h5 file; no code of it is run")
    add(
        "--data",
        metavar="SOURCE",
        help="images: a folder, a .zip or an .npz file, or folder:, zip:, npz:PATH, or mnist",
    )
    add("--at", action="append", default=[], metavar="POINT",
        help="points to audit: a layer's path, an output, or a view such as logits, probabilities, rounded=3, top=3, label, also "
        "as OUTPUT:VIEW; several times (default: the views of the output)")  # fmt: skip
    add(
        "--list-points", action="store_true", help="list where the model can be observed, and do nothing else"
    )
    add(
        "--adversaries",
        nargs="+",
        metavar="A",
        help=f"of {', '.join(ADVERSARIES)} (default: {' '.join(DEFAULT_ADVERSARIES)}, and at layers white_box on few images)",
    )
    add(
        "--public-backbone",
        default="",
        metavar="PATH",
        help='a layer up to which the model is public with its weights, for the adversary "shadow"',
    )
    add(
        "--queries",
        metavar="N,N",
        help='answers that the adversary "queries" has, several for a curve (default: 1000; smoke: 100)',
    )
    add(
        "--preset",
        default="quick",
        choices=PRESETS,
        help="how hard the attacks try; smoke only tests that all runs (default: quick)",
    )
    add("--seed", type=int, default=1, help="root of all random choices (default: 1)")
    add("--attacker-seeds", type=int, default=1, metavar="N",
        help="train the published attacks with N - 1 other seeds too, and show how far they spread (default: 1)")  # fmt: skip
    add("--precision", default=FLOAT32, choices=PRECISIONS,
        help="number format of products in the attackers' networks; bfloat16 is faster where the processor supports it (default: float32)")  # fmt: skip
    add_processes(made)
    add_cluster(made)
    add("--pixels", metavar="RANGE", help="what the data holds: 0..1, 0..255 or -1..1; files are 0..255")
    add(
        "--model-input",
        metavar="RANGE",
        help="what the model expects: 0..1, 0..255, -1..1, caffe, torch or MODULE:FUNCTION; found by accuracy where there are labels",
    )
    add("--labels", default="none", metavar="none|folder", help="folder: a subfolder is a class")
    add(
        "--class-names",
        metavar="A,B",
        help="names of the classes, as subfolders or labels have them, in the order of the model's outputs (default: by name)",
    )
    add(
        "--groups",
        default="none",
        metavar="none|folder",
        help="folder: a subfolder is a person, who is never on both sides",
    )
    add("--trained-on", metavar="KEY", help="key of the npz with the images that the model was trained on")
    add("--size", metavar="H,W", help="size of images for a model of variable size")
    add(
        "--attack-size",
        type=int,
        default=96,
        metavar="N",
        help="largest side of what is reconstructed (default: 96)",
    )
    add("--fix", action="append", default=[], metavar="NAME=VALUE",
        help="constant value of an input other than the image: a number, or numbers with commas for a vector; once for each")  # fmt: skip
    add("--output", metavar="NAME", help="output that predicts the class, where there are several")
    add(
        "--output-kind",
        metavar="KIND",
        help="what answers are, where their values do not say it, such as embedding",
    )
    add(
        "--class-of",
        default="prediction",
        metavar="prediction|all",
        help="all: images are told from all others, not from those of their class",
    )
    add(
        "--budget",
        type=float,
        default=DEFAULT_BUDGET,
        metavar="MINUTES",
        help="for the attacks at each point; 0: no limit (default: %(default)g)",
    )
    add(
        "--among",
        type=int,
        default=10,
        metavar="N",
        help="number of images from which the true one is picked (default: 10)",
    )
    add(
        "--tolerance",
        metavar="found=X,detail=Y",
        help="what you tolerate above the baselines (default: found=0.20,detail=0.05, ours)",
    )
    add(
        "--fail-above",
        metavar="found=X",
        help="exit with 3 where the upper bound of a named number is above its baseline + X: found=0.3 allows 40 %% picked "
        "where chance is 10 %%",
    )
    add("--defend", action="append", default=[], metavar="SPEC",
        help="try a defence: of outputs rounding=D, top=K, temperature=T, noise=S (of the logits' spread) or label; of layers "
        "bits=B, kept=M or kept=SHARE (maps) or noise=S (of each map's spread); several times")  # fmt: skip
    add("--sends", type=int, default=1, metavar="K",
        help="answers to an image that an adversary averages where a defence adds noise (default: 1)")  # fmt: skip
    add(
        "--import",
        action="append",
        default=[],
        dest="imports",
        metavar="MODULE",
        help="import a module with custom classes of the model",
    )
    add(
        "--out",
        type=Path,
        default=Path("audit"),
        metavar="DIR",
        help="folder of page, card and JSON, in place of those of an earlier audit there (default: audit)",
    )
    add("--offline", action="store_true", help="never download; an audit never does")
    add("--json", action="store_true", help="print the JSON document instead of the first screen")
    return made

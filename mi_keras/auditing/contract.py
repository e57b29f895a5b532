"""Checks before anything is trained: model and images fit each other; what is assumed is recorded."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mi_keras.auditing.division import Divided, divide
from mi_keras.auditing.expected_input import SAMPLE, expected_input
from mi_keras.auditing.model_input import model_input
from mi_keras.auditing.options import Options
from mi_keras.auditing.pixels import to_unit
from mi_keras.auditing.pool import Pool, read_pool
from mi_keras.auditing.report import DataFacts
from mi_keras.auditing.subject import (
    BATCH,
    MEMBERS,
    OWN,
    SIDES,
    Prepare,
    Side,
    Subject,
    answering,
    attacked_size,
    check_takes_images,
    truth_of,
)
from mi_keras.auditing.views import Output, output_of_kind
from mi_keras.data.preprocess import as_unit
from mi_keras.errors import InputError
from mi_keras.models.shadow import check_public
from mi_keras.models.target import Target, observed_at, points

MOST_OWN = {"smoke": 400, "quick": 4_000, "full": 100_000}  # images that the adversary learns from, by preset
FEW = 8  # images that show whether code has changed
SUBFOLDERS = " Where subfolders are classes, `labels='folder'` gives them."
SHOWN = 6  # numbers that an input is held at
SAME = 1e-5  # of the largest answer
ALIKE = 1e-2  # the same on another device, whose products may have fewer bits
COMPARED = 64  # answers of an image that devices compare
NO_CLASS = ("embedding", "several labels")  # kinds of answers whose largest is no class


@dataclass(frozen=True)
class Contract:
    """A model and its images, checked.

    Attributes:
        subjects: one for each fold.
        data: facts for the report.
        assumed, warnings: sentences for the report.
        class_names: of the labels, () without any.
        names: of the images, by row.
        seen: what the model is given of the first images, as a hash, and what it answers to them; no answers where they are random.
    """

    subjects: tuple[Subject, ...]
    data: DataFacts
    assumed: tuple[str, ...]
    warnings: tuple[str, ...]
    class_names: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    seen: tuple[str, NDArray[np.float32]] = ("", np.empty(0, np.float32))

    def agree_on_code(self, agree: Callable[[Callable[[], Any]], Any]) -> None:
        """Identify the model's code as the process that leads does, where it answers as there but for rounding.

        Answers of another device differ so little, and stages would not be known by it.

        Args:
            agree: see `store.Store.agree`.
        """
        data, (given, answers) = dict(self.subjects[0].data), self.seen
        told = agree(lambda: {"code": data["code"], "given": given, "answers": answers.tolist()})
        theirs = np.array(told["answers"], np.float32)
        largest = float(np.abs(theirs).max(initial=0))
        if (
            told["given"] == given
            and theirs.shape == answers.shape
            and np.allclose(answers, theirs, 0, ALIKE * largest)
        ):
            for subject in self.subjects:
                subject.data = data | {"code": told["code"]}


def inspect(
    model: keras.Model,
    name: str,
    data: Any,
    options: Options,
    read: Callable[[Pool], object] = lambda _: None,
) -> Contract:
    """Return what is audited; `read` is told the images as soon as they are read.

    Raises:
        InputError: model, images or options do not fit each other.
    """
    target = observed_at(model, _output_name(model, options), options.fix)
    check_takes_images(target.image)
    height, width, channels = target.image.shape[1:]
    own = (height, width) if height and width else None
    if options.size and own and options.size != own:
        raise InputError(f"`size={own}` must be the model's input where `size` is given; got {options.size}.")
    pool = read_pool(
        data, labels=options.labels, groups=options.groups, size=own or options.size, channels=channels,
        pixels=options.pixels, trained_on=options.trained_on, class_names=options.class_names,
    )  # fmt: skip
    read(pool)
    images = (
        pool.images
        if pool.images.dtype == np.uint8 and pool.pixels == "0..255"
        else to_unit(pool.images, pool.pixels)
    )
    _check_labels(pool, target, options)
    answer = answering(target)
    tells_class = (
        len(target.point.shape) == 1 and options.class_of != "all" and options.output_kind not in NO_CLASS
    )
    expected = expected_input(
        options.model_input, answer, images, pool.labels, names=pool.class_names, channels=channels,
        dtype=target.image.dtype, tells_class=tells_class,
        hint=SUBFOLDERS if pool.name.startswith(("folder:", "zip:")) else "",
    )  # fmt: skip
    given = expected.given
    prepare = model_input(given, channels=channels)
    sample = answer(images[:SAMPLE], prepare)
    if not np.isfinite(sample).all():
        raise InputError(f"`model` must answer in finite numbers; {target.point.name} sent NaN or infinity.")
    output, output_words = _output(sample, options)
    if options.public_backbone:
        check_public(model, options.public_backbone, target.point.name, options.fix)
    divided = divide(images, pool.groups, seed=options.seed, trained_on=pool.trained_on)
    size = attacked_size(images.shape[1:3], (height, width), options.attack_size)
    random = not _alike(sample[:BATCH], answer(images[:BATCH], prepare))
    most_own = MOST_OWN[options.preset]
    code, seen = _code(prepare, images, None if random else sample)
    identity = {
        "most_own": most_own, "fingerprint": pool.fingerprint, "division": _division(divided, options.seed), "model_input": given, "size": list(size),
        "code": code, "class_of": options.class_of, "output": [output.kind, output.width, len(output.patterns)],
    }  # fmt: skip
    copies = {target.point.name: target}  # of the model: the folds share them
    subjects = tuple(
        Subject(
            model, name, target.point.name, output, prepare, _sides(images, pool, divided, fold, size, most_own), identity,
            class_of_all=options.class_of == "all", random=random, fix=options.fix, public=options.public_backbone,
            _targets=copies,
        )
        for fold in range(len(divided.folds))
    )  # fmt: skip
    spare = max(0, len(divided.folds[0].own) - most_own)  # in folds there are fewer than any preset takes
    facts = _facts(pool, divided, (*size, channels), given, spare)
    assumed = (
        f"Pixels {pool.pixels} ({'declared' if options.pixels else 'bytes'}).", expected.assumed, output_words,
        "Images that the model was trained on: "
        + (f"{facts.sides[MEMBERS]:,} are attacked apart." if facts.sides[MEMBERS] else "unknown."),
        *(f"Input {name} is held at {_shown(value)}." for name, value in options.fix.items()),
        _left_out(spare, divided.left_out, f"preset {options.preset} takes {most_own:,}"), *pool.notes,
    )  # fmt: skip
    warnings = [*expected.warnings, *([divided.warning] if divided.warning else [])]
    if _is_constant(sample):
        warnings.append(
            "The model answers the same for every image: were its weights loaded, and is it given what it expects?"
        )
    if random:
        warnings.append(
            "The model answers at random: two calls on the same images differ. Each image is sent once."
        )
    if facts.grouped_by == "image":
        warnings.append(
            "Images are their own groups: one person may be on both sides unless groups are declared."
        )
    return Contract(
        subjects, facts, tuple(s for s in assumed if s), tuple(warnings), pool.class_names, pool.names, seen
    )


def _division(divided: Divided, seed: int) -> int | list[int | str]:
    """Return what identifies a division, as a JSON value; groups of several images were once divided otherwise."""
    is_grouped = len(np.unique(divided.groups)) < len(divided.groups)
    return [seed, "groups in turn"] if is_grouped else seed


def _code(
    prepare: Prepare, images: NDArray[Any], answers: NDArray[Any] | None
) -> tuple[str, tuple[str, NDArray[np.float32]]]:
    """Return a hash of what the model is given of the first images and answers: code of the user's own, before the model
    or in it, may change under one name. With it comes what is hashed, see `Contract.seen`."""
    digest = hashlib.sha256(np.ascontiguousarray(prepare(as_unit(images[:FEW])), np.float32).tobytes())
    given, few = digest.hexdigest(), np.empty(0, np.float32)
    if answers is not None:
        first = answers[:FEW].astype(np.float32)
        digest.update(first.round(3).tobytes())
        few = first.reshape(len(first), -1)[:, :COMPARED]
    return digest.hexdigest(), (given, few)


def _is_constant(answers: NDArray[Any]) -> bool:
    """Tell whether answers differ by no more than rounding."""
    flat = answers.reshape(len(answers), -1)
    return bool((np.ptp(flat, axis=0) <= SAME * np.maximum(np.abs(flat).max(axis=0), 1e-30)).all())


def _check_labels(pool: Pool, target: Target, options: Options) -> None:
    """Refuse labels of more classes than the model tells apart."""
    width = target.point.shape[0] if len(target.point.shape) == 1 else None
    if options.class_of == "all" or options.output_kind or width is None or width < 2:
        return
    if len(pool.class_names) > width:
        raise InputError(
            f"`labels` must be classes of the model, which has {width} outputs; got {len(pool.class_names)} classes: "
            f"{', '.join(pool.class_names[:3])}, ... Without `labels`, subfolders mean nothing."
        )


def _output_name(model: keras.Model, options: Options) -> str:
    names, wanted = [point.name for point in points(model, options.fix) if point.is_output], options.output
    if wanted is None and len(names) > 1:
        raise InputError(
            f"`output` must name the output that predicts the class, one of {', '.join(names)}; got none."
        )
    if wanted is not None and wanted not in names:
        raise InputError(f"`output` must be one of {', '.join(names)}; got {wanted!r}.")
    return wanted or names[0]


def _alike(first: NDArray[Any], second: NDArray[Any]) -> bool:
    """Whether two calls gave the same: some devices add up in another order each time."""
    return bool(np.allclose(first, second, rtol=0, atol=SAME * float(np.abs(first).max())))


def _output(sample: NDArray[Any], options: Options) -> tuple[Output, str]:
    if sample.ndim != 2:  # a map, or a sequence: nothing in it is a class
        return Output("embedding", int(np.prod(sample.shape[1:]))), "The output is a map: it tells no class."
    output = output_of_kind(sample, options.output_kind)
    how = "declared" if options.output_kind else "by their values"
    classes = f", {output.classes} classes" if output.classes > 1 else ""
    return output, f"Answers are {output.kind}{classes} ({how})."


def _sides(
    images: NDArray[Any], pool: Pool, divided: Divided, fold: int, size: tuple[int, int], most_own: int
) -> dict[str, Side]:
    sides = {}
    for name in SIDES:
        places = getattr(divided.folds[fold], name)
        places = places[:most_own] if name == OWN else places  # in the order of a hash
        if len(places):
            labels = None if pool.labels is None else pool.labels[places]
            truth = truth_of(images[places], places.astype(np.uint64), size)
            sides[name] = Side(images[places], truth, divided.groups[places], labels)
    return sides


def _shown(value: Any) -> str:
    numbers = [f"{number:g}" for number in np.ravel(value)]
    return ", ".join(numbers[:SHOWN]) + (f", ... ({len(numbers)} numbers)" if len(numbers) > SHOWN else "")


def _left_out(own: int, seen: int, taken: str) -> str:
    """Return the sentence on images that are on no side, "" without any."""
    parts = [f"{own:,} of the adversary's own, of which {taken}"] if own else []
    parts += [f"{seen:,} that the model was trained on, or of a group with one that it was"] if seen else []
    return f"Left out: {'; '.join(parts)}." if parts else ""


def _facts(pool: Pool, divided: Divided, shape: tuple[int, int, int], given: str, spare: int) -> DataFacts:
    sides = {name: len(getattr(divided.folds[0], name)) for name in SIDES}
    sides[OWN] -= spare
    if len(divided.folds) > 1:
        sides = {**sides, "attacked": sum(len(fold.attacked) for fold in divided.folds)}
    return DataFacts(
        name=pool.name, fingerprint=pool.fingerprint, images=len(pool), groups=len(np.unique(divided.groups)),
        grouped_by="declared group" if pool.group_names else "image", labelled=pool.labels is not None, sides=sides,
        moved=divided.moved, skipped=pool.skipped, pixels=pool.pixels, model_input=given, attack_shape=shape,
        folds=len(divided.folds), left_out=spare + divided.left_out,
    )  # fmt: skip

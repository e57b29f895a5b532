"""What a defence costs the honest user, who gets one answer to each image: unchanged classes, accuracy, calibration."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from mi_keras.auditing.bench import AuditBench
from mi_keras.auditing.sent import Sent
from mi_keras.auditing.subject import ATTACKED, BATCH
from mi_keras.auditing.views import SMALLEST, Output, View, default_views
from mi_keras.defenses.defense import Defended, Defense
from mi_keras.metrics.classification import expected_calibration_error
from mi_keras.types import Floats, Ints, Rows

TELL_A_CLASS = ("logits", "probabilities", "one sigmoid unit")  # of these a label is right or wrong


@dataclass(frozen=True)
class Price:
    """Over the attacked images; None where it does not apply.

    Attributes:
        agreement: share of images whose predicted class is that of the model without a defence.
        accuracy: share of right answers, where there are labels.
        calibration: expected calibration error, where there are labels and answers say how sure the model is.
    """

    agreement: float | None = None
    accuracy: float | None = None
    calibration: float | None = None


def price(benches: Sequence[AuditBench], sent: Sent, defense: Defense | None) -> Price:
    """Return what a defence costs at a point.

    Args:
        benches: of the point, one for each fold.
        sent: what is sent behind the defence: of an output it may be another view.
        defense: what is done beyond that.
    """
    output = benches[0].subject.output
    if output.kind == "embedding":
        return Price()
    parts = [_answers(bench, sent, defense) for bench in benches]
    if any(part is None for part in parts):
        return Price()
    answers = np.concatenate([part for part in parts if part is not None])
    raw = [bench.values(bench.subject.output_name, ATTACKED)[:] for bench in benches]
    classes = output.classes_of(answers)
    agreement = float(np.mean(classes == output.classes_of(np.concatenate(raw))))
    sides = [bench.subject.sides[ATTACKED].labels for bench in benches]
    if any(labels is None for labels in sides) or output.kind not in TELL_A_CLASS:
        return Price(agreement)
    labels = np.concatenate([each for each in sides if each is not None])
    view = sent.view if sent.with_class else default_views(output)[0]
    return Price(agreement, float(np.mean(classes == labels)), _calibration(answers, labels, view, output))


def _answers(bench: AuditBench, sent: Sent, defense: Defense | None) -> Floats | None:
    """Return what a user gets for the attacked images; behind a layer, what the tail makes of it."""
    values = bench.values(sent.point, ATTACKED)
    if defense is not None:
        values = Defended(values, defense, bench.measured(defense), bench.derive("price"))
    output = bench.subject.output
    if sent.with_class:
        return np.asarray(values[:]) if sent.view.form == "label" else sent.view.shown(values[:], output)
    return _behind(bench, sent.point, values)


def _behind(bench: AuditBench, point: str, values: Rows) -> Floats | None:
    """Return the answers of the output that tells the class; None where it is not made of what the point sends."""
    subject, tail = bench.subject, bench.subject.target(point).tail
    if tail is None:
        return None
    call = tf.function(lambda batch: tail(batch, training=False), autograph=False, reduce_retracing=True)
    found = []
    for start in range(0, len(values), BATCH):
        answers = call(tf.constant(np.asarray(values[start : start + BATCH], np.float32)))
        if isinstance(answers, dict):
            answers = answers.get(subject.output_name)
        if answers is None or tuple(answers.shape[1:]) != (subject.output.width,):
            return None
        found.append(np.asarray(answers, np.float32))
    return np.concatenate(found)


def _calibration(answers: Floats, labels: Ints, view: View, output: Output) -> float | None:
    """Return the calibration error of answers as they are shown."""
    if view.form == "label" or (view.form == "logits" and view.top):
        return None  # nobody can tell how sure the model is
    if view.form == "logits":
        return expected_calibration_error(answers, labels)
    shares = answers if output.kind != "one sigmoid unit" else np.concatenate([1 - answers, answers], axis=1)
    return expected_calibration_error(np.log(np.maximum(shares, SMALLEST)), labels)

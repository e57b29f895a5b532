"""What a defence costs, worked by hand for every kind of answer."""

from types import SimpleNamespace

import numpy as np
import pytest

from mi_keras.auditing.price import Price, price
from mi_keras.auditing.sent import Sent
from mi_keras.auditing.subject import ATTACKED
from mi_keras.auditing.views import Output, View


def bench_of(values, output, labels=None):
    """Return what `price` asks of a bench whose model answers these values."""
    sides = {ATTACKED: SimpleNamespace(labels=None if labels is None else np.array(labels))}
    subject = SimpleNamespace(output=output, output_name="answers", sides=sides)
    return SimpleNamespace(subject=subject, values=lambda point, side: np.array(values, np.float32))


SHARES = [[0.95, 0.05], [0.45, 0.55], [0.3, 0.7], [0.2, 0.8]]


def paid(values, output, view, labels=None):
    return price([bench_of(values, output, labels)], Sent("answers", view), None)


def test_of_probabilities_without_labels_the_kept_classes_alone_are_known():
    """Rounded to whole numbers, (0.45, 0.55) is (0, 1): all keep their class; three ties would not."""
    output = Output("probabilities", 2)
    assert paid(SHARES, output, View("probabilities", decimals=0)) == Price(1.0)
    assert paid(
        [[0.4, 0.3, 0.3], [0.3, 0.3, 0.4]], Output("probabilities", 3), View("probabilities", decimals=0)
    ) == Price(0.5)


def test_right_answers_and_calibration_are_of_what_is_shown():
    """Rounded to 0 or 1 the model is sure of all four and right in three: its error is 1/4."""
    found = paid(SHARES, Output("probabilities", 2), View("probabilities", decimals=0), [0, 0, 1, 1])
    assert found.accuracy == 0.75
    assert found.calibration == pytest.approx(0.25, abs=1e-6)
    # Logits are in other bins, but each alone: |right - sure| of 0.95, 0.55, 0.7 and 0.8, averaged
    plain = paid(np.log(SHARES), Output("logits", 2), View("logits"), [0, 0, 1, 1])
    assert plain.calibration == pytest.approx((0.05 + 0.55 + 0.3 + 0.2) / 4, abs=1e-6)
    shown = paid(np.log(SHARES), Output("logits", 2), View("probabilities"), [0, 0, 1, 1])
    assert shown.calibration == pytest.approx(plain.calibration, abs=1e-6)


def test_one_sigmoid_unit_is_two_classes():
    output, labels = Output("one sigmoid unit", 1), [0, 0, 1, 1]
    unit = [[row[1]] for row in SHARES]
    found = paid(unit, output, View("probabilities"), labels)
    assert (found.agreement, found.accuracy) == (1.0, 0.75)
    assert found.calibration == pytest.approx((0.05 + 0.55 + 0.3 + 0.2) / 4, abs=1e-6)


def test_nobody_can_tell_how_sure_a_label_or_the_largest_logits_are():
    output = Output("logits", 2)
    assert paid(np.log(SHARES), output, View("label"), [0, 0, 1, 1]) == Price(1.0, 0.75)
    assert paid(np.log(SHARES), output, View("logits", top=1), [0, 0, 1, 1]) == Price(1.0, 0.75)
    assert paid(SHARES, Output("several labels", 2), View("probabilities"), [0, 0, 1, 1]) == Price(1.0)
    assert paid(SHARES, Output("embedding", 2), View("raw"), [0, 0, 1, 1]) == Price()

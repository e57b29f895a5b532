"""Arguments of public functions of a wrong type or size: refused by a line that names them, not taken for something else."""

import numpy as np
import pytest

from mi_keras import defenses, metrics
from mi_keras.models import build_cnn, observe, points
from mi_keras.settings import SplitSettings

LOGITS, LABELS = np.eye(4, dtype=np.float32), np.arange(4)
IMAGES = np.zeros((4, 16, 16, 1), np.float32)
CASES = {
    "noise in words": (lambda: defenses.Noise("1"), "`deviation` must be a positive finite number; got '1'"),
    "no temperature": (lambda: defenses.Temperature(None), "`temperature` must be a positive finite number; got None"),
    "a share in words": (lambda: defenses.LabelSmoothing("1"), "`share` must be .*; got '1'"),
    "one map": (lambda: defenses.KeptMaps(3), "`kept` must be one or more different numbers >= 0; got 3"),
    "a count in words": (lambda: SplitSettings(train_per_class="5"), "`train_per_class` must be >= 2; got '5'"),
    # one prediction went with every label, and the largest of NaN is the first class
    "one prediction": (lambda: metrics.confusion_matrix(LABELS, LABELS[:1], 4), "`labels` and `predictions` must be equally many"),
    "logits of NaN": (lambda: metrics.accuracy(LOGITS * np.nan, LABELS), "`output_vector` must be finite"),
    "fewer errors": (lambda: metrics.detail(np.ones(3), np.ones(2)), "`errors` and `class_errors` must be equally many"),
    "fewer truths": (lambda: metrics.found_within_class(LOGITS, LOGITS[:2], LABELS, 2), "must be equally many; got 4, 2 and 4"),
    "batches of none": (lambda: metrics.score(IMAGES, IMAGES, batch_size=0), "`batch_size` must be >= 1; got 0"),
    "no images": (lambda: observe(build_cnn((16, 16, 1), channels=(2, 2, 2)), IMAGES[:0]), "`images` must be one or more"),
    "no model": (lambda: points("model.keras"), "`model` must be a Keras model; got a str"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_argument_is_refused_by_a_line(case):
    call, words = CASES[case]
    with pytest.raises(ValueError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)

"""Audits of unusual models from end to end, and what they leave behind: nothing."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from small_audits import (
    SIDE,
    WORKED_OUT,
    Noise,
    any_size,
    audited,
    class_only,
    half,
    layers,
    linear,
    network,
    pictures,
    point_of,
    two_outputs,
    verdicts,
)

from mi_keras.auditing.contract import inspect
from mi_keras.auditing.options import Options
from mi_keras.auditing.subject import ATTACKED

__all__ = ["linear"]


WHOLE_AUDITS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "map output": (lambda: keras.Sequential([keras.Input((SIDE, SIDE, 1)), layers.Conv2D(1, 3, padding="same", name="image_again")]),
                   pictures(), {}),
    "small colour images, not square": (lambda: network(shape=(8, 12, 3)), pictures(height=8, width=12, channels=3), {"at": ("logits",)}),
    "any size": (any_size, pictures(channels=3), {"size": (SIDE, SIDE), "at": ("logits",)}),
    "1,000 classes": (lambda: network(1000), pictures(), {"at": ("rounded=3",)}),
    "half precision": (half, pictures(), {"at": ("map",)}),
    "several labels in folds": (lambda: network(5, activation="sigmoid", scale=4.0), pictures(200), {"at": ("probabilities",)}),
    "another output": (two_outputs, pictures(), {"output": "kind", "at": ("age",)}),
}  # fmt: skip


@pytest.mark.parametrize(
    "case",
    [
        "small colour images, not square",
        pytest.param("map output", marks=pytest.mark.slow),
        "several labels in folds",
    ],
)
def test_unusual_models_are_audited(case: str, tmp_path: Path, linear: None) -> None:
    _check_audited(case, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("case", WHOLE_AUDITS)
def test_unusual_models_are_audited_with_all_attacks(case: str, tmp_path: Path) -> None:
    _check_audited(case, tmp_path)


def _check_audited(case: str, folder: Path) -> None:
    build, data, options = WHOLE_AUDITS[case]
    report = audited(build(), data, folder, **options)
    assert all(control.ok is not False for control in report.controls)
    assert set(verdicts(report).values()) <= {"LEAKS", "BELOW TOLERANCE", "INCONCLUSIVE"}
    if case in ("map output", "half precision"):
        assert set(verdicts(report).values()) == {"LEAKS"}


def test_a_class_of_two_images_counts_for_all_but_found(tmp_path: Path, linear: None) -> None:
    model, images = network(), pictures(seed=3)  # of which one of the two is attacked
    lead = np.asarray(model(images / 255))
    lead = np.sort(lead[:, 2] - lead[:, :2].max(axis=1))
    kernel, bias = model.get_weights()
    model.set_weights([kernel, bias - [0, 0, (lead[-2] + lead[-3]) / 2]])
    assert np.bincount(np.asarray(model(images / 255)).argmax(axis=1)).tolist()[2] == 2
    options = Options(**WORKED_OUT, at=("logits",))
    attacked = inspect(model, "model", images, options).subjects[0].sides[ATTACKED].images
    assert np.bincount(np.asarray(model(attacked / 255)).argmax(axis=1)).tolist()[2] == 1
    report = audited(model, images, tmp_path, at=("logits",))
    found, detail = point_of(report, "logits").found, point_of(report, "logits").detail
    assert found is not None
    assert detail is not None
    assert (found.n, detail.n) == (len(attacked) - 1, len(attacked))


def test_the_model_is_left_as_it_was(tmp_path: Path, linear: None) -> None:
    inner = network()
    dropped = layers.Dropout(0.5, name="dropped")(inner.output)
    model = keras.Model(inner.input, layers.Dense(3, name="last")(Noise(0.1)(dropped)))
    before = [np.array(variable) for variable in model.variables]
    nodes = [len(layer._inbound_nodes) for layer in model.layers]
    audited(model, pictures(), tmp_path, at=("logits", "flat"))
    for variable, array in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, array)
    assert [len(layer._inbound_nodes) for layer in model.layers] == nodes


@pytest.mark.slow
def test_members_are_attacked_once_though_there_are_four_folds(tmp_path: Path, linear: None) -> None:
    seen = np.arange(420) < 220
    found = inspect(network(), "model", pictures(), Options(model_input="0..1", trained_on=seen))
    assert (found.data.folds, found.data.sides["members"]) == (4, 220)
    report = audited(network(), pictures(), tmp_path, trained_on=seen, at=("logits",))
    members = point_of(report, "logits").members
    assert members is not None
    assert members.n <= 200 + 220


@pytest.mark.slow
def test_in_folds_too_the_class_alone_tells_no_image_from_others(tmp_path: Path, linear: None) -> None:
    values = []
    for seed in (1, 2):
        report = audited(class_only(6), pictures(120, seed=seed), tmp_path / str(seed), at=("label",))
        assert report.data.folds == 4
        auc = point_of(report, "label").auc
        assert auc is not None
        values.append(auc.value)
    # Where images that an attack has learned from are among the others, it is 0.40
    assert np.mean(values) == pytest.approx(0.5, abs=0.06)

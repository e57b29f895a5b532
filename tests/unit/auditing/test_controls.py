"""Which controls stand for a point: its own, whichever others are audited, and in which order they are named."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_audits import pictures, two_maps

from mi_keras.auditing import controls
from mi_keras.auditing.bench import AuditBench
from mi_keras.auditing.components_head import ComponentsHead
from mi_keras.auditing.contract import inspect
from mi_keras.auditing.options import Options
from mi_keras.auditing.points import sent_at
from mi_keras.auditing.report import Control
from mi_keras.auditing.sent import Sent
from mi_keras.auditing.sizes import SIZES
from mi_keras.auditing.subject import Subject
from mi_keras.experiments.store import Store
from mi_keras.progress import SilentProgress
from mi_keras.types import Images

POINTS = ("wide", "logits", "narrow", "label", "rounded=1")


@pytest.fixture(scope="module")
def subject() -> Subject:
    return inspect(two_maps(), "small", pictures(), Options(model_input="0..1", preset="smoke")).subjects[0]


def checked(
    subject: Subject, at: Sequence[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[str, Any], list[str]]:
    """Return what stands for each point by name, and which controls were run; none of them attacks anything."""
    ran = []

    def shuffled(benches: Sequence[AuditBench], *arguments: Any) -> Control:
        ran.append(f"shuffled {benches[0].sent.name}")
        return Control(ran[-1], True, "", str(arguments[-1]))

    def components(heads: Sequence[AuditBench], sizes: Any, among: int, maps: bool) -> Control:
        ran.append(f"{heads[0].sent.components} {maps}")
        return Control(ran[-1], True, "", "")

    def benches(sent: Sent) -> list[AuditBench]:
        return [AuditBench(subject, sent, Store(folder), SilentProgress(), seed=1, fold=1)]

    monkeypatch.setattr(controls, "shuffled", shuffled)
    monkeypatch.setattr(controls, "components", components)
    points = {sent: {f"attack on {sent.name}"} for sent in sent_at(subject, at)}
    found = controls.by_point(points, benches, SIZES["smoke"], 10)
    return {sent.name: checks for sent, checks in found.items()}, ran


def test_what_stands_for_a_point_depends_on_it_alone(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = {}
    for at in POINTS:
        alone |= checked(subject, (at,), tmp_path, monkeypatch)[0]
    assert len(alone) == len(POINTS)
    for order in [*itertools.permutations(POINTS)][::9]:
        assert checked(subject, order, tmp_path, monkeypatch)[0] == alone
        assert checked(subject, order[:3], tmp_path, monkeypatch)[0].items() <= alone.items()
    names = {name: [control.name for control in checks] for name, checks in alone.items()}
    assert names == {
        "wide": ["shuffled wide", "32 True"],
        "narrow": ["shuffled narrow", "16 True"],
        **{view: ["shuffled logits", "3 False"] for view in ("logits", "label", "logits, 1 decimal")},
    }
    # A layer's attacks may have been left out for a budget; those of the output never are
    assert alone["wide"][0].detail == "{'attack on wide'}"
    assert alone["label"][0].detail == "None"


def test_a_control_that_stands_for_several_points_is_run_once(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, ran = checked(subject, POINTS, tmp_path, monkeypatch)
    assert sorted(ran) == [
        "16 True",
        "3 False",
        "32 True",
        "shuffled logits",
        "shuffled narrow",
        "shuffled wide",
    ]


def test_where_no_attack_was_run_the_control_says_that_it_tested_nothing(
    subject: Subject, tmp_path: Path
) -> None:
    sent = next(iter(sent_at(subject, ["narrow"])))
    bench = AuditBench(subject, sent, Store(tmp_path), SilentProgress(), seed=1, fold=1)
    control = controls.shuffled([bench], SIZES["smoke"], 10, {"an attack that is none of the control's"})
    assert (control.ok, control.text) == (None, f"shuffled skipped at {sent.point}")


@pytest.mark.parametrize("grouped", [False, True])
def test_the_head_of_components_is_the_principal_components_of_what_differs_within_a_class(
    grouped: bool,
) -> None:
    draw = np.random.default_rng(0)
    images, classes = draw.random((90, 4, 4, 1)).astype(np.float32), np.arange(90) % 2
    groups = (
        np.arange(90) // 3 if grouped else None
    )  # of three images each: a mean over groups is that over images
    head = ComponentsHead.of(Images(images, classes, np.arange(90, dtype=np.uint64), groups), 2, 5)
    rest = np.concatenate([images[classes == c] - head.means[c] for c in range(2)]).reshape(90, -1)
    if grouped:
        rest -= np.repeat([rest[:45].mean(axis=0), rest[45:].mean(axis=0)], 45, axis=0)
    _, values, axes = np.linalg.svd(rest, full_matrices=False)
    np.testing.assert_allclose(np.abs(np.sum(head.axes * axes[:5], axis=1)), 1, atol=1e-4)
    left = np.square(images - head.best(images, classes)).sum()
    if not grouped:
        assert left == pytest.approx(np.square(values[5:]).sum(), rel=1e-4)

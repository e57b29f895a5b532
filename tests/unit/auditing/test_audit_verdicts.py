"""Audits of models whose leaks are known: what leaks is said to leak, what says the class alone is not, and how much."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from small_audits import (
    SIDE,
    Noise,
    audited,
    class_only,
    constant,
    digits,
    layers,
    linear,
    network,
    pictures,
    point_of,
    verdicts,
    whole,
)  # fmt: skip

__all__ = ["linear"]
COMPONENTS = (4, 10, 32)


def _check_seed(seed: int, folder: Path) -> None:
    images = pictures(seed=seed)
    silent = audited(constant(), images, folder, seed=seed, at=("logits", "probabilities"))
    assert silent.model.classes == 3
    assert "LEAKS" not in verdicts(silent).values()
    told = audited(class_only(seed=seed), images, folder, seed=seed, at=("probabilities", "label"))
    assert "LEAKS" not in verdicts(told).values()
    assert "VOID" not in {*verdicts(silent).values(), *verdicts(told).values()}
    shown = audited(whole(), images, folder, seed=seed, output_kind="embedding")
    assert verdicts(shown) == {"answers": "LEAKS"}


@pytest.mark.parametrize("seed", [1])
def test_no_leak_is_seen_where_the_class_alone_is_sent_and_one_where_the_image_is(
    seed: int, tmp_path: Path, linear: None
) -> None:
    _check_seed(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 22))
def test_no_seed_sees_a_leak_where_there_is_none(seed: int, tmp_path: Path) -> None:
    _check_seed(seed, tmp_path)


def test_a_constant_model_is_one_class_at_its_baselines(tmp_path: Path, linear: None) -> None:
    point = point_of(audited(constant(), pictures(), tmp_path, at=("logits",)), "logits")
    assert point.verdict == "BELOW TOLERANCE"
    assert point.p == 1.0
    assert point.found is not None
    assert point.found.value == pytest.approx(0.1, abs=0.03)
    assert point.detail is not None
    assert abs(point.detail.value) < 0.02


def _components_head(images: Any, count: int) -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """Return a model that sends principal components, with their axes `(count, pixels)` and the mean."""
    rows = images.reshape(len(images), -1) / 255
    mean = rows.mean(axis=0)
    axes = np.linalg.svd(rows - mean, full_matrices=False)[2][:count]
    image = keras.Input(images.shape[1:])
    model = keras.Model(image, layers.Dense(count, name="components")(layers.Flatten()(image)))
    model.set_weights([axes.T, -axes @ mean])
    return model, axes, mean


def _check_components(count: int, folder: Path) -> None:
    images = digits(900)
    model, axes, mean = _components_head(images, count)
    report = audited(model, images, folder, output_kind="embedding", class_of="all")
    rest = images.reshape(len(images), -1) / 255 - mean
    closed = 1 - np.square(rest - rest @ axes.T @ axes).sum() / np.square(rest).sum()
    detail = point_of(report, "answers").detail
    assert detail is not None
    assert detail.value >= 0.9 * closed


@pytest.mark.parametrize("count", COMPONENTS[1:2])
def test_what_principal_components_hold_is_recovered(count: int, tmp_path: Path, linear: None) -> None:
    _check_components(count, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("count", COMPONENTS)
def test_what_principal_components_hold_is_recovered_by_the_envelope(count: int, tmp_path: Path) -> None:
    _check_components(count, tmp_path)


def _faint(amplitude: float = 0.02) -> keras.Model:
    """Return a model whose ten logits are 0 or 10 by the class, plus eight pooled pixels at a small amplitude."""
    squares = whole()
    told = layers.Dense(10, kernel_initializer=keras.initializers.RandomNormal(seed=1), use_bias=False)
    hidden = layers.Rescaling(1, offset=-0.5)(squares.output)
    told = layers.Rescaling(10)(layers.Softmax()(layers.Rescaling(1e6)(told(hidden))))
    few = layers.Dense(10, use_bias=False, name="few")
    model = keras.Model(squares.input, layers.Add(name="out")([told, few(squares.output)]))
    few.set_weights([amplitude * np.eye(16, 10) * (np.arange(10) < 8)])
    return model


def test_a_faint_leak_beside_the_class_is_found_and_rounding_takes_it_away(
    tmp_path: Path, linear: None
) -> None:
    report = audited(_faint(), pictures(1_200), tmp_path, at=("logits", "rounded=1"))
    assert verdicts(report) == {"logits": "LEAKS", "logits, 1 decimal": "BELOW TOLERANCE"}


def test_logits_and_their_probabilities_show_the_same_where_nothing_is_saturated(
    tmp_path: Path, linear: None
) -> None:
    model = network(5, scale=12.0)
    kernel, bias = model.get_weights()
    model.set_weights([kernel - kernel.mean(axis=1, keepdims=True), bias])  # logits of mean zero
    report = audited(model, pictures(800), tmp_path, at=("logits", "probabilities"))
    shown = [point_of(report, name).detail for name in ("logits", "probabilities")]
    assert shown[0] is not None
    assert shown[1] is not None
    assert shown[0].value > 0.1
    assert shown[0].value == pytest.approx(shown[1].value, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("deviation", [0.15, 0.4, 1.0])
def test_no_attack_beats_the_optimal_pick_behind_noise(deviation: float, tmp_path: Path) -> None:
    images = pictures(1_500)
    inner = network(6)
    model = keras.Model(inner.input, Noise(deviation, name="noisy")(inner.output))
    report = audited(model, images, tmp_path, output_kind="embedding")
    assert any("at random" in warning for warning in report.warnings)
    found = point_of(report, "answers").found
    assert found is not None
    optimum, error = _optimal_pick(np.asarray(inner(images / 255)), deviation)
    assert found.low <= optimum + 3 * error
    assert optimum > 0.15  # there is something to be found


def _optimal_pick(sent: Any, deviation: float, trials: int = 20_000) -> tuple[float, float]:
    """Return how often the likeliest of ten candidates is the true one, by Monte Carlo, with its standard error."""
    draw = np.random.default_rng(0)
    candidates = np.stack([draw.choice(len(sent), 10, replace=False) for _ in range(trials)])
    answers = sent[candidates[:, 0]] + deviation * draw.standard_normal((trials, sent.shape[1]))
    nearest = np.square(answers[:, None] - sent[candidates]).sum(axis=2).argmin(axis=1)
    share = float(np.mean(nearest == 0))
    return share, float(np.sqrt(share * (1 - share) / trials))


def test_pictures_of_every_point_are_kept(tmp_path: Path, linear: None) -> None:
    report = audited(network(), pictures(), tmp_path, at=("logits", "label", "flat"))
    for point in report.points:
        arrays = [report.pictures[f"{point.name}:{kind}"] for kind in ("truth", "rebuilt", "class")]
        assert {array.shape for array in arrays} == {(point.pictures, SIDE, SIDE, 1)}

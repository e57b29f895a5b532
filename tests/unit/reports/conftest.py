"""A synthetic result as large as the largest table: eleven attacks with long labels, four baselines."""

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

LABELS = {
    "o": "M_I(O)", "a": "M_I(A^L)", "x": "M_I(X~)", "o+a": "M_I(O + A^L)", "o+x": "M_I(O + X~)",
    "a+x": "M_I(A^L + X~)", "o+a+x": "M_I(O + A^L + X~)",
}  # fmt: skip
BASELINES = {
    "gradient_reconstruction": "X~ alone",
    "gradient_reconstruction[cross_entropy]": "X~ alone",
    "class_average": "class average",
    "class_prototype": "class prototype",
}
FIGURES = {
    "best_per_class": ["x"],
    "median_per_class": [*LABELS, *BASELINES],
    "training_curves": [],
    "gradient_curves": [],
    "histogram": [],
    "class_counts": [],
}


def score(values: np.ndarray) -> dict[str, Any]:
    """Summary of `(runs, images)` with the standard library's sample standard deviation."""
    means = [statistics.fmean(run.tolist()) for run in values]
    spread = statistics.stdev(means) if len(means) > 1 else None
    return {"mean": statistics.fmean(means), "std": spread, "n": len(means)}


def make_result(
    runs: int = 2, images: int = 60, channels: int = 1, classes: int = 10, size: int = 32, epochs: int = 8
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Random images and scores of every row, with every optional array."""
    random = np.random.default_rng(0)
    shape = (images, size, size, channels)
    arrays: dict[str, np.ndarray] = {
        "targets": random.random(shape, np.float32),
        "labels": np.arange(images) % classes,
    }
    rows = []
    crossed = {f"{name}[cross_entropy]": label for name, label in LABELS.items() if "x" in name}
    for name, label in {**LABELS, **crossed, **BASELINES}.items():
        arrays[f"reconstruction.{name}"] = random.random(shape, np.float32)
        arrays[f"ssim.{name}"] = np.clip(random.normal(0.3, 0.15, (runs, images)), -1, 1)
        arrays[f"mse.{name}"] = random.uniform(0.05, 0.1, (runs, images))
        objective = "one-hot cross-entropy" if "[" in name else "logit MSE"
        rows.append({
            "name": name, "label": label, "group": "baseline" if name in BASELINES else "attack",
            "note": f"X~: {objective}" if "X" in label else "", "images": images,
            "ssim": score(arrays[f"ssim.{name}"]), "mse": score(arrays[f"mse.{name}"]), "paper": None,
        })  # fmt: skip
        if name not in BASELINES:
            falling = 0.6 + 0.4 * np.exp(-np.arange(epochs) / 3)
            arrays[f"curve.{name}.loss"] = falling * random.uniform(0.6, 1, (runs, 1))
    rows[4]["paper"] = {
        "table": "Table 4",
        "ssim": {"mean": 0.2467, "std": 0.0013},
        "mse": {"mean": 0.0904, "std": None},
    }
    for role in ("target", "shadow"):
        for curve in ("loss", "validation_loss"):
            arrays[f"curve.{role}.{curve}"] = random.uniform(0.1, 2.3, (runs, epochs))
    for objective in ("logit_mse", "cross_entropy"):
        arrays[f"gradient_loss.{objective}"] = random.uniform(1e-4, 3, (runs, 80, 4))
    for subset in ("target_train", "shadow_train", "target_validation", "shadow_validation", "test"):
        arrays[f"class_counts.{subset}"] = random.integers(100, 1000, classes)
    result = {
        "schema": "mi_keras.result/1", "work": "thesis", "section": "5.2", "preset": "quick", "table": "table_4",
        "title": "Input combinations of the inversion model", "data": "MNIST, embedded subset", "runs": runs,
        "seed": 1, "settings": {}, "versions": {}, "timings": [], "measured": f"{images} test images (D_F)",
        "rows": rows,
        "claims": [
            {"text": "M_I(X~) is best", "source": "thesis 5.2", "holds": True, "numbers": "M_I(X~) 0.3720"},
            {"text": "More inputs are worse.", "source": "thesis 5.2", "holds": False, "numbers": ""},
            {"text": "Unmeasured", "source": "thesis 7", "holds": None, "numbers": ""},
        ],
        "figures": [
            {"file": f"{kind}.png", "kind": kind, "title": f"Title of {kind}", "caption": f"Caption of {kind}.",
             "rows": rows_drawn}
            for kind, rows_drawn in FIGURES.items()
        ],
    }  # fmt: skip
    return result, arrays


@pytest.fixture
def make() -> Callable[..., tuple[dict[str, Any], dict[str, np.ndarray]]]:
    return make_result


@pytest.fixture
def result_directory(tmp_path: Path) -> Path:
    """A small result on disk, without rows or arrays that the tests of files do not need."""
    result, arrays = make_result(runs=1, images=20, size=12)
    result["figures"] = [
        spec for spec in result["figures"] if spec["kind"] in ("best_per_class", "class_counts")
    ]
    (tmp_path / "result.json").write_text(json.dumps(result))
    np.savez(tmp_path / "arrays.npz", **arrays)
    return tmp_path

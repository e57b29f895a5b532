"""A synthetic result as large as the largest one: eleven attacks, four baselines, classifiers, a search, every kind of figure."""

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from mi_keras.reports.figures import draw
from mi_keras.results import read_result

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
SERIES = [
    {"label": "without X~", "rows": ["o", "a", "o+a"]},
    {"label": "with X~", "rows": ["x", "o+x", "a+x"]},
]
FIGURES: dict[str, dict[str, Any]] = {
    "best_per_class": {"rows": ["x", "o"]},
    "median_per_class": {"rows": ["o+x", "x", "class_prototype"]},
    "chosen_images": {"rows": ["x"], "images": [7, 0, 3]},
    "class_images": {},
    "training_curves": {},
    "gradient_curves": {},
    "histogram": {"rows": ["o", "x"]},
    "run_scores": {"rows": ["o", "o+x"]},
    "class_counts": {},
    "confusion": {"rows": ["target", "shadow"]},
    "search": {"axes": ["l2_weight", "tv_weight"]},
    "sweep": {"ticks": ["10", "5", "1"], "x_label": "k", "metrics": ["ssim", "mse"], "series": SERIES},
    "trade_off": {
        "panels": [{"x": "mse", "y": "ssim", "log_x": True, "better": "lower right"}],
        "series": [entry | {"points": ["10", "5", "1"]} for entry in SERIES],
    },
    "photographs": {"rows": ["x", "class_prototype"], "images": [1, 0], "metric": "ssim"},
    "normalised_photographs": {"images": [0, 2]},
    "maps": {"array": "sent", "numbers": [5, 1, 9]},
    "layers": {"arrays": ["sent", "layer_1"], "labels": ["sent", "layer 1"]},
}
TRIALS = {"coarse": 5, "fine": 3}

Made = tuple[dict[str, Any], dict[str, np.ndarray]]


def score(values: np.ndarray) -> dict[str, Any]:
    """Summary of `(runs, images)` with the standard library's sample standard deviation."""
    means = [statistics.fmean(run.tolist()) for run in values]
    spread = statistics.stdev(means) if len(means) > 1 else None
    return {"mean": statistics.fmean(means), "std": spread, "n": len(means)}


def make_row(name: str, label: str, group: str, values: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "name": name, "label": label, "group": group, "note": "", "images": None, "values": values, "paper": None,
    } | fields  # fmt: skip


def make_table(
    file: str, first_column: str, metrics: list[str], rows: list[Any], best: str = ""
) -> dict[str, Any]:
    return {
        "file": file, "title": f"Title of {file}", "first_column": first_column, "metrics": metrics, "best": best,
        "notes": [], "rows": rows,
    }  # fmt: skip


def make_result(
    runs: int = 2, images: int = 60, channels: int = 1, classes: int = 10, size: int = 12, epochs: int = 8
) -> Made:
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
        values = {metric: score(arrays[f"{metric}.{name}"]) for metric in ("ssim", "mse")}
        rows.append(make_row(
            name, label, "baseline" if name in BASELINES else "attack", values, images=images,
            note=f"X~: {objective}" if "X" in label else "",
        ))  # fmt: skip
        if name not in BASELINES:
            falling = 0.6 + 0.4 * np.exp(-np.arange(epochs) / 3)
            arrays[f"curve.{name}.loss"] = falling * random.uniform(0.6, 1, (runs, 1))
    rows[4]["paper"] = {
        "table": "Table 4",
        "values": {"ssim": {"mean": 0.2467, "std": 0.0013}, "mse": {"mean": 0.0904, "std": None}},
    }
    models = []
    for role in ("target", "shadow"):
        for curve in ("loss", "validation_loss"):
            arrays[f"curve.{role}.{curve}"] = random.uniform(0.1, 2.3, (runs, epochs))
        arrays[f"confusion.{role}"] = random.integers(0, 9, (runs, classes, classes))
        values = {
            "f1": score(random.uniform(0.9, 1, (runs, 1))),
            "training_loss": score(np.full((runs, 1), 4e-5)),
        }
        models.append(make_row(role, f"M_{role[0].upper()}", "model", values, images=images // 2))
    trials = []
    for stage, count in TRIALS.items():
        tried = {name: 10 ** random.uniform(-6, -2, count) for name in ("l2_weight", "tv_weight")}
        tried["ssim"] = random.uniform(0, 0.3, count)
        tried["ssim"][0] = np.nan
        arrays |= {f"search.{stage}.{name}": values for name, values in tried.items()}
        for number in range(count):
            found = {
                name: score(values[number].reshape(1, 1))
                for name, values in tried.items()
                if number or name != "ssim"
            }
            trials.append(make_row(f"{stage} {number}", f"{stage} {number}", "trial", found))
    for objective in ("logit_mse", "cross_entropy"):
        arrays[f"gradient_loss.{objective}"] = random.uniform(1e-4, 3, (runs, 80, 4))
    for subset in ("target_train", "shadow_train", "target_validation", "shadow_validation", "test"):
        arrays[f"class_counts.{subset}"] = random.integers(100, 1000, classes)
    for start in ("random pixels", "class_average"):
        arrays[f"class_images.{start}"] = random.random((classes, size, size, channels), np.float32)
    arrays["shown.numbers"] = np.array([7, 3, 11])
    for name in ("targets", "x", "class_prototype"):
        arrays[f"shown.{name}"] = random.integers(0, 256, (3, size, size, 3), np.uint8)
    arrays["maps.sent"] = random.normal(0, 2, (3, 5, 5)).astype(np.float32)
    arrays["maps.layer_1"] = random.normal(0, 9, (2, 10, 10)).astype(np.float32)
    result = {
        "schema": "mi_keras.result/2", "work": "thesis", "section": "5.2", "preset": "quick", "changed": [],
        "title": "Input combinations of the inversion model", "data": "MNIST, embedded subset", "runs": runs,
        "seed": 1, "settings": {"runs": runs, "gradient": {"steps": 60, "start": "random"}, "widths": [8, 16]},
        "versions": {"python": "3.11"}, "timings": [
            {"stage": "classifier target (run 1)", "seconds": 55.0, "reused": True},
            {"stage": "inverter o (run 1)", "seconds": 60.0, "reused": False},
            {"stage": "all", "seconds": 61.25, "reused": False},
        ],
        "notes": ["A note."], "measured": f"{images} test images (D_F)",
        "tables": [
            make_table("table_4", "combination", ["ssim", "mse"], rows, "ssim"),
            make_table("table_2", "model", ["f1", "training_loss"], models),
            make_table("trials", "trial", ["l2_weight", "tv_weight", "ssim"], trials, "ssim"),
        ],
        "claims": [
            {"text": "M_I(X~) is best", "source": "thesis 5.2", "holds": True, "numbers": "M_I(X~) 0.3720"},
            {"text": "More inputs are worse.", "source": "thesis 5.2", "holds": False, "numbers": ""},
            {"text": "Unmeasured", "source": "thesis 7", "holds": None, "numbers": ""},
        ],
        "figures": [
            {"file": f"{kind}.png", "kind": kind, "title": f"Title of {kind}", "caption": f"Caption of {kind}.",
             "rows": [], **fields}
            for kind, fields in FIGURES.items()
        ],
    }  # fmt: skip
    return result, arrays


@pytest.fixture
def make() -> Callable[..., Made]:
    return make_result


@pytest.fixture
def make_split() -> Callable[..., Made]:
    """A result of the split work: no classes, targets or labels, and a baseline of another name."""

    def made(runs: int = 2, images: int = 30) -> Made:
        result, _ = make_result(size=4)
        random = np.random.default_rng(1)
        arrays = {}
        rows = []
        for name, label in {
            "upsampled": "decoder",
            "halved": "half the maps",
            "mean_face": "mean face",
        }.items():
            arrays[f"psnr.{name}"] = random.normal(19, 2, (runs, images))
            arrays[f"ssim.{name}"] = random.uniform(0.2, 0.7, (runs, images))
            values = {metric: score(arrays[f"{metric}.{name}"]) for metric in ("psnr", "ssim")}
            if name != "mean_face":
                values |= {
                    "kept_maps": score(np.full((runs, 1), 672.0)),
                    "kilobytes": score(np.full((runs, 1), 131.25)),
                    "parameters": score(np.full((runs, 1), 4_226_432.0)),
                }
            group = "baseline" if name == "mean_face" else "attack"
            rows.append(make_row(name, label, group, values, images=images))
        rows[0]["paper"] = {
            "table": "Table 1",
            "values": {"psnr": {"mean": 46.0, "std": None}, "parameters": {"mean": 12e6, "std": None}},
        }
        metrics = ["psnr", "ssim", "kilobytes", "kept_maps", "parameters"]
        table = make_table("table_1", "decoder", metrics, rows, "psnr")
        histogram = {"metric": "psnr", "baseline": ["mean_face"]}
        fields = {"title": "t", "caption": "c", "rows": []}
        figures = [
            {"file": f"{kind}.png", "kind": kind, **fields, **more}
            for kind, more in {"histogram": histogram, "best_per_class": {}, "class_counts": {}}.items()
        ]
        result |= {
            "work": "split", "section": "6", "title": "Decoders", "data": "faces", "runs": runs, "tables": [table],
            "figures": figures, "claims": [],
        }  # fmt: skip
        return result, arrays

    return made


@pytest.fixture
def draw_kind() -> Callable[..., Figure]:
    """Draw a result's figure of a kind, with fields of its entry replaced."""

    def drawn(kind: str, result: dict[str, Any], arrays: dict[str, np.ndarray], /, **fields: Any) -> Figure:
        spec = next(spec for spec in result["figures"] if spec["kind"] == kind)
        read = read_result(result | {"figures": [spec | fields]})
        return draw(read.figures[0], read, arrays)

    return drawn


@pytest.fixture
def result_directory(tmp_path: Path) -> Path:
    """A small result on disk, with few figures: what is slow about reports is drawing."""
    result, arrays = make_result(runs=1, images=20, size=4)
    result["figures"] = [
        spec for spec in result["figures"] if spec["kind"] in ("class_images", "class_counts")
    ]
    directory = tmp_path / "result"
    directory.mkdir()
    (directory / "result.json").write_text(json.dumps(result))
    np.savez(directory / "arrays.npz", **arrays)
    return directory

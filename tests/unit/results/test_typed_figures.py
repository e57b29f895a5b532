"""Figures as values: their form in files, and the rules that hold for who writes them in Python too."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mi_keras import results
from mi_keras.errors import InputError
from mi_keras.results.rules import to_json

MEASURED = sorted((Path(__file__).resolve().parents[3] / "docs" / "measured").glob("*.json"))
NAMED = {"file": "a.png", "title": "A"}
STORED = {"file": "a.png", "title": "A", "caption": "", "rows": []}
LINE = results.SweepSeries("M_I(O)", ("o",))


@pytest.mark.parametrize("path", MEASURED, ids=lambda path: path.stem)
def test_what_was_measured_with_dictionaries_is_read_and_written_alike(path):
    document = json.loads(path.read_text())
    result = results.read_result(document)
    for name in ("tables", "claims", "timings"):
        assert to_json(getattr(result, name)) == document[name]
    assert [figure.to_json() for figure in result.figures] == document["figures"]


@pytest.mark.parametrize(
    ("figure", "stored"),
    [
        (results.BestPerClass(**NAMED, rows=("x",), caption="c"), {"kind": "best_per_class", "rows": ["x"], "caption": "c"}),
        (results.ClassImages(**NAMED), {"kind": "class_images"}),
        (results.TrainingCurves(**NAMED), {"kind": "training_curves"}),
        (results.TrainingCurves(**NAMED, models="Decoders"), {"kind": "training_curves", "models": "Decoders"}),
        (results.Histogram(**NAMED, baseline=["class_prototype"]), {"kind": "histogram"}),
        (results.Histogram(**NAMED, metric="psnr", baseline=()), {"kind": "histogram", "metric": "psnr", "baseline": []}),
        (results.RunScores(**NAMED, rows=["o"], each="pair"), {"kind": "run_scores", "rows": ["o"], "each": "pair"}),
        (results.Photographs(**NAMED, images=(0,)), {"kind": "photographs", "images": [0], "metric": ""}),
        (results.Maps(**NAMED, array="sent"), {"kind": "maps", "array": "sent"}),
        (
            results.Sweep(**NAMED, metrics=("ssim",), ticks=("1",), x_label="k", series=[LINE]),
            {"kind": "sweep", "metrics": ["ssim"], "ticks": ["1"], "x_label": "k", "series": [{"label": "M_I(O)", "rows": ["o"]}]},
        ),
        (
            results.TradeOff(**NAMED, panels=[results.Panel("mse", "ssim", True)], series=[results.TradeOffSeries("a", ["o"], ["1"])]),
            {
                "kind": "trade_off", "panels": [{"x": "mse", "y": "ssim", "log_x": True}],
                "series": [{"label": "a", "rows": ["o"], "points": ["1"]}],
            },
        ),
    ],
)  # fmt: skip
def test_a_field_at_its_default_is_left_out_unless_files_always_have_it(figure, stored):
    assert figure.to_json() == STORED | stored


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: results.BestPerClass(file="a.svg", title=""), "`file` must end in .png; got 'a.svg'."),
        (lambda: results.BestPerClass(file="../a.png", title=""), "`file` must be a plain file name of letters,"),
        (lambda: results.ChosenImages(**NAMED, images=[-1]), "`images` must be 1 to 10 numbers from 0 on; got [-1]."),
        (lambda: results.Photographs(**NAMED, images=[0], headers=["a", "b"]), "`headers` must be a string for each of the 1 images; got 2."),
        (lambda: results.Histogram(**NAMED, metric="beauty"), "`metric` must be among ssim, "),
        (lambda: results.Search(**NAMED, axes=["l2_weight"]), "`axes` must name two parameters; got ['l2_weight']."),
        (lambda: results.Layers(**NAMED, arrays=["a"], labels=[]), "`labels` must be a string for each of `arrays`"),
        (lambda: results.Panel("ssim", "mse", False, "up"), "`better` must be one of lower left, lower right, upper left, upper right; got 'up'."),
        (
            lambda: results.Sweep(**NAMED, metrics=(), ticks=("1", "2"), x_label="k", series=[LINE]),
            "`series[0].rows` must name a row for each of the 2 ticks; got 1.",
        ),
    ],
)  # fmt: skip
def test_a_broken_rule_is_said_where_the_figure_is_made(make, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        make()


def test_results_import_neither_tensorflow_nor_matplotlib():
    program = "import sys, mi_keras.results; print(sorted({'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

#!/usr/bin/env python3
"""Scores in bfloat16 beside those in float32, seed by seed: docs/performance.md.

python scripts/compare_precision.py --seeds 3 -- --section 5.2 --preset quick --set combinations=o,x
python scripts/compare_precision.py --seeds 3 -- --work split --section 6 --preset quick

What comes after `--` goes to scripts/reproduce.py, which runs once for each seed and precision; finished stages are kept. Of
each row: the mean score in both, and the mean difference with its 95 % interval (Student's t over the seeds).
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import t

SCRIPT = Path(__file__).with_name("reproduce.py")
PRECISIONS = ("float32", "bfloat16")
Scores = dict[tuple[str, str, str], float]  # by table, row and metric


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="1 to N, at least 2 (default: 3)")
    parser.add_argument("--metrics", default="ssim,mse", help="with commas (default: ssim,mse)")
    parser.add_argument("reproduce", nargs="+", help="arguments of scripts/reproduce.py")
    options = parser.parse_args()
    if options.seeds < 2:
        parser.error(f"`--seeds` must be >= 2; got {options.seeds}.")
    found = defaultdict(list)
    for seed in range(1, options.seeds + 1):
        runs = [scores([*options.reproduce, "--seed", str(seed), "--precision", p]) for p in PRECISIONS]
        for key in runs[0].keys() & runs[1].keys():
            found[key].append([run[key] for run in runs])
    for (table, row, metric), pairs in found.items():
        if metric in options.metrics.split(",") and len(pairs) == options.seeds:
            whole, half = np.transpose(pairs)
            print(f"{table} | {row} | {metric} | {told(whole, half)}")
    return 0


def scores(arguments: Sequence[str]) -> Scores:
    """Return the mean scores of a run."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(SCRIPT), *arguments, "--json", "--out", folder]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result = json.loads(done.stdout)
    if "bfloat16" in arguments and "precision=bfloat16" not in result["changed"]:
        raise SystemExit("not applicable: this processor has no instructions for bfloat16")
    return {
        (table["file"], row["name"], metric): value["mean"]
        for table in result["tables"]
        for row in table["rows"]
        for metric, value in row["values"].items()
    }


def told(whole: np.ndarray, half: np.ndarray) -> str:
    """Return means, and the mean difference with its interval."""
    missed = half - whole
    reach = t.ppf(0.975, len(missed) - 1) * missed.std(ddof=1) / math.sqrt(len(missed))
    means = f"{whole.mean():.4f} | {half.mean():.4f}"
    return f"{means} | {missed.mean():+.4f} ({missed.mean() - reach:+.4f} to {missed.mean() + reach:+.4f})"


if __name__ == "__main__":
    sys.exit(main())

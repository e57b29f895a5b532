#!/usr/bin/env python3
"""Our loops in float32 and bfloat16 against PyTorch in both, in turns: docs/performance.md.

python scripts/compare_speed.py --torch TORCH_ENVIRONMENT/bin/python   # five pairs of each loop, a quarter of an hour
python scripts/compare_speed.py --torch ... --clock cpu               # where something else runs too

A pair is one process of each of the four, one after another within a minute. Of each loop: the rate against PyTorch's, and
of bfloat16 against our float32, the median of the pairs with the lowest and highest of them.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOOPS = ("cnn", "inversion", "tcnn", "decoder")
PRECISIONS = ("float32", "bfloat16")
RATIOS = (
    ("ours float32", "PyTorch float32"),
    ("ours bfloat16", "PyTorch float32"),
    ("ours bfloat16", "PyTorch bfloat16"),
    ("ours bfloat16", "ours float32"),
)
Rates = Mapping[str, float]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--torch", required=True, metavar="PYTHON", help="of an environment with PyTorch")
    parser.add_argument("--pairs", type=int, default=5, metavar="N", help="of each loop (default: 5)")
    parser.add_argument("--steps", type=int, default=10, metavar="N", help="timed in each (default: 10)")
    parser.add_argument("--only", nargs="*", choices=LOOPS, default=LOOPS)
    parser.add_argument("--clock", default="wall", choices=("wall", "cpu"))
    options = parser.parse_args()
    programs = {
        "ours": [sys.executable, str(ROOT / "scripts/bench.py")],
        "PyTorch": [options.torch, str(ROOT / "tests/oracles/torch_reference.py")],
    }
    for loop in options.only:
        asked = ["--only", loop, "--steps", str(options.steps), "--clock", options.clock]
        pairs = [
            {
                f"{name} {precision}": _measured([*program, *asked, "--precision", precision])
                for precision in PRECISIONS
                for name, program in programs.items()
            }
            for _ in range(options.pairs)
        ]
        _print(pairs)
    return 0


def _measured(command: Sequence[str]) -> Rates:
    """Return the rates that a program measured, in images or image-steps per second."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    told = json.loads(done.stdout)
    if told.get("precision", command[-1]) != command[-1]:
        raise SystemExit("not applicable: this processor has no instructions for bfloat16")
    return {name: value for name, value in told.items() if name.endswith("_s")}


def _print(pairs: Sequence[Mapping[str, Rates]]) -> None:
    for key in pairs[0]["ours float32"]:
        rates = ", ".join(f"{name} {statistics.median(p[name][key] for p in pairs):.1f}" for name in pairs[0])
        print(f"{key}: {rates}")
        for first, second in RATIOS:
            found = sorted(pair[first][key] / pair[second][key] for pair in pairs)
            middle = statistics.median(found)
            print(f"  {first} / {second}: {middle:.2f} ({found[0]:.2f} to {found[-1]:.2f})", flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""Draw Table 4 of the thesis: its value in every row, each pair of models of `torch_rows`, and the package's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mi_keras.results import StoredResult
from scripts.torch_rows import LINES, PAPER, measured, of_package, over_pairs
from scripts.torch_tables import short_search

MARKS: dict[str, dict[str, Any]] = {
    "16 pairs of models, PyTorch": {"color": "tab:blue", "alpha": 0.5, "ms": 6, "mew": 0},
    "4 other pairs with a short search of X~": {"color": "tab:orange", "alpha": 0.7, "ms": 6, "mew": 0},
    "a pair of models, the package": {"color": "black", "ms": 8, "mew": 2},
    "the thesis": {"color": "tab:red", "ms": 13, "mew": 0},
}
SIGNS = dict(zip(MARKS, "o^x*", strict=True))


def picture(path: Path, results: Mapping[str, StoredResult]) -> None:
    """Draw every row of Table 4: the thesis's value, each pair of models, and the package's one pair."""
    rows, searched = (measured()[study]["rows"] for study in ("pairs", "search"))
    shown = [line for line in LINES if line.wanted["kind"] == "inverter" or line.published]
    figure = Figure(figsize=(8.0, 5.4), dpi=160, layout="constrained")
    axis = figure.subplots()
    for height, line in enumerate(reversed(shown)):
        ssim = [each[0] for each in over_pairs(rows, line.wanted)]
        axis.plot(ssim, [height] * len(ssim), "o", **MARKS["16 pairs of models, PyTorch"])
        short = [each[0] for each in short_search(searched, line)]
        axis.plot(
            short, [height - 0.22] * len(short), "^", **MARKS["4 other pairs with a short search of X~"]
        )
        if package := of_package(results.get(PAPER), line.name):
            axis.plot(package[0], height, "x", **MARKS["a pair of models, the package"])
        if line.published:
            axis.plot(line.published[0], height, "*", **MARKS["the thesis"])
    for name in ("class_average", "class_prototype"):  # know the class alone
        if known := of_package(results.get(PAPER), name):
            axis.axvline(known[0], color="grey", lw=1, ls=":")
            axis.text(
                known[0], len(shown) - 0.45, name.replace("_", " "), ha="center", fontsize=8, color="dimgrey"
            )
    axis.set_yticks(range(len(shown)), [line.label.replace("\\~", "~") for line in reversed(shown)])
    axis.set(xlabel="SSIM on the 1,334 test images", ylim=(-0.6, len(shown) - 0.1), xlim=(0.08, 0.48))
    axis.grid(axis="x", alpha=0.3)
    signs = [axis.plot([], [], sign, **MARKS[name], label=name)[0] for name, sign in SIGNS.items()]
    figure.legend(handles=signs, loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    figure.savefig(path)

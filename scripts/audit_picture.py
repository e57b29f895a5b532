"""Draw the picture of an audit that the README shows: images, what was rebuilt of them, what their class alone shows."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

ROWS = {"truth": "the image", "rebuilt": "drawn from what\nthe model sent", "class": "its class alone"}
COLUMNS = ("most exposed", "median", "least exposed")  # of the attacked images


def audit_picture(pictures: Path, path: Path, *, point: str = "logits") -> None:
    """Draw what `pictures.npz` of an audit holds of one point; legible on a phone."""
    with np.load(pictures, allow_pickle=False) as arrays:
        images = {kind: arrays[f"{point}:{kind}"] for kind in ROWS}
    figure = Figure(figsize=(5.0, 3.7), dpi=160, layout="constrained")
    axes = figure.subplots(len(ROWS), len(COLUMNS), squeeze=False)
    for row, (kind, label) in enumerate(ROWS.items()):
        for column, axis in enumerate(axes[row]):
            axis.imshow(images[kind][column].squeeze(), cmap="gray", vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
            if not row:
                axis.set_title(COLUMNS[column], fontsize=11)
        axes[row][0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=11, labelpad=6)
    figure.savefig(path)

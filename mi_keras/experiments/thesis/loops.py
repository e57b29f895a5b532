"""The text's story of the "2" without a loop (thesis 5.4, Figures 20 to 24), told of all such test images."""

from collections.abc import Mapping, Sequence

import numpy as np

from mi_keras.experiments.thesis.rows import Name
from mi_keras.metrics.topology import has_loop
from mi_keras.results import Row, Table
from mi_keras.types import Floats, Images, Ints

TWO = "2"  # the name of the class
COLUMNS = ("loop_rate", "prototype_distance", "ssim", "instance_gain")
# Of a run, by row: `images`, and `ssim`, `distance` of each image
PerImage = Mapping[Name, Mapping[str, Floats]]


def twos_without_loop(test: Images, class_names: Sequence[str]) -> Ints:
    """Return the numbers of the test images of class "2" whose stroke encloses not even a pixel; none without such a class."""
    if TWO not in class_names:
        return np.zeros(0, np.int64)
    members = np.flatnonzero(test.labels == class_names.index(TWO))
    return members[~has_loop(test.images[members], smallest=1)]


def loop_table(
    runs: Sequence[PerImage], test: Images, chosen: Ints, rows: Mapping[Name, Row], prototype: Name
) -> Table:
    """Return what each method makes of the chosen images: a loop, the class's generic image, or the image itself."""
    stories = []
    for name, row in rows.items():
        found = [run[name] for run in runs]
        values = {
            "loop_rate": [has_loop(run["images"][chosen].astype(np.float32)).mean() for run in found],
            "prototype_distance": [run["distance"][chosen].mean(dtype=np.float64) for run in found],
            "ssim": [run["ssim"][chosen].mean(dtype=np.float64) for run in found],
        }
        if row.group == "attack":
            own, class_only = values["ssim"], [run[prototype]["ssim"][chosen].mean() for run in runs]
            values["instance_gain"] = list(np.subtract(own, class_only))
        arrays = {metric: np.array(of_runs) for metric, of_runs in values.items()}
        stories.append(Row(row.name, row.label, row.group, arrays, len(chosen), note=row.note))
    twos = int((test.labels == test.labels[chosen[0]]).sum())
    note = (
        f"Of the {twos} test images of a {TWO}, the {len(chosen)} without a loop. With a loop: share of their "
        "reconstructions whose stroke, above half of full brightness, encloses at least 3 pixels."
    )
    return Table("twos_without_loop", f'The "{TWO}" without a loop', "method", COLUMNS, stories, notes=[note])

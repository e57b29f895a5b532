"""Where the score of an inversion model is lost: the same M_I and images, answered by the shadow model (not in the text).

M_I learns from the answers of M_S and is attacked with those of M_T. With M_S's answers to the same images nothing
changes but the model that answers: what is lost between the two tables is lost between the two models.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mi_keras.experiments.claims import ahead
from mi_keras.experiments.thesis.image_rows import BASELINES, OBJECTIVE_NOTES, PROTOTYPE, Runs, image_row
from mi_keras.results import Claim, Row, Table, inverter_label

MARK = "@shadow"
SOURCE = "not in the text"
JUDGED = ("o", "x")  # the combinations that claims and figure are about


def own_name(name: str) -> str:
    """Return the name of a row of table 4 where M_S answers: "o+x@shadow"."""
    return name + MARK


def own_rows(stages: Runs) -> list[Row]:
    """Return a row per combination and baseline, from its scored stage in every run."""
    return [_row(name.removesuffix(MARK), stages) for name in stages]


def own_table(rows: Sequence[Row]) -> Table:
    """Return the table of the shadow model's own answers."""
    title = "The same inversion models and images, answered by M_S instead of M_T"
    return Table("own_answers", title, "combination", ("ssim", "mse", "instance_gain"), rows, "ssim")


def own_claims(rows: Mapping[str, Row]) -> list[Claim]:
    """Say whether M_I(O) and M_I(X~) show more than the class where M_S answers, and whether SSIM falls where M_T does."""
    claims: list[Claim] = []
    for name in JUDGED:
        label, own = inverter_label(name), own_name(name)
        claims += [
            ahead(
                rows, f"Answered by the shadow model, {label} shows more than the class: it beats the class prototype",
                own, [own_name(PROTOTYPE)], source=SOURCE,
            ),
            ahead(rows, f"{label} loses SSIM from the shadow model's answers to the target's", name, [own], source=SOURCE, sign=-1),
        ]  # fmt: skip
    return claims


def own_figures(measured: Sequence[str]) -> list[dict[str, Any]]:
    """Return the figure of the combinations judged, as far as they were measured: M_T's answers above M_S's."""
    pairs = [row for name in JUDGED if name in measured for row in (name, own_name(name))]
    figure = {
        "file": "own_answers.png", "kind": "median_per_class", "rows": [*pairs, PROTOTYPE],
        "title": "The same inversion models and images, answered by M_T and by M_S",
        "caption": "Per class the test image whose SSIM under the first row, answered by M_T, is the median.",
    }  # fmt: skip
    return [figure] if pairs else []


def _row(base: str, stages: Runs) -> Row:
    label, group = (BASELINES[base], "baseline") if base in BASELINES else (inverter_label(base), "attack")
    note = OBJECTIVE_NOTES["logit_mse"] if "x" in base.split("+") else ""
    name = own_name(base)
    return image_row(
        name, f"{label}, answered by M_S", group, stages[name], stages[own_name(PROTOTYPE)], note=note
    )

"""Where the score of an inversion model is lost: the same M_I and images, answered by the shadow model (not in the text).

M_I learns from the answers of M_S and is attacked with those of M_T. With M_S's answers to the same images nothing
changes but the model that answers: what is lost between the two tables is lost between the two models.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mi_keras.experiments.thesis.rows import BASELINES, COLUMNS, PROTOTYPE, Name, Plans, image_row
from mi_keras.results import Claim, MedianPerClass, Row, Table
from mi_keras.results.claims import ahead

ANSWERED_BY = "shadow"
SOURCE = "not in the text"
JUDGED = (Name("o"), Name("x"))  # that claims and figure are about


def own_name(name: Name) -> Name:
    """Return the name of a row of table 4 where M_S answers."""
    return replace(name, at=ANSWERED_BY)


def own_rows(plans: Plans) -> dict[Name, Row]:
    """Return a row per combination and baseline, from its plan in every run."""
    return {
        name: image_row(
            name, f"{BASELINES.get(name.method) or runs[0].case.attack.label}, answered by M_S", plans,
            own_name(Name(PROTOTYPE)),
        )
        for name, runs in plans.items()
    }  # fmt: skip


def own_table(rows: Sequence[Row]) -> Table:
    """Return the table of the shadow model's own answers."""
    title = "The same inversion models and images, answered by M_S instead of M_T"
    return Table("own_answers", title, "combination", COLUMNS, rows, "ssim")


def own_claims(rows: Mapping[Name, Row]) -> list[Claim]:
    """Say whether M_I(O) and M_I(X~) show more than the class where M_S answers, and whether SSIM falls where M_T does."""
    claims: list[Claim] = []
    for name, label in zip(JUDGED, ("M_I(O)", "M_I(X~)"), strict=True):
        own = own_name(name)
        claims += [
            ahead(
                rows, f"Answered by the shadow model, {label} shows more than the class: it beats the class prototype",
                own, [own_name(Name(PROTOTYPE))], source=SOURCE,
            ),
            ahead(rows, f"{label} loses SSIM from the shadow model's answers to the target's", name, [own], source=SOURCE, sign=-1),
        ]  # fmt: skip
    return claims


def own_figures(measured: Sequence[str]) -> list[MedianPerClass]:
    """Return the figure of the combinations judged, as far as they were measured: M_T's answers above M_S's."""
    pairs = [row for name in JUDGED if name.method in measured for row in (name, own_name(name))]
    figure = MedianPerClass(
        file="own_answers.png", rows=[str(name) for name in (*pairs, Name(PROTOTYPE))],
        title="The same inversion models and images, answered by M_T and by M_S",
        caption="Per class the test image whose SSIM under the first row, answered by M_T, is the median.",
    )  # fmt: skip
    return [figure] if pairs else []

"""Where the score of an inversion model is lost: the same M_I and images, answered by the shadow model (not in the text).

M_I learns from the answers of M_S and is attacked with those of M_T. With M_S's answers to the same images nothing
changes but the model that answers: what is lost between the two tables is lost between the two models.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from mi_keras.experiments.bench import SHADOW
from mi_keras.experiments.thesis.rows import COLUMNS, PROTOTYPE, Name
from mi_keras.results import Claim, MedianPerClass, Row, Table
from mi_keras.results.claims import ahead

JUDGED = {Name("o"): "M_I(O)", Name("x"): "M_I(X~)"}  # that claims and figure are about


def own_name(name: Name) -> Name:
    """Return the name of a row of table 4 where M_S answers."""
    return replace(name, at=SHADOW)


def own_table(rows: Sequence[Row]) -> Table:
    """Return the table of the shadow model's own answers."""
    title = "The same inversion models and images, answered by M_S instead of M_T"
    return Table("own_answers", title, "combination", COLUMNS, rows, "ssim")


def own_claims(rows: Mapping[Name, Row]) -> list[Claim]:
    """Say whether M_I(O) and M_I(X~) show more than the class where M_S answers, and whether SSIM falls where M_T does."""
    claim = partial(ahead, rows, source="not in the text")
    claims: list[Claim] = []
    for name, label in JUDGED.items():
        own, prototype = own_name(name), own_name(Name(PROTOTYPE))
        beats = (
            f"Answered by the shadow model, {label} shows more than the class: it beats the class prototype"
        )
        loses = f"{label} loses SSIM from the shadow model's answers to the target's"
        claims += [claim(beats, own, [prototype]), claim(loses, name, [own], sign=-1)]
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

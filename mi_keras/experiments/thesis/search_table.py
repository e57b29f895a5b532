"""The random search of the two weights as table, figure and verdicts (thesis 5.1, Figure 8)."""

import numpy as np

from mi_keras.experiments.store import Stage
from mi_keras.results import Claim, Row, Search, Table
from mi_keras.settings import GradientSettings

WEIGHTS = ("l2_weight", "tv_weight")
FIGURE_8 = Search(
    file="figure_8.png", axes=WEIGHTS, title="Figure 8: random search of the two weights",
    caption="Mean SSIM of the reconstructions of a trial.",
)  # fmt: skip
# Within this factor a weight found is called the text's: the fine search reaches no further.
SAME_WEIGHT = 2.0


def trial_table(search: Stage) -> Table:
    """Return every trial of the search, those that failed among them."""
    rows = [
        Row(
            f"{trial['stage']} {trial['number']}", f"{trial['stage']} {trial['number']}", "trial",
            {metric: np.array([trial[metric]]) for metric in (*WEIGHTS, "ssim", "mse") if trial[metric] is not None},
            note=trial["problem"],
        )
        for trial in search.info["trials"]
    ]  # fmt: skip
    count, failed = len(rows), search.info["failed"]
    return Table(
        "figure_8", "Figure 8: random search of the two weights", "trial", (*WEIGHTS, "ssim", "mse"), rows, "ssim",
        notes=[f"{count} trials, {failed} of them failed."],
    )  # fmt: skip


def best_line(search: Stage) -> str:
    """Return the pair that the search found, in words."""
    best = search.info["best"]
    return (
        f"Best weights: L2 {best['l2_weight']:.4g}, total variation {best['tv_weight']:.4g}, mean SSIM "
        f"{search.info['best_ssim']:.4f} on the search's images, in the {search.info['best_stage']} search "
        f"(text: {GradientSettings().l2_weight:.4g}, {GradientSettings().tv_weight:.4g})."
    )


def weight_claims(search: Stage) -> list[Claim]:
    """Hold the published best pair against the one found."""
    published, best = GradientSettings(), search.info["best"]
    claims = []
    for name, words in zip(WEIGHTS, ("L2", "total variation"), strict=True):
        text, ours = getattr(published, name), best[name]
        claims.append(Claim(
            f"The best {words} weight is about {text:.3g}", "thesis 5.1",
            bool(1 / SAME_WEIGHT <= ours / text <= SAME_WEIGHT),
            f"{ours:.4g} found, {ours / text:.3g} times the text's; about means within a factor of {SAME_WEIGHT:g}",
        ))  # fmt: skip
    return claims

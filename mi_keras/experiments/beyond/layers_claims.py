"""What section `layers` holds against its rows, and the figures that it draws of them."""

from collections.abc import Mapping, Sequence
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

from mi_keras.experiments.split.rows import MEAN_FACE, Name
from mi_keras.results import METRICS, Claim, Figure, Row, SweepSeries, figures
from mi_keras.results.claims import ahead

if TYPE_CHECKING:
    from mi_keras.experiments.beyond.sec_layers import Config

RESIDUAL = "residual"  # before the cuts of the small residual network
GOALS = {"psnr": 21.3, "ssim": 0.66, "retrieval_1000": 0.65}  # of the decoder at C4


def cut_of(name: Name) -> str:
    """Return the cut that a row is about."""
    return name.method.partition("-")[0]


def claims_of(
    config: "Config", rows: Mapping[Name, Row], few: Mapping[Name, Row], protected: Mapping[Name, Row]
) -> list[Claim]:
    ours: dict[str, Any] = {"source": "not in the text", "metric": "psnr"}
    most, claims = max(config.pairs), []
    for cut in config.layers:
        best, blind = Name(f"{cut}-even", str(most)), Name(f"{cut}-no_query")
        claims.append(
            ahead(rows, f"{cut}: the decoder draws more than the mean face", best, [MEAN_FACE], **ours)
        )
        claims.append(
            ahead(
                rows, f"{cut}: without a query more than the mean face is drawn", blind, [MEAN_FACE], **ours
            )
        )
        for more, fewer in pairwise(sorted(config.pairs, reverse=True)):
            names = [Name(f"{cut}-even", str(pairs)) for pairs in (more, fewer)]
            claims.append(
                ahead(
                    rows, f"{cut}: {more:,} pairs are worth more than {fewer:,}", names[0], names[1:], **ours
                )
            )
        steps, drawn = Name(f"{cut}-white_box", "first"), Name(f"{cut}-even", "first")
        claims.append(ahead(few, f"{cut}: the weights add to what the decoder draws", steps, [drawn], **ours))
    ordered = sorted(config.cuts), [f"{RESIDUAL} {cut}" for cut in sorted(config.residual)]
    for early, late in chain(*map(pairwise, ordered)):
        names = [Name(f"{cut}-even", str(most)) for cut in (early, late)]
        claims.append(ahead(rows, f"{early} shows more than {late}", names[0], names[1:], **ours))
    for cut in (cut for cut in config.compared if cut in config.cuts):
        names = [Name(f"{cut}-{method}", str(most)) for method in ("even", "compact")]
        for metric in GOALS:
            if metric in rows[names[0]].values:
                text = f"{cut}: of equal size and pairs, the decoder draws more than that of split 6"
                claims.append(ahead(rows, text, names[0], names[1:], source="not in the text", metric=metric))
                if cut == "C4":
                    claims.append(_reached(rows[names[0]], metric))
    return claims + [each for cut in config.attacked for each in _of_defences(config, cut, protected)]


def _reached(row: Row, metric: str) -> Claim:
    mean, goal, words = row.mean(metric), GOALS[metric], METRICS[metric].label
    return Claim(
        f"C4: {words} of the decoder is at least {goal}", "not in the text", mean >= goal, f"{mean:.4f}"
    )


def _of_defences(config: "Config", cut: str, rows: Mapping[Name, Row]) -> list[Claim]:
    """Hold noise of two shapes against each other, and a tail trained anew against the old one."""
    claims = []
    for deviation in config.noise:
        even, shaped = (Name(f"{cut}-{kind}", f"{deviation:g}") for kind in ("noise", "shaped"))
        text = f"{cut}: at as many answers as noise of {deviation:g} deviations leaves, noise shaped for the tail shows less"
        claims.append(ahead(rows, text, shaped, [even], source="not in the text", metric="psnr", sign=-1))
    for name in (name for name in rows if name.method.endswith("_tuned")):
        old = Name(name.method.removesuffix("_tuned"), name.at)
        text = f"{rows[old].label}: a tail trained anew answers more as before"
        claims.append(ahead(rows, text, name, [old], source="not in the text", metric="agreement"))
    return claims


def figures_of(config: "Config", tables: Sequence[Mapping[Name, Row]], shown: int) -> list[Figure]:
    """Return what pairs are worth at each layer, what defences cost, and pictures of everything."""
    rows, few, protected = tables
    along, images = sorted(config.pairs), list(range(shown))
    searched = [metric for metric in ("psnr", "ssim", "retrieval_1000") if metric in rows[MEAN_FACE].values]
    series = [SweepSeries(cut, [f"{cut}-even@{pairs}" for pairs in along]) for cut in config.layers]
    drawn: list[Figure] = [
        figures.Sweep(
            file="pairs.png", x_label="pairs", ticks=[f"{pairs:,}" for pairs in along], series=series, metrics=searched,
            baseline=[str(MEAN_FACE)], title="What pairs are worth at each layer",
            caption="A decoder of equal size; the line is the mean face.",
        )
    ]  # fmt: skip
    for cut in config.layers:
        for kind, of in (("attacks", rows), ("white_box", few), ("defences", protected)):
            names = [str(name) for name in of if cut_of(name) == cut and not name.method.endswith("_tuned")]
            if names:
                drawn.append(figures.Photographs(
                    file=f"{cut.replace(' ', '_')}_{kind}.png", rows=names, metric="psnr", images=images, title=f"{cut}: {kind.replace('_', ' ')}",
                    caption="The first held-out images in the order of their hash, not picked. Under each its PSNR.",
                ))  # fmt: skip
    return drawn + [_trade_off(cut, protected) for cut in config.attacked]


def _trade_off(cut: str, rows: Mapping[Name, Row]) -> Figure:
    kinds = dict.fromkeys(name.method for name in rows if cut_of(name) == cut and name.at)
    lines = {kind: [name for name in rows if name.method == kind] for kind in kinds}
    return figures.TradeOff(
        file=f"{cut}_privacy_utility.png", title=f"{cut}: privacy and utility of what is sent",
        caption="Each point is a defence and an adversary that knows it: maps sent, bits a value, or deviations of noise. Star: all maps.",
        panels=[figures.Panel("agreement", "psnr", False, "lower right"), figures.Panel("kilobytes", "psnr", True, "lower left")],
        series=[
            figures.TradeOffSeries(kind.partition("-")[2].replace("_", " "), [*map(str, names)], [name.at for name in names])
            for kind, names in lines.items()
        ],
        baseline=[], reference=f"{cut}-none",
    )  # fmt: skip

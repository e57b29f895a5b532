"""Rows of `beyond`: a case measured on every target, and on the shadow models that play one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from mi_keras.experiments.beyond.bench import PLAYERS, BeyondBench
from mi_keras.experiments.beyond.work import Benches
from mi_keras.experiments.case import Case, Plan, plan
from mi_keras.metrics.within_class import detail
from mi_keras.results import Row, Table
from mi_keras.results.figures import MAX_CHOSEN
from mi_keras.types import Ints

COLUMNS = ("ssim", "mse", "found_10", "detail", "held_out")
HEADINGS = {"held_out": "SSIM, held-out shadows"}
AVERAGE = "class_average"


@dataclass(frozen=True)
class Entry:
    """A row to be measured.

    Attributes:
        group: "attack", or "baseline" for what stands apart under the table.
        players: the shadow models that play the target for it: none that it learned from.
        answered: whoever is attacked has answered all of the adversary's images.
    """

    label: str
    case: Case
    group: str = "attack"
    players: Sequence[str] = PLAYERS
    answered: bool = False

    def planned(self, bench: BeyondBench) -> Plan:
        """Describe its stages against one target, or a shadow model that plays it."""
        return plan(self.case, bench.answering() if self.answered else bench)


def held_out(benches: Benches, entry: Entry) -> float:
    """Return the mean SSIM over the shadow models that play the target: what choices of an attack are made by."""
    return float(np.mean([_mean(entry.planned(bench), "ssim") for bench in players(benches, entry)]))


def players(benches: Benches, entry: Entry) -> list[BeyondBench]:
    """Return the benches in which a shadow model plays the target."""
    return [benches[0].other(player=player) for player in entry.players]


def best_of(benches: Benches, groups: Iterable[Mapping[str, Entry]]) -> list[Entry]:
    """Return the entry of each group that scores best on the held-out shadow models; one alone is not measured."""
    listed = [list(group.values()) for group in groups]
    tried = [entry for group in listed for entry in group if len(group) > 1]
    benches[0].store.compute(
        entry.planned(bench).scored for entry in tried for bench in players(benches, entry)
    )
    return [
        max(group, key=lambda entry: held_out(benches, entry)) if len(group) > 1 else group[0]
        for group in listed
    ]


def measured(
    benches: Benches, entries: Mapping[str, Entry], average: Sequence[Plan] = ()
) -> tuple[dict[str, Row], dict[str, list[Plan]]]:
    """Return rows and plans of entries by their names, target by target within each.

    SSIM and MSE; `found_10`, the chance to be found among ten images of the predicted class; `detail`, R2 within the
    predicted class; and the SSIM on held-out shadow models, and of each target.

    Args:
        average: the plans of the class average that `detail` is relative to, where it is none of the entries.
    """
    plans = {name: [entry.planned(bench) for bench in benches] for name, entry in entries.items()}
    on_players = [entry.planned(bench) for entry in entries.values() for bench in players(benches, entry)]
    benches[0].store.compute(each.scored for each in [*chain(*plans.values()), *on_players])
    rows = {}
    for name, entry in entries.items():
        values: dict[str, Any] = {
            metric: np.array([_mean(each, metric) for each in plans[name]]) for metric in ("ssim", "mse")
        }
        found = [each.scored.arrays["found"] for each in plans[name]]
        if all(np.isfinite(each).any() for each in found):  # classes may be too small
            values["found_10"] = np.array([np.nanmean(each) for each in found])
        values["detail"] = np.array(
            [
                detail(each.scored.arrays["mse"], of.scored.arrays["mse"])
                for each, of in zip(plans[name], average or plans[AVERAGE], strict=True)
            ]
        )
        if entry.players:
            values["held_out"] = np.array([held_out(benches, entry)])
        values |= {f"target_{number}": value[None] for number, value in enumerate(values["ssim"], start=1)}
        images = len(plans[name][0].scored.arrays["ssim"])
        rows[name] = Row(name, entry.label, entry.group, values, images)
    return rows, plans


def table(file: str, title: str, first_column: str, rows: Iterable[Row], notes: Sequence[str] = ()) -> Table:
    """Return a table with intervals over targets."""
    return Table(file, title, first_column, COLUMNS, list(rows), "ssim", notes, HEADINGS, interval=True)


def by_target(rows: Iterable[Row]) -> Table:
    """Return the table of every row's SSIM behind each target."""
    listed = list(rows)
    names = [name for name in listed[0].values if name.startswith("target_")]
    headings = {name: name.replace("_", " ") for name in names}
    title = "SSIM of each target"
    return Table("by_target", title, "attack", names, listed, "", (), headings, interval=True)


def arrays_of(benches: Benches, plans: Mapping[str, Sequence[Plan]]) -> dict[str, Any]:
    """Return what figures need: targets, labels, the first target's reconstructions, and the scores of all."""
    test = benches[0].splits.test
    arrays: dict[str, Any] = {"targets": test.images.astype(np.float16), "labels": test.labels}
    for name, runs in plans.items():
        scored = [each.scored.arrays for each in runs]
        arrays[f"reconstruction.{name}"] = scored[0]["images"]
        for metric in ("ssim", "mse"):
            arrays[f"{metric}.{name}"] = np.stack([run[metric] for run in scored])
    return arrays


def worst_per_class(first: Plan, labels: Ints) -> list[int]:
    """Return of each class the image of lowest SSIM behind the first target, ten of them at most."""
    ssim = first.scored.arrays["ssim"]
    members = [np.flatnonzero(labels == number) for number in np.unique(labels)]
    return [int(of[np.argmin(ssim[of])]) for of in members[:MAX_CHOSEN]]


def _mean(each: Plan, metric: str) -> float:
    return float(each.scored.arrays[metric].mean(dtype=np.float64))

"""The tables of PyTorch's measurements: what counts as a pair, where the thesis's value lies, and what the stored rows say."""

import json
from itertools import product

import pytest

from mi_keras.experiments.thesis.sec_5_2_search import NEAR
from mi_keras.experiments.thesis.table_4 import ALONE
from mi_keras.reports.text import MISSING
from scripts import torch_rows
from scripts.torch_rows import LINES, NO_BREAK, measured
from scripts.torch_tables import SHORT, part

SHADOW_ANSWERS = {"answered_by": "shadow"}


def search_rows(way, ssim):
    """Return rows of M_I with X~ by a search, two targets each, by inputs; None: nothing was searched."""
    named = {"shadow": 1, **(way or {"optimizer": None})}
    named = {key: value for key, value in named.items() if value is not None}
    return [
        {
            "kind": "inverter",
            "inputs": inputs,
            **named,
            "target": target,
            "ssim": value + 0.1 * target,
            "mse": 0.2,
        }
        for inputs, value in ssim.items()
        for target in (1, 2)
    ]


def rows_of(shadow, targets, ssim):
    """Return every row of a shadow model against targets, with an SSIM by the label of the line."""
    found = []
    for line, (target, value) in product(LINES, enumerate(targets, 1)):
        who = {"target": target, "shadow": shadow}
        found.append({**line.wanted, **who, "ssim": ssim.get(line.label, 0.5) + value, "mse": 0.1})
        found.append({**line.wanted, **who, **SHADOW_ANSWERS, "target": None, "ssim": 0.9, "mse": 0.1})
    return found


@pytest.fixture
def stored(tmp_path, monkeypatch):
    def store(rows, searched=(), steps=()):
        path = tmp_path / "oracle.json"
        studies = {"pairs": {"settings": {"targets": 2, "rate": 0.1}, "rows": rows}}
        studies |= {
            "search": {"settings": {"targets": 2}, "rows": list(searched)},
            "steps": {"rows": list(steps)},
        }
        path.write_text(json.dumps(studies))
        monkeypatch.setattr(torch_rows, "ORACLE", path)

    return store


def cells(table, label):
    (line,) = [line for line in table.splitlines() if line.startswith(f"| {label} |")]
    return [cell.strip().replace(NO_BREAK, " ") for cell in line.strip("|").split("|")]


def test_the_thesis_lies_among_the_pairs_only_where_some_are_below_and_some_above(stored):
    stored(rows_of(1, (0.0, 0.1), {"M_I(O)": 0.2, "M_I(O + X\\~)": 0.3, "M_I(X\\~)": 0.1}))
    table = part("summary", {})
    assert cells(table, "M_I(O)")[1:5] == [
        "0.230 / 0.097", "0.250 / 0.100", "0.200 to 0.300", "among: 1 of 2 below",
    ]  # fmt: skip
    assert cells(table, "M_I(O + X\\~)")[4] == "below"
    assert cells(table, "M_I(X\\~)")[4] == "above"


def test_a_shadow_model_that_was_cut_off_counts_nowhere(stored):
    last = LINES[3]
    cut_off = [row for row in rows_of(2, (0.0, 0.1), {}) if row.get("known") != last.wanted["known"]]
    stored([*rows_of(1, (0.0, 0.1), {"M_I(O)": 0.2}), *cut_off])
    assert cells(part("summary", {}), "M_I(O)")[3] == "0.200 to 0.300"


WAY = SHORT
OTHER = {"optimizer": "gradient_descent", "rate": 0.01, "steps": 60}
WITHOUT = search_rows(None, {"o": 0.3, "a": 0.1, "o+a": 0.2})


def alone(way, images, ssim):
    return {"kind": "alone", "images": images, "inputs": "x", **way, "ssim": ssim, "mse": 0.05}


def test_every_search_has_its_own_rows_and_what_was_not_trained_a_dash(stored):
    rows = [
        alone(WAY, "validation", 0.31), alone(WAY, "test", 0.25), *search_rows(WAY, {"x": 0.2, "o+x": 0.1}),
        alone(OTHER, "validation", 0.41), alone(OTHER, "test", 0.35), *search_rows(OTHER, {"x": 0.0}),
        alone(OTHER | {"steps": 400}, "test", 0.9),
    ]  # fmt: skip
    stored([], [*WITHOUT, *rows])
    table = part("searches", {})
    assert cells(table, "Adam, 0.03")[1:] == [
        "30", "0.310 / 0.050", "0.250 / 0.050", "0.350 / 0.200", "0.250 / 0.200", MISSING, MISSING,
    ]  # fmt: skip
    assert cells(table, "plain gradient, 0.01")[1:5] == [
        "60",
        "0.410 / 0.050",
        "0.350 / 0.050",
        "0.150 / 0.200",
    ]
    assert (
        "M_I(O) 0.450 / 0.200, M_I(A^L) 0.250 / 0.200, M_I(O + A^L) 0.350 / 0.200".replace(
            " / ", f"{NO_BREAK}/{NO_BREAK}"
        )
        in table
    )


def test_the_short_search_stands_beside_the_rows_of_the_thesis(stored):
    found = [
        *WITHOUT,
        *search_rows(WAY, {"x": 0.2, "a+x": 0.3}),
        *search_rows(OTHER, {"x": 0.7}),
        alone(WAY, "test", 0.25),
    ]
    stored(rows_of(1, (0.0, 0.1), {}), found)
    table = part("summary", {})
    short = {line.label: cells(table, line.label)[5] for line in LINES}
    assert short["M_I(O)"] == "0.450 / 0.200"
    assert short["M_I(X\\~)"] == "0.350 / 0.200"
    assert short["M_I(A^L + X\\~), A^L extracted"] == "0.450 / 0.200"
    assert short["X\\~ alone"] == "0.250 / 0.050"
    assert short["M_I(A^L), A^L solved"] == MISSING  # not how the short search was made


def test_each_target_model_of_the_short_search_has_a_line(stored):
    ways = ("x", "o+x", "a+x", "o+a+x")
    trained = search_rows(SHORT, dict.fromkeys(ways, 0.2))
    stored([], [*WITHOUT, *trained, *([alone(SHORT | {"target": each}, "test", 0.25) for each in (1, 2)])])
    assert cells(part("short", {}), "target model 2")[1:] == [
        "0.300 / 0.200", "0.400 / 0.200", *["0.400 / 0.200"] * 2, "0.500 / 0.200", *["0.400 / 0.200"] * 2, "0.250 / 0.050",
    ]  # fmt: skip


def test_repeats_are_of_one_pair_and_what_the_shadow_model_answers_stands_apart(stored):
    rows = rows_of(1, (0.0, 0.1), {"M_I(O)": 0.2})
    first = next(row for row in rows if row.get("inputs") == "o" and row.get("target") == 1)
    stored(
        [
            *rows,
            first | {"repeat": 2, "ssim": first["ssim"] + 0.02},
            first | {"repeat": 3, "ssim": first["ssim"] - 0.02},
        ]
    )
    assert cells(part("own_answers", {}), "M_I(O)")[1:] == [
        "0.900 / 0.100", "0.250 / 0.100", "0.0200 to 0.0200 (1 pair)",
    ]  # fmt: skip


def test_a_pair_is_described_by_its_own_two_models(stored):
    models = [
        {"kind": "model", "role": role, "number": number, "loss": 0.1 * number, "scale": scale + number}
        for role, scale in (("target", 10), ("shadow", 20))
        for number in (1, 2)
    ]
    pairs = [{"kind": "pair", "shadow": 2, "target": target, "agreement": 0.7} for target in (1, 2)]
    stored(
        [*models, *rows_of(2, (0.0, 0.1), {"M_I(O)": 0.2, "M_I(X\\~)": 0.3, "M_I(O + X\\~)": 0.4}), *pairs]
    )
    assert cells(part("described", {}), "M_S 2, M_T 1")[1:] == [
        "0.200", "0.300", "0.400", "0.100", "0.100", "0.200", "11.000", "22.000", "0.700",
    ]  # fmt: skip


def test_the_nearest_step_size_stands_first(stored):
    rows = [
        {
            "kind": "steps",
            "start": start,
            "optimizer": "adam",
            "rate": rate,
            "images": 5,
            "ssim": near[0] + off,
            "mse": near[1],
        }
        for rate, off in ((0.01, 0.2), (0.1, 0.0))
        for start, near in torch_rows.TABLE_3.items()
    ]
    stored([], steps=rows)
    shown = [line for line in part("steps", {}).splitlines() if line.startswith("| Adam")]
    assert [line.split("|")[2:5] for line in shown] == [
        [" 0.1 ", " 0.0000 ", " 0.0000 "],
        [" 0.01 ", " 0.2000 ", " 0.0000 "],
    ]


def test_the_short_search_is_the_only_one_that_meets_both_rows_of_table_3():
    rows = [row for row in measured()["search"]["rows"] if row["kind"] == "alone"]
    ways = {(row["optimizer"], row["rate"], row["steps"]) for row in rows}
    wanted = {"validation": torch_rows.TABLE_3["class_average"], "test": torch_rows.of_thesis(ALONE)}

    def meets(way):
        named = dict(zip(("optimizer", "rate", "steps"), way, strict=True))
        means = {
            each: torch_rows.mean_of(
                map(torch_rows.scores_of, torch_rows.chosen(rows, named | {"images": each}))
            )
            for each in wanted
        }
        return all(
            abs(found - true) <= near
            for each in wanted
            for found, true, near in zip(means[each], wanted[each], NEAR.values(), strict=True)
        )

    assert [way for way in ways if meets(way)] == [tuple(SHORT.values())]


def test_in_every_pair_all_rows_with_extracted_activations_stay_below_all_others():
    scores = {}
    for row in measured()["pairs"]["rows"]:
        if row["kind"] == "inverter" and row.get("target") and row["repeat"] == 1:
            group = "extracted" if row["known"] == "extracted" else "other"
            scores.setdefault((row["shadow"], row["target"]), {}).setdefault(group, []).append(row["ssim"])
    assert len(scores) == 16
    assert all(max(groups["extracted"]) < min(groups["other"]) for groups in scores.values())

"""The tables of PyTorch's measurements: what counts as a pair, where the thesis's value lies, and what the stored rows say."""

import json
from itertools import product

import pytest

from scripts import torch_tables
from scripts.torch_tables import LINES, NO_BREAK, measured, part

SHADOW_ANSWERS = {"answered_by": "shadow"}


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
    def store(rows):
        path = tmp_path / "oracle.json"
        path.write_text(json.dumps({"pairs": {"settings": {"targets": 2, "rate": 0.1}, "rows": rows}}))
        monkeypatch.setattr(torch_tables, "ORACLE", path)

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


def test_in_every_pair_all_rows_with_extracted_activations_stay_below_all_others():
    scores = {}
    for row in measured()["pairs"]["rows"]:
        if row["kind"] == "inverter" and row.get("target") and row["repeat"] == 1:
            group = "extracted" if row["known"] == "extracted" else "other"
            scores.setdefault((row["shadow"], row["target"]), {}).setdefault(group, []).append(row["ssim"])
    assert len(scores) == 8
    assert all(max(groups["extracted"]) < min(groups["other"]) for groups in scores.values())

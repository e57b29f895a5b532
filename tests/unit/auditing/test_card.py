"""The model card: tables that every Markdown reader takes as tables."""

import re
from itertools import pairwise

import pytest

from mi_keras.auditing.card import card, part
from tests.unit.auditing import reports


@pytest.mark.parametrize("made", [reports.digits_report, reports.photograph_report])
def test_every_row_has_as_many_cells_as_its_heading(made):
    blocks = [block for block in card(made()).split("\n\n") if block.startswith("|")]
    assert len(blocks) >= 8
    for block in blocks:
        rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in block.splitlines()]
        assert len({len(row) for row in rows}) == 1
        assert all(set(cell.strip()) <= {"-", ":"} for cell in rows[1])


def test_the_card_says_what_the_first_screen_says():
    text = card(reports.digits_report()).replace("\\", "")
    for needed in (
        "out of 10 alike in 47 % of cases (10 % is chance) and recovers 26 % of the detail within the class",
        "**BELOW TOLERANCE**", "ours, not yours", "Not tried: shadow, a conversion to TFLite.", "Assumed: pixels", "### Defences",
        "Cheapest that sufficed", "| noise of 0.5, one send | logits | 21 % [18..24] | 34 % [31..37] | 62 % |", "AUC 0.93",
    ):  # fmt: skip
        assert needed in text
    assert "safe" not in text.lower()
    assert "![" not in text


def test_headings_start_below_the_title_of_the_model_card():
    levels = [len(found) for found in re.findall(r"^(#+) ", card(reports.digits_report()), re.M)]
    assert levels[0] == 2
    assert all(new - old <= 1 for old, new in pairwise(levels))


def test_names_are_no_markup():
    text = card(reports.photograph_report())
    for found in re.finditer(r"[<&`*|_]", text):
        if found[0] in "<&`":
            assert text[found.start() - 1] == "\\", text[found.start() - 20 : found.end() + 20]
    assert r"\*\_x\_\*" in text
    assert "\x1b" not in text


def test_each_adversary_stands_once_by_the_attack_that_picks_most():
    report = reports.digits_report()
    lines = part(report, "ladder").splitlines()[2:]
    attacks = report.points[0].attacks
    assert [line.split(":")[0].strip("| ") for line in lines] == list(
        dict.fromkeys(a.adversary for a in attacks)
    )
    of_class = max(a.found.value for a in attacks if a.adversary == "class" and a.found)
    assert f"| {100 * of_class:.0f} %" in lines[0]

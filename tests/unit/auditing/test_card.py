"""The model card: tables that every Markdown reader takes as tables."""

import re
from itertools import pairwise

import pytest

from mi_keras.auditing.card import card
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

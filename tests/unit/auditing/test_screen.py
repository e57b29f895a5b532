"""The first screen: whole in 80 columns and in a pipe, and nothing on it that reassures."""

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from mi_keras.auditing import tables
from mi_keras.auditing.card import card
from mi_keras.auditing.page import page
from mi_keras.auditing.screen import first_screen
from tests.unit.auditing import reports


def printed(report, width=80, *, colours=False):
    """Return what a terminal of this width gets."""
    stream = io.StringIO()
    system = "truecolor" if colours else None
    console = Console(file=stream, width=width, force_terminal=colours, color_system=system)
    first_screen(report, console)
    return stream.getvalue()


def test_the_first_screen_has_all_that_a_reader_needs():
    report = reports.digits_report()
    text = printed(report, 120)
    for needed in (
        "chest_small.keras", "Who listens", "(chance 10 %)", "Detail", "kB", "97 % [94..100]", "71 % [69..73]", "BELOW TOLERANCE",
        "too few; AUC", "0.84 [0.81..0.87]", "62 images lie in classes of ten or more",
        "could be up to 33 % picked, 8 % of the detail", 'VOID: control "shuffled" failed.', "A control failed: identity 0.71",
        "Assumed: pixels 0..255 (declared).", "Controls: shuffled ok | components skipped | identity 0.71 FAILED.",
        "Not tried: shadow", "Warning: 3 near-duplicates", "Tolerance: 30 % picked", "ours, not yours",
        "Cheapest that sufficed: probabilities rounded to 3 decimals.", "Defence at logits", "99.6 %", "noise of 0.5, one send: the best possible attack picks the image in 34 % [31..37]",
        "62 %", "0.93 [0.90..0.96]",
    ):  # fmt: skip
        assert needed in text, needed


@pytest.mark.parametrize("width", [30, 50, 66, 80, 100, 200])
@pytest.mark.parametrize("made", [reports.digits_report, reports.photograph_report])
def test_no_line_is_wider_than_the_window_and_no_number_is_cut(made, width):
    report = made()
    text = printed(report, width)
    assert max(map(len, text.splitlines())) <= width
    if made is reports.digits_report:
        flat = " ".join(text.split())
        assert all(number in flat for number in ("97 % [94..100]", "0.84 [0.81..0.87]", "0 % [-2..2]"))


def test_at_80_columns_verdicts_are_whole_words_and_names_are_cut_where_they_part():
    text = printed(reports.digits_report())
    assert all(verdict in text for verdict in ("LEAKS", "INCONCLUSIVE", "VOID", "BELOW "))
    row = next(line for line in text.splitlines() if "INCONCLUSIVE" in line and "block_6" in line)
    assert re.search(r"[/_] +INCONCLUSIVE", row)


def test_a_pipe_gets_no_control_characters_and_a_terminal_no_green():
    report = reports.photograph_report()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", printed(report))
    coloured = printed(reports.digits_report(), colours=True)
    codes = {code for found in re.findall(r"\x1b\[([\d;]*)m", coloured) for code in found.split(";")}
    assert codes <= {"0", "1", "31", ""}  # plain, bold, red
    assert "31" in codes


def test_names_are_no_markup():
    assert '<script>alert("1")</script>' in printed(reports.photograph_report(), 200)


def test_a_tolerance_of_the_owner_is_not_called_ours():
    text = printed(reports.photograph_report())
    assert "ours" not in text
    assert "as the owner set" in text


def test_a_smoke_test_is_called_one_on_screen_and_page_and_card():
    report = reports.digits_report()
    tested = replace(report, settings=replace(report.settings, preset="smoke"))
    for made in (printed, page, card):
        assert "a smoke test: its numbers mean nothing" in " ".join(made(tested).split())
        assert "smoke" not in made(report)


def test_images_of_training_that_nobody_named_are_unknown_and_no_dash():
    report = reports.digits_report()
    known = replace(report, data=replace(report.data, sides={"members": 10}))
    assert [row[5] for row in tables.exposure(report).rows[:2]] == ["+12 points [3..21]", "unknown"]
    assert [row[5] for row in tables.exposure(known).rows[:2]] == ["+12 points [3..21]", "-"]


def test_nothing_is_called_safe():
    assert "safe" not in printed(reports.digits_report(), 120).lower()

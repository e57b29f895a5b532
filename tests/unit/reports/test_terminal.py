"""Tables on the terminal: whole numbers in the columns there are."""

import io
import re

import pytest
from rich.console import Console

from mi_keras.reports.tables import print_result
from mi_keras.reports.text import format_score
from mi_keras.results import read_result
from mi_keras.results.rows import Published, Score


def printed(result, width=100, terminal=False):
    output = io.StringIO()
    print_result(
        read_result(result), Console(file=output, width=width, force_terminal=terminal, color_system=None)
    )
    return output.getvalue()


def score_of(stored):
    return stored and Score(**stored)


@pytest.mark.parametrize(("terminal", "width"), [(True, 100), (False, 80), (False, 100)])
def test_the_terminal_tables_fit_100_columns_and_keep_every_number_whole(make, terminal, width):
    result, _ = make()
    text = printed(result, width, terminal)
    lines = text.splitlines()
    assert lines[0] == "thesis 5.2: Input combinations of the inversion model"
    assert max(map(len, lines)) <= 107  # the sentence under the table is not wrapped in files
    assert "…" not in text
    for table in result["tables"]:
        assert f"Title of {table['file']}" in text
        for row in table["rows"]:
            assert f"{row['label']} " in text
            for metric in table["metrics"]:
                shown = format_score(score_of(row["values"].get(metric)), single=row["group"] == "trial")
                assert re.search(rf"(?:^|\s){re.escape(shown)}(?:\s|$)", text)
    assert "paper SSIM" in text
    assert "Claims that hold: 1, that do not: 1, undecided: 1" in text
    claims = [
        line[:15].strip()
        for line in lines[lines.index("Claims that hold: 1, that do not: 1, undecided: 1") + 1 :]
    ]
    assert claims[:3] == ["holds", "does not hold", "undecided"]
    assert claims[3].startswith("Undecided: not")
    assert text.count("A note.") == 1


def wide(result):
    """Make the first table as wide as the widest of a section."""
    table = result["tables"][0]
    more = ("instance_gain", "prototype_distance", "loop_rate")
    for number, row in enumerate(table["rows"]):
        row["values"] |= {metric: {"mean": -0.123 - number, "std": 0.5, "n": 2} for metric in more}
        published = {"mean": 0.5 + number / 1000, "std": 0.25}
        row["paper"] = {"table": "Table 6", "values": {"ssim": published, "mse": published}}
    return table | {"metrics": ["ssim", "mse", *more]}


@pytest.mark.parametrize("metrics", [2, 3, 5])
@pytest.mark.parametrize("terminal", [True, False])
def test_published_values_go_under_the_scores_where_the_window_is_too_narrow(make, metrics, terminal):
    result, _ = make()
    table = wide(result)
    result["tables"] = [table | {"metrics": table["metrics"][:metrics]}]
    text = printed(result, 100, terminal)
    assert "…" not in text
    start = text.index("combination")
    shown = text[start : text.index("Mean ±")]
    assert max(map(len, shown.splitlines())) <= 100
    assert ("paper SSIM" in shown) == (metrics == 2)
    for row in table["rows"]:
        paper = format_score(Published(**row["paper"]["values"]["ssim"]))
        assert f"{paper}" in shown
        if metrics > 2:
            (line,) = (line for line in shown.splitlines() if line.count(paper) == 2)
            assert line.startswith("  paper ")
    for metric in table["metrics"][:metrics]:
        assert all(format_score(score_of(row["values"][metric])) in shown for row in table["rows"])


def test_square_brackets_in_names_are_printed_as_they_are(make):
    result, _ = make()
    result["tables"][0]["rows"][0]["label"] = "x[bold] | y"
    assert "x[bold] | y" in printed(result)


def test_a_result_of_the_other_work_says_nothing_of_classes(make_split):
    text = printed(make_split()[0])
    assert "4,226,432" in text
    assert "12,000,000" in text
    assert "split Table 1" in text
    assert not re.search("thesis|MNIST|class prototype", text)

"""Tables: every number against an independent computation from the scores, and every claim in words."""

import csv
import io
import statistics

import numpy as np
import pytest
from rich.console import Console

from mi_keras.reports.tables import CSV_COLUMNS, claims_markdown, csv_table, markdown_table, print_result


def cells_of(table: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line[1:-1].split("|")]
        for line in table.splitlines()
        if line.startswith("|")
    ]


def expected(values: np.ndarray) -> str:
    means = [sum(run.tolist()) / len(run) for run in values]
    return f"{statistics.mean(means):.4f} ± {statistics.stdev(means):.4f}"


def test_markdown_numbers_are_those_of_the_scores(make):
    result, arrays = make()
    by_label = {
        (cells[0].replace("\\", ""), cells[5].replace("\\", "")): cells
        for cells in cells_of(markdown_table(result))
    }
    for row in result["rows"]:
        cells = by_label[row["label"], row["note"]]
        assert cells[1].strip("*") == expected(arrays[f"ssim.{row['name']}"])
        assert cells[2] == expected(arrays[f"mse.{row['name']}"])
    assert by_label["M_I(O + X~)", "X~: logit MSE"][3:5] == ["0.2467 ± 0.0013", "0.0904 ± n/a"]
    assert by_label["M_I(O)", ""][3:5] == ["–", "–"]  # noqa: RUF001


def test_markdown_says_what_was_measured(make):
    result, _ = make()
    header = markdown_table(result).splitlines()[0]
    assert header == "thesis 5.2 · preset quick · MNIST, embedded subset · 2 runs · seed 1 · n = 60 images"
    result["rows"][0]["images"] = 30
    assert "n = 30 to 60 images" in markdown_table(result)


def test_attacks_stand_before_the_baselines_whatever_their_order(make):
    result, _ = make()
    result["rows"].reverse()
    labels = [cells[0].replace("\\", "") for cells in cells_of(markdown_table(result))][2:]
    separator = labels.index("**Baselines**")
    assert separator == 11
    assert set(labels[separator + 1 :]) == {"X~ alone", "class average", "class prototype"}


def test_only_the_best_attack_is_bold(make):
    result, _ = make()
    result["rows"][-1]["ssim"]["mean"] = 0.99  # a baseline
    result["rows"][5]["ssim"]["mean"] = 0.95
    bold = [
        cells[0].replace("\\", "") for cells in cells_of(markdown_table(result)) if cells[1].startswith("**")
    ]
    assert bold == ["M_I(A^L + X~)"]


def test_the_spread_of_one_run_is_unknown_not_zero(make):
    result, arrays = make(runs=1)
    table = markdown_table(result)
    assert f"{arrays['ssim.o'].mean():.4f} ± n/a" in table
    assert "± 0.0000" not in table
    line = next(csv.DictReader(io.StringIO(csv_table(result))))
    assert line["ssim_std"] == ""
    assert line["ssim_n"] == "1"


def test_csv_reads_back_at_full_precision(make):
    result, _ = make()
    lines = list(csv.DictReader(io.StringIO(csv_table(result))))
    assert tuple(lines[0]) == CSV_COLUMNS
    assert [line["name"] for line in lines] == [row["name"] for row in result["rows"]]
    for line, row in zip(lines, result["rows"], strict=True):
        for metric in ("ssim", "mse"):
            assert float(line[f"{metric}_mean"]) == row[metric]["mean"]
            assert float(line[f"{metric}_std"]) == row[metric]["std"]
        assert (line["label"], line["images"], line["preset"], line["seed"]) == (
            row["label"],
            "60",
            "quick",
            "1",
        )
    assert (lines[4]["paper_table"], lines[4]["paper_ssim_mean"], lines[4]["paper_mse_std"]) == (
        "Table 4",
        "0.2467",
        "",
    )
    assert lines[0]["paper_ssim_mean"] == ""


def test_claims_say_what_holds(make):
    result, _ = make()
    assert claims_markdown(result).splitlines() == [
        "- **holds**: M_I(X\\~) is best (thesis 5.2). M_I(X\\~) 0.3720",
        "- **does not hold**: More inputs are worse (thesis 5.2).",
        "- **undecided**: Unmeasured (thesis 7).",
    ]
    assert "No claims" in claims_markdown(result | {"claims": []})


@pytest.mark.parametrize(("terminal", "width"), [(True, 100), (False, 80), (False, 100)])
def test_the_terminal_table_fits_100_columns_and_keeps_every_number_whole(make, terminal, width):
    result, _ = make()
    output = io.StringIO()
    print_result(result, Console(file=output, width=width, force_terminal=terminal, color_system=None))
    text = output.getvalue()
    lines = text.splitlines()
    assert lines[0] == "thesis 5.2: Input combinations of the inversion model"
    assert max(map(len, lines)) <= 107  # the sentence under the table is not wrapped in files
    start = next(i for i, line in enumerate(lines) if line.startswith("combination"))
    assert all(len(line) <= 100 for line in lines[start : start + 2 + len(result["rows"])])
    for row in result["rows"]:
        assert f"{row['ssim']['mean']:.4f} ± {row['ssim']['std']:.4f}" in text
        assert f"{row['label']} " in text
    assert "Claims that hold: 1, that do not: 1, undecided: 1" in text
    assert [line[:15].strip() for line in lines[-3:]] == ["holds", "does not hold", "undecided"]


def test_square_brackets_and_bars_in_names_are_printed_as_they_are(make):
    result, _ = make()
    result["rows"][0]["label"] = "x[bold] | y"
    output = io.StringIO()
    print_result(result, Console(file=output, width=100))
    assert "x[bold] | y" in output.getvalue()
    assert all(len(cells) == 6 for cells in cells_of(markdown_table(result).replace("\\|", "/")))

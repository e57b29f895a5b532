"""Tables: every number against an independent computation from the scores, and every claim in words."""

import csv
import io
import json
import re
import statistics

import numpy as np
import pytest
from scipy.stats import t as student

from mi_keras.reports.files import read_report, write_reports
from mi_keras.reports.markdown import markdown_page
from mi_keras.reports.pages import overview_page
from mi_keras.reports.tables import claims_markdown, csv_table, markdown_table
from mi_keras.reports.text import format_number
from mi_keras.results import read_result

DASH = "–"  # noqa: RUF001


def cells_of(table: str) -> list[list[str]]:
    return [
        [cell.strip().replace("\\", "") for cell in line[1:-1].split("|")]
        for line in table.splitlines()
        if line.startswith("|")
    ]


def expected(values: np.ndarray) -> str:
    means = [sum(run.tolist()) / len(run) for run in values]
    return f"{statistics.mean(means):.4f} ± {statistics.stdev(means):.4f}"


def markdown(result, number=0):
    read = read_result(result)
    return markdown_table(read, read.tables[number])


def csv_text(result, number=0):
    read = read_result(result)
    return csv_table(read, read.tables[number])


def csv_lines(result, number=0):
    return list(csv.DictReader(io.StringIO(csv_text(result, number))))


def test_a_table_of_intervals_shows_half_the_t_interval_of_the_mean(make):
    result, arrays = make()
    table = result["tables"][0]
    table["interval"] = True
    lines = {cells[0]: cells for cells in cells_of(markdown(result))}
    means = arrays["ssim.o"].mean(axis=1)
    low, high = student.interval(0.95, len(means) - 1, means.mean(), means.std(ddof=1) / len(means) ** 0.5)
    assert lines["M_I(O)"][1].strip("*") == f"{means.mean():.4f} ± {(high - low) / 2:.4f}"
    assert "half its 95 % t-interval" in markdown(result)


def test_markdown_numbers_are_those_of_the_scores(make):
    result, arrays = make()
    table = result["tables"][0]
    lines = cells_of(markdown(result))
    assert lines[0] == ["combination", "SSIM", "MSE", "paper SSIM", "paper MSE", "note"]
    by_label = {(cells[0], cells[5]): cells for cells in lines}
    for row in table["rows"]:
        cells = by_label[row["label"], row["note"]]
        assert cells[1].strip("*") == expected(arrays[f"ssim.{row['name']}"])
        assert cells[2] == expected(arrays[f"mse.{row['name']}"])
    assert by_label["M_I(O + X~)", "X~: logit MSE"][3:5] == ["0.2467 ± 0.0013", "0.0904 ± n/a"]
    assert by_label["M_I(O)", ""][3:5] == [DASH, DASH]


def test_only_published_metrics_and_notes_that_exist_have_columns(make):
    result, _ = make()
    del result["tables"][0]["rows"][4]["paper"]["values"]["mse"]
    headings = [cells_of(markdown(result, number))[0] for number in range(3)]
    assert headings == [
        ["combination", "SSIM", "MSE", "paper SSIM", "note"],
        ["model", "weighted F1", "training loss"],
        ["trial", "L2 weight", "TV weight", "SSIM"],
    ]


def test_markdown_says_what_was_measured(make):
    result, _ = make()
    first, models, trials = (
        markdown(result, number).splitlines()[0].replace("\\", "") for number in range(3)
    )
    source = "thesis 5.2 · preset quick · MNIST, embedded subset · 2 runs · seed 1"
    assert first == f"{source} · n = 60 images"
    assert models == f"{source} · n = 30 images"
    assert trials == source
    result["changed"] = ["gradient.steps=7"]
    assert "preset quick, changed: gradient.steps=7 · " in markdown(result)


def test_trials_are_single_measurements_and_a_failed_one_has_a_dash(make):
    result, arrays = make(runs=1)
    lines = {cells[0]: cells for cells in cells_of(markdown(result, 2))}
    assert lines["coarse 0"][3] == DASH
    assert lines["fine 1"][1] == format_number(float(arrays["search.fine.l2_weight"][1]))
    assert "±" not in markdown(result, 2)


def test_attacks_stand_before_the_baselines_whatever_their_order(make):
    result, _ = make()
    result["tables"][0]["rows"].reverse()
    labels = [cells[0] for cells in cells_of(markdown(result))][2:]
    separator = labels.index("**Baselines**")
    assert separator == 11
    assert set(labels[separator + 1 :]) == {"X~ alone", "class average", "class prototype"}


@pytest.mark.parametrize(("best", "column", "value"), [("ssim", 1, 0.95), ("mse", 2, 0.01)])
def test_only_the_best_row_is_bold_and_no_baseline_is(make, best, column, value):
    result, _ = make()
    table = result["tables"][0]
    table["best"] = best
    table["rows"][-1]["values"][best]["mean"] = 0.99 if best == "ssim" else 1e-3  # a baseline
    table["rows"][5]["values"][best]["mean"] = value
    lines = cells_of(markdown(result))
    bold = [(cells[0], n) for cells in lines for n, cell in enumerate(cells) if n and cell.startswith("**")]
    assert bold == [("M_I(A^L + X~)", column)]
    table["best"] = ""
    assert "**0." not in markdown(result)


def test_the_spread_of_one_run_is_unknown_not_zero(make):
    result, arrays = make(runs=1)
    table = markdown(result)
    assert f"{arrays['ssim.o'].mean():.4f} ± n/a" in table
    assert "± 0.0000" not in table
    line = csv_lines(result)[0]
    assert line["ssim_std"] == ""
    assert line["ssim_n"] == "1"


def test_csv_reads_back_at_full_precision(make):
    result, _ = make()
    result["changed"] = ["runs=2", "data.method=stratified"]
    for number, table in enumerate(result["tables"]):
        lines = csv_lines(result, number)
        assert [line["name"] for line in lines] == [row["name"] for row in table["rows"]]
        for line, row in zip(lines, table["rows"], strict=True):
            for metric in table["metrics"]:
                for part in ("mean", "std", "n"):
                    value = (row["values"].get(metric) or {}).get(part)
                    found = line[f"{metric}_{part}"]
                    assert (float(found) if found else None) == value
            assert line["label"] == row["label"]
            assert line["images"] == ("" if row["images"] is None else str(row["images"]))
            assert (line["work"], line["section"], line["table"], line["preset"], line["seed"], line["runs"]) == (
                "thesis", "5.2", table["file"], "quick", "1", "2",
            )  # fmt: skip
            assert line["changed"] == "runs=2; data.method=stratified"
    first = csv_lines(result)
    assert (first[4]["paper_table"], first[4]["paper_ssim_mean"], first[4]["paper_mse_std"]) == (
        "Table 4",
        "0.2467",
        "",
    )
    assert (first[0]["paper_table"], first[0]["paper_ssim_mean"]) == ("", "")


def test_csv_columns_are_those_of_the_table(make):
    result, _ = make()
    columns = csv_text(result, 1).splitlines()[0].split(",")
    assert columns == [
        "work", "section", "table", "preset", "changed", "data", "runs", "seed",
        "name", "label", "group", "note", "images",
        "f1_mean", "f1_std", "f1_n", "training_loss_mean", "training_loss_std", "training_loss_n",
        "paper_table", "paper_f1_mean", "paper_f1_std", "paper_training_loss_mean", "paper_training_loss_std",
    ]  # fmt: skip


def test_claims_say_what_holds(make):
    result, _ = make()
    assert claims_markdown(read_result(result)).splitlines() == [
        "- **holds**: M_I(X\\~) is best (thesis 5.2). M_I(X\\~) 0.3720",
        "- **does not hold**: More inputs are worse (thesis 5.2).",
        "- **undecided**: Unmeasured (thesis 7).",
    ]
    assert "No claims" in claims_markdown(read_result(result | {"claims": []}))


def test_the_page_has_every_table_once_then_notes_claims_and_figures(make):
    result, _ = make()
    text = markdown_page(read_result(result))
    headings = re.findall(r"^#+ .*$", text, re.MULTILINE)
    assert headings[:6] == [
        "# thesis 5.2: Input combinations of the inversion model",
        "## Title of table_4", "## Title of table_2", "## Title of trials", "## Notes", "## Claims",
    ]  # fmt: skip
    for number, table in enumerate(result["tables"]):
        assert text.count(markdown(result, number).strip()) == 1
        assert f"[{table['file']}.csv]({table['file']}.csv)" in text
    assert "![Title of sweep](sweep.png)\n\nCaption of sweep." in text


def test_bars_in_names_are_printed_as_they_are(make):
    result, _ = make()
    result["tables"][0]["rows"][0]["label"] = "x[bold] | y"
    text = markdown(result)
    assert all(len(cells) == 6 for cells in cells_of(text.replace("\\|", "/")))


def test_a_result_of_the_other_work_needs_no_classes(make_split, tmp_path):
    result, arrays = make_split()
    assert not {"targets", "labels"} & set(arrays)
    (tmp_path / "result.json").write_text(json.dumps(result))
    np.savez(tmp_path / "arrays.npz", **arrays)
    written = {path.name: path for path in write_reports(tmp_path)}
    psnr = [arrays["psnr.upsampled"][run].mean() for run in (0, 1)]
    shown = f"{statistics.mean(psnr):.2f} ± {statistics.stdev(psnr):.2f}"
    page, text = written["index.html"].read_text(), written["index.md"].read_text()
    for whole in (page, text):
        assert shown in whole
        assert "4,226,432" in whole
        assert "12,000,000" in whole
        assert "split Table 1" in whole
        assert not re.search("thesis|MNIST|class prototype", whole)
    line = csv_lines(result)[0]
    assert (line["work"], line["kilobytes_mean"], line["parameters_mean"]) == ("split", "131.25", "4226432.0")
    overview = overview_page([read_report(tmp_path)])
    assert "split 6: Decoders" in overview
    assert (tmp_path / "histogram.png").is_file()

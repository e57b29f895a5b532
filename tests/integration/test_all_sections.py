"""Every section of the thesis at its smallest in one command, as a user runs it: in a process of its own."""

import json
import re

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from mi_keras.experiments.registry import SECTIONS
from mi_keras.reports.paper_items import FIGURES, TABLES
from tests.integration.command import load, reproduce

pytestmark = (
    pytest.mark.slow
)  # half a minute; sections 5.2, split 6 and 7 run for themselves, all are described in test_pinned_stages
EVERYTHING = ("--preset", "smoke", "--section", "all")


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    folder = tmp_path_factory.mktemp("all")
    finished = reproduce(folder, *EVERYTHING)
    results = {
        section.number: load(folder, section.number)
        for section in SECTIONS
        if section.work == "thesis" and not section.study
    }
    return folder, finished, results


def rows(result, table):
    (found,) = (each for each in result["tables"] if each["file"] == table)
    return {row["name"]: row for row in found["rows"]}


def test_every_table_and_figure_of_the_map_is_there(everything):
    folder, finished, _ = everything
    for table in TABLES:
        assert (folder / f"results/{table.section}/smoke/{table.file}.csv").is_file()
    for figure in FIGURES:
        for name in figure.files if figure.section else ():
            assert (folder / f"results/{figure.section}/smoke/{name}").is_file(), name
    other = [line for line in finished.stderr.splitlines() if not re.search(r": \d+\.\d s \(.* so far", line)]
    assert other == []  # a line for each finished stage, and nothing else
    assert max(map(len, finished.stdout.splitlines())) < 400  # only sentences are longer than the window
    for number in ("4.2", "5.1", "5.2", "5.3", "5.4"):
        assert f"thesis {number}: " in finished.stdout


def test_one_page_holds_everything(everything):
    folder, _, results = everything
    page = (folder / "results/all/smoke/index.html").read_text()
    assert page.count("data:image/png;base64,") == sum(len(result["figures"]) for result in results.values())
    for result in results.values():
        for table in result["tables"]:
            assert table["title"].split('"')[0] in page


def test_sections_share_what_they_have_in_common(everything):
    """No defence is the plain attack, and one training serves all sections: to the last digit, and without a second one."""
    _, _, results = everything
    plain, truncated = rows(results["5.2"], "table_4"), rows(results["5.4"], "table_6")
    unrounded = rows(results["5.3"], "rounding_sweep")
    for model in ("o", "x"):
        assert (
            plain[model]["values"]
            == truncated[f"{model}@k=10"]["values"]
            == unrounded[f"{model}@none"]["values"]
        )
    start = rows(results["5.1"], "table_3")["x_class_average@test"]
    assert start["values"]["ssim"] == plain["gradient_reconstruction"]["values"]["ssim"]
    used = [entry for entry in results["5.2"]["timings"] if entry["stage"].startswith("classifier")]
    assert len(used) == 2
    assert all(entry["reused"] for entry in used)


def test_the_table_shows_all_rows_with_the_papers_values_and_the_claims(everything):
    _, finished, _ = everything
    for text in (
        "M_I(O + A^L + X~)",
        "0.3727",
        "0.0966",
        "class prototype",
        "class average",
        "smoke",
        "Adding inputs",
    ):
        assert text in finished.stdout, text


def test_the_result_file_follows_its_schema(everything):
    result = everything[2]["5.2"]
    assert result["schema"] == "mi_keras.result/2"
    names = [row["name"] for row in result["tables"][0]["rows"]]
    assert {"o", "a", "x", "o+a", "o+x", "a+x", "o+a+x"} <= set(names)
    assert {"class_average", "class_prototype", "gradient_reconstruction"} <= set(names)
    assert all(
        row["values"][metric]["n"] == 1 for row in result["tables"][0]["rows"] for metric in ("ssim", "mse")
    )
    assert result["settings"]["gradient"]["tv_weight"] == 9.48785e-3
    assert {"python", "tensorflow", "keras", "numpy", "mi-keras"} <= set(result["versions"])


def test_means_are_the_means_of_the_kept_images_as_scikit_image_scores_them(everything):
    folder, _, results = everything
    with np.load(folder / "results/5.2/smoke/arrays.npz") as arrays:
        targets = arrays["targets"].astype(np.float64)
        for row in results["5.2"]["tables"][0]["rows"]:
            images = arrays[f"reconstruction.{row['name']}"].astype(np.float64)  # kept in float16
            scores = {metric: arrays[f"{metric}.{row['name']}"] for metric in ("ssim", "mse")}
            by_skimage = [
                _valid_ssim(a[..., 0], b[..., 0]) for a, b in zip(images[:10], targets[:10], strict=True)
            ]
            np.testing.assert_allclose(scores["ssim"][0, :10], by_skimage, atol=3e-3)
            errors = ((images - targets) ** 2).mean(axis=(1, 2, 3))
            np.testing.assert_allclose(scores["mse"][0, :10], errors[:10], atol=1e-3)
            assert row["values"]["ssim"]["mean"] == pytest.approx(scores["ssim"].mean(), abs=1e-6)


def test_tables_and_figures_are_written(everything):
    present = {path.name for path in (everything[0] / "results/5.2/smoke").iterdir()}
    figures = {f"figure_{n}.png" for n in ("3", "13_14", "27", "28", "29", "30", "31", "32")}
    files = {"result.json", "arrays.npz", "index.html", "index.md", "table_4.csv", "training_curves.png"}
    assert files | figures <= present
    assert not [name for name in present if name.startswith(".") or name.endswith(".tmp")]


@pytest.mark.slow  # draws every figure a second time; the same of one section is in test_section_5_2
def test_all_again_reads_the_store_and_gives_one_list_as_json(everything):
    folder, _, results = everything
    again = json.loads(reproduce(folder, *EVERYTHING, "--json").stdout)
    assert [result["section"] for result in again] == list(results)
    for result in again:
        assert all(entry["reused"] for entry in result["timings"] if entry["stage"] != "all")
        assert result["tables"] == results[result["section"]]["tables"]


def _valid_ssim(first, second):
    _, full = structural_similarity(
        first, second, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    return full[5:-5, 5:-5].mean()

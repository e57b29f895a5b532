"""The sections of the split attack through the command line, on tiles of photographs and a random encoder."""

import json
from pathlib import Path

import numpy as np
import pytest

from mi_keras.cli import main

FEW = ("--set", "faces.faces=22", "--set", "encoder.variant=minimalistic")
TINY = (*FEW, "--set", "compact.epochs=1", "--set", "compact.batch_size=8")
SMALL_CUT = "encoder.cut=expanded_conv_6_project_bn"  # of stride 16 and 80 maps


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("home")


def reproduce(
    home: Path, section: str, *more: str, weights: str = "random", tiny: tuple[str, ...] = TINY
) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MI_KERAS_HOME", str(home / "store"))
        return main([
            "--work", "split", "--section", section, "--preset", "smoke", "--encoder-weights", weights, "--out",
            str(home / "results"), *tiny, *more,
        ])  # fmt: skip


def load(home: Path, section: str) -> tuple[dict, Path]:
    folder = home / "results" / "split" / section / "smoke"
    return json.loads((folder / "result.json").read_text()), folder


def check_files(result: dict, folder: Path) -> None:
    for name in [figure["file"] for figure in result["figures"]] + ["index.html", "index.md"]:
        assert (folder / name).stat().st_size > 1000, name
    assert result["data"] == "photographs"
    assert "encoder.weights=random" in result["changed"]
    notes = " ".join(result["notes"])
    assert "With random weights the encoder recognises nothing" in notes
    assert "these numbers say nothing about faces" in notes


@pytest.mark.slow
def test_section_6_reports_every_decoder_beside_the_mean_face(home, capsys):
    assert reproduce(home, "6", "--set", "decoders=transposed,bicubic,compact") == 0
    result, folder = load(home, "6")
    check_files(result, folder)
    table, identity = result["tables"]
    assert [row["name"] for row in table["rows"]] == ["transposed", "bicubic", "compact", "mean_face"]
    assert [row["values"].get("parameters", {"mean": None})["mean"] for row in table["rows"]] == [
        143_663, 172_207, 183_180, None,
    ]  # fmt: skip
    assert table["rows"][0]["paper"]["values"]["psnr_paper"]["mean"] == 46
    assert identity["title"] == "Does the model see the same in a reconstruction?"
    assert "Found among" not in " ".join(identity["notes"])
    assert identity["metrics"] == ["feature_distance"]  # fewer pictures than a gallery of 100 needs
    for row in table["rows"]:  # psnr_paper exceeds psnr by what normalisation and the factor of 255 make
        assert 30 < row["values"]["psnr_paper"]["mean"] - row["values"]["psnr"]["mean"] < 40
    assert "mean face" in capsys.readouterr().out


@pytest.mark.slow
def test_section_6_published_shows_the_text_each_behaviour_and_all_of_them(home):
    assert reproduce(home, "6-published", tiny=FEW) == 0
    result, folder = load(home, "6-published")
    check_files(result, folder)
    (table,) = result["tables"]
    transposed = ["", "@layers", "@in_place", "@batch_statistics", "@trained_on", "@all"]
    bicubic = [at for at in transposed if at != "@layers"]
    names = [f"transposed{at}" for at in transposed] + [f"bicubic{at}" for at in bicubic]
    assert [row["name"] for row in table["rows"]] == [*names, "mean_face", "mean_face@all"]
    assert table["rows"][0]["paper"]["values"]["psnr_paper_batch"]["mean"] == 46
    judged = [claim for claim in result["claims"] if claim["source"] == "split Table 1"]
    assert len(judged) == 6
    assert all(claim["holds"] is not None for claim in judged)


@pytest.mark.slow
def test_section_7_reads_what_section_6_left_and_measures_both_sides(home):
    assert reproduce(home, "6") == 0  # read where it was run before
    chosen = ("--set", "methods=random,greedy", "--set", "maps=100,10", "--set", "selection_images=8")
    assert reproduce(home, "7", *chosen, "--set", "adapted.batch_size=8") == 0
    result, folder = load(home, "7")
    check_files(result, folder)
    rows = {row["name"]: row["values"] for row in result["tables"][0]["rows"]}
    names = ["none", "random@100", "random@10", "greedy@100", "greedy@10", "bits@4", "noise@1", "mean_face"]
    assert list(rows) == names
    assert rows["none"]["kilobytes"]["mean"] == pytest.approx(12 * 12 * 672 * 2 / 1000)
    assert rows["greedy@10"]["kilobytes"]["mean"] == pytest.approx(12 * 12 * 10 * 2 / 1000)
    assert rows["bits@4"]["kilobytes"]["mean"] == pytest.approx(12 * 12 * 672 / 2 / 1000)
    assert rows["none"]["agreement"]["mean"] == 1
    assert rows["none"]["logit_cosine"]["mean"] == pytest.approx(1)
    reused = {entry["stage"]: entry["reused"] for entry in result["timings"]}
    assert reused["maps training"]
    with np.load(folder / "arrays.npz") as arrays:
        assert arrays["shown.greedy@10"].shape == arrays["shown.targets"].shape
        assert arrays["psnr.greedy@10"].shape == (1, 2)


@pytest.mark.slow
def test_a_second_run_leaves_no_figure_of_other_settings_and_nothing_else_is_touched(home):
    folder = home / "results" / "split" / "7" / "smoke"
    own = folder / "notes.png"
    own.write_bytes(b"the user's")
    assert (folder / "reconstructions_bits.png").exists()
    chosen = ("--set", "methods=random", "--set", "maps=100", "--set", "bits=", "--set", "selection_images=8")
    assert reproduce(home, "7", *chosen, "--set", "adapted.batch_size=8") == 0
    assert not (folder / "reconstructions_bits.png").exists()
    assert (folder / "reconstructions_random.png").exists()
    assert own.read_bytes() == b"the user's"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--work", "split", "--section", "5"),
            "`--section` of work split must be one of: 6, 6-published, 7, all; got 5.",
        ),
        (
            ("--section", "5.2", "--encoder-weights", "random"),
            "`--encoder-weights` must go with --work split; got --work thesis.",
        ),
        (
            ("--work", "split", "--section", "6", "--data", "mnist"),
            "`--data` must be photographs, folder:PATH, zip:PATH or tfds:NAME; got 'mnist'.",
        ),
        (
            ("--work", "split", "--section", "6", "--set", "faces.size=200"),
            "`faces.size` must be a multiple of 32 from 192 to 1024; got 200.",
        ),
        (
            ("--work", "split", "--section", "7", "--set", "bits=9", "--encoder-weights", "random"),
            "`bits` must be among 1, 2, 3, 4, 5, 6, 7, 8; got 9.",
        ),
        (
            ("--work", "split", "--section", "all", "--encoder-weights", "random", "--set", SMALL_CUT),
            "`maps` must be below the number of maps at the cut, 80; got 336.",
        ),
        (
            ("--work", "split", "--section", "7", "--set", "noise=1,1.0000001"),
            "`noise` must be distinct numbers > 0 and <= 100; got (1.0, 1.0000001).",
        ),
        (
            ("--work", "split", "--section", "7", "--set", "noise=", "--set", "bits=", "--set", "methods="),
            "`methods`, `bits` and `noise` must name at least one defence; got none.",
        ),
        (
            ("--work", "split", "--section", "6", "--encoder-weights", "nowhere.h5"),
            "`encoder.weights` must be random, imagenet or a readable HDF5 file; got nowhere.h5",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, monkeypatch, refusal_of, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in refusal_of(main, arguments)

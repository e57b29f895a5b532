"""Section `layers` of beyond at its smallest, as a user runs it, on tiles of photographs and a random encoder."""

import numpy as np
import pytest

from tests.integration.command import load, reproduce

pytestmark = pytest.mark.slow  # a minute of processor time
RANDOM = ("--set", "encoder.weights=random", "--set", "encoder.variant=minimalistic")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("layers")
    reproduce(folder, "--work", "beyond", "--section", "layers", "--preset", "smoke", *RANDOM)
    return folder, load(folder, "beyond/layers")


def rows(result, table):
    (found,) = (each for each in result["tables"] if each["file"] == table)
    return {row["name"]: row["values"] for row in found["rows"]}


def test_every_layer_has_its_adversaries_and_decoders_of_one_size(done):
    _, result = done
    found = rows(result, "layers")
    each = ("even@40", "even@16", "nearest@40", "no_query")
    assert set(found) == {f"{cut}-{name}" for cut in ("C4", "residual C4") for name in each} | {
        "mean_face",
    }
    sizes = {name: values["parameters"]["mean"] for name, values in found.items() if "even" in name}
    assert max(sizes.values()) == 183_180
    assert min(sizes.values()) > 0.9 * 183_180
    assert any("Small residual network" in note for note in result["notes"])
    assert set(rows(result, "white_box")) == {
        f"{cut}-{name}@first" for cut in ("C4", "residual C4") for name in ("even", "white_box")
    }


def test_what_a_tail_trained_anew_costs_stands_beside_the_same_attack(done):
    _, result = done
    found = rows(result, "defences")
    assert set(found) == {"C4-none", "C4-greedy@168", "C4-noise@1", "C4-shaped@1", "C4-greedy_tuned@168"}
    assert found["C4-none"]["agreement"]["mean"] == 1
    for metric in ("psnr", "ssim", "kilobytes"):
        assert found["C4-greedy@168"][metric] == found["C4-greedy_tuned@168"][metric]
    assert found["C4-shaped@1"]["kilobytes"] == found["C4-noise@1"]["kilobytes"]


def test_arrays_hold_pictures_of_every_row_and_scores_of_every_image(done):
    folder, result = done
    with np.load(folder / "results/beyond/layers/smoke/arrays.npz") as arrays:
        shown = arrays["shown.targets"].shape
        for table in result["tables"]:
            for row in table["rows"]:
                if row["name"] != "mean_face":
                    assert arrays[f"shown.{row['name']}"].shape == shown, row["name"]
        few = arrays["psnr.residual C4-white_box@first"]
        assert few.shape == (1, 2)
        np.testing.assert_array_equal(
            arrays["psnr.residual C4-even@first"], arrays["psnr.residual C4-even@40"][:, :2]
        )

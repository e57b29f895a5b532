"""Section `layers`: settings, how often pairs are seen, and verdicts on numbers that are known."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from mi_keras.errors import InputError
from mi_keras.experiments.beyond import sec_layers
from mi_keras.experiments.beyond.layers_claims import claims_of
from mi_keras.experiments.beyond.layers_rows import decoder, label, row
from mi_keras.experiments.split.rows import MEAN_FACE, Name
from mi_keras.results import Row

QUICK = sec_layers.PRESETS["quick"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("cuts", ("C6",), "`cuts` must be among C1, C2, C3, C4, C5; got 'C6'"),
        ("pairs", (100, 100), "`pairs` must be distinct numbers > 2"),
        ("pairs", (), "`pairs` and `white_weights` must name at least one each"),
        ("shares", (1.0,), "`shares` must be < 1; got (1.0,)"),
        ("noise", (100.0,), "`noise` must be < 100; got (100.0,)"),
        ("fine_share", 0.0, "`fine_share` must be > 0 and <= 1; got 0.0"),
        ("white_steps", 0, "`white_steps` must be between 1 and"),
        ("tuned", ("greedy", "none"), "`tuned` must be among random, variance, gradient, greedy; got 'none'"),
        ("even", sec_layers.PAPER.compact, "`even.decoder` must be even; got 'compact'"),
    ],
)
def test_what_cannot_be_meant_is_refused(key, value, message):
    with pytest.raises(InputError, match=re.escape(message)):
        replace(sec_layers.PAPER, **{key: value})


def test_some_own_images_must_be_left_to_choose_by():
    faces = SimpleNamespace(sides={"training": ((), 4015)})
    with pytest.raises(InputError, match="of which there are 4015; they take 4016"):
        sec_layers.check(QUICK, faces)
    faces.sides["training"] = ((), 4016)
    sec_layers.check(QUICK, faces)


def test_fewer_pairs_are_seen_more_often_and_folded_maps_less():
    epochs = {
        stride: [decoder(QUICK.even, pairs, QUICK, SimpleNamespace(encoder=SimpleNamespace(stride=stride))).settings.epochs for pairs in (4000, 1000)]
        for stride in (4, 16)
    }  # fmt: skip
    assert epochs == {16: [10, 20], 4: [2, 4]}


def test_rows_are_called_by_what_the_adversary_has():
    labels = [
        label(each, QUICK)
        for each in (row("C2", "even", 4000), row("C2", "no_query"), row("C4", "white_box", "first"))
    ]
    assert labels == ["C2: decoder, 4,000 pairs", "C2: no query: means of places", "C4: with the weights"]


def _rows(**psnr: float) -> dict[Name, Row]:
    names = {key: Name(*key.replace("_at_", "@").replace("__", "-").split("@")) for key in psnr}
    return {
        name: Row(str(name), str(name), "attack", {metric: np.array([psnr[key]]) for metric in ("psnr", "ssim", "agreement")})
        for key, name in names.items()
    }  # fmt: skip


def test_verdicts_compare_layers_pairs_weights_and_noise():
    config = replace(QUICK, residual=(), pairs=(10, 20), noise=(1.0,))
    rows = _rows(
        C2__even_at_20=25, C2__even_at_10=24, C2__no_query=18, C4__even_at_20=21.4, C4__even_at_10=21.45, C4__no_query=11,
        C4__compact_at_20=20.5,
    ) | {MEAN_FACE: _rows(mean=11.3)[Name("mean")]}  # fmt: skip
    few = _rows(
        C2__even_at_first=25, C2__white_box_at_first=30, C4__even_at_first=21, C4__white_box_at_first=20
    )
    behind = _rows(C4__noise_at_1=18, C4__shaped_at_1=16, C4__greedy_at_42=0.2, C4__greedy_tuned_at_42=0.6)
    told = {claim.text: claim.holds for claim in claims_of(config, rows, few, behind)}
    assert told["C2 shows more than C4"] is True
    assert told["C2: without a query more than the mean face is drawn"] is True
    assert told["C4: without a query more than the mean face is drawn"] is False
    assert told["C4: 20 pairs are worth more than 10"] is None  # by less than counts
    assert told["C2: the weights add to what the decoder draws"] is True
    assert told["C4: the weights add to what the decoder draws"] is False
    assert told["C4: PSNR (dB) of the decoder is at least 21.3"] is True
    assert (
        told["C4: at as many answers as noise of 1 deviations leaves, noise shaped for the tail shows less"]
        is True
    )
    assert told["C4-greedy@42: a tail trained anew answers more as before"] is True

"""The thesis's own numbers, put in the place of ours, must give the verdicts that its sentences deserve."""

from dataclasses import fields, replace
from importlib import import_module

import numpy as np
import pytest

from mi_keras.errors import InputError
from mi_keras.experiments.beyond.sizes import Banked
from mi_keras.experiments.registry import PRESETS, SECTIONS
from mi_keras.experiments.thesis import loops, search_table, table_4
from mi_keras.experiments.thesis import sec_4_2_classifiers as classifiers
from mi_keras.experiments.thesis import sec_5_1_gradient as gradient
from mi_keras.experiments.thesis import sec_5_3_rounding as rounding
from mi_keras.experiments.thesis import sec_5_4_truncation as truncation
from mi_keras.experiments.thesis import sec_7_future_work as future
from mi_keras.experiments.thesis.rows import EXTRACTED, ONE_HOT, Name
from mi_keras.results import Row
from mi_keras.types import Images


def row(name, **means):
    """A row of two runs around each mean, 0.002 apart."""
    values = {metric: np.array([mean - 0.001, mean + 0.001]) for metric, mean in means.items()}
    return Row(name, name, "attack", values, images=10)


def published(section, more=None):
    """The rows of the text; `more` are means of further ones by name."""
    rows = {
        name: row(str(name), **{metric: mean for metric, (mean, _) in paper.values.items()})
        for name, paper in section.PUBLISHED.items()
    }
    return rows | {name: row(str(name), **means) for name, means in (more or {}).items()}


def verdicts(claims):
    return {claim.text: claim.holds for claim in claims}


def test_the_classifiers_of_the_text():
    found = verdicts(classifiers._claims(published(classifiers)))
    assert (
        found.pop("No activation with dropout has the highest F1 of the ten variants") is None
    )  # by 0.0014: too little
    assert all(found.values()), found
    worse = published(classifiers) | {"shadow": row("shadow", f1=0.9)}
    assert (
        verdicts(classifiers._claims(worse))["The shadow model classifies as well as the target model"]
        is False
    )


def test_the_starts_of_the_text():
    one_hot = {
        replace(name, objective=ONE_HOT): {"ssim": paper.values["ssim"][0]} for name, paper in gradient.PUBLISHED.items()
    }  # fmt: skip
    more = one_hot | {Name("x_found", "test"): {"ssim": 0.25}, Name("class_average"): {"ssim": 0.316}}
    claims = gradient._claims(published(gradient, more), "logit_mse")
    assert [claim.holds for claim in claims] == [*[True] * 6, True, False]
    assert "-20.1 %; text: -20.1 %" in claims[2].numbers
    without = gradient._claims(published(gradient), "logit_mse")
    assert [claim.holds for claim in without] == [True, True, True, *[None] * 5]


@pytest.mark.parametrize("known", ["solved", EXTRACTED])
def test_the_input_combinations_of_the_text_are_judged_with_each_reading_of_a(known):
    """The text's table must hold under the reading that gives it, and be open under the one that was not measured."""
    rows = {
        Name(name, known=known if name in table_4.WITH_A else "solved"): row(
            name, ssim=paper.values["ssim"][0]
        )
        for name, paper in table_4.PUBLISHED.items()
    } | {Name("class_prototype"): replace(row("class_prototype", ssim=0.43), group="baseline")}
    found = {claim.text: claim for claim in table_4.claims(rows)}
    with_a = [claim for text, claim in found.items() if text.endswith(", own A^L extracted")]
    without = [found[claim.text.removesuffix(", own A^L extracted")] for claim in with_a]
    judged, open_ = (with_a, without) if known == EXTRACTED else (without, with_a)
    assert [claim.holds for claim in judged] == [True] * 5
    assert [claim.holds for claim in open_] == [None] * 5
    assert all("not measured" in claim.numbers for claim in open_)
    x, a = (Name(name, known=known if name == "a" else "solved") for name in ("x", "a"))
    swapped = {claim.text: claim.holds for claim in table_4.claims(rows | {x: rows[a], a: rows[x]})}
    assert [swapped[claim.text] for claim in judged] == [False, False, False, True, False]


class FakeSearch:
    def __init__(self, l2, tv):
        self.info = {"best": {"l2_weight": l2, "tv_weight": tv}}


@pytest.mark.parametrize(
    ("l2", "tv", "holds"), [(4.4e-5, 9.5e-3, [True, True]), (1e-5, 0.02, [False, False]), (8.8e-5, 0.01, [True, True])]
)  # fmt: skip
def test_weights_found_are_the_texts_within_a_factor_of_two(l2, tv, holds):
    assert [claim.holds for claim in search_table.weight_claims(FakeSearch(l2, tv))] == holds


def test_the_rounding_of_the_text():
    more = {
        Name("o", "d=0"): {"ssim": 0.20},
        Name("x", "d=0"): {"ssim": 0.36},
        Name("none"): {"accuracy": 0.98},
        Name("d=0"): {"accuracy": 0.98},
    }
    rows = published(rounding, more)
    claims = rounding._claims(rows, rows, rounding.PAPER)
    assert [claim.holds for claim in claims] == [True, True, True, True, True, True, True]
    rows |= {Name("x", "d=1"): row("x@d=1", ssim=0.30, mse=0.09), Name("d=0"): row("d=0", accuracy=0.90)}
    claims = rounding._claims(rows, rows, rounding.PAPER)
    assert [claim.holds for claim in claims] == [True, True, True, False, False, True, False]


def test_the_truncation_of_the_text():
    distance = {
        Name(model, f"k={k}"): row("", prototype_distance=0.05 * k) for model in "ox" for k in (10, 5, 3, 1)
    }
    costs = {Name("k=10"): row("k=10", ece=0.01), Name("k=1"): row("k=1", ece=0.05)}
    rows = published(truncation, {Name("class_prototype"): {"ssim": 0.4296}})
    claims = truncation._claims(rows, distance, costs, truncation.PAPER)
    found = verdicts(claims)
    beats = [holds for text, holds in found.items() if "shows more than the class" in text]
    assert beats == [False, None]  # O at 0.4135, X~ at exactly what knowing the class gives
    small = "SSIM of M_I(O) rises from k = 3 to k = 1"  # 0.4092 to 0.4135
    assert found.pop(small) is None
    assert all(holds for text, holds in found.items() if "shows more than the class" not in text), found
    alone = replace(truncation.PAPER, top=(10,))
    alone_claims = truncation._claims(rows, distance, costs, alone)
    assert len(alone_claims) == 2
    assert all("shows more than the class" in claim.text for claim in alone_claims)
    assert truncation._loop_claims(rows, alone) == []
    flat = rows | {Name("x", "k=1"): row("x@k=1", ssim=0.30)}
    assert verdicts(truncation._claims(flat, distance, costs, truncation.PAPER))[
        "SSIM of M_I(X~) rises from k = 3 to k = 1"
    ] is False  # fmt: skip


def test_the_story_of_the_two_is_judged_by_loops_and_by_likeness_to_the_generic_image():
    rows = {
        Name(m, f"k={k}"): row("", loop_rate=rate, prototype_distance=1 - rate)
        for m in "ox" for k, rate in ((10, 0.2), (1, 0.9))
    }  # fmt: skip
    assert [claim.holds for claim in truncation._loop_claims(rows, truncation.PAPER)] == [True] * 4


def test_twos_without_a_loop_are_told_by_what_is_made_of_them():
    ring = np.zeros((32, 32, 1), np.float32)
    ring[8:20, 8:20], ring[11:17, 11:17] = 1, 0
    filled = np.where(np.arange(32)[:, None, None] < 20, ring.max(axis=(0, 2), keepdims=True), 0).astype(
        np.float32
    )
    test = Images(
        np.stack([ring, filled, filled, ring]), np.array([2, 2, 2, 1]), np.arange(4, dtype=np.uint64)
    )
    chosen = loops.twos_without_loop(test, ("0", "1", "2"))
    np.testing.assert_array_equal(chosen, [1, 2])
    assert not len(loops.twos_without_loop(test, ("a", "b", "c")))
    scores = np.array([9.0, 0.1, 0.3, 9.0], np.float32)  # those of other images must not count
    x, prototype = Name("x"), Name("class_prototype")
    run = {
        x: {"images": np.stack([ring, ring, filled, ring]), "ssim": scores, "distance": scores},
        prototype: {"images": test.images, "ssim": scores / 2, "distance": 0 * scores},
    }
    rows = {
        x: row("x", ssim=0),
        prototype: replace(row("class_prototype", ssim=0), group="baseline"),
    }
    table = loops.loop_table([run], test, chosen, rows, prototype)
    found = {each.name: {metric: each.mean(metric) for metric in each.values} for each in table.rows}
    assert found["x"] == pytest.approx(
        {"loop_rate": 0.5, "prototype_distance": 0.2, "ssim": 0.2, "instance_gain": 0.1}, rel=1e-5
    )
    assert "instance_gain" not in found["class_prototype"]
    assert "Of the 3 test images of a 2, the 2 without a loop" in table.notes[0]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.number)
def test_every_section_has_every_preset_and_its_paper_is_the_default(section):
    module = import_module(section.module)
    assert section.load() is module.SECTION
    assert tuple(section.load().presets) == tuple(PRESETS)
    assert module.SECTION.presets["paper"] == module.Config()
    assert section.study or module.Config().runs == {"thesis": 5, "split": 1, "beyond": 5}[section.work]
    for word in ("Text claims:", "Command:", "Measured:", "Cost:", "Threat model:", "Deviations:"):
        assert word in module.__doc__


def test_quick_sections_share_their_sizes_and_so_their_stages():
    quick = {
        work: [s.load().presets["quick"] for s in SECTIONS if s.work == work and not s.study]
        for work in ("thesis", "split", "beyond")
    }
    assert len({(c.data, c.classifier) for c in quick["thesis"]}) == 1
    assert len({(c.faces, c.encoder, c.compact) for c in quick["split"]}) == 1
    assert len({tuple(getattr(c, each.name) for each in fields(Banked)) for c in quick["beyond"]}) == 1


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        (classifiers, "variants", ("tanh",)),
        (classifiers, "runs", 0),
        (gradient, "starts", ("class_average", "class_average")),
        (gradient, "objectives", ()),
        (rounding, "decimals", (9,)),
        (rounding, "combinations", ("o", "z")),
        (truncation, "top", (0,)),
        (truncation, "top", (3, 3)),
        (truncation, "top", ()),
        (future, "noise", ()),
        (future, "noise", (0.0,)),
        (future, "noise", (1.0, 1.0)),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(section, key, value):
    with pytest.raises(InputError, match=f"^`{key}` must "):
        section.Config(**{key: value})

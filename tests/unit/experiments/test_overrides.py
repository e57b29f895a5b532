"""`--set`: typed, named, refused in one line."""

from itertools import permutations

import pytest

from mi_keras.errors import InputError
from mi_keras.experiments.split.sec_6_decoders import Config
from mi_keras.experiments.thesis.sec_5_2_input_combinations import PAPER
from mi_keras.overrides import apply_overrides, changed_keys, list_keys
from mi_keras.settings import DecoderSettings


def test_values_take_the_type_of_what_they_replace():
    config = apply_overrides(
        PAPER,
        ["gradient.steps=7", "gradient.learning_rate=1e-3", "combinations=o, x", "classifier.channels=1,2,3", "gradient.start=random"],
    )  # fmt: skip
    assert config.gradient.steps == 7
    assert config.gradient.learning_rate == 1e-3
    assert config.combinations == ("o", "x")
    assert config.classifier.channels == (1, 2, 3)
    assert config.gradient.start == "random"
    assert config.inverter == PAPER.inverter


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("gradient.steps", "`overrides` must be key=value; got 'gradient.steps'"),
        ("nonsense=1", "`overrides=nonsense` must name a setting: runs, data.train_per_class, "),
        ("gradient.nonsense=1", "`overrides=gradient.nonsense` must name a setting"),
        ("gradient=1", "`overrides=gradient` must name a setting"),
        ("gradient.steps.more=1", "`overrides=gradient.steps.more` must name a setting"),
        ("gradient.steps=1.5", "`overrides=gradient.steps` must be a whole number; got '1.5'"),
        ("gradient.steps=-1", "`gradient.steps` must be >= 0; got -1"),
        ("gradient.tv_weight=-1", "`gradient.tv_weight` must be >= 0; got -1.0"),
        ("gradient.tv_weight=nan", "`gradient.tv_weight` must be >= 0; got nan"),
        ("gradient.learning_rate=many", "`overrides=gradient.learning_rate` must be a number; got 'many'"),
        (
            "gradient.start=middle",
            "`gradient.start` must be one of class_average, class_instance, random; got 'middle'",
        ),
        ("second_combinations=o", "`second_combinations` must be among x, o\\+x, a\\+x, o\\+a\\+x; got 'o'"),
        ("combinations=o,x,o", "`combinations` must name each once; got o, x, o"),
        ("gradient.l2_weight=inf", "`gradient.l2_weight` must be <= 1000000; got inf"),
        (
            "gradient.steps=99999999999",
            "`gradient.steps` must be <= 1000000; got 99999999999",
        ),
        ("runs=100000", "`runs` must be between 1 and 1000; got 100000"),
        ("combinations=o,z", "`combinations` must be among o, a, x, o\\+a, o\\+x, a\\+x, o\\+a\\+x; got 'z'"),
        ("combinations=", "`combinations` must name at least one; got none"),
        ("classifier.channels=8,8", "`classifier.channels` must be three numbers >= 1; got \\(8, 8\\)"),
        ("data.train_per_class=1", "`data.train_per_class` must be >= 2; got 1"),
        ("runs=0", "`runs` must be between 1 and 1000; got 0"),
    ],
)
def test_a_bad_assignment_is_refused_with_key_rule_and_value(assignment, message):
    with pytest.raises(InputError, match=message) as error:
        apply_overrides(PAPER, [assignment])
    assert "\n" not in str(error.value)


def test_every_listed_key_can_be_set_to_its_own_value():
    keys = list(list_keys(PAPER))
    assert len(keys) > 20
    for key, value in keys:
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        assert apply_overrides(PAPER, [f"{key}={text}"]) == PAPER


def test_a_list_can_be_emptied_and_filled_again():
    emptied = apply_overrides(PAPER, ["second_combinations="])
    assert emptied.second_combinations == ()
    assert apply_overrides(emptied, ["second_combinations=x"]).second_combinations == ("x",)


@pytest.mark.parametrize(("text", "value"), [("true", True), ("True", True), ("false", False)])
def test_a_switch_is_true_or_false_and_leads_back_to_itself(text, value):
    changed = apply_overrides(PAPER, [f"same_models={text}"])
    assert changed.same_models is value
    assert changed_keys(changed, PAPER) == ["same_models=true"] * value
    with pytest.raises(InputError, match=r"^`overrides=same_models` must be true or false; got '1'\.$"):
        apply_overrides(PAPER, ["same_models=1"])


def test_changed_keys_name_what_differs_and_lead_back_to_it():
    changed = apply_overrides(PAPER, ["gradient.steps=7", "combinations=o,x"])
    assert changed_keys(changed, PAPER) == ["gradient.steps=7", "combinations=o,x"]
    assert apply_overrides(PAPER, changed_keys(changed, PAPER)) == changed
    assert changed_keys(PAPER, PAPER) == []


def test_what_is_asked_for_counts_as_a_whole_in_whatever_order():
    """mse=0 alone breaks the rule that some loss is left; with l1=1 it does not."""
    config = Config(**{name: DecoderSettings(name) for name in ("transposed", "bicubic", "compact", "large")})
    wanted = ["bicubic.mse=0", "bicubic.l1=1", "runs=2"]
    found = {apply_overrides(config, order) for order in permutations(wanted)}
    assert {(each.bicubic.mse, each.bicubic.l1, each.runs) for each in found} == {(0.0, 1.0, 2)}
    with pytest.raises(
        InputError, match=r"^`bicubic.mse`, `bicubic.l1` and `bicubic.ms_ssim` must not all be 0\.$"
    ):
        apply_overrides(config, ["bicubic.mse=0"])


def test_of_a_key_that_comes_twice_the_last_value_counts():
    assert apply_overrides(PAPER, ["gradient.steps=7", "gradient.steps=8"]).gradient.steps == 8

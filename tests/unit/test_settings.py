"""Each rule of the settings with its error text, and the thesis's own values as defaults."""

import re

import pytest

from mi_keras.errors import InputError
from mi_keras.settings import (
    HEADS,
    ActivationSettings,
    ClassifierSettings,
    GradientSettings,
    HeadSettings,
    InverterSettings,
    PrototypeSettings,
    SplitSettings,
)

BROKEN_RULES = [
    (SplitSettings, {"train_per_class": 1}, "`train_per_class` must be >= 2; got 1."),
    (SplitSettings, {"test_per_class": 2}, "`test_per_class` must be >= 3; got 2."),
    (SplitSettings, {"method": "sorted"}, "`method` must be one of random, stratified; got 'sorted'."),
    (GradientSettings, {"steps": 0}, "`steps` must be >= 1; got 0."),
    (
        GradientSettings,
        {"start": "zeros"},
        "`start` must be one of class_average, class_instance, random; got 'zeros'.",
    ),
    (GradientSettings, {"optimizer": "sgd"}, "`optimizer` must be one of adam, gradient_descent; got 'sgd'."),
    (GradientSettings, {"learning_rate": 0.0}, "`learning_rate` must be a positive finite number; got 0.0."),
    (
        GradientSettings,
        {"learning_rate": float("inf")},
        "`learning_rate` must be a positive finite number; got inf.",
    ),
    (
        GradientSettings,
        {"learning_rate": float("nan")},
        "`learning_rate` must be a positive finite number; got nan.",
    ),
    (GradientSettings, {"l2_weight": -1.0}, "`l2_weight` must be >= 0; got -1.0."),
    (GradientSettings, {"tv_weight": float("nan")}, "`tv_weight` must be >= 0; got nan."),
    (GradientSettings, {"batch_size": 0}, "`batch_size` must be >= 1; got 0."),
    (
        ActivationSettings,
        {"method": "pinv"},
        "`method` must be one of gradient_descent, minimum_norm; got 'pinv'.",
    ),
    (ActivationSettings, {"start": "ones"}, "`start` must be one of random, zeros; got 'ones'."),
    (ActivationSettings, {"threshold": 0}, "`threshold` must be a positive finite number; got 0."),
    (
        ActivationSettings,
        {"learning_rate": -0.1},
        "`learning_rate` must be a positive finite number; got -0.1.",
    ),
    (ActivationSettings, {"max_steps": 0}, "`max_steps` must be >= 1; got 0."),
    (PrototypeSettings, {"steps": 0}, "`steps` must be >= 1; got 0."),
    (PrototypeSettings, {"learning_rate": -1}, "`learning_rate` must be a positive finite number; got -1."),
    (PrototypeSettings, {"batch_size": 0}, "`batch_size` must be >= 1; got 0."),
    (
        HeadSettings,
        {"activation": "tanh"},
        "`activation` must be one of none, relu, sigmoid, gelu, silu; got 'tanh'.",
    ),
    (HeadSettings, {"dropout": 1.0}, "`dropout` must be >= 0 and < 1; got 1.0."),
    (HeadSettings, {"dropout": -0.1}, "`dropout` must be >= 0 and < 1; got -0.1."),
    (HeadSettings, {"dropout": float("nan")}, "`dropout` must be >= 0 and < 1; got nan."),
    *[
        (InverterSettings, {"dropout": rates}, f"`dropout` must be three numbers >= 0 and < 1; got {rates}.")
        for rates in [(0.3, 0.5), (0.3, 0.5, 1.0), (-0.1, 0.5, 0.5), (0.3, float("nan"), 0.5), ()]
    ],
    (InverterSettings, {"input_noise": -0.1}, "`input_noise` must be >= 0; got -0.1."),
    (InverterSettings, {"input_noise": float("nan")}, "`input_noise` must be >= 0; got nan."),
    (InverterSettings, {"input_noise": float("inf")}, "`input_noise` must be <= 1000000; got inf."),
    *[
        (settings, change, message)
        for settings in (ClassifierSettings, InverterSettings)
        for change, message in [
            ({"channels": (4, 4)}, "`channels` must be three numbers >= 1; got (4, 4)."),
            ({"channels": (4, 0, 4)}, "`channels` must be three numbers >= 1; got (4, 0, 4)."),
            ({"epochs": 0}, "`epochs` must be >= 1; got 0."),
            ({"batch_size": 1}, "`batch_size` must be >= 2; got 1."),
            ({"learning_rate": 0}, "`learning_rate` must be a positive finite number; got 0."),
        ]
    ],
]


@pytest.mark.parametrize(("settings", "change", "message"), BROKEN_RULES)
def test_a_broken_rule_is_named_with_what_came(settings: type, change: dict, message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        settings(**change)


@pytest.mark.parametrize(
    ("settings", "change"),
    [
        (SplitSettings, {"train_per_class": 2, "test_per_class": 3, "method": "stratified"}),
        (GradientSettings, {"steps": 1, "l2_weight": 0, "tv_weight": 0, "batch_size": 1}),
        (ActivationSettings, {"max_steps": 1}),
        (ClassifierSettings, {"channels": (1, 1, 1), "epochs": 1, "batch_size": 2}),
        (HeadSettings, {"activation": "silu", "dropout": 0}),
        (InverterSettings, {"dropout": (0, 0.0, 0.999), "input_noise": 0}),
        (PrototypeSettings, {"steps": 1, "batch_size": 1}),
    ],
)
def test_the_edge_of_each_rule_is_legal(settings: type, change: dict) -> None:
    made = settings(**change)
    assert {name: getattr(made, name) for name in change} == change


def test_defaults_are_the_values_the_thesis_states() -> None:
    """Sections 3.3.1, 3.5, 4.2 and 5.1 and Figures 25 and 26."""
    assert SplitSettings().train_per_class * 10 == 20_000
    assert SplitSettings().test_per_class * 10 == 4_000
    assert ClassifierSettings().channels == (128, 256, 512)
    assert InverterSettings().channels == (512, 256, 128)
    assert ClassifierSettings().epochs == InverterSettings().epochs == 20
    assert ClassifierSettings().learning_rate == InverterSettings().learning_rate == 0.001
    assert HeadSettings() == HeadSettings("none", 0.5)
    assert InverterSettings().dropout == (0.3, 0.5, 0.5)
    assert InverterSettings().input_noise == 0
    gradient = GradientSettings()
    assert (gradient.steps, gradient.start) == (400, "class_average")
    assert (gradient.l2_weight, gradient.tv_weight) == (4.4323e-5, 9.48785e-3)
    assert ActivationSettings().threshold == 1.5


def test_the_ten_heads_are_the_rows_of_table_1() -> None:
    assert [(head.activation, head.dropout) for head in HEADS] == [
        ("none", 0), ("none", 0.5), ("relu", 0), ("relu", 0.5), ("sigmoid", 0), ("sigmoid", 0.5),
        ("gelu", 0), ("gelu", 0.5), ("silu", 0), ("silu", 0.5),
    ]  # fmt: skip

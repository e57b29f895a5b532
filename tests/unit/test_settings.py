"""Each rule of the settings with its error text, and the thesis's own values as defaults."""

import re

import pytest

from mi_keras import settings
from mi_keras.errors import InputError

LEARNING_RATE = "`learning_rate` must be a positive finite number; got"
NETWORK = [
    ({"channels": (4, 4)}, "`channels` must be three numbers >= 1; got (4, 4)."),
    ({"channels": (4, 0, 4)}, "`channels` must be three numbers >= 1; got (4, 0, 4)."),
    ({"epochs": 0}, "`epochs` must be >= 1; got 0."),
    ({"batch_size": 1}, "`batch_size` must be >= 2; got 1."),
    ({"learning_rate": 0}, f"{LEARNING_RATE} 0."),
]  # of everything that is trained
BROKEN_RULES = {
    settings.SplitSettings: [
        ({"train_per_class": 1}, "`train_per_class` must be >= 2; got 1."),
        ({"test_per_class": 2}, "`test_per_class` must be >= 3; got 2."),
        ({"method": "sorted"}, "`method` must be one of random, stratified; got 'sorted'."),
    ],
    settings.GradientSettings: [
        ({"steps": -1}, "`steps` must be >= 0; got -1."),
        ({"start": "zeros"}, "`start` must be one of class_average, class_instance, random; got 'zeros'."),
        ({"optimizer": "sgd"}, "`optimizer` must be one of adam, gradient_descent; got 'sgd'."),
        *[
            ({"learning_rate": rate}, f"{LEARNING_RATE} {rate}.")
            for rate in (0.0, float("inf"), float("nan"))
        ],
        ({"l2_weight": -1.0}, "`l2_weight` must be >= 0; got -1.0."),
        ({"tv_weight": float("nan")}, "`tv_weight` must be >= 0; got nan."),
        ({"batch_size": 0}, "`batch_size` must be >= 1; got 0."),
    ],
    settings.ActivationSettings: [
        ({"method": "pinv"}, "`method` must be one of gradient_descent, minimum_norm; got 'pinv'."),
        ({"start": "ones"}, "`start` must be one of random, zeros; got 'ones'."),
        ({"threshold": 0}, "`threshold` must be a positive finite number; got 0."),
        ({"learning_rate": -0.1}, f"{LEARNING_RATE} -0.1."),
        ({"max_steps": 0}, "`max_steps` must be >= 1; got 0."),
        ({"known": "guessed"}, "`known` must be one of solved, extracted; got 'guessed'."),
    ],
    settings.PrototypeSettings: [
        ({"steps": 0}, "`steps` must be >= 1; got 0."),
        ({"learning_rate": -1}, f"{LEARNING_RATE} -1."),
        ({"batch_size": 0}, "`batch_size` must be >= 1; got 0."),
    ],
    settings.HeadSettings: [
        ({"activation": "tanh"}, "`activation` must be one of none, relu, sigmoid, gelu, silu; got 'tanh'."),
        *[
            ({"dropout": rate}, f"`dropout` must be >= 0 and < 1; got {rate}.")
            for rate in (1.0, -0.1, float("nan"))
        ],
    ],
    settings.ClassifierSettings: NETWORK,
    settings.InverterSettings: [
        *NETWORK,
        *[
            ({"dropout": rates}, f"`dropout` must be three numbers >= 0 and < 1; got {rates}.")
            for rates in [(0.3, 0.5), (0.3, 0.5, 1.0), (-0.1, 0.5, 0.5), (0.3, float("nan"), 0.5), ()]
        ],
        ({"input_noise": -0.1}, "`input_noise` must be >= 0; got -0.1."),
        ({"input_noise": float("nan")}, "`input_noise` must be >= 0; got nan."),
        ({"input_noise": float("inf")}, "`input_noise` must be <= 1000000; got inf."),
    ],
}


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [(kind, change, message) for kind, rules in BROKEN_RULES.items() for change, message in rules],
)
def test_a_broken_rule_is_named_with_what_came(kind: type, change: dict, message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        kind(**change)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (settings.SplitSettings, {"train_per_class": 2, "test_per_class": 3, "method": "stratified"}),
        (settings.GradientSettings, {"steps": 0, "l2_weight": 0, "tv_weight": 0, "batch_size": 1}),
        (settings.ActivationSettings, {"max_steps": 1}),
        (settings.ClassifierSettings, {"channels": (1, 1, 1), "epochs": 1, "batch_size": 2}),
        (settings.HeadSettings, {"activation": "silu", "dropout": 0}),
        (settings.InverterSettings, {"dropout": (0, 0.0, 0.999), "input_noise": 0}),
        (settings.PrototypeSettings, {"steps": 1, "batch_size": 1}),
    ],
)
def test_the_edge_of_each_rule_is_legal(kind: type, change: dict) -> None:
    made = kind(**change)
    assert {name: getattr(made, name) for name in change} == change


def test_defaults_are_the_values_the_thesis_states() -> None:
    """Sections 3.3.1, 3.5, 4.2 and 5.1 and Figures 25 and 26."""
    assert settings.SplitSettings().train_per_class * 10 == 20_000
    assert settings.SplitSettings().test_per_class * 10 == 4_000
    assert settings.ClassifierSettings().channels == (128, 256, 512)
    assert settings.InverterSettings().channels == (512, 256, 128)
    assert settings.ClassifierSettings().epochs == settings.InverterSettings().epochs == 20
    assert settings.ClassifierSettings().learning_rate == settings.InverterSettings().learning_rate == 0.001
    assert settings.HeadSettings() == settings.HeadSettings("none", 0.5)
    assert settings.InverterSettings().dropout == (0.3, 0.5, 0.5)
    assert settings.InverterSettings().input_noise == 0
    gradient = settings.GradientSettings()
    assert (gradient.steps, gradient.start) == (400, "class_average")
    assert (gradient.l2_weight, gradient.tv_weight) == (4.4323e-5, 9.48785e-3)
    assert settings.ActivationSettings().threshold == 1.5


def test_the_ten_heads_are_the_rows_of_table_1() -> None:
    assert [(head.activation, head.dropout) for head in settings.HEADS] == [
        ("none", 0), ("none", 0.5), ("relu", 0), ("relu", 0.5), ("sigmoid", 0), ("sigmoid", 0.5),
        ("gelu", 0), ("gelu", 0.5), ("silu", 0), ("silu", 0.5),
    ]  # fmt: skip

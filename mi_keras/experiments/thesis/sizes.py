"""Sizes of the presets that all sections of the thesis share, so that they share stages: `paper` is every default."""

from dataclasses import replace
from typing import Any

from mi_keras.settings import (
    ActivationSettings,
    ClassifierSettings,
    GradientSettings,
    InverterSettings,
    PrototypeSettings,
    SplitSettings,
)

QUICK: dict[str, Any] = {
    "data": SplitSettings(train_per_class=500),
    "classifier": ClassifierSettings(channels=(32, 64, 128), epochs=12),
    "gradient": GradientSettings(steps=60),
    "activation": ActivationSettings(),
    "inverter": InverterSettings(channels=(128, 64, 32), epochs=12),
    "prototype": PrototypeSettings(),
}
SMOKE: dict[str, Any] = {
    "data": replace(QUICK["data"], train_per_class=40, test_per_class=30),
    "classifier": replace(QUICK["classifier"], channels=(8, 16, 32), epochs=2),
    "gradient": replace(QUICK["gradient"], steps=5, learning_rate=0.1),
    "activation": replace(QUICK["activation"], max_steps=200),
    "inverter": replace(QUICK["inverter"], channels=(32, 16, 8), epochs=1),
    "prototype": replace(QUICK["prototype"], steps=20),
}

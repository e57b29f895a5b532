"""What a model's owner does before others see the answers: one line each, which the tests hold to the contract."""

from functools import partial

from mi_keras import registered as lines

REGISTERED = (  # module of this package : class
    "answers:Noise",
    "answers:Rounding",
    "answers:Temperature",
    "answers:Truncation",
    "maps:KeptMaps",
    "maps:NoisyMaps",
    "maps:QuantizedMaps",
    "training:Distillation",
)
registered, load = partial(lines.load_all, __name__, REGISTERED), partial(lines.load, __name__)

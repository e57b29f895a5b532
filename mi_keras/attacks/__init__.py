"""The attacks, and the inputs of attacks: one line each. What is registered here is held to the contract by the tests."""

from functools import partial

from mi_keras import registered as lines

REGISTERED = (  # module of this package : class
    "activations:Activations",
    "bank:BankInverter",
    "baselines:ClassAverage",
    "baselines:ClassPrototype",
    "baselines:MeanImage",
    "corrector:Corrected",
    "corrector:Corrector",
    "feature_map:LastFeatureMap",
    "gradient:GradientImage",
    "learned:Learned",
    "pool:PoolMatch",
    "queries:Queried",
    "shadows:FromShadows",
    "transfer:Transfer",
    "white_box:WhiteBox",
    "within_class:LinearWithinClass",
    "within_class:NetworkWithinClass",
)
load = partial(lines.load, __name__)  # the class of a line, imported now, and TensorFlow with it
registered = partial(lines.load_all, __name__, REGISTERED)

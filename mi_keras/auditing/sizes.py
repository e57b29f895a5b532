"""How hard the attacks of an audit try, by preset."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """How hard the attacks try.

    Attributes:
        epochs: of the networks that draw from vectors; `map_epochs`: of the decoders of maps.
        channels: of the networks that draw from vectors.
        prototype_steps: of the search for the image that is most like those of a class.
        queries: answers that the adversary "queries" has, where nobody asks for others.
        steps: on an image of who has the weights.
        white_box: on how many images, where it is asked for; `at_layers`: at layers where nobody says what to ask for; 0: not
            at all. With fewer than `statistics.LEAST` nothing could be said; 120 leave room for classes of few images, and
            for a point to be below the default tolerance that lets 18 % be picked and shows 1 % of the detail.
        shadows: models that who asks nothing trains, each for at least `shadow_epochs` and `shadow_steps` batches.
    """

    epochs: int = 16
    map_epochs: int = 8
    channels: tuple[int, ...] = (128, 64, 32)
    prototype_steps: int = 100
    queries: int = 1000
    steps: int = 120
    white_box: int = 200
    at_layers: int = 120
    shadows: int = 8
    shadow_epochs: int = 20
    shadow_steps: int = 800


SIZES = {  # by preset
    "smoke": Sizes(
        epochs=2, map_epochs=1, channels=(16, 8, 8), prototype_steps=10, queries=100, steps=10, white_box=120, at_layers=0,
        shadows=2, shadow_epochs=4, shadow_steps=100,
    ),
    "quick": Sizes(),
    "full": Sizes(
        epochs=60, map_epochs=30, channels=(256, 128, 64), steps=500, white_box=1000, at_layers=200,
        shadows=16, shadow_epochs=60, shadow_steps=3000,
    ),
}  # fmt: skip

"""Attacks of `beyond` by an adversary whose images the target has answered, all of them. Imports TensorFlow."""

from mi_keras.attacks.attack import Attack
from mi_keras.attacks.pool import PoolMatch
from mi_keras.attacks.white_box import WhiteBox
from mi_keras.attacks.within_class import LOSSES, LinearWithinClass, NetworkWithinClass
from mi_keras.defenses.defense import Defense
from mi_keras.experiments.beyond.recipe import Entries
from mi_keras.experiments.beyond.rows import Entry
from mi_keras.experiments.beyond.sizes import Banked
from mi_keras.experiments.case import Case
from mi_keras.experiments.thesis.bench import EVERYTHING

LINEAR = "linear"


def answered(label: str, attack: Attack, defense: Defense | None = None) -> Entry:
    """Return the row of an attack that learns from the target's answers."""
    return Entry(label, Case(attack, defense, access=EVERYTHING), players=(), answered=True)


def networks(config: Banked, own: int, epochs: int, held_out: int) -> dict[str, NetworkWithinClass]:
    """Return a network for each loss, which leaves the last of the adversary's `own` images to who has to choose."""
    seen, channels = max(own - held_out, 1), config.network.channels
    return {loss: NetworkWithinClass(loss, channels, epochs, images=seen) for loss in LOSSES}


def unlimited(config: Banked, own: int, epochs: int, held_out: int) -> Entries:
    """Return what learns from all answers of the target but the last."""
    found = {LINEAR: answered("all answers, linear map", LinearWithinClass())}
    for loss, network in networks(config, own, epochs, held_out).items():
        found[loss] = answered(f"all answers, {network.label}", network)
    return found


def white_box(config: Banked, own: int, epochs: int, held_out: int, *, steps: int, starts: int) -> Entries:
    """Return steps on the image from what each of the networks draws."""
    found = {}
    for loss, network in networks(config, own, epochs, held_out).items():
        attack = WhiteBox(network, steps, starts=starts, held_out=held_out)
        found[f"white_{loss}"] = answered(attack.label, attack)
    return found


def pool() -> Entries:
    """Return what finds the image among candidates that hold it, by their answers."""
    case = Case(PoolMatch(), access=EVERYTHING)
    return {"pool": Entry("pool: the candidate of the nearest answer", case, players=())}

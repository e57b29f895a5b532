"""Defences of `beyond`, what each costs, and the strongest attacks behind each. Imports TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mi_keras.attacks.baselines import ClassPrototype
from mi_keras.attacks.within_class import LinearWithinClass, NetworkWithinClass
from mi_keras.defenses.answers import Noise, Rounding, Temperature, Truncation
from mi_keras.defenses.defense import Defense
from mi_keras.defenses.shown import LabelOnly, Probabilities
from mi_keras.defenses.training import Distillation, LabelSmoothing
from mi_keras.experiments.bench import TARGET
from mi_keras.experiments.beyond import recipe
from mi_keras.experiments.beyond.answered import answered
from mi_keras.experiments.beyond.bench import HALF
from mi_keras.experiments.beyond.recipe import Entries
from mi_keras.experiments.beyond.rows import Entry
from mi_keras.experiments.beyond.sec_defences import FEW, LABEL, NONE, Config, levels, noise_name
from mi_keras.experiments.beyond.work import Benches
from mi_keras.experiments.case import Case
from mi_keras.metrics.classification import accuracy, expected_calibration_error


@dataclass(frozen=True)
class Behind:
    """A defence as it is met.

    Attributes:
        defense: what the adversary sees answers behind; None for nothing.
        once: what an honest user does, who gets each image answered once.
        bank: shadow models of who asks nothing.
        calibrated: what is sent says how sure the model is.
    """

    words: str
    defense: Defense | None
    once: Defense | None
    bank: int
    calibrated: bool = True


def defences(config: Config) -> dict[str, Behind]:
    """Return what is tried, by the names of rows: nothing first."""

    def of(defense: Defense, *, calibrated: bool = True) -> Behind:
        bank = config.hardened_bank if defense.hardens else config.bank
        return Behind(defense.words, defense, defense, bank, calibrated)

    found = {NONE: Behind("no defence", None, None, config.bank)}
    if config.hardened_bank < config.bank:
        few = f"no defence, {config.hardened_bank} shadow models"
        found[FEW] = Behind(few, None, None, config.hardened_bank)
    found |= {
        "logits_rounded": of(Rounding(config.decimals)),
        "logits_top": of(Truncation(config.top), calibrated=False),
        "shares_rounded": of(Probabilities(decimals=config.share_decimals)),
        "shares_top": of(Probabilities(top=config.top)),
        "temperature": of(Temperature(config.temperature)),
        LABEL: of(LabelOnly(), calibrated=False),
    }
    met = levels(config)
    for deviation in config.deviations:
        for sends in config.sends:
            name, once = noise_name(deviation, sends), Noise(deviation)
            said = once.words if sends == 1 else f"{once.words}, {sends} sends averaged"
            found[name] = Behind(said, Noise(met[name]), once, config.bank)
    epochs = config.hardened_epochs
    for share in config.smoothing:
        found[f"smoothing={share:g}"] = of(LabelSmoothing(share, epochs))
    found["distilled"] = of(Distillation(config.distilled_decimals, epochs=epochs))
    return found


def without_queries(config: Config, behind: Behind) -> Entries:
    """Return the attacks of `transfer` behind a defence, of which one is chosen on the held-out shadow model.

    Its network learns from answers that the defence has changed, and not from augmented images, whose answers no bank keeps.
    """
    if isinstance(behind.defense, LabelOnly):
        return {LABEL: _constant(config, behind)}
    network = replace(config.network, epochs=config.network_epochs)
    sized = replace(config, bank=behind.bank, network=network, hardened_bank=behind.bank)
    return {
        name: replace(each, case=Case(each.case.attack, behind.defense), players=(HALF,))
        for name, each in recipe.alignments(sized).items()
    }


def with_answers(config: Config, behind: Behind) -> Entries:
    """Return the attacks that learn from all of a target's answers, of which one is chosen on the held-out shadow model."""
    if isinstance(behind.defense, LabelOnly):
        return {LABEL: _constant(config, behind)}
    network = NetworkWithinClass("ssim", config.network.channels, config.answered_epochs)
    tried: Entries = {}
    for attack in (LinearWithinClass(), network):
        tried[attack.label] = replace(answered(attack.label, attack, behind.defense), players=(HALF,))
    return tried


def cost(benches: Benches, behind: Behind) -> dict[str, NDArray[np.float64]]:
    """Return per target what a user pays: `accuracy`, `agreement` with the undefended label, and `ece`."""
    values: dict[str, list[float]] = {"accuracy": [], "agreement": [], "ece": []}
    for bench in benches:
        sent = bench.output_vector(TARGET, "test", behind.once).arrays["output_vector"]
        plain = bench.output_vector(TARGET, "test").arrays["output_vector"]
        labels = bench.splits.test.labels
        values["accuracy"].append(accuracy(sent, labels))
        values["agreement"].append(float(np.mean(sent.argmax(axis=1) == plain.argmax(axis=1))))
        values["ece"].append(expected_calibration_error(sent, labels))
    kept = values if behind.calibrated else {name: values[name] for name in ("accuracy", "agreement")}
    return {name: np.array(each) for name, each in kept.items()}


def renamed(entries: Mapping[str, Entry], found: Mapping[str, Behind], words: str) -> Entries:
    """Return entries by the names of defences under the names and labels of rows."""
    return {
        f"{name}:{words}": replace(entry, label=f"{found[name].words} ({words})")
        for name, entry in entries.items()
    }


def _constant(config: Config, behind: Behind) -> Entry:
    """Return all that a label leaves: one image for each class."""
    return Entry("class prototype", Case(ClassPrototype(config.prototype), behind.defense), players=(HALF,))

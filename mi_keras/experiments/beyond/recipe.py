"""The attacks of `beyond` by the names of their rows, and what of them is chosen on held-out shadow models. Imports TensorFlow."""

from dataclasses import replace

from mi_keras.attacks.attack import Answers, Attack
from mi_keras.attacks.bank import BankInverter
from mi_keras.attacks.baselines import ClassAverage, ClassPrototype
from mi_keras.attacks.corrector import Corrected, Corrector
from mi_keras.attacks.gradient import GradientImage
from mi_keras.attacks.learned import Learned
from mi_keras.attacks.queries import Queried
from mi_keras.attacks.transfer import Transfer
from mi_keras.experiments.beyond.bench import HALF
from mi_keras.experiments.beyond.rows import AVERAGE, Entry, best_of
from mi_keras.experiments.beyond.sizes import Banked
from mi_keras.experiments.beyond.work import Benches
from mi_keras.experiments.case import Case
from mi_keras.settings import GradientSettings, InverterSettings

PROTOTYPE = "class_prototype"
Entries = dict[str, Entry]


def entry(label: str, attack: Attack) -> Entry:
    """Return the row of an attack that asks the target nothing, and that no player's own answers went into."""
    return Entry(label, Case(attack))


def asking(label: str, attack: Queried | Corrected, benches: Benches) -> Entry:
    """Return the row of an attack to which so many queries are granted as it says."""
    return Entry(label, Case(attack, access=replace(benches[0].access, queries=attack.queries)))


def thesis(gradient: GradientSettings, inverter: InverterSettings) -> Entries:
    """Return the thesis's two attacks of Tables 5 and 6, from the one shadow model on all images."""
    inputs = {"o": Answers(), "x": GradientImage(gradient)}
    attacks = {name: Learned((each,), inverter, name) for name, each in inputs.items()}
    return {
        name: Entry(f"thesis: {each.label}", Case(each), players=(HALF,)) for name, each in attacks.items()
    }


def mapped(config: Banked) -> BankInverter:
    """Return the network of the bank's answers, each shadow model's mapped to the mean of the others'."""
    return BankInverter(config.bank, "mapped", config.noise, mse=config.mse, settings=config.network)


def ensemble(config: Banked) -> BankInverter:
    """Return the same with a second network, which learned from augmented images too."""
    first = mapped(config)
    return replace(first, copies=config.copies, member=2, beside=first)


def steps(config: Banked, noise_one: float) -> Entries:
    """Return the steps before answers are mapped; `noise_one`: on canonical answers."""
    one = BankInverter(1, "canonical", noise_one, mse=config.mse, settings=config.network)
    many = replace(one, sources=config.bank)
    label = "one shadow model, standardised per class"
    return {
        "one": replace(entry(label, Transfer(one, 1)), players=(HALF,)),
        "bank": entry("bank, raw answers", replace(many, form="raw", noise=0.0)),
        "canonical": entry("bank, canonical answers", Transfer(many, config.bank)),
    }


def alignments(config: Banked) -> Entries:
    """Return the ways from a target's answers to the mean of the bank, with one network."""
    plain = Transfer(mapped(config), config.bank)
    return {
        "mapped": entry("mapped to the mean of the bank", plain),
        "mapped_covariance": entry("mapped, covariance aligned", replace(plain, alignment="covariance")),
        "mapped_matching": entry("mapped, matched by EM", replace(plain, alignment="matching")),
    }


def networks(config: Banked) -> Entries:
    """Return the same map with a network that learned from more images, and with both networks."""
    both = Transfer(ensemble(config), config.bank)
    return {
        "augmented": entry("mapped, augmented images", replace(both, only_last=True)),
        "ensemble": entry("mapped, mean of both networks", both),
    }


def whole(config: Banked, benches: Benches) -> Transfer:
    """Return the alignment and the networks that do best on the held-out shadow models."""
    aligned = alignments(config)
    drawn = {"mapped": aligned["mapped"], **networks(config)}
    alignment, network = map(_transfer, best_of(benches, [aligned, drawn]))
    return replace(alignment, networks=network.networks, only_last=network.only_last)


def with_queries(config: Banked, start: Transfer, count: int, *, tuned: bool = False) -> Queried:
    """Return the attack of so many queries."""
    tuning = replace(
        config.network, epochs=config.tuning_epochs, dropout=(config.tuning_dropout,) * len(config.network.dropout)
    )  # fmt: skip
    return Queried(start.networks, config.bank, count, tuned=tuned, mse=config.mse, settings=tuning)


def corrected(config: Banked, benches: Benches, start: Transfer, rounds: int) -> Corrected:
    """Return the attack that asks about each reconstruction so many times."""
    learned = replace(start, networks=Corrector(start.networks, config.bank, config.mse, config.corrector))
    return Corrected(learned, rounds, rounds * len(benches[0].splits.test), config.corrector)


def oracles(config: Banked, benches: Benches, start: Transfer) -> Entries:
    """Return what the target's answers to all of the adversary's images would give."""
    every = len(benches[0].own_images())
    found = {
        "affine": with_queries(config, start, every),
        "own_answers": with_queries(config, start, every, tuned=True),
    }
    labels = {"affine": "oracle: best affine map", "own_answers": "oracle: M_I on the target's own answers"}
    return {
        name: replace(asking(labels[name], each, benches), group="baseline", players=())
        for name, each in found.items()
    }


def baselines(config: Banked) -> Entries:
    """Return what knows the predicted class alone."""
    found = {AVERAGE: ClassAverage(), PROTOTYPE: ClassPrototype(config.prototype)}
    return {name: Entry(each.label, Case(each), "baseline") for name, each in found.items()}


def _transfer(found: Entry) -> Transfer:
    attack = found.case.attack
    assert isinstance(attack, Transfer)
    return attack

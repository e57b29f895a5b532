"""A bank of shadow models that are tables: their answers to some images, without a network that would give them."""

import numpy as np

from mi_keras.attacks.access import Holdings
from mi_keras.attacks.attack import Evidence
from mi_keras.attacks.bank import BankInverter
from mi_keras.progress import Run
from mi_keras.settings import InverterSettings
from mi_keras.types import Images, Observation, Redrawn

CLASSES, SOURCES, OWN, SHAPE = 3, 3, 90, (12, 12, 1)
SMALL = InverterSettings((8, 8, 8), epochs=2, batch_size=16, learning_rate=5e-3, dropout=(0.0, 0.0, 0.0))
MAPPED = BankInverter(SOURCES, "mapped", 0.1, settings=SMALL)


def images_and_logits(count, seed):
    """Images that are bright where their logits are high, and these logits; the class is the largest by far."""
    draw = np.random.default_rng(seed)
    logits = draw.standard_normal((count, CLASSES)).astype(np.float32)
    logits[np.arange(count), np.arange(count) % CLASSES] += 8
    rows = 1 / (1 + np.exp(-np.repeat(logits - logits.mean(axis=1, keepdims=True), 4, axis=1) / 4))
    images = np.tile(rows[:, :, None, None], (1, 1, SHAPE[1], 1)).astype(np.float32)
    return Images(images, np.arange(count) % CLASSES, np.arange(count, dtype=np.uint64)), logits


def known_bank():
    """What an adversary holds, and the answers of its shadow models: the logits, each with noise and a temperature of its own."""
    images, logits = images_and_logits(OWN, 1)
    answers = [
        (scale * (logits + 0.1 * np.random.default_rng(scale).standard_normal(logits.shape))).astype(
            np.float32
        )
        for scale in range(1, SOURCES + 1)
    ]
    values = Redrawn(answers[0], lambda number: answers[number % SOURCES])
    held = Holdings(images=images, image_shape=SHAPE, classes=CLASSES)
    return Evidence(Observation(values)), held, answers


def drawn(attack, fitted, vectors, held, run=None):
    """Return what an attack draws of answers."""
    evidence = Evidence(Observation(vectors))
    return np.concatenate(list(attack.reconstruct(fitted, evidence, held, run or Run())))

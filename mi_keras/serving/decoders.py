"""Decoders of split 6 to be exported, with the head whose feature maps they decode."""

import numpy as np

from mi_keras.attacks.baselines import MeanImage
from mi_keras.data.preprocess import as_bytes
from mi_keras.experiments.case import Case, plan
from mi_keras.experiments.split.bench import SplitBench
from mi_keras.experiments.split.sec_6_decoders import Config, attack_of
from mi_keras.serving.contract import FEATURE_MAPS
from mi_keras.serving.signatures import decoder_signatures
from mi_keras.serving.trained import TRUTH, Trained, licence, need, on_cpu, sample, summary
from mi_keras.types import Floats

ROWS = 2  # of the samples
METRICS = ("psnr", "ssim", "ms_ssim")
WAVES = 3  # in each colour of a made picture, and their periods across it at most


@on_cpu()
def read_decoder(bench: SplitBench, config: Config, name: str) -> Trained:
    """Return a decoder of split 6 with the head whose feature maps it decodes.

    Args:
        config: settings of the section.
        name: of the decoder.

    Raises:
        NotTrained: the store lacks a stage.
    """
    attack = attack_of(config, name)
    attacked, baseline = plan(Case(attack), bench), plan(Case(MeanImage()), bench)
    need(attacked.learned, attacked.scored, baseline.scored)

    head, decoder = bench.encoder.head, bench.load(attacked)
    images = smooth_images(ROWS, config.faces.size)
    maps = bench.encoder.send(images).numpy()
    answers = np.concatenate(list(attack.images_of(decoder, maps)))
    samples = {
        **sample("reconstruct", {"feature_maps": maps}, {"image": answers}),
        **sample("features", {"image": images}, {"feature_maps": maps}),
        **sample("reconstruct_png", {"feature_maps": maps}, {"png_bytes": as_bytes(answers)}),
        TRUTH: images,
    }
    source = bench.faces.source
    about = {
        "attack": f"{name} decoder", "output_kind": FEATURE_MAPS, "decoder": name, "cut": bench.encoder.cut,
        "scores": summary(attacked.scored, METRICS), "baseline": {"name": "mean face", **summary(baseline.scored, METRICS)},
        "stages": {"decoder": attacked.learned.key, "scores": attacked.scored.key},
        "trained_with": bench.store.computed_with, "samples": "smooth pictures made of waves; nobody's face",
        "licence": f"{licence(source.name, source.note)} The head is MobileNetV3-Large with weights "
                   f"{config.encoder.weights}; those of imagenet are as Keras Applications publishes them.",
    }  # fmt: skip
    return Trained(decoder_signatures(attack, head, decoder), samples, about)


def smooth_images(count: int, size: int, *, seed: int = 1) -> Floats:
    """Return pictures of a few waves, `(count, size, size, 3)` in [0, 1], which no data went into."""
    draw = np.random.default_rng(seed)
    place = np.arange(size) / size
    pictures = np.full((count, size, size, 3), 0.5)
    for number in range(count):
        for colour in range(3):
            for across, down, phase in draw.uniform(-1, 1, (WAVES, 3)):
                angle = WAVES * (across * place[None] + down * place[:, None]) + phase
                pictures[number, :, :, colour] += np.sin(2 * np.pi * angle) / (2 * WAVES)
    return pictures.astype(np.float32)

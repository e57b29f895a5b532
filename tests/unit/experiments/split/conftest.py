"""A bench of the split attack on a few pictures made here, with a random encoder."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mi_keras.experiments.split.sec_6_decoders import Config
from mi_keras.experiments.split.work import SPLIT
from mi_keras.experiments.store import Store
from mi_keras.progress import SilentProgress
from mi_keras.settings import DecoderSettings, EncoderSettings, FaceSettings

FAST = {"epochs": 1, "batch_size": 4}


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> Path:
    """Return a folder of 40 smooth pictures and one file that is none."""
    folder = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0)
    for number in range(40):
        small = Image.fromarray(draw.integers(256, size=(4, 4, 3), dtype=np.uint8))
        small.resize((64, 80), Image.BICUBIC).save(folder / f"{number:02d}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG no more than that")
    return folder


@pytest.fixture
def config() -> Config:
    return Config(
        decoders=("bicubic", "compact"),
        faces=FaceSettings(faces=24, size=192, train_share=3),
        encoder=EncoderSettings(weights="random", variant="minimalistic"),
        **{name: DecoderSettings(name, **FAST) for name in ("transposed", "bicubic", "compact", "large")},
    )


@pytest.fixture(scope="session")
def stored(tmp_path_factory) -> Path:
    """Return the folder of a store for tests that may read what others computed."""
    return tmp_path_factory.mktemp("stored")


@cache
def cached_encoder(settings: EncoderSettings, size: int):
    """Build an encoder once for all tests: it is frozen, and building and tracing it takes seconds."""
    from mi_keras.models.mobilenet import encoder_of

    return encoder_of(settings, size)


@pytest.fixture
def make_bench(pictures, config) -> Callable:
    def make(root, *, run: int = 1, seed: int = 1, progress=None, config=config, folder=pictures):
        from mi_keras.experiments.split.bench import SplitBench

        faces = SPLIT.prepare(SPLIT.open_data(f"folder:{folder}", offline=True), config, seed=seed)
        encoder = cached_encoder(config.encoder, config.faces.size)
        return SplitBench(faces, encoder, Store(root), progress or SilentProgress(), seed=seed, run=run)

    return make

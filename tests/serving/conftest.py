"""Exports of tiny models that were trained as sections train them."""

import json
import runpy
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mi_keras.experiments.thesis import sec_5_2_input_combinations as section_5_2
from mi_keras.serving.trained import Trained
from mi_keras.serving.verify import REPLAY, Verification
from tests.unit.experiments import tiny

ABOUT = {
    "work": "thesis", "section": "5.2", "preset": "smoke", "changed": [], "data": "test", "seed": 1, "run": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Exported:
    """An export, what it was made of, and the bench that has it in its store."""

    folder: Path
    trained: Trained
    bench: Any
    config: Any


@pytest.fixture(scope="session")
def trained_thesis(shared_folder) -> tuple[Any, Any]:
    """Return settings and bench of section 5.2 after a whole run; nothing else may be stored with it."""
    chosen = {"combinations": ("x", "o+a+x"), "second_combinations": ()}
    config = section_5_2.Config(**vars(tiny.Config()) | chosen)
    bench = tiny.make_bench(shared_folder / "exported_thesis")
    section_5_2.run(config, [bench])
    return config, bench


@pytest.fixture(scope="session")
def read(trained_thesis) -> Callable[..., Trained]:
    from mi_keras.serving.inverters import read_inverter

    config, bench = trained_thesis
    return cache(
        lambda combination, objective="logit_mse": read_inverter(bench, config, combination, objective)
    )


@pytest.fixture(scope="session")
def export_of(tmp_path_factory, trained_thesis, read) -> Callable[[str], Exported]:
    """Return the export of a combination, written once; not to be changed."""
    from mi_keras.serving.archive import write_export

    config, bench = trained_thesis
    root, made = tmp_path_factory.mktemp("exported"), {}

    def make(combination: str) -> Exported:
        if combination not in made:
            trained = read(combination)
            folder = write_export(trained, ABOUT, root, f"tiny-{combination.replace('+', '-')}")
            made[combination] = Exported(folder, trained, bench, config)
        return made[combination]

    return make


@pytest.fixture(scope="session")
def script() -> dict[str, Any]:
    """Return the functions of what `verify` runs, which closes the way to Keras and mi_keras in its own process."""
    modules = {name: sys.modules[name] for name in ("keras", "mi_keras")}
    found = runpy.run_path(str(REPLAY))
    sys.modules.update(modules)
    return found


@pytest.fixture
def replay_here(script, tmp_path) -> Callable[..., Verification]:
    """Return `verify.replay` without a process of its own, which takes seconds to load TensorFlow."""

    def replay(folder: Path, manifest: Mapping[str, Any], **_: Any) -> Verification:
        answer = tmp_path / "answer.json"
        script["main"](folder, answer)
        return Verification(manifest, **json.loads(answer.read_text()), machine={})

    return replay


@pytest.fixture
def copy_of_x(tmp_path, export_of) -> Path:
    """Return a copy of the export of combination x that a test may change."""
    folder = tmp_path / "models" / "tiny-x" / "1"
    shutil.copytree(export_of("x").folder, folder)
    return folder


@pytest.fixture(scope="session")
def split_export(tmp_path_factory) -> Exported:
    """Return the export of a decoder of small pictures, with a random encoder."""
    from mi_keras.attacks.baselines import MeanImage
    from mi_keras.experiments.case import Case, plan
    from mi_keras.experiments.split.sec_6_decoders import Config, attack_of
    from mi_keras.experiments.split.work import SPLIT
    from mi_keras.experiments.store import Store
    from mi_keras.progress import SilentProgress
    from mi_keras.serving.archive import write_export
    from mi_keras.serving.decoders import read_decoder
    from mi_keras.settings import DecoderSettings, EncoderSettings, FaceSettings

    root = tmp_path_factory.mktemp("split")
    draw = np.random.default_rng(0)
    (root / "pictures").mkdir()
    for number in range(24):
        small = Image.fromarray(draw.integers(256, size=(4, 4, 3), dtype=np.uint8))
        small.resize((64, 80), Image.BICUBIC).save(root / "pictures" / f"{number:02d}.png")
    config = Config(
        decoders=("bicubic",), faces=FaceSettings(faces=20, size=192, train_share=3),
        encoder=EncoderSettings(weights="random", variant="minimalistic"),
        bicubic=DecoderSettings("bicubic", epochs=1, batch_size=4),
    )  # fmt: skip
    faces = SPLIT.prepare(SPLIT.open_data(f"folder:{root / 'pictures'}", offline=True), config, seed=1)
    (bench,) = SPLIT.benches(faces, config, Store(root / "store"), SilentProgress(), seed=1)
    for attack in (attack_of(config, "bicubic"), MeanImage()):
        plan(Case(attack), bench).scored.computed()
    trained = read_decoder(bench, config, "bicubic")
    about = ABOUT | {"work": "split", "section": "6", "data": "folder:pictures"}
    return Exported(write_export(trained, about, root / "exported", "tiny-split"), trained, bench, config)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is trained to be exported twice is slow: the export of the thesis has the fast tests, that of the split work these."""
    for item in items:
        if "split_export" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)

"""The key, kind and seeds of every stage of every section in every preset, as they were when results were first stored.

A stage that is described in another way gets another key, and what users have stored under the old one is lost to them.
Nothing is computed: where a section reads a result, it is given one of the right shape (`_MADE_UP`), so that keys which
depend on a result, such as that of the weights that a search found, are pinned too.

`python tests/unit/experiments/test_pinned_stages.py ["WORK NUMBER" ...]` pins what is new: sections or presets that are not
pinned, and further stages of the sections that are named. It refuses to change or drop what is.
"""

import functools
import io
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from mi_keras.data.face_sources import DEFAULT_FACES
from mi_keras.data.splits import make_splits
from mi_keras.experiments import runner
from mi_keras.experiments.registry import PRESETS, SECTIONS
from mi_keras.experiments.resources import Resources
from mi_keras.experiments.split.bench import SplitBench
from mi_keras.experiments.store import Store
from mi_keras.experiments.thesis import work

PINNED = Path(__file__).with_name("pinned_stages.json")
PICTURES = 2  # of either side that are made up
# Pixels a place, and maps, by the name of the cut in a stage
SENT = {
    "expanded_conv_1_expand_bn": (2, 64), "expanded_conv_3_expand_bn": (4, 72), "expanded_conv_6_expand_bn": (8, 240),
    "expanded_conv_12_expand_bn": (16, 672), "conv_1_bn": (32, 960),
    **{f"residual_C{n + 1}": (2 << n, width) for n, width in enumerate((16, 16, 32, 64, 128))},
}  # fmt: skip
CASES = [(section, preset) for section in SECTIONS for preset in PRESETS]
SLOW = ("layers",)  # encoders and decoders of several layers are built


def name_of(section, preset):
    return f"{section.work} {section.number} {preset}"


def stages_of(section, preset, folder, monkeypatch):
    """Return "KIND KEY SEEDS" of each stage that a section reads, and of those that these are made from."""
    found = {}

    def note(stage):
        seeds = [f"{name}={value}" for name, value in sorted(stage.seeds.items())]
        found[stage.key] = " ".join([stage.kind, stage.key, *seeds])
        for earlier in stage.upstream:
            note(earlier)

    def fetch(self, stage, *, with_arrays=True):
        note(stage)
        kind = stage.kind.rpartition(".")[2]  # a kind of its own is NAME.fitted or NAME.scored
        return (_MADE_UP.get(stage.kind) or _OF_ITS_OWN[kind])(stage)

    def shown(self, plan, numbers):
        """Pictures are drawn anew for every report and stored nowhere; what they are drawn from is."""
        note(plan.learned)
        plan.observed.read()
        return np.zeros((len(numbers), *self.image_shape), np.uint8)

    monkeypatch.setenv("MI_KERAS_HOME", str(folder / "store"))
    monkeypatch.setattr(SplitBench, "shown", shown)
    monkeypatch.setattr(work, "make_splits", _divided)
    monkeypatch.setattr(Store, "fetch", fetch)
    monkeypatch.setattr(runner, "_write", lambda *_: None)  # to pack what is made up takes long
    monkeypatch.setattr(Store, "map_large", lambda self, stage, name: fetch(self, stage)[0][name])
    faces = section.load().work.default_data == DEFAULT_FACES
    count = 600 if section.work == "split" else 5000
    data = f"zip:{_pictures(folder, count)}" if faces else None
    request = runner.Request(
        section=section.number, work=section.work, preset=preset, data=data, out=folder / "out", resources=Resources(workers=1),
        encoder_weights="random" if faces else None,
    )  # fmt: skip
    list(runner.run(request, Console(file=io.StringIO())))
    return sorted(found.values())


@pytest.mark.parametrize(
    ("section", "preset"),
    [pytest.param(*case, marks=[pytest.mark.slow] * (case[0].number in SLOW)) for case in CASES],
    ids=lambda value: getattr(value, "number", value),
)
def test_stages_are_the_same_as_ever(section, preset, tmp_path, monkeypatch):
    pinned = json.loads(PINNED.read_text())
    assert stages_of(section, preset, tmp_path, monkeypatch) == pinned[name_of(section, preset)]


_division = {}


def _divided(source, settings, *, seed):
    """Divide the images of the package once for all sections that divide them so."""
    how = source.fingerprint, settings, seed
    if how not in _division:
        _division[how] = make_splits(source, settings, seed=seed)
    return _division[how]


def _pictures(folder, count):
    """Return an archive of as many names as the largest preset asks for; what they hold is never looked at."""
    path = folder / "pictures.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(count):
            archive.writestr(f"{number:04d}.png", number.to_bytes(4, "big"))
    return path


def _weights(stage):
    """Nothing reads them but what trains or answers."""
    return {}, {
        "history": {"loss": [0.5] * _settings(stage)["epochs"], "validation_loss": [0.5] * _settings(stage)["epochs"]},
        "f1": 0.9, "accuracy": 0.9, "confusion": np.eye(10, dtype=int).tolist(), "width": 10, "parameters": 1,
    }  # fmt: skip


def _settings(stage):
    return stage.identity["settings"]


def _count(stage):
    """How many images of the thesis a stage is about, from the settings of their division."""
    data = stage.identity.get("data") or stage.upstream[0].identity["data"]
    tests = data["splits"]["test_per_class"] * 10
    counts = {
        "shadow_train": data["splits"]["train_per_class"] * 5, "shadow_validation": tests // 3,
        "test": tests - 2 * (tests // 3), "classes": 10,
    }  # fmt: skip
    return counts[stage.identity.get("subset", "test")]


def _vectors(stage):
    return {"output_vector": np.tile(np.arange(10, dtype=np.float32), (_count(stage), 1))}, {"accuracy": 0.1}


def _scored(stage):
    count = _count(stage)
    one = np.full(count, 0.5, np.float32)
    return {
        "images": np.zeros((count, 32, 32, 1), np.float16),
        "ssim": one,
        "mse": one,
        **dict.fromkeys(("distance", "found", "judged", "confidence", "typical", "nearest"), one),
    }, {}


def _per_class(stage):
    return {"images": np.zeros((10, 32, 32, 1), np.float32)}, {}


def _gradient(stage):
    return _scored(stage)[0] | {"losses": np.zeros((_settings(stage)["steps"], 4), np.float32)}, {
        "problems": 1
    }


def _search(stage):
    trial = {"number": 1, "l2_weight": 1e-4, "tv_weight": 1e-2, "ssim": 0.3, "mse": 0.1, "problem": ""}
    one = np.array([0.5])
    return {f"{name}.{array}": one for name in ("coarse", "fine") for array in ("l2_weight", "tv_weight", "ssim")}, {
        "best": {"l2_weight": 1.25e-4, "tv_weight": 2.5e-2}, "best_ssim": 0.5, "best_stage": "fine",
        "trials": [trial | {"stage": name} for name in ("coarse", "fine")], "failed": 0,
    }  # fmt: skip


def _pixels(stage):
    size = stage.identity["data"]["faces"]["size"]
    picture = np.full((PICTURES, size, size, 3), 128, np.uint8)
    return {"training": picture, "held_out": picture}, {
        "training": PICTURES,
        "held_out": PICTURES,
        "skipped": [],
    }


def _sent(stage):
    """Return `(size, size, channels)` of the maps that a stage is about."""
    stride, channels = SENT[stage.identity["encoder"]["cut"].partition(":")[0]]
    size = stage.identity["data"]["faces"]["size"] // stride
    return size, size, channels


def _maps(stage):
    return {"maps": np.zeros((PICTURES, *_sent(stage)), np.float16)}, {}


def _statistics(stage):
    number = np.arange(_sent(stage)[2], dtype=np.float32)
    return {"low": -number - 1, "high": number + 1, "mean": 0 * number, "deviation": number}, {}


def _faces_scored(stage):
    one = np.full(PICTURES, 0.5, np.float32)
    names = ("psnr", "ssim", "ms_ssim", "psnr_paper", "ssim_paper", "ms_ssim_paper")
    return dict.fromkeys(names, one) | _gallery(stage)[0], {}


def _gallery(stage):
    draw = np.random.default_rng(0)
    return {
        "features": draw.random((PICTURES, 8), np.float32),
        "pixels": draw.random((PICTURES, 8), np.float32),
    }, {}


def _mean_face(stage):
    size = stage.identity.get("data", stage.upstream[0].identity["data"])["faces"]["size"]
    return {"image": np.zeros((size, size, 3), np.float32)}, {}


def _decoder(stage):
    size = stage.identity["data"]["faces"]["size"]
    return _untrained(_settings(stage)["decoder"], _sent(stage), size), _weights(stage)[1]


@functools.cache
def _untrained(decoder, sent, size):
    from mi_keras.models import build_decoder

    model = build_decoder(decoder, sent, (size, size, 3))
    return {f"{i:03d}": np.asarray(v) for i, v in enumerate(model.variables)}


def _of_its_own(stage):
    return _faces_scored(stage) if "encoder" in stage.identity else _scored(stage)


def _shaped_noise(stage):
    return {"deviations": np.ones((len(stage.identity["deviations"]), _sent(stage)[2]))}, {}


def _tail(stage):
    from mi_keras.models.mobilenet import encoder_of
    from mi_keras.models.variables import weights_of
    from mi_keras.settings import EncoderSettings
    from mi_keras.training.imitation import trainable_copy

    cut, size = stage.identity["encoder"]["cut"], stage.identity["data"]["faces"]["size"]
    return weights_of(trainable_copy(encoder_of(EncoderSettings("random", cut=cut), size).tail)), {}


def _small_residual(stage):
    from mi_keras.models.small_residual import build_small_residual
    from mi_keras.models.variables import weights_of

    return weights_of(build_small_residual(stage.identity["data"]["faces"]["size"], 1000, seed=1)), {
        "agreement": 0.5
    }


def _optimal_pick(stage):
    return {"picked": np.full(len(stage.identity["deviations"]), 0.5)}, {"needed": 1.0}


def _selection(stage):
    return {str(m): np.arange(m) for m in stage.identity["counts"]}, {}


_MADE_UP = {
    "classifier": _weights, "bank_shadow": _weights, "output_vector": _vectors, "defended_output_vector": _vectors,
    "activations": lambda stage: ({}, {"not_converged": 0, "count": 1}), "gradient_reconstruction": _gradient,
    "inverter": _weights, "inversion": _scored, "scored_gradient": _scored, "scored_baseline": _scored,
    "class_average": _per_class, "class_prototype": _per_class, "prototype_distance": _scored, "search": _search,
    "images": _pixels, "maps": _maps, "map_statistics": _statistics, "decoder": _decoder, "scored": _faces_scored,
    "mean_face": _mean_face, "gallery": _gallery, "selection": _selection, "optimal_pick": _optimal_pick,
    "twins": lambda stage: ({}, {"count": 1}), "shaped_noise": _shaped_noise, "tuned_tail": _tail, "small_residual": _small_residual,
}  # fmt: skip
_OF_ITS_OWN = {"fitted": lambda stage: ({}, {}), "scored": _of_its_own, "hardened": lambda stage: ({}, {})}


def _write(again):
    import tempfile

    pinned = json.loads(PINNED.read_text()) if PINNED.exists() else {}
    for section, preset in CASES:
        name = name_of(section, preset)
        if name not in pinned or f"{section.work} {section.number}" in again:
            with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
                found = stages_of(section, preset, Path(folder), patch)
            if lost := set(pinned.get(name, ())) - set(found):
                return f"{name}: {len(lost)} stages would be lost to those who have stored them, such as {min(lost)}"
            print(f"{name}: {len(found) - len(pinned.get(name, ()))} stages added")
            pinned[name] = found
    PINNED.write_text(json.dumps(pinned, indent=0) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(_write(sys.argv[1:]))

#!/usr/bin/env python3
"""Table 4 of the thesis at its own sizes over pairs of models, in PyTorch: a check of the whole chain by other code.

    python tests/oracles/torch_table_4.py steps  --out FILE.json                     # which step of X~ comes nearest to Table 3
    python tests/oracles/torch_table_4.py pairs  --out FILE.json --shadows 2 --repeats 3    # all rows, each shadow, each target
    python tests/oracles/torch_table_4.py search --out FILE.json --targets 3 --half         # M_I(X~) and the strength of its search
    python tests/oracles/torch_table_4.py pairs  --out FILE.json --small             # a minute on a CPU: does it run

Networks and SSIM are those of `make_torch_oracles.py`; losses, updates and training are written again here, for a GPU. Of
`mi_keras` it takes the images and the seeds of their division alone, which need no TensorFlow. A study is written into the file
after every row, beside the others. Seeds fix what is drawn, but a GPU rounds sums differently from run to run, and models differ
by that. Convolutions are in TF32, the GPU's default, or with `--half` those of the search in bfloat16. `torch_table_4.json` holds
what an H100 gave with PyTorch 2.11 in nine minutes, each study cut off by its time; `docs/results.md` shows it.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from make_torch_oracles import L2_WEIGHT, TV_WEIGHT, cnn_of_figure_25, tcnn_of_figure_26
from torch import Tensor, nn
from torch.nn import functional as F

from mi_keras.data.sources import load_source
from mi_keras.data.splits import make_splits
from mi_keras.seeds import derive
from mi_keras.settings import SplitSettings

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
BATCH, RATE = 64, 1e-3  # of every training, as in the package
TAU, ETA, MOST = 1.5, 0.1, 10_000  # of A^L (thesis 3.5)
PARTS = ("o", "a", "x")
COMBINATIONS = ("o", "a", "x", "o+a", "o+x", "a+x", "o+a+x")
STEPS = (0, 10, 30, 60, 120, 400)
RATES = {"adam": (0.003, 0.01, 0.03, 0.1), "gradient_descent": (0.01, 0.03, 0.1)}
STUDIED = (0.01, 0.03, 0.1)  # of both optimizers, in `search`
STARTS = ("class_average", "class_instance", "random")


@dataclass(frozen=True)
class Sizes:
    """What the thesis has, or for a try."""

    channels: tuple[int, int, int] = (128, 256, 512)
    inverter: tuple[int, int, int] = (512, 256, 128)
    epochs: int = 20
    data: SplitSettings = SplitSettings()
    steps: tuple[int, ...] = STEPS
    chunk: int = 4096


SMALL = Sizes(
    (8, 16, 32), (32, 16, 8), 2, SplitSettings(train_per_class=40, test_per_class=30), (0, 2, 5), 128
)


@dataclass(frozen=True)
class Search:
    """How X~ is made (thesis 3.4)."""

    rate: float
    optimizer: str = "adam"
    objective: str = "logit_mse"


@dataclass(frozen=True)
class Surrogate:
    """A shadow model, its answers to its own images and what it makes of them."""

    model: nn.Module
    number: int
    own: dict[str, Tensor]


# Data and networks


def load(settings: SplitSettings) -> dict[str, tuple[Tensor, Tensor]]:
    """Return images `(count, 1, 32, 32)` and labels of the five sets of the first seed."""
    splits = make_splits(load_source("mnist"), settings, seed=derive(1, "data"))
    return {
        name: (
            torch.from_numpy(np.ascontiguousarray(each.images.transpose(0, 3, 1, 2))).to(DEVICE),
            torch.from_numpy(each.labels.astype(np.int64)).to(DEVICE),
        )
        for name, each in splits.sets.items()
    }


def classifier(sizes: Sizes, images: Tensor, labels: Tensor, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    model = cnn_of_figure_25(1, sizes.channels, 10).to(DEVICE, memory_format=torch.channels_last)
    fit(model, images, labels, F.cross_entropy, sizes.epochs)
    return model


def inverter(sizes: Sizes, inputs: Tensor, images: Tensor, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    model = tcnn_of_figure_26(inputs.shape[1], sizes.inverter, 1).to(DEVICE)
    fit(
        model,
        inputs[:, :, None, None],
        images,
        lambda drawn, true: 1 - ssim(drawn, true).mean(),
        sizes.epochs,
    )
    return model


def fit(
    model: nn.Module, inputs: Tensor, goals: Tensor, loss: Callable[[Tensor, Tensor], Tensor], epochs: int
) -> None:
    """Train with Adam; on a GPU every full batch replays one recorded step, which spares the time between kernels."""
    graphs = DEVICE.type == "cuda"
    optimizer = torch.optim.Adam(model.parameters(), RATE, fused=graphs, capturable=graphs)
    batch, goal = inputs[:BATCH].clone(), goals[:BATCH].clone()

    def step(some: Tensor, wanted: Tensor) -> None:
        optimizer.zero_grad(set_to_none=False)
        loss(model(some), wanted).backward()
        optimizer.step()

    model.train()
    if graphs:
        replay = _recorded(model, optimizer, lambda: step(batch, goal))
    for _ in range(epochs):
        order = torch.randperm(len(inputs), device=DEVICE)
        for rows in order.split(BATCH):
            if graphs and len(rows) == BATCH:
                torch.index_select(inputs, 0, rows, out=batch)
                torch.index_select(goals, 0, rows, out=goal)
                replay()
            else:
                step(inputs[rows], goals[rows])
    model.eval()
    model.requires_grad_(False)


def _recorded(
    model: nn.Module, optimizer: torch.optim.Optimizer, step: Callable[[], None]
) -> Callable[[], None]:
    """Record a step, and put everything that trying it has changed back in its place."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    model.load_state_dict(before)
    for state in optimizer.state.values():
        for value in state.values():
            value.zero_()
    return graph.replay


def ssim(first: Tensor, second: Tensor) -> Tensor:
    """Mean SSIM of each pair, `(batch, 1, 32, 32)`, as `make_torch_oracles.ssim` has it, filtered by matrix products."""
    bands = _bands(first.shape[-1])
    moments = torch.stack([first, second, first * first, second * second, first * second])
    mean_1, mean_2, square_1, square_2, product = bands @ moments @ bands.T
    variance_1, variance_2 = square_1 - mean_1**2, square_2 - mean_2**2
    covariance = product - mean_1 * mean_2
    numerator = (2 * mean_1 * mean_2 + 0.01**2) * (2 * covariance + 0.03**2)
    denominator = (mean_1**2 + mean_2**2 + 0.01**2) * (variance_1 + variance_2 + 0.03**2)
    return (numerator / denominator).mean(dim=(1, 2, 3))


_KEPT: dict[int, Tensor] = {}


def _bands(size: int) -> Tensor:
    if size not in _KEPT:
        window = torch.exp(-((torch.arange(11) - 5.0) ** 2) / (2 * 1.5**2))
        rows = torch.zeros(size - 10, size)
        for row in range(size - 10):
            rows[row, row : row + 11] = window / window.sum()
        _KEPT[size] = rows.to(DEVICE)
    return _KEPT[size]


# What an answer is turned into


@torch.no_grad()
def answers(model: nn.Module, images: Tensor, layers: int | None = None) -> Tensor:
    """Return the logits of images, or with `layers` 14 the activations A^L."""
    found = []
    for some in images.split(1000):
        for layer in list(model.layers)[:layers]:
            some = layer(some)
        found.append(some)
    return torch.cat(found)


@torch.no_grad()
def solved(model: nn.Module, vectors: Tensor, seed: int) -> Tensor:
    """Return A^L by descent from random starts; each vector stops when its own error is at most tau."""
    linear = model.layers[-1]
    draw = torch.Generator(DEVICE).manual_seed(seed)
    found = torch.randn(len(vectors), linear.in_features, generator=draw, device=DEVICE)
    for step in range(MOST):
        off = linear(found) - vectors
        moving = (off**2).mean(dim=1) > TAU
        if step % 20 == 0 and not moving.any():
            break
        found = torch.where(moving[:, None], found - ETA * 2 / off.shape[1] * off @ linear.weight, found)
    return found


def searched(
    model: nn.Module,
    vectors: Tensor,
    starts: Tensor | None,
    way: Search,
    marks: Sequence[int],
    sizes: Sizes,
    half: bool,
) -> dict[int, Tensor]:
    """Return X~ after each number of steps in `marks`: the first steps of a longer search are a shorter one."""
    layers = list(model.layers)
    blocks = [torch.nn.utils.fuse_conv_bn_eval(*layers[4 * block : 4 * block + 2]) for block in range(3)]
    blocks = [block.to(memory_format=torch.channels_last) for block in blocks]
    found: dict[int, list[Tensor]] = {mark: [] for mark in marks}
    first = starts is None
    for rows in torch.arange(len(vectors), device=DEVICE).split(sizes.chunk):
        goals = vectors[rows]
        classes = goals.argmax(dim=1)
        if first:
            images = torch.rand(
                len(rows),
                1,
                32,
                32,
                generator=torch.Generator(DEVICE).manual_seed(int(rows[0])),
                device=DEVICE,
            )
        else:
            images = starts[classes].clone()
        moment, square = torch.zeros_like(images), torch.zeros_like(images)
        for step in range(max(marks) + 1):
            if step in found:
                found[step].append(images.clone())
            if step == max(marks):
                break
            images.requires_grad_(True)
            maps = images.contiguous(memory_format=torch.channels_last)
            with torch.autocast(DEVICE.type, torch.bfloat16, enabled=half):
                for block in blocks:
                    maps = F.relu(F.max_pool2d(block(maps), 2))
            logits = layers[15](layers[13](maps.float().flatten(1)))
            if way.objective == "logit_mse":
                distance = ((logits - goals) ** 2).mean(dim=1).sum()
            else:
                distance = F.cross_entropy(logits, classes, reduction="sum")
            down = (images[:, :, :-1] - images[:, :, 1:]).abs().sum()
            right = (images[..., :-1] - images[..., 1:]).abs().sum()
            total = distance + L2_WEIGHT * (images**2).sum() + TV_WEIGHT * (down + right)
            (gradient,) = torch.autograd.grad(total, images)
            with torch.no_grad():
                if way.optimizer == "adam":
                    moment.mul_(0.9).add_(gradient, alpha=0.1)
                    square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
                    scale = (square / (1 - 0.999 ** (step + 1))).sqrt_().add_(1e-8)
                    gradient = moment / (1 - 0.9 ** (step + 1)) / scale
                images = (images.detach() - way.rate * gradient).clamp_(0, 1)
    return {mark: torch.cat(parts) for mark, parts in found.items()}


def class_averages(images: Tensor, labels: Tensor) -> Tensor:
    return torch.stack([images[labels == c].mean(dim=0) for c in range(10)])


def class_instances(images: Tensor, labels: Tensor) -> Tensor:
    draw = np.random.default_rng(1)
    rows = [draw.choice(np.flatnonzero(labels.cpu().numpy() == c)) for c in range(10)]
    return images[rows]


@torch.no_grad()
def score(images: Tensor, truth: Tensor) -> dict[str, float]:
    found = {"ssim": ssim(images, truth).mean(), "mse": ((images - truth) ** 2).mean()}
    return {name: round(float(value), 5) for name, value in found.items()}


@torch.no_grad()
def drawn(model: nn.Module, inputs: Tensor) -> Tensor:
    return torch.cat([model(some[:, :, None, None]) for some in inputs.split(1000)])


def joined(parts: dict[str, Tensor], combination: str) -> Tensor:
    return torch.cat([parts[name].flatten(1) for name in combination.split("+")], dim=1)


# Studies


@dataclass
class Study:
    """Where rows are written, and what they are measured on."""

    sizes: Sizes
    data: dict[str, tuple[Tensor, Tensor]]
    half: bool
    rows: list[dict[str, Any]]
    write: Callable[[], None]

    def add(self, **row: Any) -> None:
        self.rows.append(row)
        self.write()
        print(json.dumps(row), flush=True)

    def shadow(self, number: int) -> nn.Module:
        return classifier(self.sizes, *self.data["shadow_train"], seed=2 * number)

    def target(self, number: int) -> nn.Module:
        return classifier(self.sizes, *self.data["target_train"], seed=2 * number + 1)

    def search(
        self, model: nn.Module, vectors: Tensor, way: Search, marks: Sequence[int], start: str = STARTS[0]
    ) -> dict[int, Tensor]:
        make = {
            "class_average": class_averages,
            "class_instance": class_instances,
            "random": lambda *_: None,
        }[start]
        return searched(model, vectors, make(*self.data["shadow_train"]), way, marks, self.sizes, self.half)

    def search_all(
        self, model: nn.Module, asked: dict[Any, Tensor], way: Search, marks: Sequence[int]
    ) -> dict[Any, dict[int, Tensor]]:
        """Search for several sets of answers at once, which fills the GPU."""
        found = self.search(model, torch.cat(list(asked.values())), way, marks)
        cut = {
            mark: images.split([len(vectors) for vectors in asked.values()]) for mark, images in found.items()
        }
        return {who: {mark: cut[mark][at] for mark in marks} for at, who in enumerate(asked)}

    def describe(self, role: str, number: int, model: nn.Module) -> None:
        """Write what a model is like, on its own validation set and on the test images."""
        images, labels = self.data[f"{role}_validation"]
        logits = answers(model, images)
        self.add(
            kind="model", role=role, number=number, loss=float(F.cross_entropy(logits, labels)),
            accuracy=float((logits.argmax(dim=1) == labels).float().mean()),
            scale=float(answers(model, self.data["test"][0]).std()),
        )  # fmt: skip


def steps(study: Study, options: argparse.Namespace) -> None:
    """Make X~ of shadow validation images in every way, as `python -m tuning.step_size --width text` does."""
    last = max(study.sizes.steps)
    for number in range(1, options.shadows + 1):
        model = study.shadow(number)
        study.describe("shadow", number, model)
        truth = study.data["shadow_validation"][0][: options.images]
        vectors = answers(model, truth)
        for start in STARTS:
            for optimizer, rates in RATES.items():
                for rate in rates:
                    found = study.search(model, vectors, Search(rate, optimizer), (last,), start)[last]
                    study.add(
                        kind="steps",
                        shadow=number,
                        start=start,
                        optimizer=optimizer,
                        rate=rate,
                        images=len(truth),
                        **score(found, truth),
                    )


def search(study: Study, options: argparse.Namespace) -> None:
    """M_I(X~) and X~ alone after searches of every strength, the first shadow model against each target."""
    targets = [study.target(number) for number in range(1, options.targets + 1)]
    for number in range(1, options.shadows + 1):
        _searches_of(study, number, targets)


def _searches_of(study: Study, number: int, targets: Sequence[nn.Module]) -> None:
    own_images, truth = study.data["shadow_train"][0], study.data["test"][0]
    model = study.shadow(number)
    asked = {
        "own": answers(model, own_images),
        "validation": answers(model, study.data["shadow_validation"][0]),
    }
    asked |= {target: answers(each, truth) for target, each in enumerate(targets, 1)}
    _invert(study, asked, own_images, {"shadow": number, "inputs": "o"}, asked)
    for optimizer in RATES:
        for rate in STUDIED:
            way = Search(rate, optimizer)
            found = study.search_all(model, asked, way, study.sizes.steps)
            for mark in study.sizes.steps:
                named = {"shadow": number, "inputs": "x", "optimizer": optimizer, "rate": rate, "steps": mark}
                if not mark and way != Search(STUDIED[0]):
                    continue  # the start is the same in every way
                parts = {who: images[mark] for who, images in found.items()}
                alone = score(parts["validation"], study.data["shadow_validation"][0])
                study.add(kind="alone", images="validation", **named, **alone)
                for target in range(1, len(targets) + 1):
                    study.add(
                        kind="alone", images="test", target=target, **named, **score(parts[target], truth)
                    )
                _invert(study, parts, own_images, named, asked)


def _invert(
    study: Study,
    parts: dict[Any, Tensor],
    own_images: Tensor,
    named: dict[str, Any],
    asked: dict[Any, Tensor],
) -> None:
    trained = inverter(study.sizes, parts["own"].flatten(1), own_images, seed=1000 + named["shadow"])
    for target in [each for each in asked if isinstance(each, int)]:
        found = drawn(trained, parts[target].flatten(1))
        study.add(kind="inverter", target=target, **named, **score(found, study.data["test"][0]))


def pairs(study: Study, options: argparse.Namespace) -> None:
    """Every row of Table 4 in both readings of A^L, every shadow model against every target."""
    truth = study.data["test"][0]
    targets = [study.target(number) for number in range(1, options.targets + 1)]
    for number, model in enumerate(targets, 1):
        study.describe("target", number, model)
    averages = class_averages(*study.data["shadow_train"])
    for number in range(1, options.shadows + 1):
        model = study.shadow(number)
        study.describe("shadow", number, model)
        for row in _of_shadow(study, number, model, targets, averages, truth, options):
            study.add(shadow=number, **row)


def _of_shadow(
    study: Study,
    number: int,
    model: nn.Module,
    targets: Sequence[nn.Module],
    averages: Tensor,
    truth: Tensor,
    options: argparse.Namespace,
) -> Iterator[dict[str, Any]]:
    own_images, way, last = (
        study.data["shadow_train"][0],
        Search(options.rate, options.optimizer),
        options.steps or study.sizes.steps[-1],
    )
    asked = {
        0: answers(model, own_images),
        **{at: answers(each, truth) for at, each in enumerate(targets, 1)},
    }
    asked[-1] = answers(model, truth)  # the shadow's own answers to the attacked images
    held = {at: {"o": vectors, "a": solved(model, vectors, seed=number)} for at, vectors in asked.items()}
    validation = study.data["shadow_validation"][0]
    images = study.search_all(model, asked | {"validation": answers(model, validation)}, way, (last,))
    yield {
        "kind": "alone",
        "images": "validation",
        "objective": "logit_mse",
        **score(images["validation"][last], validation),
    }
    hot = study.search(model, torch.eye(10, device=DEVICE), replace(way, objective="cross_entropy"), (last,))[
        last
    ]
    for at, parts in held.items():
        parts["x"] = images[at][last]
        parts["one_hot"] = hot[asked[at].argmax(dim=1)]
        if at > 0:
            yield {"kind": "alone", "target": at, "objective": "logit_mse", **score(parts["x"], truth)}
            yield {
                "kind": "alone",
                "target": at,
                "objective": "cross_entropy",
                **score(parts["one_hot"], truth),
            }
            yield {"kind": "average", "target": at, **score(averages[asked[at].argmax(dim=1)], truth)}
            yield {"kind": "pair", "target": at, "agreement": _agreement(asked[at], asked[-1])}
    extracted = held[0] | {"a": answers(model, own_images, 14)}
    plans = [(each, "solved", held[0]) for each in (*COMBINATIONS, "one_hot")]
    plans += [(each, "extracted", extracted) for each in COMBINATIONS if "a" in each]
    for inputs, known, own in plans:
        repeats = options.repeats if number == 1 and inputs in PARTS else 1
        for repeat in range(1, repeats + 1):
            trained = inverter(study.sizes, joined(own, inputs), own_images, seed=1000 * repeat + number)
            for at in [each for each in held if each]:
                who = {"answered_by": "shadow"} if at < 0 else {"target": at}
                yield {
                    "kind": "inverter",
                    "inputs": inputs,
                    "known": known,
                    "repeat": repeat,
                    **who,
                    **score(drawn(trained, joined(held[at], inputs)), truth),
                }


def _agreement(target: Tensor, shadow: Tensor) -> float:
    """Cosine of the nine logits beside that of the target's class, each vector less its mean, over the images."""
    kept = F.one_hot(target.argmax(dim=1), 10) == 0
    first, second = (vectors[kept].reshape(len(vectors), 9) for vectors in (target, shadow))
    first, second = (vectors - vectors.mean(dim=1, keepdim=True) for vectors in (first, second))
    return float(F.cosine_similarity(first, second).mean())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", choices=["steps", "search", "pairs"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shadows", type=int, default=1)
    parser.add_argument("--targets", type=int, default=4)
    parser.add_argument(
        "--repeats", type=int, default=5, help="inversion models of the first shadow for O, A^L and X~"
    )
    parser.add_argument("--rate", type=float, default=0.03, help="step size of X~ in `pairs`")
    parser.add_argument("--optimizer", choices=RATES, default="adam")
    parser.add_argument("--steps", type=int, help="of X~ in `pairs` (default: 400)")
    parser.add_argument("--images", type=int, default=512, help="validation images in `steps`")
    parser.add_argument("--half", action="store_true", help="convolutions of the search in bfloat16")
    parser.add_argument("--small", action="store_true", help="small models on few images: a try")
    options = parser.parse_args()
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.benchmark = True
    sizes = SMALL if options.small else Sizes()
    began, rows = time.time(), list[dict[str, Any]]()
    machine = torch.cuda.get_device_name() if DEVICE.type == "cuda" else "CPU"
    others = json.loads(options.out.read_text()) if options.out.exists() else {}
    settings = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in vars(options).items()
        if name != "out"
    }

    def write() -> None:
        found = {
            "settings": settings,
            "torch": torch.__version__,
            "machine": machine,
            "seconds": round(time.time() - began),
            "rows": rows,
        }
        options.out.write_text(json.dumps(others | {options.study: found}).replace("}, {", "},\n{") + "\n")

    study = Study(sizes, load(sizes.data), options.half, rows, write)
    {"steps": steps, "search": search, "pairs": pairs}[options.study](study, options)


if __name__ == "__main__":
    main()

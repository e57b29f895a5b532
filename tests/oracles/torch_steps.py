"""The steps of the thesis's attack in PyTorch, for a GPU: data, X~, A^L and scores (see `torch_table_4.py`)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from make_torch_oracles import L2_WEIGHT, TV_WEIGHT
from torch import Tensor, nn
from torch.nn import functional as F

from mi_keras.data.sources import load_source
from mi_keras.data.splits import make_splits
from mi_keras.seeds import derive
from mi_keras.settings import SplitSettings

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
TAU, ETA, MOST = 1.5, 0.1, 10_000  # of A^L (thesis 3.5)
STEPS = (0, 10, 30, 60, 120, 400)


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
    for rows in torch.arange(len(vectors), device=DEVICE).split(sizes.chunk):
        goals = vectors[rows]
        classes = goals.argmax(dim=1)
        if starts is None:
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

"""Compare `torch_steps.py` and `torch_training.py` with `make_torch_oracles.py`, which the package is tested against; run by hand.

    python tests/oracles/check_torch_steps.py     # prints largest differences; seconds on a CPU; on a GPU, the training's alone

What is to be expected: 1e-6, but for later steps of a search, where signs in the gradient of the total variation turn rounding
into steps (0.01 after 20).
"""

import make_torch_oracles as oracles
import torch
import torch_steps as steps
import torch_training as training
from torch.nn import functional as F

COUNT = 5


def main() -> None:
    torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(0)
    print("fit", _fitted(), flush=True)
    if steps.DEVICE.type == "cpu":
        _compared()


def _compared() -> None:
    first, second = torch.rand(2, COUNT, 1, 32, 32)
    print("SSIM", float((steps.ssim(first, second) - oracles.ssim(first, second)).abs().max()))
    network = oracles.cnn_of_figure_25(1, (8, 16, 32), 10)
    oracles._make_weights_nontrivial(network)
    vectors, starts = 4 * torch.randn(COUNT, 10), torch.rand(10, 1, 32, 32)
    solved = network.layers[-1](steps.solved(network, vectors, seed=1)).detach()
    print("A^L, largest error", float(((solved - vectors) ** 2).mean(dim=1).max()), "tau", steps.TAU)
    for objective in ("logit_mse", "cross_entropy"):
        for optimizer, rate in oracles.LEARNING_RATES.items():
            of_class = starts[vectors.argmax(dim=1)]
            path = [
                each for each, _ in oracles._invert(network, vectors, of_class, objective, optimizer, rate)
            ]
            way, marks = steps.Search(rate, optimizer, objective), oracles.STORED_STEPS
            found = steps.searched(network, vectors, starts, way, marks, steps.SMALL, half=False)
            off = {mark: float((found[mark] - path[mark - 1]).abs().max()) for mark in marks}
            print("X~", objective, optimizer, off)


def _fitted() -> float:
    """Return the largest difference of weights after an epoch of `fit` and of a plain loop in the same order."""
    inputs, labels = torch.rand(150, 1, 32, 32), torch.randint(0, 10, (150,))
    one, other = (oracles.cnn_of_figure_25(1, (4, 4, 4), 10) for _ in range(2))
    for layer in (one.layers[14], other.layers[14]):
        layer.p = 0.0  # else the two draw one after the other
    other.load_state_dict(one.state_dict())
    inputs, labels = inputs.to(steps.DEVICE), labels.to(steps.DEVICE)
    asked = training.Training(one.to(steps.DEVICE), inputs, labels, F.cross_entropy, seed=3)
    beside = training.Training(
        oracles.cnn_of_figure_25(1, (4, 4, 4), 10).to(steps.DEVICE), inputs, labels, F.cross_entropy, 4
    )
    training.fit([beside, asked], 1)
    draw = torch.Generator(steps.DEVICE).manual_seed(3)
    optimizer = torch.optim.Adam(other.to(steps.DEVICE).parameters(), training.RATE)
    for rows in torch.randperm(150, generator=draw, device=steps.DEVICE).split(training.BATCH):
        optimizer.zero_grad()
        F.cross_entropy(other(inputs[rows]), labels[rows]).backward()
        optimizer.step()
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return max(float((a.float() - b.float()).abs().max()) for a, b in pairs)


if __name__ == "__main__":
    main()

"""Training of the thesis's networks in PyTorch, several at once (see `torch_table_4.py`)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from make_torch_oracles import cnn_of_figure_25, tcnn_of_figure_26
from torch import Tensor, nn
from torch.nn import functional as F
from torch_steps import DEVICE, Sizes, ssim

BATCH, RATE = 64, 1e-3  # of every training, as in the package
TOGETHER = 8  # networks trained side by side


@dataclass(frozen=True)
class Training:
    """A network and what it is to be trained on; the seed draws the order of the rows."""

    network: nn.Module
    inputs: Tensor
    goals: Tensor
    loss: Callable[[Tensor, Tensor], Tensor]
    seed: int


def classifiers(sizes: Sizes, images: Tensor, labels: Tensor, seeds: Sequence[int]) -> list[nn.Module]:
    asked = []
    for seed in seeds:
        network = _seeded(seed, lambda: cnn_of_figure_25(1, sizes.channels, 10))
        network = network.to(memory_format=torch.channels_last)
        asked.append(Training(network, images, labels, F.cross_entropy, seed))
    return _trained(asked, sizes.epochs)


def inverters(sizes: Sizes, asked: Sequence[tuple[Tensor, int]], images: Tensor) -> list[nn.Module]:
    """Train an inversion model for each input and seed."""
    trainings = []
    for inputs, seed in asked:
        network = _seeded(seed, lambda width=inputs.shape[1]: tcnn_of_figure_26(width, sizes.inverter, 1))
        trainings.append(Training(network, inputs[:, :, None, None], images, _one_less_ssim, seed))
    return _trained(trainings, sizes.epochs)


def _seeded(seed: int, build: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(seed)
    return build().to(DEVICE)


def _one_less_ssim(drawn: Tensor, true: Tensor) -> Tensor:
    return 1 - ssim(drawn, true).mean()


def _trained(trainings: Sequence[Training], epochs: int) -> list[nn.Module]:
    for first in range(0, len(trainings), TOGETHER):
        fit(trainings[first : first + TOGETHER], epochs)
    return [each.network for each in trainings]


def fit(trainings: Sequence[Training], epochs: int) -> None:
    """Train each network with Adam, all of them side by side; each has equally many rows.

    On a GPU one step of all of them is recorded, each on a stream of its own, and replayed for every full batch: that spares the
    time between kernels, and one such network alone leaves most of the GPU idle.
    """
    runs = [_Run(each) for each in trainings]
    torch.manual_seed(trainings[0].seed)
    if DEVICE.type == "cuda":
        replay = _recorded(runs)
    for _ in range(epochs):
        orders = [run.order().split(BATCH) for run in runs]
        for batches in zip(*orders, strict=True):
            if DEVICE.type == "cuda" and len(batches[0]) == BATCH:
                for run, rows in zip(runs, batches, strict=True):
                    run.bring(rows)
                replay()
            else:
                for run, rows in zip(runs, batches, strict=True):
                    run.step(run.asked.inputs[rows], run.asked.goals[rows])
    for run in runs:
        run.asked.network.eval().requires_grad_(False)


class _Run:
    """A training as it goes: its optimizer, its draws, and the batch that a recorded step reads."""

    def __init__(self, asked: Training) -> None:
        graphs = DEVICE.type == "cuda"
        self.asked = asked
        asked.network.train()
        parameters = asked.network.parameters()
        self.optimizer = torch.optim.Adam(parameters, RATE, fused=graphs, capturable=graphs)
        self.draw = torch.Generator(DEVICE).manual_seed(asked.seed)
        self.inputs, self.goals = asked.inputs[:BATCH].clone(), asked.goals[:BATCH].clone()

    def order(self) -> Tensor:
        return torch.randperm(len(self.asked.inputs), generator=self.draw, device=DEVICE)

    def bring(self, rows: Tensor) -> None:
        torch.index_select(self.asked.inputs, 0, rows, out=self.inputs)
        torch.index_select(self.asked.goals, 0, rows, out=self.goals)

    def step(self, inputs: Tensor, goals: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=False)
        self.asked.loss(self.asked.network(inputs), goals).backward()
        self.optimizer.step()


def _recorded(runs: Sequence[_Run]) -> Callable[[], None]:
    """Record a step of each, and put everything that trying it has changed back in its place."""
    before = [{name: value.clone() for name, value in run.asked.network.state_dict().items()} for run in runs]
    streams = [torch.cuda.Stream() for _ in runs]

    def step() -> None:
        now = torch.cuda.current_stream()
        for run, stream in zip(runs, streams, strict=True):
            stream.wait_stream(now)
            with torch.cuda.stream(stream):
                run.step(run.inputs, run.goals)
        for stream in streams:
            now.wait_stream(stream)

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    for run, state in zip(runs, before, strict=True):
        run.asked.network.load_state_dict(state)
        for kept in run.optimizer.state.values():
            for value in kept.values():
                value.zero_()
    return graph.replay

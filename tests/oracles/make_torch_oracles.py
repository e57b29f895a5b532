"""Compute in PyTorch what the tests compare the package with; run by hand, its outputs are stored beside it.

    python tests/oracles/make_torch_oracles.py        # PyTorch 2.13.0 (CPU), NumPy 2.4.6, Python 3.11; half a minute

Nothing here imports `mi_keras` or TensorFlow. Everything is computed in float64 from float32 inputs and weights, and
stored as float32: the only rounding in a comparison is that of the code under test. The networks have the topology of
Figures 25 and 26 of the thesis with few channels; of the full widths only facts are stored. Weights are stored in
PyTorch's layout under their `state_dict` names; `torch_weights.py` maps them to Keras.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

HERE = Path(__file__).parent
Arrays = dict[str, np.ndarray]

BATCH = 5
CNN_CHANNELS, TCNN_CHANNELS = (4, 6, 8), (8, 6, 4)
L2_WEIGHT, TV_WEIGHT = 4.4323e-5, 9.48785e-3  # thesis 5.1
LEARNING_RATES = {"adam": 0.01, "gradient_descent": 0.02}  # of the inverted images
STORED_STEPS = (1, 5, 20)
TAU, ETA = 1.5, 0.1  # thesis 3.5; the text does not state eta


def main() -> None:
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(20)
    cnn = cnn_of_figure_25(1, CNN_CHANNELS, 10)
    tcnn = tcnn_of_figure_26(10, TCNN_CHANNELS, 1)
    _make_weights_nontrivial(cnn)
    _make_weights_nontrivial(tcnn)
    images, labels = _float32(torch.rand(BATCH, 1, 32, 32)), torch.tensor([3, 1, 4, 1, 5])
    vectors, truth = _float32(3 * torch.randn(BATCH, 10)), _float32(_smooth_images(BATCH))

    stored = _network_oracle(cnn, images, lambda logits: F.cross_entropy(logits, labels))
    _save("cnn", stored | {"labels": labels.numpy()} | _ties_oracle(cnn))
    maps = vectors[:, :, None, None]
    stored = _network_oracle(tcnn, maps, lambda answer: (1 - ssim(answer, truth)).mean())
    _save("tcnn", stored | {"truth": _nhwc(truth)})
    _save("gradient_inversion", _gradient_inversion_oracle(cnn))
    _save("activation_recovery", _activation_oracle(cnn))
    _save("facts", _adam_oracle() | _full_width_facts() | _max_pool_oracle())


# The networks, as printed in Figures 25 and 26


class Network(nn.Module):
    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, values: Tensor) -> Tensor:
        for layer in self.layers:
            values = layer(values)
        return values


def cnn_of_figure_25(image_channels: int, channels: tuple[int, ...], classes: int) -> Network:
    layers: list[nn.Module] = []
    for before, after in zip((image_channels, *channels[:-1]), channels, strict=True):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.MaxPool2d(2), nn.ReLU()]
    layers += [nn.Flatten(), nn.Linear(16 * channels[-1], 50), nn.Dropout(0.5), nn.Linear(50, classes)]
    return Network(layers)


def tcnn_of_figure_26(width: int, channels: tuple[int, ...], image_channels: int) -> Network:
    layers: list[nn.Module] = [nn.ConvTranspose2d(width, channels[0], 4)]
    for before, after, rate in zip(channels, (*channels[1:], image_channels), (0.3, 0.5, 0.5), strict=True):
        layers += [nn.BatchNorm2d(before), nn.Tanh(), nn.Dropout(rate)]
        layers += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)]
    return Network([*layers, nn.Sigmoid()])


def ssim(first: Tensor, second: Tensor) -> Tensor:
    """Mean SSIM of each pair, `(batch, 1, height, width)`: Wang et al. 2004, Gaussian 11x11 window, valid positions."""
    offsets = torch.arange(11) - 5.0
    window = torch.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * 1.5**2))
    window = (window / window.sum())[None, None]
    mean_1, mean_2 = F.conv2d(first, window), F.conv2d(second, window)
    variance_1 = F.conv2d(first**2, window) - mean_1**2
    variance_2 = F.conv2d(second**2, window) - mean_2**2
    covariance = F.conv2d(first * second, window) - mean_1 * mean_2
    numerator = (2 * mean_1 * mean_2 + 0.01**2) * (2 * covariance + 0.03**2)
    denominator = (mean_1**2 + mean_2**2 + 0.01**2) * (variance_1 + variance_2 + 0.03**2)
    return (numerator / denominator).mean(dim=(1, 2, 3))


# Oracles


def _network_oracle(network: Network, inputs: Tensor, loss: Callable[[Tensor], Tensor]) -> Arrays:
    """Outputs and gradients in both modes, running statistics after one training pass, three steps of Adam."""
    before = {name: value.clone() for name, value in network.state_dict().items()}
    stored = {f"weights/{name}": value.numpy() for name, value in before.items()} | {"inputs": _nhwc(inputs)}
    for layer in network.layers:
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0  # deterministic in training mode
    for mode in ("eval", "train"):
        network.train(mode == "train")
        network.zero_grad()
        variable = inputs.clone().requires_grad_()
        outputs = network(variable)
        loss(outputs).backward()
        stored |= {f"{mode}/outputs": _nhwc(outputs), f"{mode}/input_gradient": _nhwc(variable.grad)}
        stored |= {f"{mode}/gradient/{name}": p.grad.numpy() for name, p in network.named_parameters()}
    stored |= {
        f"running/{name}": b.numpy().copy() for name, b in network.named_buffers() if "running" in name
    }
    network.load_state_dict(before)
    optimizer, losses = torch.optim.Adam(network.parameters(), lr=1e-3), []
    for step in (1, 2, 3):  # Keras adds its eps, 1e-7, before the bias correction and PyTorch after it
        optimizer.param_groups[0]["eps"] = 1e-7 / (1 - 0.999**step) ** 0.5
        optimizer.zero_grad()
        value = loss(network(inputs))
        value.backward()
        optimizer.step()
        losses.append(value.item())
    stored |= {f"adam/{name}": value.numpy().copy() for name, value in network.state_dict().items()}
    network.load_state_dict(before)
    network.eval()
    return stored | {"adam_losses": np.array(losses)}


def _ties_oracle(cnn: Network) -> Arrays:
    """Gradient at images that are zero but for a stroke: most of the pooled values are ties, as on MNIST."""
    images = torch.zeros(2, 1, 32, 32)
    images[0, 0, 8:24, 15:17] = 1.0
    images[1, 0, 10:12, 6:26] = 1.0
    images.requires_grad_()
    cnn(images)[:, 7].sum().backward()
    return {"ties/images": _nhwc(images), "ties/gradient": _nhwc(images.grad)}


def _max_pool_oracle() -> Arrays:
    """Max-pooling of small whole numbers, and where the gradient of each of its windows goes."""
    maps = torch.randint(0, 3, (2, 3, 8, 8)).double().requires_grad_()
    pooled = F.max_pool2d(maps, 2)
    upstream = _float32(torch.randn(pooled.shape))
    (pooled * upstream).sum().backward()
    return {"pool/maps": _nhwc(maps), "pool/upstream": _nhwc(upstream), "pool/gradient": _nhwc(maps.grad)}


def _gradient_inversion_oracle(cnn: Network) -> Arrays:
    """Formulas 1 to 4 of the thesis, step by step, with either target and either optimizer."""
    vectors = _float32(torch.randn(4, 10) + 5 * F.one_hot(torch.tensor([8, 0, 8, 3]), 10))
    starts = _float32(_smooth_images(10))
    stored = {"output_vector": vectors.numpy(), "starts": _nhwc(starts)}
    for objective in ("logit_mse", "cross_entropy"):
        for optimizer, rate in LEARNING_RATES.items():
            path = _invert(cnn, vectors, starts[vectors.argmax(dim=1)], objective, optimizer, rate)
            for step, (images, terms) in enumerate(path, start=1):
                if step in STORED_STEPS:
                    stored[f"{objective}/{optimizer}/images_{step}"] = _nhwc(images)
                stored[f"{objective}/{optimizer}/terms_{step}"] = terms.numpy()
    return stored


def _invert(
    cnn: Network, vectors: Tensor, starts: Tensor, objective: str, optimizer: str, rate: float
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the images after each step, and total, objective, L2 and TV of every image before it, `(batch, 4)`."""
    images = starts.clone().requires_grad_()
    make = torch.optim.Adam if optimizer == "adam" else torch.optim.SGD
    update = make([images], lr=rate)
    one_hot = F.one_hot(vectors.argmax(dim=1), 10)
    for _ in range(max(STORED_STEPS)):
        update.zero_grad()
        logits = cnn(images)
        if objective == "cross_entropy":
            distance = -(one_hot * torch.log_softmax(logits, dim=1)).sum(dim=1)
        else:
            distance = ((logits - vectors) ** 2).mean(dim=1)
        l2 = L2_WEIGHT * (images**2).sum(dim=(1, 2, 3))
        down = (images[:, :, :-1, :] - images[:, :, 1:, :]).abs().sum(dim=(1, 2, 3))
        right = (images[:, :, :, :-1] - images[:, :, :, 1:]).abs().sum(dim=(1, 2, 3))
        tv = TV_WEIGHT * (down + right)
        total = distance + l2 + tv
        total.sum().backward()
        update.step()
        with torch.no_grad():
            images.clamp_(0, 1)
        yield images.detach().clone(), torch.stack([total, distance, l2, tv], dim=1).detach()


def _activation_oracle(cnn: Network) -> Arrays:
    """Section 3.5 of the thesis, one vector at a time, from zeros."""
    linear = cnn.layers[-1]
    vectors = _float32(4 * torch.randn(6, 10))
    activations, steps = [], []
    for vector in vectors:
        activation, count = torch.zeros(50, requires_grad=True), 0
        while (loss := ((linear(activation) - vector) ** 2).mean()) > TAU:
            (gradient,) = torch.autograd.grad(loss, activation)
            activation = (activation - ETA * gradient).detach().requires_grad_()
            count += 1
        activations.append(activation.detach())
        steps.append(count)
    return {
        "output_vector": vectors.numpy(),
        "activations": torch.stack(activations).numpy(),
        "steps": np.array(steps),
    }


def _adam_oracle() -> Arrays:
    """Three steps of Adam with lr 1e-3 and PyTorch's eps, 1e-8, on sum(scale * p^2) / 2: gradients far above any eps."""
    start, scales = (
        _float32(1 + torch.rand(6)) * torch.tensor([1, -1, 1, -1, 1, -1]),
        torch.tensor([0.2, 1, 3, 5, 20, 0.5]),
    )
    scales = _float32(scales)
    parameter = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([parameter], lr=1e-3)
    path = []
    for _ in range(3):
        optimizer.zero_grad()
        (0.5 * scales * parameter**2).sum().backward()
        optimizer.step()
        path.append(parameter.detach().clone())
    return {
        "adam/start": start.numpy(),
        "adam/scales": scales.numpy(),
        "adam/path": torch.stack(path).numpy(),
    }


def _full_width_facts() -> Arrays:
    """Parameter counts, and of every convolution and linear layer the bound of PyTorch's initial weights."""
    full = {"cnn": cnn_of_figure_25(1, (128, 256, 512), 10)}
    full |= {f"tcnn_{width}": tcnn_of_figure_26(width, (512, 256, 128), 1) for width in (10, 50, 1024, 1084)}
    stored = {
        f"parameters/{name}": np.array(sum(p.numel() for p in net.parameters())) for name, net in full.items()
    }
    for name in ("cnn", "tcnn_10"):
        for layer, module in full[name].named_modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                fan_in, _ = nn.init._calculate_fan_in_and_fan_out(module.weight)
                bound = fan_in**-0.5
                assert max(module.weight.abs().max(), module.bias.abs().max()) <= bound
                assert module.weight.abs().max() > 0.99 * bound
                stored[f"bound/{name.split('_')[0]}/{layer}"] = np.array(bound)
    return stored


# Helpers


def _make_weights_nontrivial(network: Network) -> None:
    """Give batch normalisation weights and statistics that matter, classifiers gradients that do; round to float32."""
    for layer in network.layers:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.weight.data *= 3  # else the regularisers drown the objective in an inverted image
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            layer.weight.data[0] *= -1  # a maximum before normalisation is then a minimum after it
            nn.init.normal_(layer.bias, 0, 0.5)
            nn.init.normal_(layer.running_mean, 0, 0.3)
            nn.init.uniform_(layer.running_var, 0.5, 2.0)
    for value in network.state_dict().values():
        if value.is_floating_point():
            value.copy_(_float32(value))
    network.eval()


def _smooth_images(count: int) -> Tensor:
    """Images `(count, 1, 32, 32)` in [0, 1] with no two neighbours exactly equal."""
    coarse = F.interpolate(torch.rand(count, 1, 6, 6), size=32, mode="bilinear", align_corners=True)
    return 0.9 * coarse + 0.1 * torch.rand(count, 1, 32, 32)


def _float32(values: Tensor) -> Tensor:
    return values.float().double()


def _nhwc(values: Tensor) -> np.ndarray:
    array = values.detach().numpy()
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def _save(name: str, arrays: Arrays) -> None:
    stored = {k: v.astype(np.float32) if v.dtype == np.float64 else v for k, v in arrays.items()}
    np.savez_compressed(HERE / f"{name}.npz", **stored)
    print(f"{name}.npz: {len(stored)} arrays, {(HERE / f'{name}.npz').stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The loops of `mi_keras.benchmark` in plain PyTorch, as a reader of the papers would write them: the speed to beat.

Set-up, in an environment of its own: pip install torch==2.13.0 numpy pytorch-msssim
Run:    python tests/oracles/torch_reference.py [--steps 10] [--only cnn inversion tcnn decoder] [--precision bfloat16]
Prints one JSON object: images per second (image-steps per second for inversion) and the float32 matrix-product rate.
`scripts/compare_speed.py` runs it in turns with ours: the speed of a machine changes from minute to minute.
"""

import argparse
import functools
import json
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
from pytorch_msssim import ssim

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}  # seconds of all threads together


def build_cnn():
    layers, c_in = [], 1
    for c_out in (128, 256, 512):
        layers += [nn.Conv2d(c_in, c_out, 3, 1, 1), nn.BatchNorm2d(c_out), nn.MaxPool2d(2), nn.ReLU()]
        c_in = c_out
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(8192, 50), nn.Dropout(0.5), nn.Linear(50, 10))


def build_tcnn(width):
    return nn.Sequential(
        nn.ConvTranspose2d(width, 512, 4, 1),
        nn.BatchNorm2d(512),
        nn.Tanh(),
        nn.Dropout(0.3),
        nn.ConvTranspose2d(512, 256, 4, 2, 1),
        nn.BatchNorm2d(256),
        nn.Tanh(),
        nn.Dropout(0.5),
        nn.ConvTranspose2d(256, 128, 4, 2, 1),
        nn.BatchNorm2d(128),
        nn.Tanh(),
        nn.Dropout(0.5),
        nn.ConvTranspose2d(128, 1, 4, 2, 1),
        nn.Sigmoid(),
    )


def build_decoder():
    def block(c_in, c_out, act):
        return [nn.Conv2d(c_in, c_out, 1), nn.BatchNorm2d(c_out, eps=1e-3, momentum=0.01), act()]

    layers, c_in = [], 672
    for c_out in (112, 480, 80, 16):
        layers += [*block(c_in, c_out, nn.Hardswish), nn.Upsample(scale_factor=2, mode="bicubic")]
        c_in = c_out
    return nn.Sequential(*layers, *block(16, 3, nn.ReLU))


def rate(step, images, steps, clock):
    for _ in range(3):
        step()
    start = clock()
    for _ in range(steps):
        step()
    return images * steps / (clock() - start)


def fit_step(model, inputs, targets, loss, half):
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def step():
        optimizer.zero_grad()
        with half():
            outputs = model(inputs)
        loss(outputs.float(), targets).backward()
        optimizer.step()

    return step


def inversion_step(model, batch, memory, half):
    model.eval()
    for p in model.parameters():
        p.requires_grad_(False)
    x = torch.rand(batch, 1, 32, 32).to(memory_format=memory).requires_grad_(True)
    y = torch.randint(0, 10, (batch,))

    def step():
        tv = (x[:, :, 1:] - x[:, :, :-1]).abs().sum() + (x[..., 1:] - x[..., :-1]).abs().sum()
        with half():
            outputs = model(x)
        loss = (
            F.cross_entropy(outputs.float(), y, reduction="sum") + 4.4323e-5 * (x * x).sum() + 9.48785e-3 * tv
        )
        (grad,) = torch.autograd.grad(loss, x)
        with torch.no_grad():
            x.sub_(0.01 * grad).clamp_(0, 1)

    return step


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--only", nargs="*", default=["cnn", "inversion", "tcnn", "decoder"])
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--clock", default="wall", choices=CLOCKS)
    args = parser.parse_args()
    torch.manual_seed(0)
    memory = torch.channels_last if args.channels_last else torch.contiguous_format
    # PyTorch's own choice of what is computed in bfloat16
    half = functools.partial(torch.autocast, "cpu", torch.bfloat16, enabled=args.precision == "bfloat16")
    measured = functools.partial(rate, steps=args.steps, clock=CLOCKS[args.clock])
    out = {"torch": torch.__version__, "threads": torch.get_num_threads()}
    a = torch.rand(2048, 2048)
    out["matmul_gflops"] = measured(lambda: a @ a, 2 * 2048**3) / 1e9
    if "cnn" in args.only:
        x, y = torch.rand(64, 1, 32, 32).to(memory_format=memory), torch.randint(0, 10, (64,))
        step = fit_step(build_cnn().to(memory_format=memory), x, y, F.cross_entropy, half)
        out["cnn_train_img_s"] = measured(step, 64)
    if "inversion" in args.only:
        step = inversion_step(build_cnn().to(memory_format=memory), 128, memory, half)
        out["inversion_img_steps_s"] = measured(step, 128)
    if "tcnn" in args.only:
        for width in (10, 1024):
            z, t = torch.rand(64, width, 1, 1), torch.rand(64, 1, 32, 32)
            model = build_tcnn(width).to(memory_format=memory)
            step = fit_step(model, z, t, lambda p, q: 1 - ssim(p, q, data_range=1.0), half)
            out[f"tcnn{width}_train_img_s"] = measured(step, 64)
    if "decoder" in args.only:
        z, t = torch.rand(16, 672, 20, 20).to(memory_format=memory), torch.rand(16, 3, 320, 320)
        step = fit_step(build_decoder().to(memory_format=memory), z, t, F.mse_loss, half)
        out["decoder320_train_img_s"] = rate(step, 16, max(2, args.steps // 3), CLOCKS[args.clock])
    print(json.dumps({k: round(v, 2) if isinstance(v, float) else v for k, v in out.items()}))


if __name__ == "__main__":
    main()

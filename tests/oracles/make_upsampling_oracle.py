"""Compute in PyTorch what doubled feature maps are compared with; run by hand, its output is stored beside it.

    python tests/oracles/make_upsampling_oracle.py        # PyTorch 2.13.0 (CPU), NumPy 2.4.6, Python 3.11; a second

Nothing here imports `mi_keras` or TensorFlow. Computed in float64 from float32 inputs and stored as float32, NHWC.
"""

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

FILE = Path(__file__).parent / "upsampling.npz"
SHAPES = ((2, 3, 5, 7), (1, 2, 2, 3), (1, 1, 1, 4))  # wide enough, narrower than the kernel, one row


def main() -> None:
    torch.manual_seed(8)
    stored = {}
    for method in ("bicubic", "bilinear"):
        for number, shape in enumerate(SHAPES):
            maps = torch.randn(shape).double().requires_grad_()
            doubled = F.interpolate(maps, scale_factor=2, mode=method, align_corners=False)
            upstream = torch.randn(doubled.shape).double()
            (doubled * upstream).sum().backward()
            for name, values in (
                ("maps", maps),
                ("doubled", doubled),
                ("upstream", upstream),
                ("gradient", maps.grad),
            ):
                array = values.detach().numpy().transpose(0, 2, 3, 1)
                stored[f"{method}/{number}/{name}"] = array.astype(np.float32)
    np.savez_compressed(FILE, **stored)


if __name__ == "__main__":
    main()

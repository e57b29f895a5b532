"""What sums of floats depend on, for every result: versions of packages, and the machine."""

import os
import platform
import re
import sys
from importlib.metadata import version
from pathlib import Path

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"  # TensorFlow's switch of kernels that round otherwise


def machine() -> dict[str, str]:
    """Return the instruction set, the number of threads, and whether TensorFlow uses oneDNN; loads no TensorFlow."""
    flags = ""
    if Path("/proc/cpuinfo").exists():
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    sets = [
        name for name in ("avx2", "avx512f", "avx512_bf16", "amx_tile") if re.search(rf"\b{name}\b", flags)
    ]
    return {
        "machine": platform.machine(),
        "instructions": ", ".join(sets) or "not known",
        "threads": str(_threads()),
        "oneDNN": {"0": "off", "1": "on"}.get(os.environ.get(ONEDNN, ""), "as TensorFlow has it"),
    }


def versions() -> dict[str, str]:
    """Return the versions that numbers may depend on."""
    return {
        package: version(package) for package in ("mi-keras", "tensorflow", "keras", "keras-tuner", "numpy")
    }


def _threads() -> int:
    tensorflow = sys.modules.get("tensorflow")
    chosen = tensorflow.config.threading.get_intra_op_parallelism_threads() if tensorflow else 0
    told = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    return chosen or (int(told) if told.isdecimal() and int(told) else os.cpu_count() or 1)

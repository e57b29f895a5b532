"""What sums of floats depend on, for the report of an audit."""

import os
import platform
import re
from pathlib import Path


def machine() -> dict[str, str]:
    """Return what float sums depend on: the instruction set and the number of threads."""
    import tensorflow as tf

    flags = ""
    if Path("/proc/cpuinfo").exists():
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    sets = [
        name for name in ("avx2", "avx512f", "avx512_bf16", "amx_tile") if re.search(rf"\b{name}\b", flags)
    ]
    threads = tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count() or 1
    return {
        "machine": platform.machine(),
        "instructions": ", ".join(sets) or "not known",
        "threads": str(threads),
    }

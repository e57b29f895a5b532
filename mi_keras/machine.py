"""What sums of floats depend on, for every result: versions of packages, and the machine."""

import functools
import logging
import os
import platform
import re
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

from mi_keras.errors import InputError

log = logging.getLogger("mi_keras")

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"  # TensorFlow's switch of kernels that round otherwise
SWITCHED = {"0": "off", "false": "off", "1": "on", "true": "on"}  # what it understands
X86 = ("x86_64", "amd64")
# Processors with any of these have it on where nothing is set, as Linux calls them
WITH_ONEDNN = ("avx512_vnni", "avx_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16")
PRECISIONS = FLOAT32, BFLOAT16 = "float32", "bfloat16"  # of products in the networks of adversaries
WITH_BFLOAT16 = ("avx512_bf16", "amx_bf16")  # instructions that make it faster, as Linux calls them on x86


def machine(precision: str = FLOAT32) -> dict[str, str]:
    """Return the instruction set, the number of threads, whether TensorFlow uses oneDNN, and a precision that is not float32.

    Loads no TensorFlow.
    """
    return {
        "machine": platform.machine(),
        "instructions": ", ".join(_instructions("avx2", "avx512f", "avx512_bf16", "amx_tile")) or "not known",
        "threads": str(_threads()),
        "oneDNN": SWITCHED.get(os.environ.get(ONEDNN, "").lower()) or _onednn_unset(),
        **(
            {} if precision == FLOAT32 else {"precision": f"products of adversaries' networks in {precision}"}
        ),
    }


def usable_precision(precision: str) -> str:
    """Return the precision, or float32 where bfloat16 is no faster: a warning says why.

    Where it is not known whether the processor has instructions for it, as anywhere but on Linux, it counts as without.

    Raises:
        InputError: it is none of `PRECISIONS`.
    """
    if precision not in PRECISIONS:
        raise InputError(f"`precision` must be one of {', '.join(PRECISIONS)}; got {precision!r}.")
    if precision == FLOAT32:
        return precision
    lacking = ""
    if not _instructions(*WITH_BFLOAT16):
        lacking = f"this processor is not known to have {' or '.join(WITH_BFLOAT16)}"
    elif machine()["oneDNN"] == "off":
        lacking = f"{ONEDNN} switches off the kernels that use them"
    if lacking:
        log.warning("bfloat16 gains nothing here, as %s: computing in float32", lacking)
    return FLOAT32 if lacking else precision


def use_threads(threads: int | None) -> None:
    """Let each operation of TensorFlow use so many threads; None leaves it as it is.

    Raises:
        InputError: TensorFlow has begun to work with another number.
    """
    if threads is None or threads == _threads():
        return
    if tensorflow := sys.modules.get("tensorflow"):
        try:
            tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        except RuntimeError:
            raise InputError(
                f"`threads` must be {_threads()}, as TensorFlow works with so many already; got {threads}."
            ) from None
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)  # before it is loaded, and for other processes


def prepare_libraries() -> None:
    """Set what Keras, Matplotlib and TensorFlow read when they are loaded; to be called before that."""
    # Whatever the user's other programs run on: this one has layers for TensorFlow alone, and draws into files
    os.environ |= {"KERAS_BACKEND": "tensorflow", "MPLBACKEND": "agg"}
    use_onednn()


def use_onednn() -> None:
    """Have TensorFlow use the kernels of oneDNN on x86.

    Does nothing where the user has set it, or where TensorFlow is loaded already. By itself TensorFlow uses them only on
    processors with instructions for neural networks (AVX512_VNNI and newer). On others they are faster than its own,
    too: docs/performance.md.
    """
    if platform.machine().lower() in X86 and "tensorflow" not in sys.modules:
        os.environ[ONEDNN] = os.environ.get(ONEDNN) or "1"  # to TensorFlow, empty is not set


def as_change(precision: str) -> list[str]:
    """Return a precision that is not float32 as a setting that was changed."""
    return [] if precision == FLOAT32 else [f"precision={precision}"]


def versions() -> dict[str, str]:
    """Return the versions that numbers may depend on."""
    return {
        package: _version(package) for package in ("mi-keras", "tensorflow", "keras", "keras-tuner", "numpy")
    }


def computed_otherwise(computed_with: Iterable[Mapping[str, str]]) -> list[str]:
    """Say so where some stages were computed with other versions, kernels, instructions or threads than this process would.

    Args:
        computed_with: `versions` and `machine` as they were then, or as much of them as is known.
    """
    now = versions() | machine()
    others = {(name, by[name]) for by in computed_with for name in by if by[name] != now.get(name)}
    told = "; ".join(f"{name}: {then} (now {now.get(name, 'none')})" for name, then in sorted(others))
    if not others:
        return []
    return [
        f"Some or all of what was stored already was computed with other versions or settings: {told}. Numbers may differ by more than "
        "rounding, as a model that is trained otherwise is another draw. To mix nothing, take another MI_KERAS_HOME."
    ]


@functools.cache
def _version(package: str) -> str:
    """Look it up once: every stage that is stored says it, and the file it stands in is parsed as an e-mail."""
    return version(package)


def _onednn_unset() -> str:
    """Return whether TensorFlow uses oneDNN where nobody has said it."""
    by_instructions = platform.machine().lower() in X86 and Path("/proc/cpuinfo").exists()
    known = "on" if _instructions(*WITH_ONEDNN) else "off"
    return known if by_instructions else "as TensorFlow has it"


def _instructions(*names: str) -> list[str]:
    """Return which of these sets the processor has, as far as Linux tells."""
    told = Path("/proc/cpuinfo")
    flags = told.read_text(encoding="utf-8") if told.exists() else ""
    return [name for name in names if re.search(rf"\b{name}\b", flags)]


def _threads() -> int:
    tensorflow = sys.modules.get("tensorflow")
    chosen = tensorflow.config.threading.get_intra_op_parallelism_threads() if tensorflow else 0
    told = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    return chosen or (int(told) if told.isdecimal() and int(told) else os.cpu_count() or 1)

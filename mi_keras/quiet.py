"""Keeps standard error free of what TensorFlow's C++ libraries print while they load."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mi_keras.streams import open_streams


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Drop everything written to file descriptor 2: these libraries log before any of their switches works."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # for what they would print later
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # the same of gRPC, as where a server goes
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # its advice on retracing is for developers
    open_streams()
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)

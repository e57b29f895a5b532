"""Makes standard streams writable: closed streams, encodings that lack characters, terminals of unknown width."""

import io
import os
import sys


def open_streams() -> None:
    """Open the null device where standard input, output or error is closed: the next file would take its number.

    What is written to standard error, by C++ libraries too, would then be written into that file.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # as Python has it where it is closed
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))


def prepare_streams() -> None:
    """Let everything be printed somewhere: what an encoding lacks is escaped, and no window is 0 characters wide."""
    open_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a notebook or a test may have put in another
            stream.reconfigure(errors="backslashreplace")
    for name in ("COLUMNS", "LINES"):
        if not os.environ.get(name, "").strip("0"):  # 0 is how it is said that nobody knows
            os.environ.pop(name, None)

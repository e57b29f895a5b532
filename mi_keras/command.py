"""Shared by all commands: one-line error messages and exit codes."""

import argparse
import atexit
import errno
import gc
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.logging import RichHandler

from mi_keras.display import displayable
from mi_keras.errors import DamagedFile, InputError, Interrupted, LostTooOften
from mi_keras.machine import prepare_libraries
from mi_keras.streams import prepare_streams

STOPPED, BAD_INPUT, INTERRUPTED = 1, 2, 130  # 130 is 128 + SIGINT, as shells report it
PIPE_WIDTH = 160  # characters of a table that no window limits


class CheckFailed(Exception):
    """What a command has made failed the command's own check and was not kept; the message is one line."""


class OneLineErrors(argparse.ArgumentParser):
    """A parser whose complaints are one line, as all others are."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(2, f"{self.prog}: {displayable(message)}\n")

    def in_options(self, message: str) -> str:
        """Return a message of the library, which names arguments as Python does, with the options that they come from.

        "`trained_on='seen'` must be ..." becomes "`--trained-on seen` must be ...", `fix={'age': 40}` becomes
        `--fix age=40`, and `size=(H, W)` becomes `--size H,W`.
        """
        options = {
            action.dest: action.option_strings[-1] if action.option_strings else action.metavar or action.dest
            for action in self._actions
        }

        def named(found: re.Match[str]) -> str:
            name, value, key = found.groups()
            if name not in options:
                return found.group()
            typed = key or (_typed(value) if value else "")
            return f"`{options[name]}{f' {typed}' if typed else ''}`"

        return re.sub(r"`(\w+)(?:=([^`]*)|\['([^`]*)'\])?`", named, message)


def _typed(value: str) -> str:
    """Return a value as it is typed behind an option, from how Python writes it."""
    if entry := re.fullmatch(r"\{'(.*)': (.*)\}", value):
        return "=".join(entry.groups())
    if pair := re.fullmatch(r"\((.*), (.*)\)", value):
        return ",".join(pair.groups())
    return value[1:-1] if re.fullmatch(r"'.*'", value) else value


def guarded(command: Callable[[], object], go_on: str = "", parser: OneLineErrors | None = None) -> int:
    """Call `command` and turn the ways it can end early into one line on standard error and an exit code.

    With `parser`, arguments in the messages of the library are named as the options of the command.

    Returns 0, or 2 for bad input, 130 for Ctrl-C, 143 for SIGTERM, 129 where the terminal was closed, 1 for a full disk
    or other trouble with files, too little memory, a diverged run, or a result that failed its check.
    """
    ended: list[signal.Signals] = []
    prepare_streams()
    prepare_libraries()  # commands load them within `command`
    atexit.register(gc.freeze)  # what is left goes with the process: to look through it first takes a second
    messages = Console(stderr=True)
    handler = RichHandler(console=messages, show_time=False, show_path=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    try:
        with _ended_like_ctrl_c() as ended:
            command()
            sys.stdout.flush()
        return 0
    except InputError as error:
        return _say(messages, parser.in_options(str(error)) if parser else str(error), BAD_INPUT)
    except (FloatingPointError, MemoryError, CheckFailed, DamagedFile, LostTooOften) as error:
        return _say(messages, f"stopped: {str(error) or 'not enough memory'}. {go_on}", STOPPED)
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return STOPPED
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        trouble = (
            "no space left on the disk" if full else f"{error.strerror or error}: {error.filename or ''}"
        )
        if error.errno == errno.ENAMETOOLONG:  # of the user: nothing of ours is called so
            return _say(messages, f"a path must be shorter; got {error.filename}.", BAD_INPUT)
        return _say(messages, f"stopped: {trouble}. {go_on}", STOPPED)
    except (KeyboardInterrupt, Interrupted) as error:
        place = f" in: {error}" if str(error) else ""
        by = ended[0].name if ended else "Ctrl-C"
        return _say(messages, f"stopped by {by}{place}. {go_on}", 128 + ended[0] if ended else INTERRUPTED)
    except Exception as error:
        if reason := _out_of_something(error):
            return _say(messages, f"stopped: {reason}. {go_on}", STOPPED)
        raise


@contextmanager
def _ended_like_ctrl_c() -> Iterator[list[signal.Signals]]:
    """Let what ends a process without a word, SIGTERM and a terminal that is closed, end the block as Ctrl-C does.

    Gives the list that the signal which came is put into. What the caller ignores, as `nohup` does, stays ignored.
    """
    came: list[signal.Signals] = []

    def end(number: int, _: object) -> None:
        came.append(signal.Signals(number))
        raise KeyboardInterrupt

    names = ("SIGTERM", "SIGHUP") if threading.current_thread() is threading.main_thread() else ()
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    taken = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, end)
    try:
        yield came
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _out_of_something(error: Exception) -> str:
    """Return in words what TensorFlow has too little of; "" for any other error. TensorFlow is not loaded for it."""
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None or not isinstance(error, tensorflow.errors.ResourceExhaustedError):
        return ""
    full = os.strerror(errno.ENOSPC).lower() in str(error).lower()
    return "no space left on the disk" if full else "not enough memory"


def _say(messages: Console, line: str, code: int) -> int:
    messages.print(displayable(line), markup=False, highlight=False, soft_wrap=True)
    return code


def say_path(console: Console, what: str, path: object, end: str = "") -> None:
    """Print where something is; no part of a path is taken for markup."""
    console.print(f"{what}: {displayable(str(path))}{end}", markup=False, highlight=False, soft_wrap=True)


def console_for_tables() -> Console:
    """Return a console that is wide where nobody limits it: in a file or a pipe words need not be folded at 80 columns."""
    console = Console()
    return console if console.is_terminal or "COLUMNS" in os.environ else Console(width=PIPE_WIDTH)

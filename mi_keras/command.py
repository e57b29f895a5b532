"""What every command shares: complaints of one line, and the ways to end."""

import argparse
import atexit
import errno
import gc
import logging
import os
import re
import sys
from collections.abc import Callable

from rich.console import Console
from rich.logging import RichHandler

from mi_keras.display import displayable
from mi_keras.errors import InputError, Interrupted

STOPPED, BAD_INPUT, INTERRUPTED = 1, 2, 130  # 130 is 128 + SIGINT, as shells report it
PIPE_WIDTH = 160  # characters of a table that no window limits


class CheckFailed(Exception):
    """What a command has made failed the command's own check and was not kept; the message is one line."""


class OneLineErrors(argparse.ArgumentParser):
    """A parser whose complaints are one line, as all others are."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(2, f"{self.prog}: {displayable(message)}\n")

    def in_options(self, message: str) -> str:
        """Return a message of the library, which names arguments, with the options that they come from.

        "`trained_on=seen` must be ..." becomes "`--trained-on seen` must be ...".
        """
        options = {
            action.dest: action.option_strings[-1] for action in self._actions if action.option_strings
        }

        def named(found: re.Match[str]) -> str:
            name, value = found.groups()
            return f"`{options[name]}{f' {value}' if value else ''}`" if name in options else found.group()

        return re.sub(r"`(\w+)(?:=([^`]*))?`", named, message)


def guarded(command: Callable[[], object], go_on: str = "", parser: OneLineErrors | None = None) -> int:
    """Call `command` and turn the ways it can end early into one line on standard error and an exit code.

    With `parser`, arguments in the messages of the library are named as the options of the command.

    Returns 0, or 2 for bad input, 130 for Ctrl-C, 1 for a full disk or other trouble with files, too little memory,
    a diverged run, or a result that failed its check.
    """
    atexit.register(gc.freeze)  # what is left goes with the process: to look through it first takes a second
    messages = Console(stderr=True)
    handler = RichHandler(console=messages, show_time=False, show_path=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    try:
        command()
        sys.stdout.flush()
        return 0
    except InputError as error:
        return _say(messages, parser.in_options(str(error)) if parser else str(error), BAD_INPUT)
    except (FloatingPointError, MemoryError, CheckFailed) as error:
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
        return _say(messages, f"stopped by Ctrl-C{place}. {go_on}", INTERRUPTED)


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

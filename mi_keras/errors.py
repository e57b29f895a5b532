"""Reasons for a run to end early that are not bugs: wrong input, Ctrl-C or SIGTERM, and a damaged file of the store."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mi_keras.display import displayable


class InputError(ValueError):
    """A setting, file or name from the user breaks a rule.

    The message is one line: the argument in backticks, the rule, and the value that was given. It names the argument as
    in Python, `trained_on` or `data='zip:FILE'`; commands put their option there instead
    (`command.OneLineErrors.in_options`), print the line without a traceback and exit with code 2. Control characters in
    names are escaped.
    """

    def __init__(self, message: str) -> None:
        super().__init__(displayable(message))


class DamagedFile(Exception):
    """A file of ours is missing, cut or changed; the message is one line."""


class LostTooOften(Exception):
    """Other machines were to compute something, and were lost again and again; the message is one line."""


class Interrupted(Exception):
    """Ctrl-C: the message names the stage that was cut off. What was finished before it is kept."""


@contextmanager
def interruptible(step: Callable[[], str]) -> Iterator[None]:
    """Turn Ctrl-C into `Interrupted`; `step` tells in what."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(step()) from None

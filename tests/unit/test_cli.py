"""How a run that ends early is reported: one line on standard error, an exit code, no traceback."""

import errno

import pytest

from mi_keras.command import guarded
from mi_keras.errors import InputError, Interrupted


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("`runs` must be >= 1; got 0."), 2, "`runs` must be >= 1; got 0."),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "stopped: no space left on the disk. Again."),
        (
            PermissionError(errno.EACCES, "Permission denied", "/x"),
            1,
            "stopped: Permission denied: /x. Again.",
        ),
        (FloatingPointError("the loss is nan at epoch 2"), 1, "stopped: the loss is nan at epoch 2. Again."),
        (MemoryError(), 1, "stopped: not enough memory. Again."),
        (Interrupted("inverter x (run 2)"), 130, "stopped by Ctrl-C in: inverter x (run 2). Again."),
        (KeyboardInterrupt(), 130, "stopped by Ctrl-C. Again."),
    ],
)
def test_an_early_end_is_one_line_and_an_exit_code(error, code, line, capsys):
    def work():
        raise error

    assert guarded(work, "Again.") == code
    printed = capsys.readouterr()
    assert printed.err.strip() == line
    assert printed.out == ""


def test_a_programming_error_is_not_hidden():
    def work():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        guarded(work)

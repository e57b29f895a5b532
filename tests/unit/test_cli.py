"""How a run that ends early is reported: one line on standard error, an exit code, no traceback."""

import ast
import errno
import signal
from pathlib import Path

import pytest

import mi_keras
from mi_keras.command import OneLineErrors, guarded
from mi_keras.errors import DamagedFile, InputError, Interrupted, interruptible


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("`runs` must be >= 1; got 0."), 2, "`runs` must be >= 1; got 0."),
        (
            OSError(errno.ENAMETOOLONG, "File name too long", "a\x1b"),
            2,
            "a path must be shorter; got a\\x1b.",
        ),
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
        (DamagedFile("/x is cut"), 1, "stopped: /x is cut. Again."),
    ],
)
def test_an_early_end_is_one_line_and_an_exit_code(error, code, line, capsys):
    def work():
        raise error

    assert guarded(work, "Again.") == code
    printed = capsys.readouterr()
    assert printed.err.strip() == line
    assert printed.out == ""


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_what_ends_a_process_without_a_word_ends_it_like_ctrl_c(name, code, capsys):
    number = getattr(signal, name)
    before = signal.signal(number, signal.SIG_DFL)  # nohup, under which tests may run, has it ignored

    def work():
        with interruptible(lambda: "classifier target"):
            signal.raise_signal(number)

    try:
        assert guarded(work, "Again.") == code
        assert capsys.readouterr().err.strip() == f"stopped by {name} in: classifier target. Again."
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_a_signal_that_the_caller_ignores_stays_ignored(monkeypatch, capsys):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert guarded(lambda: signal.raise_signal(signal.SIGHUP)) == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("OOM when allocating tensor with shape[9]", "stopped: not enough memory. Again."),
        ("/x/variables; No space left on device", "stopped: no space left on the disk. Again."),
    ],
)
def test_what_tensorflow_has_too_little_of_is_said_in_one_line(words, line, capsys):
    import tensorflow as tf

    def work():
        raise tf.errors.ResourceExhaustedError(None, None, words)

    assert guarded(work, "Again.") == 1
    assert capsys.readouterr().err.strip() == line


def test_a_programming_error_is_not_hidden():
    def work():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        guarded(work)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("`trained_on` must be a key; got 1.", "`--trained-on` must be a key; got 1."),
        (
            "`trained_on='a b'` must fit `trained_on='c'`.",
            "`--trained-on a b` must fit `--trained-on c`.",
        ),
        ("`fix={'age': 4}` must fit `fix['age']`.", "`--fix age=4` must fit `--fix age`."),
        ("`size=(H, W)` must be given.", "`--size H,W` must be given."),
        ("`overrides=steps=3` must name one.", "`--set steps=3` must name one."),
        ("`model` has no `x_train`, `data.seed` or seed.", "`model` has no `x_train`, `data.seed` or seed."),
    ],
)
def test_a_command_names_its_options_where_the_library_names_arguments(said, shown, capsys):
    parser = OneLineErrors()
    parser.add_argument("model")
    parser.add_argument("-t", "--trained-on")
    parser.add_argument("--set", dest="overrides")
    parser.add_argument("--seed")
    parser.add_argument("--size")
    parser.add_argument("--fix")

    def work():
        raise InputError(said)

    assert guarded(work, parser=parser) == 2
    assert capsys.readouterr().err.strip() == shown


def test_the_library_names_no_option_of_a_command():
    """What raises in Python must not speak of a command line; that of a command may."""
    root, found = Path(mi_keras.__file__).parent, []
    for path in root.rglob("*.py"):
        if "argparse" in path.read_text() or path.parent.name == "serving":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("InputError", "check_whole"):
                found += [
                    f"{path.relative_to(root)}:{node.lineno}"
                    for part in ast.walk(node)
                    if _names_an_option(part)
                ]
    assert not found


def _names_an_option(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and "--" in node.value

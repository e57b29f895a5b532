"""The commands `mi-keras COMMAND ...` other than reproduction; each is the `main` of its own module."""

from collections.abc import Sequence
from importlib import import_module

COMMANDS = {  # name to module, imported when the command is given
    "search": "mi_keras.tuning.search",
    "audit": "mi_keras.auditing.command_line",
    "export": "mi_keras.serving.export",
    "verify": "mi_keras.serving.verify",
    "models": "mi_keras.serving.listing",
    "serve-config": "mi_keras.serving.config",
    "invert": "mi_keras.serving.invert",
}


def run_command(name: str, arguments: Sequence[str]) -> int:
    """Run a command of `COMMANDS` with the arguments after its name; return the exit code (see `command.guarded`)."""
    return int(import_module(COMMANDS[name]).main(arguments))

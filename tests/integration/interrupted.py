"""The command, which gets a signal right after its first part of a stage is on the disk: `interrupted.py SIGNAL ...`."""

import os
import signal
import sys

from mi_keras.cli import main
from mi_keras.files import DiskWorkspace


def sending(number):
    """Return a `DiskWorkspace.save` that sends its own process a signal once it has saved."""
    save = DiskWorkspace.save
    if number == signal.SIGINT:  # which what was started in the background ignores
        signal.signal(number, signal.default_int_handler)

    def save_and_send(workspace, name, arrays):
        save(workspace, name, arrays)
        os.kill(os.getpid(), number)

    return save_and_send


if __name__ == "__main__":
    DiskWorkspace.save = sending(int(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))

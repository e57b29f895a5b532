"""The command, which gets a signal right after its first part of a stage is on the disk: `interrupted.py SIGNAL ...`."""

import os
import sys

from mi_keras.cli import main
from mi_keras.files import DiskWorkspace

save = DiskWorkspace.save


def save_and_send(workspace, name, arrays):
    save(workspace, name, arrays)
    os.kill(os.getpid(), int(sys.argv[1]))


DiskWorkspace.save = save_and_send
sys.exit(main(sys.argv[2:]))

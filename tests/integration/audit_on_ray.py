"""The command `mi-keras audit`, which says what this process computed, and whose model and data go away before a stage is computed."""

import json
import sys
from pathlib import Path

from mi_keras.auditing.command_line import main
from mi_keras.experiments.store import Store

computed, gone, *arguments = sys.argv[1:]
produce, compute = Store._produce, Store.compute


def produced(self, stage):
    with open(computed, "a") as file:
        file.write(json.dumps(stage.kind) + "\n")
    return produce(self, stage)


def computing(self, *given, **more):
    for path in filter(None, gone.split(",")):
        if Path(path).exists():
            Path(path).rename(f"{path} was here")
    compute(self, *given, **more)


Store._produce, Store.compute = produced, computing
sys.exit(main(arguments))

"""A loopback server whose process is killed in the middle of a prediction: `killed_server.py FOLDER NUMBER`."""

import itertools
import os
import signal
import sys
from pathlib import Path

from mi_keras.serving.loopback import serve_grpc, serve_rest
from mi_keras.serving.loopback_models import LoadedModels, load_models

count = itertools.count(1)


def before_predict():
    if next(count) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)


models = LoadedModels(load_models(Path(sys.argv[1])), before_predict=before_predict)
with serve_grpc(models) as over_grpc, serve_rest(models) as over_rest:
    print(over_grpc, over_rest, flush=True)
    signal.pause()

#!/usr/bin/env python3
"""Measure throughput, nothing else running: of every training loop and attack, or with --serving of an exported model."""

import sys

from mi_keras.machine import prepare_libraries

if __name__ == "__main__":
    prepare_libraries()
    if "--serving" in sys.argv:
        from mi_keras.serving.load import main
    else:
        from mi_keras.benchmark import main
    sys.exit(main())

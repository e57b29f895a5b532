#!/usr/bin/env python3
"""Measure the throughput of every training loop and attack: `python scripts/bench.py`, nothing else running."""

import sys

from mi_keras.benchmark import main

if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Export a trained attack: `python scripts/export_inverter.py --section 5.2 --combination x`. The same as `mi-keras export`."""

import sys

from mi_keras.cli import main

if __name__ == "__main__":
    sys.exit(main(["export", *sys.argv[1:]]))

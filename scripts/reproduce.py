#!/usr/bin/env python3
"""Reproduce a section: `python scripts/reproduce.py --section 5.2`. The same as the command `mi-keras`."""

import sys

from mi_keras.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""`python -m mi_keras` is the command `mi-keras`."""

import sys

from mi_keras.cli import main

if __name__ == "__main__":
    sys.exit(main())

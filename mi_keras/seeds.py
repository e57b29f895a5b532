"""Named seeds: every random choice in the package draws from a seed derived by name."""

import hashlib


def derive(seed: int, *names: object) -> int:
    """Return a seed in [1, 2**31) that depends on `seed` and on every name, in order.

    Seeds of different names are unrelated (a hash, not a sum), so that adding a stage never
    moves the random numbers of another one. Zero is avoided: keras-tuner reads it as unset.
    """
    text = "/".join([str(seed), *map(str, names)])
    digest = hashlib.sha256(text.encode()).digest()
    return 1 + int.from_bytes(digest[:8], "big") % (2**31 - 1)

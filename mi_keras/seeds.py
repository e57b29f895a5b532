"""Named seeds: every random choice in the package draws from a seed derived by name."""

import hashlib


def derive(seed: int, *names: object) -> int:
    """Return a seed in [1, 2**31) that depends on `seed` and on every name, in order.

    Seeds of different names are unrelated (a hash, not a sum), so that adding a stage never
    moves the random numbers of another one. Zero is avoided: keras-tuner reads it as unset.
    """
    parts = [str(seed), *map(str, names)]
    if any("/" in part for part in parts):  # else "a", "b" and "a/b" would be one
        raise ValueError(f"`names` must not contain a slash; got {parts[1:]}.")
    digest = hashlib.sha256("/".join(parts).encode()).digest()
    return 1 + int.from_bytes(digest[:8], "big") % (2**31 - 1)

"""Named seeds: the hash is the documented one, and names are independent."""

import hashlib

import pytest

from mi_keras.seeds import derive


def test_a_seed_is_the_head_of_the_hash_of_its_path() -> None:
    head = hashlib.sha256(b"7/shadow/2").hexdigest()[:16]
    assert derive(7, "shadow", 2) == 1 + int(head, 16) % (2**31 - 1)


def test_seeds_depend_on_the_seed_and_on_every_name_in_order() -> None:
    seeds = [derive(1), derive(2), derive(1, "a"), derive(1, "b"), derive(1, "a", "b"), derive(1, "b", "a")]
    assert len(set(seeds)) == len(seeds)


def test_seeds_stay_in_their_range_and_do_not_collide_early() -> None:
    seeds = [derive(1, "run", number) for number in range(2000)]
    assert all(1 <= seed < 2**31 for seed in seeds)
    assert len(set(seeds)) == 2000  # two equal ones among 2,000 of 2**31: one chance in a thousand
    assert sum(seeds) / 2000 == pytest.approx(2**30, rel=0.1)


def test_a_slash_in_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`names` must not contain a slash; got \['a/b'\]"):
        derive(1, "a/b")

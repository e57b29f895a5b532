"""`divide`: which images the adversary owns, which choose its attack, which are attacked, and which the target has seen."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.errors import InputError
from mi_keras.metrics.near_duplicates import NEAR, image_digests, merge_near_duplicates
from mi_keras.types import Ints

LEAST = 100  # images, fewer are refused
LEAST_UNDIVIDED = 400  # fewer are attacked in folds
FOLDS = 4


@dataclass(frozen=True)
class Shares:
    """How the images that the target has not seen are divided; the rest are the adversary's own.

    Of 1,500 attacked images the 95 % interval of a probability is at most 2.5 % to each side, half of the default
    tolerance of the smaller number; more would cost time in every attack and decide nothing. The choice set only ranks
    attacks, which 500 do within 4.4 %. At 400 images 217 are the adversary's, at 4,500 it has 2,500.

    Attributes:
        attacked: share of the images that is attacked.
        most_attacked: and how many at most; of members as many.
        choice: share of the images that chooses between attacks.
        most_choice: and how many at most.
    """

    attacked: float = 1 / 3
    most_attacked: int = 1_500
    choice: float = 1 / 8
    most_choice: int = 500

    def __post_init__(self) -> None:
        if min(self.attacked, self.choice) <= 0 or self.attacked + self.choice >= 1:
            raise InputError(
                "`shares` must be above 0 and leave the adversary some; "
                f"got {self.attacked:g} attacked and {self.choice:g} choice."
            )
        if min(self.most_attacked, self.most_choice) < 1:
            raise InputError(
                f"`shares` must allow at least one image; got {self.most_attacked} and {self.most_choice}."
            )


DEFAULT_SHARES = Shares()


@dataclass(frozen=True)
class Division:
    """Places in the pool of one division, each `(images,)` int64, none twice, no group on two sides.

    Attributes:
        own: the adversary's own images.
        choice: those that choose between attacks.
        attacked: those that are attacked.
        members: those that the target has seen, attacked apart; empty where that is unknown.
    """

    own: Ints
    choice: Ints
    attacked: Ints
    members: Ints


@dataclass(frozen=True)
class Divided:
    """The images of an audit, divided once or in folds.

    Attributes:
        folds: one division, or four whose attacked images are together all that the target has not seen.
        groups: `(count,)` numbers of the groups after near-duplicates were merged: what intervals leave out at a time.
        moved: images that had to change their group, since a near-duplicate of them, or of another image of their group,
            was in another one.
        left_out: images on no side: seen by the target beyond the number that is attacked, or not seen themselves but of
            a group with one that was.
        warning: one sentence, "" where nothing is to be warned of.
    """

    folds: tuple[Division, ...]
    groups: Ints
    moved: int
    left_out: int
    warning: str


def divide(
    images: NDArray[Any],
    groups: Ints,
    *,
    seed: int,
    trained_on: NDArray[np.bool_] | None = None,
    shares: Shares = DEFAULT_SHARES,
    near: float = NEAR,
) -> Divided:
    """Divide images by a hash of seed and of what their groups show, so that it is the same wherever they are stored.

    Groups with near-duplicates of each other are made one before. Groups are taken in the order of the hash: the first
    are attacked, the next are the choice set, as far as they fit, and the others are the adversary's. Of fewer than 400 images
    that the target has not seen, the groups are dealt to four parts, and each part is attacked once.

    Args:
        images: `(count, height, width, channels)`, uint8 in 0..255 or float32 in [0, 1].
        groups: `(count,)` numbers; images of one number are on one side.
        trained_on: `(count,)` whether the target has seen an image; its group then belongs to the members.
        near: cosine above which two images are near-duplicates.

    Raises:
        InputError: fewer than 100 images, or too few groups to fill every side.
    """
    if not len(images) == len(groups) or (trained_on is not None and len(trained_on) != len(images)):
        raise InputError(
            f"`groups` and `trained_on` must be one for each of {len(images)} images; got {len(groups)} and "
            f"{None if trained_on is None else len(trained_on)}."
        )
    if len(images) < LEAST:
        raise InputError(f"`data` must hold at least {LEAST} images; got {len(images)}.")
    seen = np.zeros(len(images), np.bool_) if trained_on is None else trained_on
    given = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    merged = merge_near_duplicates(images, given, near=near)
    ordered = _by_hash(images, merged, seed)
    member_groups = [places for places in ordered if seen[places].any()]
    others = [places for places in ordered if not seen[places].any()]
    count = sum(map(len, others))
    if count < LEAST:
        raise InputError(
            f"`trained_on` must leave at least {LEAST} images that the target has not seen, copies of seen ones not "
            f"counted; got {count} of {len(images)}."
        )
    members = _joined(_filled([places[seen[places]] for places in member_groups], [shares.most_attacked])[0])
    most_choice = min(round(shares.choice * count), shares.most_choice)
    if count < LEAST_UNDIVIDED:
        folds = tuple(_in_folds(others, most_choice, members))
        warning = (
            f"Only {count} images that the target has not seen: each of {FOLDS} folds is attacked with what the others "
            "teach, so intervals are wide, and the folds share images."
        )
    else:
        most_attacked = min(round(shares.attacked * count), shares.most_attacked)
        attacked, choice, own = map(_joined, _filled(others, [most_attacked, most_choice]))
        folds, warning = (Division(own, choice, attacked, members),), ""
    _check_sides(folds, merged, [len(places) for places in others])
    return Divided(
        folds=folds,
        groups=np.unique(merged, return_inverse=True)[1].astype(np.int64),
        moved=_moved(given, merged),
        left_out=len(images) - count - len(members),
        warning=warning,
    )


def _by_hash(images: NDArray[Any], groups: Ints, seed: int) -> list[Ints]:
    """Return the places of each group, the groups in the order of a hash of seed and contents."""
    places_of: dict[int, list[int]] = {}
    for place, group in enumerate(groups):
        places_of.setdefault(group, []).append(place)
    digests = image_digests(images)
    keyed = []
    for places in places_of.values():
        places.sort(key=digests.__getitem__)
        digest = hashlib.sha256(f"{seed}/".encode() + b"".join(digests[place] for place in places))
        keyed.append((digest.digest(), places))
    return [np.array(places, np.int64) for _, places in sorted(keyed, key=lambda pair: pair[0])]


def _filled(groups: Sequence[Ints], most: Sequence[int]) -> list[list[Ints]]:
    """Return the groups on each side, of at most that many images, and behind them the groups that fit on none.

    The first group that is too large for what is left of a side ends it, once half of it is filled: a side that went on
    would take the small groups out of all that follow, and leave the large ones alone to the last.
    """
    sides: list[list[Ints]] = [[] for _ in range(len(most) + 1)]
    free = list(most)
    for places in groups:
        side = next((side for side, room in enumerate(free) if len(places) <= room), len(most))
        free[:side] = [
            0 if 2 * room <= whole else room for room, whole in zip(free[:side], most, strict=False)
        ]
        sides[side].append(places)
        if side < len(most):
            free[side] -= len(places)
    return sides


def _in_folds(groups: Sequence[Ints], most_choice: int, members: Ints) -> Iterator[Division]:
    """Deal the groups to four parts, each to the one that has the fewest images, and attack each part once."""
    sizes = [0] * FOLDS
    part_of = []
    for places in groups:
        part = int(np.argmin(sizes))
        part_of.append(part)
        sizes[part] += len(places)
    for fold in range(FOLDS):
        attacked = [places for places, part in zip(groups, part_of, strict=True) if part == fold]
        rest = [places for places, part in zip(groups, part_of, strict=True) if part != fold]
        choice, own = _filled(rest, [most_choice])
        yield Division(_joined(own), _joined(choice), _joined(attacked), members)


def _joined(groups: Sequence[Ints]) -> Ints:
    return np.concatenate(groups) if groups else np.zeros(0, np.int64)


def _moved(before: Ints, after: Ints) -> int:
    """Return how many images are in a merged group without being of the largest that went into it."""
    largest: dict[int, int] = {}
    pairs, sizes = np.unique(np.stack([after, before]), axis=1, return_counts=True)
    for merged, size in zip(pairs[0], sizes, strict=True):
        largest[merged] = max(largest.get(merged, 0), int(size))
    return len(before) - sum(largest.values())


def _check_sides(folds: Sequence[Division], groups: Ints, sizes: Sequence[int]) -> None:
    """Refuse a division with an empty side, or one group alone attacked: no interval could be had from it."""
    for fold in folds:
        if min(len(fold.own), len(fold.choice)) and len(np.unique(groups[fold.attacked])) > 1:
            continue
        raise InputError(
            "`groups` must be small enough to be divided, where near-duplicates are in one group; "
            f"got {len(sizes)} groups, the largest with {max(sizes)} of {sum(sizes)} images."
        )

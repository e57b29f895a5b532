"""A permutation test of retrieval: would the reconstructions fit other images of the class as well as their own?

Exact if, given the class and how many of its images a group has, reconstructions say nothing of the images.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.auditing.intervals import Doubles
from mi_keras.auditing.statistics import Gallery, Scored, check_fit
from mi_keras.metrics.retrieval import TIE, unit_vectors
from mi_keras.types import Floats, Ints

BLOCK = 2_000_000  # cosines, or exchanged groups, at a time
MOST_EXCHANGED = 4096  # groups that change places with each other: their table has 67 MB
SAME = 1e-9  # sums closer than this are equal: the same table entries, added in another order


def permutation_p(scored: Scored, gallery: Gallery, *, seed: int, permutations: int = 9999) -> float:
    """Return the p value of retrieval: how often exchanged reconstructions reach the mean AUC of those in place.

    Whole groups change places, within a class, with groups of as many images in it. A group takes part with the
    class in which it has most images, and where no other has as many, with so many as another has. What takes no
    part would not change; with nothing to exchange p is 1.

    Args:
        scored: reconstructions of the first images of `gallery`.
        gallery: the true images.
        seed: of the permutations.
        permutations: how many are drawn; the smallest p is 1 / (permutations + 1).

    Raises:
        ValueError: `permutations` is below 1, or the shapes do not fit.
    """
    check_fit(scored, gallery)
    if permutations < 1:
        raise ValueError(f"`permutations` must be >= 1; got {permutations!r}.")
    generator = np.random.default_rng(seed)
    excess = np.zeros(permutations)  # of the exchanged over those in place
    for label, members in _exchangeable(gallery, len(scored.mse)):
        inside = np.flatnonzero(gallery.classes == label)
        for part in _parts(generator.permutation(members)):
            table = _auc_of_exchange(scored.embeddings, gallery, inside, part)
            excess += _drawn_sums(table, generator, permutations) - np.trace(table, dtype=np.float64)
    return float((1 + np.count_nonzero(excess >= -SAME)) / (permutations + 1))


def _exchangeable(gallery: Gallery, images: int) -> list[tuple[int, Ints]]:
    """Return sets of groups that may change places: the class, and the positions `(groups, size)` of their images."""
    blocks: dict[int, list[Ints]] = {}
    order = np.argsort(gallery.groups[:images], kind="stable")
    for mine in np.split(order, np.flatnonzero(np.diff(gallery.groups[order])) + 1):
        labels, counts = np.unique(gallery.classes[mine], return_counts=True)
        label = int(labels[np.argmax(counts)])
        blocks.setdefault(label, []).append(mine[gallery.classes[mine] == label])
    return [(label, members) for label, several in blocks.items() for members in _of_one_size(several)]


def _of_one_size(blocks: list[Ints]) -> list[Ints]:
    """Return blocks of equal size together; one alone is cut to the next smaller size that there is."""
    stacks, waiting = [], list[Ints]()
    sizes = sorted({len(block) for block in blocks}, reverse=True)
    for size in sizes:
        waiting += [block for block in blocks if len(block) == size]
        if len(waiting) > 1:
            stacks.append(np.stack([block[:size] for block in waiting]))
            waiting = []
    return stacks


def _parts(members: Ints) -> list[Ints]:
    """Return the groups in parts of bounded size: what changes places in fewer ways is still exchangeable."""
    return np.array_split(members, -(-len(members) // MOST_EXCHANGED))


def _auc_of_exchange(queries: NDArray[Any], gallery: Gallery, inside: Ints, members: Ints) -> Floats:
    """Return `(groups, groups)`: mean AUC of one group's reconstructions if the other's images were the truth."""
    count, size = members.shape
    directions = unit_vectors(gallery.embeddings[inside])
    table = np.zeros((count, count), np.float32)
    of_group = [np.flatnonzero(gallery.groups[inside] == gallery.groups[row[0]]) for row in members]
    alone = all(len(columns) == 1 for columns in of_group)
    others = len(inside) - np.array([len(columns) for columns in of_group])
    step = max(1, BLOCK // len(inside))
    for image in range(size):
        truth = np.searchsorted(inside, members[:, image])  # (groups,) columns
        for start in range(0, count, step):
            rows = slice(start, start + step)
            cosines = unit_vectors(queries[members[rows, image]]) @ directions.T
            nearer = _nearer(cosines)[:, truth]
            if not alone:
                for other, columns in enumerate(of_group):
                    own = np.flatnonzero(columns == truth[other])[0]
                    nearer[:, other] -= _nearer(cosines[:, columns])[:, own]
            table[rows] += (1 - nearer / others) / size
    return table


def _nearer(cosines: Doubles) -> Doubles:
    """Return for each column how many of its row are larger, equal ones counted by half."""
    order = np.argsort(cosines, axis=1)
    ascending = np.take_along_axis(cosines, order, axis=1)
    places = np.broadcast_to(np.arange(cosines.shape[1]), cosines.shape)
    new = np.ones(cosines.shape, bool)
    new[:, 1:] = np.diff(ascending, axis=1) > TIE
    first = np.maximum.accumulate(np.where(new, places, 0), axis=1)
    ends = np.ones(cosines.shape, bool)
    ends[:, :-1] = new[:, 1:]
    last = np.minimum.accumulate(np.where(ends, places, cosines.shape[1])[:, ::-1], axis=1)[:, ::-1]
    nearer = np.empty(cosines.shape)
    np.put_along_axis(nearer, order, cosines.shape[1] - 1 - (first + last) / 2, axis=1)
    return nearer


def _drawn_sums(table: Floats, generator: np.random.Generator, permutations: int) -> Doubles:
    """Return `(permutations,)` sums of one entry from each row and column, drawn at random."""
    count, sums = len(table), np.empty(permutations)
    step = max(1, BLOCK // count)
    for start in range(0, permutations, step):
        drawn = min(step, permutations - start)
        order = generator.permuted(np.tile(np.arange(count), (drawn, 1)), axis=1)
        sums[start : start + drawn] = table[np.arange(count), order].sum(axis=1, dtype=np.float64)
    return sums

"""A shadow model: the architecture of another model with weights of its own (Shokri et al. 2017)."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import keras

from mi_keras.errors import InputError
from mi_keras.models.copies import Copies, rebuild
from mi_keras.models.graph import behind, find, require_clean
from mi_keras.models.target import graph_of
from mi_keras.types import Fix

ARGUMENT = "public_backbone"
PUBLIC, PRIVATE, ELSEWHERE = "public", "private", "elsewhere"


class Shadow:
    """A model of the same architecture, from the image, or from what a public layer sends, to one output.

    No weight of the model that it is made after is read, and neither that model nor a random state of the process is
    changed: initial weights and random layers draw from `seed` alone, as far as they draw through Keras.

    Args:
        model: whose architecture it has.
        output: name of the output that it is trained to answer.
        public: the layer up to which the model is public, and which the shadow starts behind; "" for none.
        fix: what inputs beside the image are held at, by name.
        seed: of all that is random in it.

    Attributes:
        whole: the model, to be trained.

    Raises:
        InputError: as `observed_at`, where a layer does not come back from its configuration.
    """

    def __init__(
        self, model: keras.Model, output: str, *, public: str = "", fix: Fix | None = None, seed: int
    ) -> None:
        self._graph, self._copies, self._seed = graph_of(model, Copies(), fix), Copies(seed), seed
        self._start = find(self._graph, public) if public else self._graph.image
        self.whole = self._built(output, "shadow", learns=True)

    def at(self, point: str) -> keras.Model:
        """Return what leads to a point of it, by the same name as in the model, with the same variables, frozen from now on."""
        return self._built(point, "head", learns=False)

    def _built(self, point: str, name: str, *, learns: bool) -> keras.Model:
        with _drawing(self._seed):
            return rebuild(
                self._graph, self._start, find(self._graph, point), self._copies, name, learns=learns
            )


def check_public(model: keras.Model, public: str, output: str, fix: Fix | None = None) -> None:
    """Refuse a public layer behind which nothing is left to be trained for an output, or which does not lead to it.

    Raises:
        InputError: there is no such layer, a connection bypasses it, or it is none on the way to the output.
    """
    graph = graph_of(model, Copies(), fix)
    cut = find(graph, public, ARGUMENT)
    require_clean(graph, public, ARGUMENT)
    if graph.outputs[output] not in behind(graph, cut) - {cut}:
        raise InputError(f"`{ARGUMENT}` must be a layer before the output {output}; got {public!r}.")


def side(model: keras.Model, point: str, public: str, output: str, fix: Fix | None = None) -> str:
    """Return whether a point is `PUBLIC`, at or before the public layer, `PRIVATE`, between that and the output, or neither."""
    graph = graph_of(model, Copies(), fix)
    here, cut = find(graph, point), find(graph, public)
    if cut in behind(graph, here):
        return PUBLIC
    return (
        PRIVATE if here in behind(graph, cut) and graph.outputs[output] in behind(graph, here) else ELSEWHERE
    )


@contextmanager
def _drawing(seed: int) -> Iterator[None]:
    """Have Keras draw the seeds that nobody names from `seed`: it takes them from Python's own generator."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)

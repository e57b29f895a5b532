"""Models that many tests describe anew are built once, and the digits unpacked once: describing takes the time of that."""

import functools

import pytest

from mi_keras.data import sources
from mi_keras.models import mobilenet
from tests.unit.experiments import tiny


@pytest.fixture(autouse=True, scope="session")
def _built_once():
    with pytest.MonkeyPatch.context() as patch:
        for module, name in (
            (mobilenet, "encoder_of"),
            (mobilenet, "map_count"),
            (sources, "read_embedded_mnist"),
        ):
            patch.setattr(module, name, functools.cache(getattr(module, name)))
        yield


@pytest.fixture(scope="session")
def bench(shared_folder):
    """A bench whose store holds what any test has computed with it."""
    return tiny.make_bench(shared_folder / "thesis")

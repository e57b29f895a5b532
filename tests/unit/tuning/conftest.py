"""A bench of the smallest size: three classes of 18 images, a CNN of twelve filters."""

import pytest

from tests.unit.experiments.tiny import make_bench as tiny_bench


@pytest.fixture
def make_bench():
    """Makes a bench whose store is in a folder; equal arguments give equal stages."""
    return tiny_bench

"""Fixtures: a place for a store, a store there, a dataset in it, and the same store as somebody else opens it."""

import tempfile
from pathlib import Path

import hypothesis
import hypothesis.configuration
import pytest

import atlas

# What hypothesis remembers between runs belongs to nobody's checkout.
hypothesis.configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "atlas-hypothesis")
hypothesis.settings.register_profile("atlas", deadline=None, database=None, max_examples=40, print_blob=True)
hypothesis.settings.load_profile("atlas")


@pytest.fixture
def location(tmp_path) -> str:
    """A path where no store is yet."""
    return str(tmp_path / "store")


@pytest.fixture
def store(location) -> atlas.Atlas:
    """A new store."""
    return atlas.Atlas.create(location)


@pytest.fixture
def view(store) -> atlas.DatasetView:
    """An empty dataset, `d`."""
    return store.create_dataset("d")


@pytest.fixture
def reopened(store, location):
    """Flushes the store and gives dataset `d` as another handle sees it; call it as often as needed."""

    def reopen() -> atlas.DatasetView:
        store.flush()
        return atlas.Atlas.open(location).open_dataset("d")

    return reopen

"""Stores and datasets in another process: pickles say where they are, and are opened there.

A process opens each store once, however many pickles name it.
"""

from __future__ import annotations

import os
import pickle
import threading
from typing import Any

from atlas._atlas import Atlas, DatasetView
from atlas.errors import ConflictError

_lock = threading.Lock()
_stores: dict[Any, Atlas] = {}
_owner = os.getpid()


def _key(source: Any) -> Any:
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    # A handle of obstore: it came here as these bytes, which say where it leads.
    return pickle.dumps(source)


def open_store(source: Any) -> Atlas:
    """The store at ``source`` in this process, as it is now.

    Cost: a catalog is read once, and again when it has changed; whether it has is a look at the file, or a request.
    """
    global _owner
    with _lock:
        if _owner != os.getpid():
            # Handles of the process that this one was forked from belong to that one.
            _stores.clear()
            _owner = os.getpid()
        key = _key(source)
        store = _stores.get(key)
        if store is None:
            store = _stores[key] = Atlas.open(source)
            return store
    try:
        store.refresh()
    except ConflictError:
        # Somebody changes it here, by a handle that was unpickled: it stays with what that began with.
        pass
    return store


def open_dataset(store: Atlas, name: str) -> DatasetView:
    """A dataset of a store that was unpickled."""
    return store.open_dataset(name)

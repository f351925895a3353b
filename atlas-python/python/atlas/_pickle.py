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


def _begin_anew() -> None:
    """For a forked process: the lock may be held by a thread that is not there, and the handles are its parent's."""
    global _lock, _stores
    _lock, _stores = threading.Lock(), {}


os.register_at_fork(after_in_child=_begin_anew)


def _key(source: Any) -> Any:
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    # A handle of obstore: it came here as these bytes, which say where it leads.
    return pickle.dumps(source)


def open_store(source: Any) -> Atlas:
    """The store at ``source`` in this process, as it is now.

    Cost: a catalog is read once, and again when it has changed; whether it has is a look at the file, or a request.
    """
    key = _key(source)
    with _lock:
        store = _stores.get(key)
    if store is None:
        # Without the lock: others need not wait for it. The first of two stays.
        opened = Atlas.open(source)
        with _lock:
            store = _stores.setdefault(key, opened)
    try:
        store.refresh()
    except ConflictError:
        # Somebody changes it here, by a handle that was unpickled: it stays with what that began with.
        pass
    return store


def open_dataset(store: Atlas, name: str) -> DatasetView:
    """A dataset of a store that was unpickled."""
    return store.open_dataset(name)

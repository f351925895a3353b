"""Stores and datasets in another process: pickles say where they are, and are opened there.

A process opens each store once, however many pickles name it.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from atlas._atlas import Atlas, DatasetView

_lock = threading.Lock()
_stores: dict[Any, Atlas] = {}
_owner = os.getpid()


def _key(source: Any) -> Any:
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    try:
        # Handles of obstore that are equal name the same place.
        hash(source)
        return source
    except TypeError:
        return None


def open_store(source: Any, snapshot: int = 0) -> Atlas:
    """The store at ``source`` in this process, at ``snapshot`` or a later one."""
    global _owner
    with _lock:
        if _owner != os.getpid():
            # Handles of the process that this one was forked from belong to that one.
            _stores.clear()
            _owner = os.getpid()
        key = _key(source)
        store = _stores.get(key) if key is not None else None
        if store is None:
            store = Atlas.open(source)
            if key is not None:
                _stores[key] = store
    if store.snapshot < snapshot:
        store.refresh()
    return store


def open_dataset(store: Atlas, name: str) -> DatasetView:
    """A dataset of a store that was unpickled."""
    return store.open_dataset(name)

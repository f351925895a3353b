"""How notebooks show stores and datasets."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from atlas._atlas import Atlas, DatasetView

#: Datasets, arrays and attributes that are shown; the rest is counted.
MAX_ROWS = 20


def human_bytes(count: float) -> str:
    """``1536`` as ``1.5 KiB``."""
    if count < 1024:
        return f"{count:.0f} B"
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        count /= 1024
        if count < 1024:
            break
    return f"{count:.1f} {unit}"


def _table(head: list[str], rows: list[list[Any]]) -> str:
    def row(cells: list[Any], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag} style='text-align:left'>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(row(cells, "td") for cells in rows)
    return f"<table><thead>{row(head, 'th')}</thead><tbody>{body}</tbody></table>"


def _more(shown: int, count: int, what: str) -> str:
    return f"<p>… and {count - shown:,} more {what}</p>" if count > shown else ""


def _value(value: Any, dtype: str = "") -> str:
    if dtype == "timestamp_nanoseconds":
        return str(np.datetime64(value, "ns"))
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else text[:59] + "…"


def atlas_html(store: Atlas) -> str:
    """A store: its arrays and the first of its datasets."""
    datasets, arrays = store.list_datasets(), store.list_arrays()
    title = f"<p><b>atlas.Atlas</b> {escape(store.location)}: {len(datasets):,} datasets, snapshot {store.snapshot}</p>"
    rows = []
    for name in datasets[:MAX_ROWS]:
        view = store.open_dataset(name)
        sizes = _sizes(view)
        rows.append([name, ", ".join(f"{dim}: {size}" for dim, size in sizes.items()), len(view.list_arrays())])
    names = ", ".join(arrays[:MAX_ROWS]) + (", …" if len(arrays) > MAX_ROWS else "")
    return (
        f"<div>{title}<p>{len(arrays):,} arrays: {escape(names)}</p>"
        f"{_table(['dataset', 'dimensions', 'arrays'], rows)}{_more(len(rows), len(datasets), 'datasets')}</div>"
    )


def _sizes(view: DatasetView) -> dict[str, str]:
    """The extent of each dimension; both, where two arrays disagree."""
    sizes: dict[str, list[int]] = {}
    for name in view.list_arrays():
        meta = view.array_meta(name)
        for dim, extent in zip(meta["dimension_names"], meta["shape"]) if meta else ():
            if extent not in sizes.setdefault(dim, []):
                sizes[dim].append(extent)
    return {dim: " or ".join(map(str, extents)) for dim, extents in sizes.items()}


def _size(dtype: str, shape: list[int]) -> str:
    """Of the cells in memory; text has none before it is read."""
    if dtype in ("string", "binary"):
        return f"{math.prod(shape):,} cells"
    width = np.dtype("M8[ns]" if dtype == "timestamp_nanoseconds" else dtype).itemsize
    return human_bytes(math.prod(shape) * width)


def dataset_html(view: DatasetView) -> str:
    """A dataset: its arrays, with what is known of their cells, and its attributes."""
    names, attributes = view.list_arrays(), view.attributes()
    rows = []
    for name in names[:MAX_ROWS]:
        meta = view.array_meta(name)
        if meta is None:
            continue
        stats = view.array_stats(name)
        dims = ", ".join(f"{dim}: {extent}" for dim, extent in zip(meta["dimension_names"], meta["shape"]))
        chunks = " × ".join(map(str, meta["chunk_shape"])) if meta["chunk_shape"] != meta["shape"] else "one"
        known = [stats["min"], stats["max"], f"{stats['null_count']:,}"] if stats else ["", "", ""]
        known = ["" if value is None else _value(value, meta["dtype"]) for value in known[:2]] + known[2:]
        rows.append([name, meta["dtype"], f"({dims})", _size(meta["dtype"], meta["shape"]), chunks, *known])
    shown = list(attributes.items())[:MAX_ROWS]
    table = _table(["array", "dtype", "dimensions", "size", "chunks", "min", "max", "nulls"], rows)
    attrs = _table(["attribute", "value"], [[key, _value(value)] for key, value in shown]) if shown else ""
    return (
        f"<div><p><b>atlas.DatasetView</b> {escape(view.name)} of {escape(view.store.location)}: "
        f"{len(names):,} arrays, {len(attributes):,} attributes</p>{table}{_more(len(rows), len(names), 'arrays')}"
        f"{attrs}{_more(len(shown), len(attributes), 'attributes')}</div>"
    )

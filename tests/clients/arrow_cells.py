"""Array columns as they arrive over Arrow: one numpy array a row."""

import numpy as np
import pyarrow as pa


def by_dataset(table: pa.Table, column: str) -> dict[str, np.ndarray]:
    """The cells of an array column, by the `dataset` column."""
    names = table["dataset"].to_pylist()
    assert len(set(names)) == len(names), "a dataset comes twice"
    return dict(zip(names, rows(table[column]), strict=True))


def stacked(column: pa.ChunkedArray) -> np.ndarray:
    """All rows of a fixed_shape_tensor column as one array."""
    return column.combine_chunks().to_numpy_ndarray()


def identical(one: pa.Table, other: pa.Table) -> bool:
    """Whether schema and every byte are equal; `Table.equals` finds a NaN unequal to itself."""
    return as_bytes(one) == as_bytes(other)


def as_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue().to_pybytes()


def rows(column: pa.ChunkedArray) -> list[np.ndarray]:
    found = []
    for chunk in column.chunks:
        if isinstance(chunk, pa.FixedShapeTensorArray):
            found.extend(chunk.to_numpy_ndarray())
        else:
            found.extend(row(value) for value in (chunk.storage if isinstance(chunk, pa.ExtensionArray) else chunk))
    return found


def row(value: pa.Scalar) -> np.ndarray | None:
    """One row of a variable_shape_tensor (a struct of data and shape), of a list, or of rank 0."""
    if not value.is_valid:
        return None
    if isinstance(value, pa.StringScalar):
        return np.array(value.as_py(), dtype=object)
    if pa.types.is_struct(value.type):
        return flat(value["data"].values).reshape(value["shape"].as_py())
    return flat(value.values)


def flat(cells: pa.Array) -> np.ndarray:
    if pa.types.is_timestamp(cells.type):
        assert cells.type.unit == "ns", cells.type
        return np.array(cells.cast(pa.int64()).fill_null(np.iinfo(np.int64).min))
    if pa.types.is_integer(cells.type) or pa.types.is_floating(cells.type):
        return cells.to_numpy(zero_copy_only=False)
    return np.array(cells.to_pylist(), dtype=object)

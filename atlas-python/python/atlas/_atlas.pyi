"""The native module. Written by scripts/stub, but for the types."""

import os
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, TypedDict

import numpy as np
import xarray as xr
from numpy.typing import NDArray

__version__: str

class ArrayMeta(TypedDict):
    dtype: str
    shape: list[int]
    chunk_shape: list[int]
    dimension_names: list[str]

class CompactReport(TypedDict):
    families: int
    reclaimed_bytes: int
    deleted_objects: int
    deleted_bytes: int
    retained_bytes: int

Extents = Sequence[int] | NDArray[np.integer[Any]]
Source = str | os.PathLike[str] | Any

class Atlas:
    """A store: named datasets, each a bundle of arrays and attributes.

    Made by :meth:`create` and :meth:`open`. What is changed is seen by this handle at once, by others and on disk after
    :meth:`flush`, which the end of a ``with`` block is too; a handle that is dropped without it loses its changes.

    Has a length, and gives the names of its datasets when it is iterated over; ``name in store`` and ``store[name]``
    (:meth:`open_dataset`) work. Threads may share it. It can be pickled once it is flushed: it is then opened where it is
    unpickled.
    """

    @staticmethod
    def create(
        source: Source,
        codec: str = "auto",
        meta_format: str = "json",
        meta_compression: str = "none",
    ) -> Atlas:
        """Creates an empty store, with missing directories, and opens it.

        Args:
            source: A path, a URL (``file://``, ``s3://``, ``gs://``, ``az://``, ``memory://``) or a handle of obstore.
            codec: How cells are encoded: ``"auto"`` (numbers pco, text zstd), ``"zstd"``, ``"lz4"``, ``"pco"`` or
                ``"none"``. Cells read back the same, bit for bit, whichever it is.
            meta_format: How the catalog is written: ``"json"`` or ``"msgpack"`` (smaller, faster to open).
            meta_compression: ``"none"``, ``"zstd"`` or ``"lz4"``.

        Raises:
            AlreadyExistsError: There is a store, which is left as it is.
            InvalidArgumentError: Of an unknown codec, format, compression or kind of URL.
            StorageError: The place cannot be written to.
        """
    @staticmethod
    def open(source: Source) -> Atlas:
        """Opens the store at a path, a URL or a handle of obstore. Its format, compression and codecs are found there.

        One read of the catalog; no cells are read. The handle sees the store as of now until :meth:`refresh`, or its own
        changes.

        Raises:
            StoreNotFoundError: There is no store.
            CorruptError: The catalog is damaged.
            UnsupportedVersionError: The store is of a newer format, or of another implementation of atlas.
        """
    @property
    def location(self) -> str:
        """Where the store is: the path or URL, or the repr of the handle."""
    @property
    def snapshot(self) -> int:
        """The number of the commit that this handle sees: 0 for an empty store, one more after each flush that had changes."""
    @property
    def codec(self) -> str:
        """How new cells are encoded, as given to :meth:`create`."""
    def create_dataset(self, name: str) -> DatasetView:
        """Creates a dataset, in memory until :meth:`flush`.

        Raises:
            AlreadyExistsError: There is one of that name.
            InvalidArgumentError: The name is empty, ``.`` or ``..``, begins with ``_``, or has ``/`` or NUL in it.
            ConflictError: Another writer is at work on the store.
        """
    def open_dataset(self, name: str) -> DatasetView:
        """A dataset of the store. Nothing is read.

        Raises:
            NotFoundError: There is none of that name; the message proposes similar ones.
        """
    def delete_dataset(self, name: str) -> None:
        """Deletes a dataset with its arrays and attributes. Its bytes stay until :meth:`compact`.

        Raises:
            NotFoundError: There is none of that name.
            ConflictError: Another writer is at work on the store.
        """
    def list_datasets(self) -> list[str]:
        """The names of all datasets, in the order in which they were created; unflushed ones included."""
    def list_arrays(self) -> list[str]:
        """The distinct names of the arrays that any dataset has, sorted."""
    def dataset_exists(self, name: str) -> bool:
        """Whether there is a dataset of that name, flushed or not."""
    def add_xr_dataset(
        self, ds: xr.Dataset, name: str, chunks: Mapping[str, Sequence[int]] | None = None
    ) -> None:
        """Writes an :class:`xarray.Dataset` as a new dataset, in memory until :meth:`flush`.

        Each variable becomes an array; attributes of variables are stored as ``{variable}.{attribute}``. A ``_FillValue``
        becomes the array's fill value. Variables backed by dask are computed and written one block at a time.

        Args:
            ds: What to write. It is not changed.
            name: The name of the dataset.
            chunks: The chunk shape by variable, for those that are not to be one chunk (or, backed by dask, one a block).

        Raises:
            AlreadyExistsError: There is a dataset of that name.
            UnsupportedError: A variable's dtype or index cannot be stored. Nothing of the dataset is kept then.
        """
    def to_xarray(self, name: str) -> xr.Dataset:
        """A dataset as an :class:`xarray.Dataset`, identical to the one that was written.

        Arrays of more than one chunk come back backed by dask, one task a stored chunk; the others are read at once.

        Raises:
            NotFoundError: There is no such dataset.
        """
    def to_xarray_many(
        self, names: Sequence[str], concat_dim: str = "dataset", parallel: bool = True
    ) -> xr.Dataset:
        """Several datasets as one :class:`xarray.Dataset`, along a new leading dimension whose coordinate is ``names``.

        All variables get the new dimension; a coordinate does where it differs between the datasets. Attributes are those of
        the first. Datasets whose indexes differ are aligned as :func:`xarray.concat` does it, with missing values where one
        has no such label.

        Each variable is one bulk read, into memory; datasets that have to be aligned are read one by one.

        Args:
            names: The datasets, in the order that the result has.
            concat_dim: The name of the new dimension.
            parallel: Whether to read several variables at a time.

        Raises:
            InvalidArgumentError: ``names`` is empty, or lengths differ without an index to align by; it names the dataset.
            NotFoundError: A dataset does not exist, or lacks an array that others have.
        """
    def read_array_across(
        self,
        array: str,
        dataset_names: Sequence[str] | None = None,
        start: Extents | None = None,
        shape: Extents | None = None,
        *,
        names: Sequence[str] | None = None,
    ) -> list[NDArray[Any] | None]:
        """The same region of one array of many datasets, each as an array of its own: shapes may differ.

        All of them are read at once, on all cores, touching only the chunks that hold the region.

        Args:
            array: The array's name.
            dataset_names: The datasets, in the order of the result.
            start: The first cell along each dimension; the origin without it.
            shape: How many cells along each dimension; to the end of the first dataset's array without it.
            names: The same as ``dataset_names``.

        Returns:
            One numpy array for each dataset; None for those that do not exist or lack the array.

        Raises:
            NotFoundError: No dataset has the array.
            OutOfBoundsError: The region does not lie in one of the arrays, which it names.
        """
    def read_array_across_stacked(
        self,
        array: str,
        dataset_names: Sequence[str] | None = None,
        start: Extents | None = None,
        shape: Extents | None = None,
        *,
        names: Sequence[str] | None = None,
    ) -> NDArray[Any]:
        """The same region of one array of many datasets, as one array.

        This is the fastest read there is: the cells are decoded on all cores, straight into the result, touching only the
        chunks that hold the region.

        Args:
            array: The array's name.
            dataset_names: The datasets, in the order of the result.
            start: The first cell along each dimension; the origin without it.
            shape: How many cells along each dimension; to the end of the first dataset's array without it.
            names: The same as ``dataset_names``.

        Returns:
            A numpy array of shape ``(len(dataset_names), *region)``.

        Raises:
            NotFoundError: A dataset does not exist or lacks the array; it names the first.
            InvalidArgumentError: The shapes differ; it names the first dataset that differs.
            OutOfBoundsError: The region does not lie in one of the arrays, which it names.
        """
    def flush(self) -> None:
        """Makes all changes since the last flush durable and visible to others, together. Before it nothing is; a crash at any
        moment leaves the old state or the new one.

        Costs one file for each array name that was written to and one rewrite of the catalog, however many datasets changed.

        Raises:
            StorageError: The storage failed. The changes stay: flush again, or :meth:`abandon` them.
            ConflictError: Another writer has committed in between: :meth:`rebase` and flush again, or abandon.
        """
    def close(self) -> None:
        """The same as :meth:`flush`. The handle can still be used."""
    def abandon(self) -> None:
        """Drops all changes since the last flush."""
    def refresh(self) -> bool:
        """Moves the handle to what others have committed in between; tells whether there was something.

        Raises:
            ConflictError: There are unflushed changes.
        """
    def rebase(self) -> bool:
        """Moves unflushed changes onto what another writer has committed, after a ``ConflictError`` of :meth:`flush`; tells whether
        there was something.

        Raises:
            ConflictError: Both changed the same array. The changes stay as they were.
        """
    def compact(self, retention: float = 3600.0) -> CompactReport:
        """Flushes, rewrites the files that hold deleted or overwritten chunks, and deletes what no reader needs any more.

        Args:
            retention: How many seconds files that are no longer live are kept for readers that opened the store earlier.

        Returns:
            ``families`` (array names rewritten), ``reclaimed_bytes`` (by which live files became smaller),
            ``deleted_objects`` and ``deleted_bytes`` (files deleted), ``retained_bytes`` (kept until their retention is over).

        Raises:
            ConflictError: Another writer is at work on the store.
        """
    def verify(self) -> list[str]:
        """Reads everything and checks every checksum, index and statistic; gives a line for each problem, none if all is well."""
    def __enter__(self) -> Atlas: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool: ...
    def __len__(self) -> int: ...
    def __contains__(self, name: object) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...
    def __getitem__(self, name: str) -> DatasetView: ...
    def _repr_html_(self) -> str: ...

class DatasetView:
    """One dataset of a store: its arrays and attributes. Made by :meth:`Atlas.create_dataset` and :meth:`Atlas.open_dataset`.

    It goes by its name: what is changed, through whichever view, all of them see. One whose dataset was deleted reads as
    empty. ``array in view`` tells whether the dataset has an array. Threads may share it, and it can be pickled once the
    store is flushed.
    """

    @property
    def name(self) -> str:
        """The name of the dataset."""
    @property
    def store(self) -> Atlas:
        """The store that the dataset is of."""
    def list_arrays(self) -> list[str]:
        """The names of the dataset's arrays, in the order in which they were declared."""
    def define_array(
        self,
        name: str,
        dtype: str | np.dtype[Any] | type,
        dims: Sequence[str],
        shape: Extents,
        chunk_shape: Extents | None = None,
        fill_value: Any | None = None,
    ) -> None:
        """Declares an array, in memory until :meth:`Atlas.flush`. Cells that are never written read as the fill value (zero,
        ``""`` or 1970 without one).

        Args:
            name: The array's name: not empty, no ``/``, no leading ``_``.
            dtype: ``"int8"`` to ``"int64"``, ``"uint8"`` to ``"uint64"``, ``"float32"``, ``"float64"``, ``"bool"``,
                ``"timestamp_nanoseconds"``, ``"string"`` or ``"binary"``; short forms (``"f32"``), ``"datetime64[ns]"`` and
                numpy dtypes too. All arrays of one name in a store have one dtype.
            dims: The name of each dimension.
            shape: The extent of each dimension; empty for a scalar.
            chunk_shape: The extent of a chunk, which is read and decoded as one; the whole array without it.
            fill_value: What unwritten cells read as; cells equal to it count as null. An int for integers and times (in
                nanoseconds), a float for floats, a str, a bool, bytes.

        Raises:
            AlreadyExistsError: The dataset has an array of that name.
            DTypeError: The fill value is of another type, or the array has another dtype in other datasets.
            ValueRangeError: The fill value is out of range.
            InvalidArgumentError: Of a bad name, an unknown dtype, or ranks that differ.
            UnsupportedError: The dtype cannot be stored.
            NotFoundError: The dataset was deleted.
        """
    def write_array(self, name: str, start: Extents, data: NDArray[Any]) -> None:
        """Writes a box of cells, in memory (whole chunks encoded) until :meth:`Atlas.flush`. Later writes win.

        Args:
            name: The array.
            start: Where the box begins along each dimension.
            data: A C-contiguous numpy array of exactly the array's dtype; its shape is that of the box. Times are
                ``datetime64[ns]`` or their int64; text is object (of str or bytes), ``U``, ``S`` or ``StringDType``.
                Masked cells become the array's fill value.

        Raises:
            DTypeError: The data has another dtype (nothing is converted), or masked cells where there is no fill value.
            NotContiguousError: The data is not C-contiguous.
            OutOfBoundsError: The box does not lie in the array.
            NotFoundError: The dataset or array does not exist.
        """
    def read_array(
        self, name: str, start: Extents | None = None, shape: Extents | None = None
    ) -> NDArray[Any] | None:
        """Reads an array, or a region of it; unflushed writes are seen. Only the chunks that hold the region are read and decoded.

        Args:
            name: The array.
            start: The first cell along each dimension; the origin without it.
            shape: How many cells along each dimension; to the end of the array without it.

        Returns:
            A new numpy array: times ``datetime64[ns]``, text objects of str, binary objects of bytes; 0-D for scalars. None
            where the dataset has no such array.

        Raises:
            OutOfBoundsError: The region does not lie in the array.
            CorruptError: The stored bytes are damaged.
        """
    def read_arrays(
        self, names: Sequence[str], start: Extents | None = None, shape: Extents | None = None
    ) -> dict[str, NDArray[Any] | None]:
        """Reads the same region of several arrays, as :meth:`read_array` does: a dict by name, None for those that the dataset
        does not have.
        """
    def delete_array(self, name: str) -> None:
        """Deletes an array of this dataset. Its bytes stay until :meth:`Atlas.compact`.

        Raises:
            NotFoundError: There is no such array.
        """
    def array_meta(self, array: str) -> ArrayMeta | None:
        """The declaration of an array: ``dtype`` (str), ``shape``, ``chunk_shape`` (lists of int) and ``dimension_names`` (list of str); None where there is no such array."""
    def array_stats(self, array: str, extended: bool = False) -> dict[str, Any] | None:
        """The statistics of an array as of the last flush: ``row_count`` (cells), ``null_count`` (cells equal to the fill value),
        ``min`` and ``max``; None where there is no such array or it was not flushed since it was written to.

        No cells are read. Minimum and maximum leave out nulls and NaN, and are None where nothing is left; times are
        nanoseconds since the epoch. With ``extended`` also ``nan_count``, ``sum`` and ``mean`` (of what is neither null nor
        NaN; None for times and text), ``min_exact`` and ``max_exact`` (whether they are cells, not the cut ends of long text).
        """
    def array_fill_value(self, array: str) -> bool | int | float | str | bytes | None:
        """The fill value of an array; None where it has none or there is no such array."""
    def attributes(self) -> dict[str, bool | int | float | str]:
        """All attributes, by key. Times are ints: nanoseconds since the epoch."""
    def set_attribute(self, key: str, value: Any, dtype: str | None = None) -> None:
        """Sets an attribute, whatever it was before; in memory until :meth:`Atlas.flush`.

        Args:
            key: Any text but ``""``.
            value: A bool, int (64 bits), float, str or time; numpy's scalars of these too.
            dtype: The type to store it as: ``"bool"``, ``"int8"`` to ``"uint64"`` (checked, stored as int64),
                ``"float32"``, ``"float64"``, ``"string"`` or ``"timestamp_nanoseconds"`` (an int is nanoseconds).

        Raises:
            AttributeTypeError: The value cannot be an attribute.
            DTypeError: It is not of that dtype.
            ValueRangeError: It is out of range.
            NotFoundError: The dataset was deleted.
        """
    def get_attribute(self, key: str) -> bool | int | float | str | None:
        """The value of an attribute; None where it is not set. A time is the int of its nanoseconds since the epoch."""
    def remove_attribute(self, key: str) -> bool:
        """Removes an attribute; tells whether there was one."""
    def __contains__(self, array: object) -> bool: ...
    def _repr_html_(self) -> str: ...

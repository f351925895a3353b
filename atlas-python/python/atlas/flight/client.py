"""The client: one object for the stores of one server."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from atlas.errors import InvalidArgumentError, StoreNotFoundError
from atlas.flight._address import Address
from atlas.flight._connection import Connection
from atlas.flight._progress import Callback
from atlas.flight._session import Session
from atlas.flight._sql import Batches, Queries, no_such_store, quoted
from atlas.flight._stacked import Ragged, Stacks, request_of

if TYPE_CHECKING:
    import pyarrow
    import xarray as xr

ArrayFormat = Literal["tensor", "nested", "json", "omit"]
Missing = Literal["error", "skip", "null"]


class Client:
    """The stores of one Atlas server. `atlas.connect` makes one.

    Threads may share it. It is a context manager; `close` ends its connections. A server that is started again is found
    again with the next call, and a login that has expired is made again.

    Errors are those of :mod:`atlas.errors` and :mod:`atlas.flight.errors`: one line, the server's own.
    """

    def __init__(self, address: Address, connection: Connection, store: str | None, streams: int) -> None:
        self._address = address
        self._connection = connection
        self._session = Session(connection)
        self._queries = Queries(connection, self._session)
        self._stacks = Stacks(connection, streams)
        # Asking for the default store also finds out whether the server takes this caller.
        default = self._session.default_store()
        self._store = store or default
        self._session.use(self._store)
        if store is not None and store != default and store not in (served := self.stores()):
            raise no_such_store(store, served)

    @property
    def uri(self) -> str:
        """The server's address, without the store."""
        return str(self._address)

    @property
    def store(self) -> str | None:
        """The store that calls mean which name none; None where the server has none for this user."""
        return self._store

    # SQL

    def sql(
        self,
        query: str,
        parameters: Sequence[Any] | None = None,
        *,
        array_format: ArrayFormat = "tensor",
        progress: bool | Callback | None = None,
    ) -> pyarrow.Table:
        """The result of a SQL statement, whole.

        Args:
            query: A statement; plain table names are those of `store`, others are `"name".datasets`.
            parameters: Values for `?`, or for `$1`, `$2`, … in the query, by position: numbers, text, bool, None, bytes,
                dates and times, and their numpy scalars.
            array_format: How array columns come: "tensor" (`table["t"].combine_chunks().to_numpy_ndarray()` is
                (rows, *shape), not copied; missing cells of numbers hold the fill value), "nested" lists (missing cells
                are null), "json" text, or "omit", not at all.
            progress: True draws a line on standard error; a function is called with
                `(bytes, total bytes, rows, total rows)`, totals None where the server does not know them.

        Ctrl-C, and an error of `progress`, end the query on the server. A statement that changes something (the server has
        to be writable) has one row: how many rows it changed; Ctrl-C may come too late for it.

        Raises:
            InvalidArgumentError: what is wrong with the query or its parameters.
            NotFoundError: for a table that there is not.
            LimitExceededError: where the query passes a limit of the server, which the message names.
            UnavailableError: for a lost connection. Queries are not repeated: their rows may come in another order.
        """
        return self._queries.run(query, parameters, array_format, progress).read_all()

    def sql_batches(
        self,
        query: str,
        parameters: Sequence[Any] | None = None,
        *,
        array_format: ArrayFormat = "tensor",
        progress: bool | Callback | None = None,
    ) -> Batches:
        """The result of a SQL statement as record batches that come while they are taken: for results that are larger than
        memory. Arguments and errors are those of `sql`.

        `for batch in client.sql_batches(query): …` reads it; `with client.sql_batches(query) as batches: …` also ends the
        query where the block is left before its end.
        """
        return self._queries.run(query, parameters, array_format, progress)

    # Stacked reads

    def stacked(
        self,
        arrays: str | Sequence[str],
        *,
        store: str | None = None,
        datasets: Iterable[str] | None = None,
        where: str | None = None,
        start: Sequence[int] | None = None,
        shape: Sequence[int] | None = None,
        missing: Missing = "error",
        ragged: Ragged = "error",
        as_: Literal["numpy", "xarray"] = "numpy",
        progress: bool | Callback | None = None,
        streams: int | None = None,
    ) -> Any:
        """The same region of one or more arrays of many datasets, stacked along a new leading axis, the datasets.

        Args:
            arrays: An array's name, or several.
            store: Its store; `Client.store` unless it is said.
            datasets: The datasets, in this order; all of the store's, in the order they were added, unless it is said.
            where: A SQL predicate over attributes and statistics that the datasets satisfy, such as
                `"month = 7 AND stat_max(temperature) > 28"`.
            start, shape: The region, a number for each dimension, in cells; `start` is zeros where only `shape` is given.
                Whole arrays without them.
            missing: What becomes of a dataset that lacks one of the arrays: "error"; "skip" leaves it out; "null" gives it
                the array's fill value, else NaN, not-a-time or an empty text.
            ragged: What becomes of whole arrays whose shapes differ between datasets: "error"; "pad" makes them as large as
                the largest, with the fill value (else NaN, not-a-time or an empty text) beyond their ends; "list" gives a
                list of arrays (with `as_="numpy"`), None for a dataset that lacks the array.
            as_: "numpy", or "xarray" for dataset names, dimensions, coordinates and attributes.
            progress: As in `sql`; rows are datasets.
            streams: How many endpoints to read at a time; that of `atlas.connect` unless it is said.

        Returns:
            `as_="numpy"`: an array (datasets, *shape), its cells as they are stored: missing ones hold the array's fill
            value. Times are datetime64[ns], text and binary objects of str and bytes. Of several arrays a dict of them, by
            name.

            `as_="xarray"`: a DataArray, or of several arrays a Dataset, whose first dimension is `dataset`, with the names
            as its coordinate. Coordinates of the other dimensions come along: without the axis `dataset` where all
            datasets have the same, else with it. Attributes are those of the first dataset, as `xarray.concat` has it;
            `datasets` gives those of all.

        Memory holds the result and one batch (8 to 16 MiB) a stream. All of it is one snapshot. A read whose connection is
        lost goes on where it was, for up to 16 seconds without an answer. Ctrl-C ends it on the server.

        Raises:
            NotFoundError: for an array, dataset or store that there is not; StoreNotFoundError for the latter.
            InvalidArgumentError: for a region that does not lie in an array, a predicate that is none, shapes that differ.
            LimitExceededError: where the read passes a limit of the server.
            UnavailableError: where the server stays away.
        """
        if as_ not in ("numpy", "xarray"):
            raise InvalidArgumentError(f"as_ is numpy or xarray, not {as_!r}")
        if ragged not in ("error", "pad", "list") or (ragged == "list" and as_ == "xarray"):
            raise InvalidArgumentError(f"ragged is error, pad, or with as_=\"numpy\" list, not {ragged!r}")
        names = [arrays] if isinstance(arrays, str) else arrays
        request = request_of(
            self._named(store), names, datasets=datasets, where=where, start=start, shape=shape, missing=missing
        )
        stack = self._stacks.read(request, progress=progress, streams=streams, may_be_ragged=ragged != "error")
        if as_ == "xarray":
            from atlas.flight._labelled import Labels

            found = Labels(self._queries, self._stacks, request, stack).dataset()
            return found[arrays] if isinstance(arrays, str) else found
        cells: dict[str, Any] = dict(stack.lists() if ragged == "list" else stack.arrays())
        return cells[arrays] if isinstance(arrays, str) else cells

    def to_xarray(self, name: str, *, store: str | None = None) -> xr.Dataset:
        """One dataset, whole and in memory: variables, coordinates and attributes as they were written through xarray.

        Cost: a query of the catalog, and a read of all its arrays. What takes more than 32 MiB is read in pieces, four at
        a time; where somebody writes to the dataset meanwhile, they can be of several snapshots.

        Raises:
            NotFoundError: for a dataset that there is not; StoreNotFoundError for a store.
            ConflictError: where arrays got another shape or dtype meanwhile.
        """
        if not isinstance(name, str):
            raise InvalidArgumentError(f"a dataset's name is a text, not {name!r}")
        from atlas.flight._whole import read_dataset

        return read_dataset(self._queries, self._stacks, self._named(store), name)

    def add_xr_dataset(
        self,
        ds: xr.Dataset,
        name: str,
        chunks: Mapping[str, Sequence[int]] | None = None,
        *,
        store: str | None = None,
    ) -> None:
        """Adds an xarray dataset to a store of a server that can be written to (`atlas serve --writable`); see
        :meth:`atlas.Atlas.add_xr_dataset` for what becomes of it. It is durable, and visible to all, when this returns.

        Cost: the dataset is in memory, dask arrays are computed into it; it is one message and one commit. Ctrl-C may come
        too late to keep it from being written.

        Raises:
            AlreadyExistsError: for a dataset that there is.
            LimitExceededError: for more than 56 MiB: those are written to the store itself.
            UnsupportedError: for an attribute named like an array, and for anything named "dataset".
            PermissionDeniedError: where the server, or the user's role, only reads.
            ConflictError: while another process writes to the store on the server's disk.
        """
        from atlas.flight._upload import Uploads

        Uploads(self._connection).add(self._named(store), name, ds, chunks)

    # What there is

    def stores(self) -> list[str]:
        """The names of the stores that this user may read."""
        return self._queries.schemas()

    def datasets(
        self, where: str | None = None, *, store: str | None = None, columns: Sequence[str] | None = None
    ) -> pyarrow.Table:
        """The datasets with their attributes: a row each, in the order of their names. Reads no cell.

        Args:
            where: A SQL predicate over attributes and statistics.
            columns: The attributes to give beside `dataset`; all of them unless it is said, none of them for `[]`:
                `client.datasets(columns=[])["dataset"].to_pylist()` is the list of names.

        An attribute that a dataset lacks is null. Where a store's attribute and array have one name, the attribute's
        column is `name@attribute`.

        Raises:
            InvalidArgumentError: for a predicate or column that there is not.
        """
        store = self._named(store)
        table = f"{quoted(store)}.datasets"
        if columns is None:
            schema = self._queries.of_store(store, f"SELECT * FROM {table} LIMIT 0", "tensor").schema
            columns = [field.name for field in schema if not _is_array(field)]
        elif isinstance(columns, str):
            raise InvalidArgumentError(f"columns is a list of names, not the text {columns!r}")
        chosen = ", ".join(quoted(name) for name in dict.fromkeys(["dataset", *columns]))
        condition = f" WHERE ({where}\n)" if where is not None else ""
        return self._queries.of_store(store, f"SELECT {chosen} FROM {table}{condition} ORDER BY dataset")

    def arrays(self, store: str | None = None) -> pyarrow.Table:
        """The arrays of a store: a row for each name, with its `dtype`, its `dims` and `shape` where all datasets have the
        same (else null), how many `datasets` have it, and its `stored_bytes`. Reads no cell."""
        store = self._named(store)
        same = "CASE WHEN count(DISTINCT {0}) = 1 THEN first_value({0}) END AS {0}"
        # Of many arrays, few are unlike each other.
        alike = (
            "SELECT array, dtype, dims, shape, count(*) AS datasets, sum(stored_bytes) AS stored_bytes "
            f"FROM {quoted(store)}.arrays GROUP BY array, dtype, dims, shape"
        )
        return self._queries.of_store(
            store,
            f"SELECT array, min(dtype) AS dtype, {same.format('dims')}, {same.format('shape')}, sum(datasets) AS datasets, "
            f"sum(stored_bytes) AS stored_bytes FROM ({alike}) GROUP BY array ORDER BY array",
        )

    def _named(self, store: str | None) -> str:
        if store is not None:
            return store
        if self._store is None:
            raise StoreNotFoundError("the server has no store for this user")
        return self._store

    # Its life

    def close(self) -> None:
        """Closes the connections. Later calls raise InvalidArgumentError."""
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        closed = ", closed" if self._connection.closed else ""
        return f"<atlas.flight.Client of {self.uri}, store {self._store}{closed}>"

    def _repr_html_(self) -> str:
        rows = {"server": self.uri, "store": self._store or "none", "TLS": "yes" if self._address.encrypted else "no"}
        cells = "".join(f"<tr><th>{name}</th><td>{html.escape(value)}</td></tr>" for name, value in rows.items())
        return f"<table><caption>atlas.flight.Client</caption><tbody>{cells}</tbody></table>"


def _is_array(field: pyarrow.Field) -> bool:
    """Whether a column of `datasets` is an array: a tensor, a list, or a single cell, which says that it has no dimensions."""
    from atlas.flight._arrow import pyarrow

    named = b"atlas.dims" in (field.metadata or {})
    return named or pyarrow.types.is_nested(field.type) or isinstance(field.type, pyarrow.BaseExtensionType)

"""Flight SQL: statements, with parameters or without, and their results as they come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from atlas.errors import InvalidArgumentError, NotFoundError, StoreNotFoundError
from atlas.flight import _wire
from atlas.flight._ahead import Ahead
from atlas.flight._arrow import flight, pyarrow
from atlas.flight._connection import Connection, Headers
from atlas.flight._progress import Callback, Progress
from atlas.flight._session import Session
from atlas.errors import ServerError

_FORMATS = ("tensor", "nested", "json", "omit")


class Queries:
    """The statements of one client."""

    def __init__(self, connection: Connection, session: Session) -> None:
        self._connection = connection
        self._session = session

    def run(
        self, query: str, parameters: Sequence[Any] | None, array_format: str, progress: bool | Callback | None
    ) -> Batches:
        """Plans a statement on the server; its result is read as it is taken."""
        info = self.plan(query, parameters, array_format)
        return Batches(self._connection, info, progress)

    def plan(self, query: str, parameters: Sequence[Any] | None, array_format: str) -> Any:
        """The FlightInfo of a statement. One that changes something has run then."""
        if array_format not in _FORMATS:
            raise InvalidArgumentError(f"array_format is {', '.join(_FORMATS[:-1])} or omit, not {array_format!r}")
        wanted = [(b"array_format", array_format.encode())]
        if not parameters:
            command = _wire.packed("CommandStatementQuery", _wire.field(1, query))
            return self._session.within(lambda headers: self._info(command, [*headers, *wanted]))
        values = row_of(parameters)
        return self._session.within(lambda headers: self._prepared(query, values, [*headers, *wanted]))

    def _prepared(self, query: str, values: Any, headers: Headers) -> Any:
        """Prepares the statement, binds the values, plans it, and closes it: tickets do not need it."""
        created = self._act("CreatePreparedStatement", _wire.field(1, query), headers)
        handle = _wire.last(_wire.unpacked(created), 1)
        command = _wire.packed("CommandPreparedStatementQuery", _wire.field(1, handle))
        # The values are in the handle that binding answers with.
        bound = _wire.last(self._bind(command, values, headers), 1)
        if bound:
            command = _wire.packed("CommandPreparedStatementQuery", _wire.field(1, bound))
        try:
            return self._info(command, headers)
        finally:
            self._act("ClosePreparedStatement", _wire.field(1, handle), headers)

    def _info(self, command: bytes, headers: Headers) -> Any:
        descriptor = flight.FlightDescriptor.for_command(command)
        return self._connection.call(
            lambda client, options: client.get_flight_info(descriptor, options), headers=headers
        )

    def _act(self, name: str, body: bytes, headers: Headers) -> bytes:
        action = flight.Action(name, _wire.packed(f"Action{name}Request", body))

        def act(client: Any, options: Any) -> bytes:
            return b"".join(result.body.to_pybytes() for result in client.do_action(action, options))

        return self._connection.call(act, headers=headers)

    def _bind(self, command: bytes, values: Any, headers: Headers) -> bytes:
        descriptor = flight.FlightDescriptor.for_command(command)

        def put(client: Any, options: Any) -> bytes:
            writer, reader = client.do_put(descriptor, values.schema, options)
            with writer:
                writer.write_batch(values)
                writer.done_writing()
                answer = reader.read()
            return b"" if answer is None else bytes(answer.to_pybytes())

        return self._connection.call(put, headers=headers)

    def of_store(self, store: str, sql: str, array_format: str = "nested") -> Any:
        """The answer of a query over the tables of one store, as a table.

        Raises:
            StoreNotFoundError: where the server has no such store for this user.
        """
        try:
            return self.run(sql, None, array_format, None).read_all()
        except NotFoundError:
            if store in (served := self.schemas()):
                raise
        raise no_such_store(store, served)

    def schemas(self) -> list[str]:
        """The stores that the user may read: the schemas of SQL."""
        info = self._info(_wire.packed("CommandGetDbSchemas"), ())
        with Batches(self._connection, info, None) as batches:
            names = batches.read_all()["db_schema_name"].to_pylist()
        return [name for name in names if name != "information_schema"]


class Batches:
    """The result of a query as record batches, which come while they are taken: a few are in memory at a time.

    It is an iterator, has a `schema`, and is a context manager: leaving its block ends the query on the server, if it is
    still running; so does Ctrl-C while it waits. DuckDB, polars and others take it as it is (the Arrow C stream interface).
    """

    def __init__(self, connection: Connection, info: Any, progress: bool | Callback | None) -> None:
        #: The schema of the batches.
        self.schema = info.schema
        self._connection = connection
        self._tickets = [endpoint.ticket for endpoint in info.endpoints]
        self._progress = Progress(progress, info.total_bytes, info.total_records)
        self._bytes = self._rows = 0
        self._ahead: Ahead | None = None
        self._ended = False

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        """The next batch.

        Raises:
            AtlasError: what the query fails with.
        """
        try:
            batch = self._next()
            if batch is not None:
                self._bytes += batch.nbytes
                self._rows += batch.num_rows
            self._progress.show(self._bytes, self._rows, last=batch is None)
        except BaseException:
            self.close()
            raise
        if batch is None:
            self.close()
            raise StopIteration
        return batch

    def _next(self) -> Any | None:
        while not self._ended:
            if self._ahead is None:
                if not self._tickets:
                    break
                self._ahead = Ahead(self._connection, self._tickets.pop(0))
            batch = self._ahead.next()
            if batch is not None:
                if batch.schema != self.schema:
                    raise ServerError("a batch has another schema than was announced")
                return batch
            self._ahead = None
        return None

    def read_all(self) -> Any:
        """All that is still to come, as a pyarrow.Table."""
        return pyarrow.Table.from_batches(list(self), self.schema)

    def close(self) -> None:
        """Ends the query, where it has not ended."""
        self._ended = True
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None

    def __enter__(self) -> Batches:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # A generator that is dropped half-way ends its query, too.
        if getattr(self, "_ahead", None) is not None:
            self.close()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        reader = pyarrow.RecordBatchReader.from_batches(self.schema, self)
        return reader.__arrow_c_stream__(requested_schema)


def no_such_store(store: str, served: Sequence[str]) -> StoreNotFoundError:
    """The error that says which stores there are."""
    return StoreNotFoundError(f"no such store: {store}; served are {', '.join(served) or 'none'}")


def row_of(parameters: Sequence[Any]) -> Any:
    """Parameters as one row, a column each.

    Raises:
        InvalidArgumentError: for parameters by name, which the server does not have, and for a value that is of no SQL type.
    """
    if isinstance(parameters, (str, bytes, Mapping)) or not isinstance(parameters, Sequence):
        raise InvalidArgumentError("parameters are a list of values, for ? or $1, $2, … in the query")
    columns = []
    for place, value in enumerate(parameters, 1):
        try:
            columns.append(pyarrow.array([value]))
        except (pyarrow.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise InvalidArgumentError(f"parameter ${place}: {' '.join(str(error).split())}") from None
    return pyarrow.record_batch(columns, names=[str(place) for place in range(len(columns))])


def quoted(name: str) -> str:
    """A name as SQL takes it, whatever its characters."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL takes it."""
    return "'" + text.replace("'", "''") + "'"

"""Stacked reads: the same region of many datasets, into arrays that are allocated once."""

from __future__ import annotations

import json
import logging
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from atlas.errors import InvalidArgumentError, NotFoundError, PermissionDeniedError
from atlas.flight._arrow import flight
from atlas.flight._cells import Column
from atlas.flight._connection import Connection
from atlas.flight._fetch import Fetch, Uneven, patiently
from atlas.flight._progress import Callback, Progress
from atlas.errors import ServerError

_LOG = logging.getLogger("atlas.flight")

Ragged = Literal["error", "pad", "list"]

# The endpoints that a stream reads one after the other: so much less is read again where a connection is lost.
_PARTS_OF_A_STREAM = 2


@dataclass(frozen=True)
class Request:
    """What a stacked read asks for: the fields of the server's command."""

    store: str
    arrays: tuple[str, ...]
    datasets: tuple[str, ...] | None = None
    where: str | None = None
    start: tuple[int, ...] | None = None
    shape: tuple[int, ...] | None = None
    missing: str = "error"

    def command(self, partitions: int) -> bytes:
        """The command of the server's protocol."""
        said = {name: value for name, value in vars(self).items() if value is not None}
        return json.dumps({"stacked": {**said, "partitions": partitions}}).encode()


class Stack:
    """The answer: dataset names, and for each array the cells of all datasets."""

    def __init__(self, schema: Any, rows: int) -> None:
        if rows < 0:
            raise ServerError("the server does not say how many datasets it would read")
        self.names: np.ndarray[Any, Any] = np.empty(rows, object)
        self.columns = [Column.of(field) for field in schema][1:]
        self.metadata: dict[bytes, bytes] = dict(schema.metadata or {})
        #: (rows, *shape) of each array; of a ragged one a list of arrays. A dataset that lacks the array has
        #: `Column.absent`, or None in a list.
        self.cells: list[Any] = [
            [None] * rows if column.shape is None else np.empty((rows, *column.shape), column.dtype)
            for column in self.columns
        ]

    def take(self, batch: Any, at: int) -> None:
        """The rows of a batch, which are those from `at` on."""
        end = at + batch.num_rows
        self.names[at:end] = batch.column(0).to_pylist()
        for place, (column, cells) in enumerate(zip(self.columns, self.cells, strict=True), 1):
            values = batch.column(place)
            absent = np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False)) if values.null_count else ()
            if column.shape is None:
                cells[at:end] = column.pieces(values)
                for row in absent:
                    cells[at + row] = None
            else:
                cells[at:end] = column.stacked(values)
                for row in absent:
                    cells[at + row] = _absent(column)


    def refuse_ragged(self) -> None:
        """
        Raises:
            InvalidArgumentError: where an array has several shapes.
        """
        for column in self.columns:
            if column.shape is None:
                raise InvalidArgumentError(
                    f"array {column.name} differs in shape between datasets: start and shape cut a region, "
                    'ragged="pad" or "list" takes them whole'
                )

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """The cells of each array as one, padded where shapes differ."""
        return {
            column.name: padded(column, cells) if column.shape is None else cells
            for column, cells in zip(self.columns, self.cells, strict=True)
        }

    def lists(self) -> dict[str, list[np.ndarray[Any, Any] | None]]:
        """The cells of each array as a list, an array for each dataset; None where it lacks the array."""
        # Copies of what came in one piece with others, which would be held in memory by each of them.
        return {
            column.name: [None if piece is None else np.array(piece) for piece in cells]
            for column, cells in zip(self.columns, self.cells, strict=True)
        }


def _absent(column: Column) -> Any:
    if column.absent is None:
        raise InvalidArgumentError(
            f"array {column.name} of {column.dtype} has no fill value, which the datasets that lack it would hold: "
            'missing="skip" leaves them out'
        )
    return column.absent


class Stacks:
    """The stacked reads of one client."""

    def __init__(self, connection: Connection, streams: int) -> None:
        self._connection = connection
        self._streams = streams

    def read(
        self,
        request: Request,
        *,
        progress: bool | Callback | None = None,
        streams: int | None = None,
        may_be_ragged: bool = True,
        running: list[Fetch] | None = None,
    ) -> Stack:
        """Reads it all. Where the connection is lost, the read goes on where it was, as far as the server takes its tickets:
        one that was started again with another key, or on a later snapshot, is asked anew, once. Who runs this in another
        thread ends it by what it puts into `running`.

        Raises:
            AtlasError: what the server says is wrong, or a connection that is lost for longer than 16 seconds.
        """
        streams = self._streams if streams is None else positive("streams", streams)
        asked_again = False
        while True:
            info = self._plan(request, streams)
            stack = Stack(info.schema, info.total_records)
            if not may_be_ragged:
                stack.refuse_ragged()
            fetch = Fetch(self._connection, info, stack.take, streams)
            if running is not None:
                running.append(fetch)
            try:
                fetch.run(Progress(progress, info.total_bytes, info.total_records))
                return stack
            except Uneven:
                stack = Stack(info.schema, info.total_records)
                fetch = Fetch(self._connection, info, stack.take, streams=0)
                fetch.run(Progress(progress, info.total_bytes, info.total_records))
                return stack
            except (PermissionDeniedError, NotFoundError) as error:
                # The plan was good a moment ago: it is another server by now, or at another snapshot.
                if asked_again:
                    raise
                asked_again = True
                _LOG.info("the server does not take its tickets any more (%s): the read begins anew", error)

    def _plan(self, request: Request, streams: int) -> Any:
        descriptor = flight.FlightDescriptor.for_command(request.command(streams * _PARTS_OF_A_STREAM))
        return patiently(
            lambda: self._connection.call(lambda client, options: client.get_flight_info(descriptor, options))
        )


def request_of(
    store: str,
    arrays: Sequence[str],
    *,
    datasets: Iterable[str] | None,
    where: str | None,
    start: Sequence[int] | None,
    shape: Sequence[int] | None,
    missing: str,
) -> Request:
    """A request of what a caller gives.

    Raises:
        InvalidArgumentError: for what cannot be said in one; what else is wrong the server says.
    """
    if missing not in ("error", "skip", "null"):
        raise InvalidArgumentError(f"missing is error, skip or null, not {missing!r}")
    names = None if datasets is None else _texts("datasets", datasets)
    request = Request(store, _texts("arrays", arrays), names, where, missing=missing)
    return replace(request, start=_extents("start", start), shape=_extents("shape", shape))


def padded(column: Column, pieces: list[Any]) -> np.ndarray[Any, Any]:
    """Arrays of several shapes as one, as large as the largest; `Column.absent` lies beyond their ends."""
    rank = len(column.dims)
    extents = [max((piece.shape[dim] for piece in pieces if piece is not None), default=0) for dim in range(rank)]
    whole = np.full((len(pieces), *extents), _absent_beyond(column), column.dtype)
    for row, piece in enumerate(pieces):
        if piece is not None:
            region: tuple[int | slice, ...] = (row, *(slice(extent) for extent in piece.shape))
            whole[region] = piece
    return whole


def _absent_beyond(column: Column) -> Any:
    if column.absent is None:
        raise InvalidArgumentError(
            f'array {column.name} of {column.dtype} has no fill value to pad it with: use ragged="list", or a region'
        )
    return column.absent


def positive(name: str, number: int) -> int:
    """A count from 1 to 64.

    Raises:
        InvalidArgumentError: for others.
    """
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= 64:
        raise InvalidArgumentError(f"{name} is {number!r}, it must be 1 to 64")
    return number


def _texts(name: str, given: Iterable[str]) -> tuple[str, ...]:
    if isinstance(given, (str, bytes)):
        raise InvalidArgumentError(f"{name} is a list of names, not the text {given!r}")
    # A column of Arrow, such as that of `Client.datasets`, has scalars of its own.
    values = given.to_pylist() if hasattr(given, "to_pylist") else given
    texts = tuple(str(text) if isinstance(text, np.str_) else text for text in values)
    if not all(isinstance(text, str) for text in texts):
        raise InvalidArgumentError(f"{name} is a list of names: all of them are texts")
    return texts


def _extents(name: str, given: Sequence[int] | None) -> tuple[int, ...] | None:
    if given is None:
        return None
    try:
        numbers = tuple(operator.index(number) for number in given)
    except TypeError:
        raise InvalidArgumentError(f"{name} is a list of integers, one for each dimension, not {given!r}") from None
    if any(number < 0 for number in numbers):
        raise InvalidArgumentError(f"{name} is {list(numbers)}: it counts from 0, and no number is negative")
    return numbers

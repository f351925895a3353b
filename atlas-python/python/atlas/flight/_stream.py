"""One DoGet, batch by batch."""

from __future__ import annotations

from typing import Any

from atlas.flight._arrow import flight, pyarrow
from atlas.flight._connection import Connection
from atlas.flight.errors import fail


class Stream:
    """The batches of a ticket. Any thread may cancel it."""

    def __init__(self, connection: Connection, ticket: Any, lane: int = 0) -> None:
        # The client is kept as long as its stream, whatever becomes of the connection meanwhile.
        self._client, self._reader = connection.call(
            lambda client, options: (client, client.do_get(ticket, options)), lane=lane, endless=True
        )

    def next(self) -> Any | None:
        """The next batch; None at the end.

        Raises:
            AtlasError: what the call fails with.
        """
        while True:
            try:
                batch = self._reader.read_chunk().data
            except StopIteration:
                return None
            except (pyarrow.ArrowException, flight.FlightError) as error:
                fail(error)
            # A message may have metadata alone.
            if batch is not None:
                return batch

    def cancel(self) -> None:
        """Ends the call at the server; who waits for a batch gets an error."""
        self._reader.cancel()

"""Ingestion by a client that breaks off: nothing of it stays."""

import threading

import pyarrow as pa
import pytest

from raw_flight import RawClient, command, field, flight_data, ipc_messages, sql_message
from test_ingest import assert_holds, casts, ingest
from test_ingest import server, store  # noqa: F401 (fixtures)


@pytest.mark.parametrize("how", ["cancel", "close"])
def test_a_stream_that_breaks_leaves_nothing(server, atlas, store, how):
    ingest(server, casts(0, 2), "create")
    # IF NOT EXISTS: fail, IF EXISTS: append.
    options = field(1, 1) + field(2, 2)
    ingestion = sql_message("CommandStatementIngest", field(1, options) + field(2, "datasets") + field(3, "fleet"))
    (schema, *batches) = ipc_messages(*casts(2, 3).to_batches())
    sent, gone = threading.Event(), threading.Event()

    def messages():
        yield flight_data(*schema, descriptor=command(ingestion))
        for header, body in batches:
            yield flight_data(header, body)
        sent.set()
        # Not the end of the stream: more would come.
        gone.wait(60)

    with RawClient(server.port) as client:
        call = client.start("DoPut", stream=messages())
        assert sent.wait(60)
        if how == "cancel":
            call.cancel()
    gone.set()
    server.wait_until_idle()
    assert_holds(server, atlas, store, casts(0, 2))
    ingest(server, casts(2, 3), "append")
    assert_holds(server, atlas, store, pa.concat_tables([casts(0, 2), casts(2, 3)]))

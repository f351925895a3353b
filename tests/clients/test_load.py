"""Many clients at once, slow ones, ones that leave, and a server that is killed or stopped under them: what must stay right, and
what must be given back."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import netCDF4
import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pytest

from arrow_cells import identical, stacked
from atlas_process import Server
from fleet import CASTS
from raw_flight import RawClient, ended, field

CLIENTS = 200
LEAVERS = 100
SLOW = 8
GRIDS = 12
ROWS, COLUMNS = 1024, 2048
GRID_BYTES = ROWS * COLUMNS * 4
MEBIBYTE = 1 << 20
STREAM_BYTES = 60 * MEBIBYTE
"""What a stream that nobody reads may hold on the server: a few batches of 8 to 16 MiB."""
ENDLESS = "SELECT repeat('x', 1000) AS text FROM generate_series(1, 1000000000000)"


@pytest.fixture(scope="module")
def grids(atlas, tmp_path_factory):
    """A store of large arrays, small on disk: each is missing but for its first cell, its number."""
    folder = tmp_path_factory.mktemp("grids")
    for number in range(GRIDS):
        with netCDF4.Dataset(folder / f"grid_{number:02}.nc", "w") as file:
            file.createDimension("row", ROWS)
            file.createDimension("column", COLUMNS)
            grid = file.createVariable("grid", "f4", ("row", "column"), zlib=True, fill_value=np.float32(-1))
            grid[0, 0] = number
    store = tmp_path_factory.mktemp("stores") / "grids"
    atlas("import", store, folder)
    return store


@pytest.fixture(scope="module")
def server(atlas, grids, fleet_store):
    with Server(atlas, fleet=fleet_store, grids=grids) as server:
        yield server


def assert_all_grids(cells: np.ndarray) -> None:
    assert cells.shape == (GRIDS, ROWS, COLUMNS)
    np.testing.assert_array_equal(cells[:, 0, 0], np.arange(GRIDS))
    assert np.isnan(cells.reshape(GRIDS, -1)[:, 1:]).all()


def grids_info(server: Server, partitions: int) -> flight.FlightInfo:
    return server.stacked_info("grids", ["grid"], partitions=partitions)


# Many at once


def test_a_large_read_is_right(server):
    assert_all_grids(stacked(server.stacked("grids", ["grid"])["grid"]))


def test_200_clients_at_once_get_the_right_answers(server):
    sql = "SELECT dataset, month, stat_max(temperature) AS t FROM datasets WHERE month = {month} ORDER BY dataset"
    tickets = [server.statement_ticket(sql.format(month=month)) for month in range(1, 13)]
    tickets += [
        server.stacked_info("fleet", ["temperature"], where=f"month <= {month}").endpoints[0].ticket for month in range(1, 13)
    ]
    with server.connect() as client:
        expected = [client.do_get(ticket).read_all() for ticket in tickets]
    assert all(table.num_rows > 0 for table in expected)
    together = threading.Barrier(CLIENTS)

    def run(number: int) -> list[str]:
        wrong = []
        together.wait(60)
        # A connection of its own for each client.
        with flight.connect(server.uri, generic_options=[("grpc.use_local_subchannel_pool", 1)]) as client:
            for step in range(3):
                at = (number * 7 + step * 11) % len(tickets)
                if not identical(client.do_get(tickets[at]).read_all(), expected[at]):
                    wrong.append(f"client {number}, ticket {at}")
        return wrong

    with ThreadPoolExecutor(CLIENTS) as pool:
        assert [wrong for found in pool.map(run, range(CLIENTS)) for wrong in found] == []


# Slow ones


@pytest.mark.parametrize("kind", ["stacked", "sql"])
def test_clients_that_do_not_read_hold_a_few_batches_and_nobody_up(server, kind):
    if kind == "stacked":
        ticket = grids_info(server, 1).endpoints[0].ticket
        assert STREAM_BYTES < GRIDS * GRID_BYTES * 0.7
    else:
        ticket = server.statement_ticket(ENDLESS)
    before = server.resident_bytes()
    with RawClient(server.port) as client:
        calls = [client.start("DoGet", field(1, ticket.ticket)) for _ in range(SLOW)]
        # Each has begun, and then stands still.
        for call in calls:
            assert next(call)
        server.wait_until_idle()
        assert server.resident_bytes() - before < SLOW * STREAM_BYTES
        for _ in range(5):
            assert server.sql("SELECT count(*) AS n FROM datasets")["n"].to_pylist() == [CASTS]
            assert server.stacked("fleet", ["temperature"]).num_rows == CASTS
        assert all(call.is_active() for call in calls)
        for call in calls:
            call.cancel()
    server.wait_until_idle()


# Queries that end before they are done

JOINS = [
    "SELECT sum(a.value * b.value) FROM generate_series(1, 5000000) a CROSS JOIN generate_series(1, 8192) b",
    "SELECT count(*) FROM generate_series(1, 100000) a JOIN generate_series(1, 8192) b ON a.value % 2 = b.value % 2",
]


@pytest.mark.parametrize("query", JOINS)
def test_queries_that_run_out_of_time_leave_their_threads_to_others(atlas, grids, query):
    with Server(atlas, "--query-timeout", "1", grids=grids) as server, RawClient(server.port) as client:
        ticket = server.statement_ticket(query).ticket
        calls = [client.start("DoGet", field(1, ticket)) for _ in range(2 * os.cpu_count())]
        assert [ended("DoGet", call).code for call in calls] == [grpc.StatusCode.RESOURCE_EXHAUSTED] * len(calls)
        server.wait_until_idle()
        assert server.sql("SELECT 1 AS one").to_pylist() == [{"one": 1}]


# Ones that leave


def test_what_clients_that_leave_had_is_given_back(server):
    tickets = [endpoint.ticket.ticket for endpoint in grids_info(server, 2).endpoints]
    tickets.append(server.statement_ticket(ENDLESS).ticket)
    handles, threads = server.handles(), server.threads()

    def leave(number: int) -> None:
        with RawClient(server.port) as client:
            call = client.start("DoGet", field(1, tickets[number % len(tickets)]))
            next(call)
            if number % 2:
                call.cancel()

    def leave_all() -> int:
        with ThreadPoolExecutor(20) as pool:
            list(pool.map(leave, range(LEAVERS)))
        server.wait_until_idle()
        server.wait_until(lambda: server.handles() <= handles, "file handles are given back")
        return server.resident_bytes()

    first = leave_all()
    # What the allocator keeps of the first round is there for the second.
    assert leave_all() < first + 128 * MEBIBYTE
    # Those of the pool for blocking work end when they were idle for a while.
    assert server.threads() <= threads + LEAVERS // 2


def test_clients_that_connect_and_say_nothing_are_forgotten_when_they_leave(server):
    handles = server.handles()
    clients = [RawClient(server.port) for _ in range(50)]
    for client in clients:
        assert client.call("ListActions", b"").messages
    assert server.handles() >= handles + 50
    for client in clients:
        client.channel.close()
    server.wait_until(lambda: server.handles() <= handles, "connections are closed")


# A server that is killed or stopped


def test_a_reader_that_retries_survives_kill_9(atlas, grids, tmp_path):
    key = tmp_path / "key"
    key.write_text("k" * 40)
    server = Server(atlas, "--key", key, grids=grids)
    kills = 0

    def kill_and_restart():
        nonlocal server, kills
        server.child.kill()
        server.child.wait()
        kills += 1
        server = Server(atlas, "--key", key, on_port=server.port, grids=grids)

    def read(ticket: flight.Ticket, kill: bool) -> pa.Table:
        """One endpoint, from its beginning until it is read whole."""
        while True:
            try:
                with server.connect() as client:
                    batches = []
                    for chunk in client.do_get(ticket):
                        batches.append(chunk.data)
                        if kill:
                            kill = False
                            kill_and_restart()
                    return pa.Table.from_batches(batches)
            except (flight.FlightError, pa.ArrowException):
                assert server.child.poll() is None, "the server ended by itself"

    try:
        info = grids_info(server, 4)
        table = pa.concat_tables(read(endpoint.ticket, at != 1) for at, endpoint in enumerate(info.endpoints))
        assert kills == 3
        assert_all_grids(stacked(table["grid"]))
        assert table["dataset"].to_pylist() == [f"grid_{number:02}" for number in range(GRIDS)]
    finally:
        server.terminate()


def test_a_server_that_is_stopped_ends_its_streams_and_takes_no_more(atlas, grids):
    with Server(atlas, grids=grids) as server:
        (endpoint,) = grids_info(server, 1).endpoints
        with server.connect() as client:
            reader = client.do_get(endpoint.ticket)
            batches = [reader.read_chunk().data]
            server.child.send_signal(signal.SIGTERM)

            def refuses() -> bool:
                with RawClient(server.port) as other:
                    return not other.call("ListActions", b"").messages

            server.wait_until(refuses, "new calls are refused")
            batches += [chunk.data for chunk in reader]
        assert_all_grids(stacked(pa.Table.from_batches(batches)["grid"]))
        assert server.child.wait(20) == 0

"""Reads that are cut: by a server that is killed or started again, by Ctrl-C, by tickets that expire, by a lying server."""

from __future__ import annotations

import json
import os
import signal
import threading

import numpy as np
import pytest
from flight_server import Server, command, fleet, fleet_server, wait_for  # noqa: F401

import atlas
from atlas.errors import CorruptError, UnavailableError

pytest.importorskip("pyarrow.flight")

import pyarrow as pa  # noqa: E402
import pyarrow.flight as flight  # noqa: E402

from atlas.flight import _fetch, _stacked, _whole  # noqa: E402

DATASETS = 48
SLOW = "SELECT count(*) FROM generate_series(1, 1000000000000) WHERE value % 7 = 3"


@pytest.fixture(scope="module")
def cells():
    return np.random.default_rng(1).random((DATASETS, 512, 512), dtype="float32")


@pytest.fixture
def wide(cells, tmp_path):
    """A store whose parts are several messages each."""
    path = tmp_path / "wide"
    with atlas.Atlas.create(str(path), codec="none") as store:
        for number, values in enumerate(cells):
            dataset = store.create_dataset(f"d{number:02}")
            dataset.define_array("x", "float32", ["y", "x"], values.shape)
            dataset.write_array("x", [0, 0], values)
    return path


@pytest.fixture
def key(tmp_path):
    file = tmp_path / "server.key"
    file.write_text(os.urandom(32).hex())
    return ["--key", file]


@pytest.fixture
def at_first_batch(monkeypatch):
    """Does something once, in the thread that takes the first batch of a read."""
    todo = []
    take = _stacked.Stack.take

    def taken(self, batch, at):
        take(self, batch, at)
        if todo:
            todo.pop()()

    monkeypatch.setattr(_stacked.Stack, "take", taken)
    return todo.append


@pytest.mark.parametrize("streams", [1, 3])
@pytest.mark.parametrize("keeps_its_key", [True, False])
def test_a_read_survives_its_server(command, wide, cells, key, at_first_batch, streams, keeps_its_key):
    with Server(command, *(key if keeps_its_key else []), wide=wide) as server, atlas.connect(server.uri) as client:

        def restart():
            server.kill()
            server.start()

        at_first_batch(restart)
        told = []
        found = client.stacked("x", streams=streams, progress=lambda *numbers: told.append(numbers))
        assert found.tobytes() == cells.tobytes()
        assert told[-1][0] == told[-1][1] and told[-1][2] == DATASETS


@pytest.mark.parametrize("streams", [1, 3])
def test_tickets_of_another_server_are_asked_for_anew(command, wide, cells, monkeypatch, streams):
    plan, plans = _stacked.Stacks._plan, []
    with Server(command, wide=wide) as server, atlas.connect(server.uri) as client:

        def planned(self, request, lanes):
            plans.append(plan(self, request, lanes))
            if len(plans) == 1:
                # Without --key, it takes no tickets of the one before, and no call has noticed that it was gone.
                server.kill()
                server.start()
            return plans[-1]

        monkeypatch.setattr(_stacked.Stacks, "_plan", planned)
        assert client.stacked("x", streams=streams).tobytes() == cells.tobytes()
        assert len(plans) == 2


def test_a_read_of_a_store_that_was_changed_meanwhile_is_of_one_snapshot(command, wide, cells, key, at_first_batch):
    with Server(command, *key, wide=wide) as server, atlas.connect(server.uri) as client:

        def change():
            server.kill()
            command("rm", wide, "d00")
            server.start()

        at_first_batch(change)
        assert client.stacked("x", streams=2).tobytes() == cells[1:].tobytes()


def test_a_server_that_stays_away_is_an_error(command, wide, at_first_batch, monkeypatch):
    monkeypatch.setattr(_fetch.Patience, "_ATTEMPTS", 1)
    with Server(command, wide=wide) as server, atlas.connect(server.uri) as client:
        at_first_batch(server.kill)
        with pytest.raises(UnavailableError, match="connect") as caught:
            client.stacked("x", streams=2)
        assert isinstance(caught.value, ConnectionError) and "\n" not in str(caught.value)
        with pytest.raises(UnavailableError):
            client.stacked("x")
        monkeypatch.undo()
        server.start()
        assert len(client.stacked("x", datasets=["d07"])) == 1


def test_tickets_are_renewed_before_they_expire(command, wide, cells, monkeypatch):
    renewed = []
    renew = _fetch.Fetch._renew

    def counted(self, part):
        before = part.endpoint.ticket
        renew(self, part)
        assert part.endpoint.ticket != before
        renewed.append(part.endpoint)

    monkeypatch.setattr(_fetch, "_renewal", lambda endpoint: 0.0)
    monkeypatch.setattr(_fetch.Fetch, "_renew", counted)
    with Server(command, wide=wide) as server, atlas.connect(server.uri) as client:
        assert client.stacked("x", streams=2).tobytes() == cells.tobytes()
    assert len(renewed) == 4


# Ctrl-C, and the caller's own errors


def interrupt_when(condition) -> threading.Thread:
    """Ctrl-C, as soon as something holds."""

    def wait():
        wait_for(condition, "the call begins")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def is_running(name: str) -> bool:
    return any(thread.name == name for thread in threading.enumerate())


def test_ctrl_c_ends_a_query_on_the_server(fleet_server):
    with atlas.connect(fleet_server.uri) as client:
        thread = interrupt_when(lambda: is_running("atlas-flight-stream"))
        with pytest.raises(KeyboardInterrupt):
            client.sql(SLOW)
        thread.join()
        fleet_server.wait_until_idle()
        assert client.sql("SELECT 1 AS one")["one"].to_pylist() == [1]


@pytest.mark.parametrize("progress", [None, lambda *_: None], ids=["quiet", "progress"])
def test_ctrl_c_ends_a_stacked_read(command, wide, progress, at_first_batch):
    with Server(command, wide=wide) as server, atlas.connect(server.uri) as client:
        # The server does not go on, and so the read would not end.
        stopped = threading.Event()

        def stop():
            os.kill(server.child.pid, signal.SIGSTOP)
            stopped.set()

        at_first_batch(stop)
        thread = interrupt_when(stopped.is_set)
        with pytest.raises(KeyboardInterrupt):
            client.stacked("x", streams=2, progress=progress)
        thread.join()
        os.kill(server.child.pid, signal.SIGCONT)
        wait_for(lambda: not is_running("atlas-flight-read"), "the streams end")
        server.wait_until_idle()
        assert len(client.stacked("x", datasets=["d07"])) == 1


def test_ctrl_c_ends_the_read_of_a_dataset(command, wide, at_first_batch, monkeypatch):
    monkeypatch.setattr(_whole, "_PART_BYTES", 1 << 17)
    with atlas.Atlas.open(str(wide)) as store:
        dataset = store.create_dataset("chunked")
        dataset.define_array("x", "float32", ["y", "x"], [512, 512], [8, 512])
    with Server(command, wide=wide) as server, atlas.connect(server.uri) as client:
        stopped = threading.Event()

        def stop():
            os.kill(server.child.pid, signal.SIGSTOP)
            stopped.set()

        at_first_batch(stop)
        thread = interrupt_when(stopped.is_set)
        with pytest.raises(KeyboardInterrupt):
            client.to_xarray("chunked")
        thread.join()
        os.kill(server.child.pid, signal.SIGCONT)
        wait_for(lambda: not is_running("atlas-flight-read"), "the streams end")
        server.wait_until_idle()
        assert client.to_xarray("chunked")["x"].shape == (512, 512)


def test_an_error_of_the_callback_ends_the_read(command, wide):
    def stop(*_):
        raise LookupError("enough")

    with Server(command, wide=wide) as server, atlas.connect(server.uri) as client:
        with pytest.raises(LookupError, match="enough"):
            client.stacked("x", progress=stop)
        wait_for(lambda: not is_running("atlas-flight-read"), "the streams end")
        server.wait_until_idle()


# Other servers


class Uneven(flight.FlightServerBase):
    """Gives the rows 0, 1, 2, … in endpoints of any lengths, and announces any number of them."""

    def __init__(self, lengths, announced):
        self.schema = pa.schema({"dataset": pa.string(), "x": pa.int64()}, {})
        bounds = np.cumsum([0, *lengths])
        self.parts = [range(low, high) for low, high in zip(bounds, bounds[1:])]
        self.announced = announced
        super().__init__("grpc://127.0.0.1:0")

    def do_action(self, context, action):
        return iter([])

    def get_flight_info(self, context, descriptor):
        if not descriptor.command.startswith(b"{"):
            schema = pa.schema({"db_schema_name": pa.string()})
            return flight.FlightInfo(schema, descriptor, [flight.FlightEndpoint("stores", [])], -1, -1)
        endpoints = [flight.FlightEndpoint(str(part), []) for part in range(len(self.parts))]
        return flight.FlightInfo(self.schema, descriptor, endpoints, self.announced, -1)

    def do_get(self, context, ticket):
        if ticket.ticket == b"stores":
            return flight.RecordBatchStream(pa.table({"db_schema_name": ["s"]}))
        rows = self.parts[json.loads(ticket.ticket)]
        table = pa.table([pa.array([f"d{row}" for row in rows], pa.string()), pa.array(rows, pa.int64())], self.schema)
        return flight.RecordBatchStream(table)


@pytest.mark.parametrize("lengths", [[4, 4], [1, 5, 2], [0, 8], [8, 0], [8]])
def test_endpoints_of_any_lengths_are_put_together_in_order(lengths):
    with Uneven(lengths, 8) as server, atlas.connect(f"grpc://127.0.0.1:{server.port}/s") as client:
        assert client.stacked("x").tolist() == list(range(8))


@pytest.mark.parametrize(("lengths", "announced"), [([4, 4], 9), ([4, 4], 7), ([3], 0)])
def test_another_number_of_rows_than_was_announced_is_an_error(lengths, announced):
    with Uneven(lengths, announced) as server, atlas.connect(f"grpc://127.0.0.1:{server.port}/s") as client:
        with pytest.raises(CorruptError, match=str(announced)):
            client.stacked("x")

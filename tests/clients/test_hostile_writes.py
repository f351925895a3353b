"""Uploads and actions that no client should send, to a server that may be written to: it goes on, and its store stays whole."""

import json
import random

import grpc
import numpy as np
import pyarrow as pa
import pytest

from atlas_process import Server
from raw_flight import RawClient, action, command, field, flight_data, ipc_messages, path, sql_message
from test_hostile import REFUSALS, SEED, damaged, is_refusal
from test_hostile_put import lying
from test_ingest import casts, tensors

CALLS = 400
CONFLICTS = {grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.ABORTED}


@pytest.fixture(scope="module")
def store(atlas, tmp_path_factory):
    store = tmp_path_factory.mktemp("stores") / "written"
    atlas("create", store)
    return store


@pytest.fixture(scope="module")
def server(atlas, store):
    with Server(atlas, "--writable", fleet=store) as server:
        yield server


@pytest.fixture
def client(server):
    with RawClient(server.port) as client:
        yield client


@pytest.fixture(autouse=True)
def unharmed(atlas, store, server):
    logged = len(server.output)
    yield
    assert server.child.poll() is None, "".join(server.output[-20:])
    assert server.sql("SELECT count(*) AS n FROM datasets").num_rows == 1
    wrong = [line for line in server.output[logged:] if "panicked at" in line or "internal error" in line]
    # The Arrow crate panics where a bitmap is shorter than its column, which the server catches.
    assert not [line for line in wrong if "/arrow-buffer-" not in line], "".join(wrong)
    atlas("verify", store)


def assert_answered(answers) -> None:
    bad = [
        answer
        for answer in answers
        if answer.code not in CONFLICTS | {grpc.StatusCode.OK} and not is_refusal(answer)
    ]
    assert not bad, f"ATLAS_TEST_SEED={SEED}: {bad[:5]}"


def uploads(number: int) -> list[tuple[bytes, list[tuple[bytes, bytes]]]]:
    """Descriptors of every kind and the messages that go with them."""
    rows = casts(number, 2).combine_chunks().to_batches()
    lists = pa.record_batch([pa.array([f"list_{number}"]), pa.array([[1.5, None]])], names=["dataset", "list"])
    cells = pa.record_batch([pa.array(np.arange(12.0)), tensors(np.zeros((12, 2), "i4"))], names=["x", "y"])
    put = {"store": "fleet"}
    ingest = field(1, field(1, 1) + field(2, 2)) + field(2, "datasets") + field(3, "fleet")
    of_rows, of_lists, of_cells = (ipc_messages(*batches) for batches in (rows, [lists], [cells]))
    return [
        (path("fleet"), of_rows),
        (path("fleet"), of_lists),
        (path("fleet", f"one_{number}"), of_cells),
        (command(json.dumps({"put": put | {"mode": "overwrite"}}).encode()), of_rows),
        (command(json.dumps({"put": put | {"mode": "create", "rows": 2}}).encode()), of_rows),
        (command(json.dumps({"put": put | {"mode": "overwrite", "start": [0, 0]}}).encode()), of_rows),
        (command(json.dumps({"put": put | {"dataset": f"two_{number}", "dim": "time"}}).encode()), of_cells),
        (command(sql_message("CommandStatementIngest", ingest)), of_rows),
        (command(sql_message("CommandStatementUpdate", field(1, f"DELETE FROM datasets WHERE dataset = 'x{number}'"))), []),
    ]


def test_damaged_uploads(client):
    rng = random.Random(f"{SEED} uploads")

    def upload(number: int) -> tuple[bytes, ...]:
        descriptor, messages = rng.choice(uploads(number % 50))
        parts = [list(message) for message in messages] or [[b"", b""]]
        target = rng.choice(["descriptor", "header", "body", "order"])
        at = rng.randrange(len(parts))
        if target == "descriptor":
            descriptor = damaged(rng, descriptor)
        elif target == "header":
            parts[at][0] = lying(rng, parts[at][0])
        elif target == "body":
            parts[at][1] = lying(rng, parts[at][1])
        else:
            rng.shuffle(parts)
        return tuple(flight_data(*part, descriptor=descriptor if index == 0 else b"") for index, part in enumerate(parts))

    assert_answered(client.calls("DoPut", (upload(number) for number in range(CALLS))))


def test_damaged_actions(client):
    rng = random.Random(f"{SEED} actions")
    one = {"store": "fleet", "dataset": "new"}
    bodies = [
        ("create_dataset", one | {"attributes": {"a": 1, "b": "x", "c": 2.5, "d": True}}),
        ("set_attributes", one | {"attributes": {"a": None, "b": "y"}}),
        ("delete_dataset", {"store": "fleet", "datasets": ["new", "other"]}),
        ("flush", {"store": "fleet"}),
        ("compact", {"store": "fleet", "retention_seconds": 3600}),
        ("refresh", {"store": "fleet"}),
        ("stats", {"store": "fleet"}),
    ]

    def request() -> tuple[bytes]:
        kind, body = rng.choice(bodies)
        return (action(kind, damaged(rng, json.dumps(body).encode())),)

    assert_answered(client.calls("DoAction", (request() for _ in range(CALLS))))


VALUES = [None, True, 0, -1, 2**63, 2**64, -(2**63) - 1, 1e400, "", "x" * 100_000, "\0", "../up", "/etc", [], [1], {}, "é", "a/b"]


@pytest.mark.parametrize("kind", ["create_dataset", "set_attributes", "delete_dataset", "compact"])
def test_odd_values_in_actions(client, kind):
    one = {"store": "fleet", "dataset": "new", "attributes": {"a": 1}}
    if kind == "compact":
        one = {"store": "fleet", "retention_seconds": 3600}
    elif kind == "delete_dataset":
        one.pop("attributes")
    answers = []
    for value in VALUES:
        for key in one:
            answers.append(client.call("DoAction", action(kind, json.dumps(one | {key: value}).encode())))
        if "attributes" in one:
            for name in ("a", "", "\0", "a.b", "x" * 100_000, "dataset"):
                body = one | {"attributes": {name: value}}
                answers.append(client.call("DoAction", action(kind, json.dumps(body).encode())))
    assert_answered(answers)


@pytest.mark.parametrize("name", ["", "\0", ".", "..", "../up", "/etc/passwd", "a/b", "x" * 300, "x" * 100_000, "é" * 200, "\n", "CON", "*"])
def test_odd_names_of_datasets_and_arrays(client, server, store, name):
    cells = tensors(np.arange(3.0).reshape(1, 3))
    tables = {
        "dataset": pa.record_batch([pa.array([name]), cells], names=["dataset", "x"]),
        "array": pa.record_batch([pa.array([f"of {name[:20]}"]), cells], names=["dataset", name]),
        "attribute": pa.record_batch([pa.array([f"with {name[:20]}"]), pa.array([1])], names=["dataset", name]),
        "dimension": pa.record_batch(
            [pa.array([f"along {name[:20]}"]), tensors(np.arange(3.0).reshape(1, 3), [name])], names=["dataset", "by"]
        ),
    }
    before = sorted(entry.name for entry in store.parent.iterdir())
    for what, batch in tables.items():
        header, *rest = (flight_data(*message) for message in ipc_messages(batch))
        first = field(1, path("fleet")) + header
        answer = client.call("DoPut", first, *rest)
        assert answer.code in REFUSALS | CONFLICTS | {grpc.StatusCode.OK}, f"{what}: {answer}"
        if answer.code == grpc.StatusCode.OK and what == "dataset":
            found = server.sql("SELECT element(x, 2) AS x FROM datasets WHERE dataset = ?", (name,)).to_pylist()
            assert found == [{"x": 2.0}]
    # Nothing is written beside the store.
    assert sorted(entry.name for entry in store.parent.iterdir()) == before

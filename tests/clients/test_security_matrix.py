"""Every method against every kind of caller, and every way in which SQL could tell one user of another's stores, or reach beyond the
stores."""

import base64
import json
import os
from pathlib import Path

import adbc_driver_manager
import grpc
import pytest

from atlas_process import Server
from raw_flight import METHODS, RawClient, action, command, field, fields, flight_data, path, sql_message
from test_hostile import prepare, ticket_of
from test_security import ANN, BOB, adbc, login, rows
from test_security import logins  # noqa: F401 (fixture)

OK = grpc.StatusCode.OK
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
DENIED = grpc.StatusCode.PERMISSION_DENIED
MISSING = grpc.StatusCode.NOT_FOUND


def basic(user: str, password: str) -> tuple:
    return (("authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()),)


def bearer(token: str) -> tuple:
    return (("authorization", f"Bearer {token}"),)


@pytest.fixture(scope="module")
def server(atlas, fleet_store, logins):  # noqa: F811
    """The server of test_security.py, for as many wrong passwords as it takes."""
    with Server(
        atlas, "--users", logins.file, "--max-login-failures", "0", fleet=fleet_store, other=fleet_store
    ) as server:
        yield server


def token_of(server: Server, user: tuple[str, str]) -> str:
    with RawClient(server.port, basic(*user)) as client:
        answer = client.call("Handshake", b"")
        assert answer.code == OK, answer
        return fields(answer.messages[0])[2][0].decode()


@pytest.fixture
def clients(server):
    """A client of each user."""
    with RawClient(server.port, basic(*ANN)) as ann, RawClient(server.port, basic(*BOB)) as bob:
        yield {"ann": ann, "bob": bob}


def statement(sql: str) -> bytes:
    return command(sql_message("CommandStatementQuery", field(1, sql)))


def requests(client: RawClient) -> dict[str, list[bytes]]:
    """Requests of every method that a user is given an answer to."""
    descriptors = [path("fleet", "temperature"), statement("SELECT 1 AS one"), command(sql_message("CommandGetCatalogs"))]
    handle = prepare(client, "SELECT ? AS a")
    close = sql_message("ActionClosePreparedStatementRequest", field(1, handle))
    update = sql_message("CommandStatementUpdate", field(1, "DELETE FROM datasets"))
    return {
        "GetFlightInfo": descriptors,
        "PollFlightInfo": descriptors,
        "GetSchema": descriptors,
        "DoGet": [field(1, ticket_of(client, descriptor)) for descriptor in descriptors],
        "ListFlights": [b""],
        "ListActions": [b""],
        "DoAction": [action("GetSessionOptions"), action("ClosePreparedStatement", close), action("stats", b"{}")],
        "DoPut": [flight_data(descriptor=command(update)), flight_data(descriptor=path("fleet"))],
        "DoExchange": [flight_data(descriptor=path("fleet"))],
        "Handshake": [b""],
    }


# Callers


@pytest.mark.parametrize("method", METHODS)
def test_every_method_asks_who_calls(server, clients, logins, method):  # noqa: F811
    token = token_of(server, ANN)
    strangers = {
        "nobody": (),
        "a wrong password": basic(ANN[0], "wrong"),
        "an unknown user": basic("nobody", ANN[1]),
        "a made-up token": bearer("x" * 40),
        "the token of a server without users": bearer("anonymous"),
        "a changed token": bearer(token[:-2] + ("aa" if token[-2:] != "aa" else "bb")),
        "a cut token": bearer(token[: len(token) // 2]),
        "a token and a half": bearer(token + token[:10]),
        "another scheme": (("authorization", f"Digest {token}"),),
        "no scheme": (("authorization", token),),
        "nothing": (("authorization", ""),),
        "half of a login": (("authorization", "Basic " + base64.b64encode(b"ann").decode()),),
        "no base64": (("authorization", "Basic ?!"),),
        "another header": (("x-authorization", f"Bearer {token}"),),
    }
    known = [basic(*ANN), bearer(token), bearer(logins.token)]
    for request in requests(clients["ann"])[method]:
        for who, header in strangers.items():
            with RawClient(server.port, header) as client:
                answer = client.call(method, request)
            assert answer.code == UNAUTHENTICATED and not answer.messages, f"{who}: {answer}"
        for header in known:
            with RawClient(server.port, header) as client:
                assert client.call(method, request).code != UNAUTHENTICATED


def test_every_method_refuses_a_token_that_has_expired(atlas, fleet_store, logins):  # noqa: F811
    options = ["--users", logins.file, "--token-lifetime", "1s"]
    with Server(atlas, *options, fleet=fleet_store) as server:
        with RawClient(server.port, basic(*ANN)) as client:
            sent = requests(client)
        with RawClient(server.port, bearer(token_of(server, ANN))) as client:
            assert client.call("ListActions", b"").code == OK
            server.wait_until(lambda: client.call("ListActions", b"").code == UNAUTHENTICATED, "the token expires")
            for method in METHODS:
                for request in sent[method]:
                    assert client.call(method, request).code == UNAUTHENTICATED, method


def test_nothing_that_was_given_to_one_user_is_of_use_to_another(clients):
    ann, bob = clients["ann"], clients["bob"]
    info = ann.call("GetFlightInfo", path("fleet", "temperature")).messages[0]
    endpoint = fields(info)[3][0]
    handle = prepare(ann, "SELECT 1 AS one")
    of_handle = command(sql_message("CommandPreparedStatementQuery", field(1, handle)))
    close = sql_message("ActionClosePreparedStatementRequest", field(1, handle))
    tickets = [ticket_of(ann, descriptor) for descriptor in (path("fleet", "temperature"), statement("SELECT 1"), of_handle)]
    theirs = {
        "GetFlightInfo": [of_handle],
        "PollFlightInfo": [of_handle],
        "GetSchema": [of_handle],
        "DoGet": [field(1, ticket) for ticket in tickets],
        "DoPut": [flight_data(descriptor=of_handle)],
        "DoAction": [action("ClosePreparedStatement", close)],
    }
    for method, messages in theirs.items():
        for message in messages:
            assert bob.call(method, message).code == DENIED, method
            if method != "DoAction":
                assert ann.call(method, message).code in (OK, grpc.StatusCode.INVALID_ARGUMENT), method
    # What cancels or renews says nothing of what is there.
    for kind, body in (("CancelFlightInfo", field(1, info)), ("RenewFlightEndpoint", field(1, endpoint))):
        assert bob.call("DoAction", action(kind, body)).code in (OK, DENIED, MISSING)
    assert ann.call("DoGet", field(1, tickets[0])).code == OK


def test_one_who_may_only_read_changes_nothing(clients):
    ingest = sql_message("CommandStatementIngest", field(1, field(1, 1) + field(2, 2)) + field(2, "datasets") + field(3, "fleet"))
    puts = [command(ingest), path("fleet"), path("fleet", "cast_000"), command(json.dumps({"put": {"store": "fleet"}}).encode())]
    puts += [
        command(sql_message("CommandStatementUpdate", field(1, sql)))
        for sql in ("DELETE FROM fleet.datasets", "INSERT INTO fleet.datasets (dataset) VALUES ('x')", "DROP TABLE fleet.datasets")
    ]
    one = {"store": "fleet", "dataset": "cast_000"}
    bodies = {
        "create_dataset": {"store": "fleet", "dataset": "x"},
        "delete_dataset": one,
        "set_attributes": one | {"attributes": {"month": 1}},
        "compact": {"store": "fleet"},
    }
    for client in clients.values():
        for descriptor in puts:
            assert client.call("DoPut", flight_data(descriptor=descriptor)).code in (DENIED, grpc.StatusCode.INVALID_ARGUMENT)
        for kind, body in bodies.items():
            assert client.call("DoAction", action(kind, json.dumps(body).encode())).code == DENIED, kind


# What a user sees: bob may read `fleet`, and must not learn that there is an `other`


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT table_catalog, table_schema, table_name FROM information_schema.tables",
        "SELECT table_schema, table_name, column_name FROM information_schema.columns",
        "SELECT catalog_name, schema_name FROM information_schema.schemata",
        "SELECT * FROM information_schema.views",
        "SELECT name, value FROM information_schema.df_settings",
        "SHOW TABLES",
        "SHOW ALL",
        "SHOW COLUMNS FROM datasets",
        "DESCRIBE datasets",
        "EXPLAIN SELECT * FROM datasets",
        "EXPLAIN VERBOSE SELECT * FROM datasets",
        "EXPLAIN ANALYZE SELECT count(*) FROM datasets",
    ],
)
def test_no_listing_tells_of_another_store(server, sql):  # noqa: F811
    found = [str(row) for row in rows(server.uri, login(BOB), sql)]
    assert found or "views" in sql
    assert not [row for row in found if "'other'" in row or "other." in row]


FROM_OTHER = [
    "SELECT * FROM other.datasets",
    "SELECT * FROM atlas.other.datasets",
    'SELECT * FROM "other"."datasets"',
    "SELECT * FROM datasets UNION ALL SELECT * FROM other.datasets",
    "SELECT (SELECT count(*) FROM other.datasets)",
    "SELECT * FROM datasets WHERE dataset IN (SELECT dataset FROM other.datasets)",
    "WITH x AS (SELECT * FROM other.datasets) SELECT * FROM x",
    "EXPLAIN SELECT * FROM other.datasets",
    "EXPLAIN ANALYZE SELECT * FROM other.datasets",
    "DESCRIBE other.datasets",
    "SHOW COLUMNS FROM other.datasets",
    "SHOW CREATE TABLE other.datasets",
]


@pytest.mark.parametrize("sql", FROM_OTHER)
def test_a_store_of_others_is_like_one_that_does_not_exist(server, sql):  # noqa: F811
    assert rows(server.uri, login(ANN), sql) or "SHOW CREATE" in sql
    messages = []
    for store in ("other", "nowhere"):
        with pytest.raises(adbc_driver_manager.Error) as caught:
            rows(server.uri, login(BOB), sql.replace("other", store))
        messages.append((caught.value.status_code, str(caught.value).replace(store, "it")))
    assert messages[0] == messages[1]


def test_browsing_and_bulk_reads_tell_nothing_of_a_store_of_others(clients):
    ann, bob = clients["ann"], clients["bob"]
    of_a_table = field(1, "atlas") + field(2, "STORE") + field(3, "datasets")
    descriptors = [
        path("STORE", "temperature"),
        path("STORE", "temperature", "cast_000"),
        command(json.dumps({"stacked": {"store": "STORE", "arrays": ["temperature"]}}).encode()),
    ]
    for descriptor in descriptors:
        for method in ("GetFlightInfo", "PollFlightInfo", "GetSchema"):
            told = []
            for store in (b"other", b"third"):
                answer = bob.call(method, descriptor.replace(b"STORE", store))
                told.append((answer.code, answer.details.replace(store.decode(), "it")))
            assert told[0] == told[1] and told[0][0] == MISSING
            assert ann.call(method, descriptor.replace(b"STORE", b"other")).code == OK
    browse = {
        "CommandGetDbSchemas": b"",
        "CommandGetTables": field(5, 1),
        "CommandGetPrimaryKeys": of_a_table.replace(b"STORE", b"other"),
        "CommandGetCatalogs": b"",
    }
    for name, body in browse.items():
        descriptor = command(sql_message(name, body))
        answer = bob.call("DoGet", field(1, ticket_of(bob, descriptor)))
        assert answer.code == OK and b"other" not in b"".join(answer.messages), name
    listed = b"".join(bob.call("ListFlights", b"").messages)
    assert b"fleet" in listed and b"other" not in listed
    for kind in ("stats", "refresh", "flush", "compact", "delete_dataset"):
        told = []
        for store in ("other", "third"):
            body = {"store": store} | ({"dataset": "x"} if "dataset" in kind else {})
            answer = bob.call("DoAction", action(kind, json.dumps(body).encode()))
            told.append((answer.code, answer.details.replace(store, "it")))
        assert told[0] == told[1] and told[0][0] != OK, kind


# Beyond the stores


@pytest.fixture(scope="module")
def secret(tmp_path_factory):
    """A file that must not be read, and a folder in which nothing must appear."""
    folder = tmp_path_factory.mktemp("secret")
    (folder / "table.csv").write_text("a,b\n1,very-secret\n")
    return folder


OUTSIDE = [
    "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{file}'",
    "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION 'file://{file}'",
    "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION 'http://127.0.0.1:1/x.parquet'",
    "COPY (SELECT 1) TO '{folder}/out.csv'",
    "COPY datasets TO '{folder}/out.parquet' STORED AS PARQUET",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{folder}/out.json'",
    "SELECT * FROM '{file}'",
    'SELECT * FROM "{file}"',
    "SELECT * FROM read_csv('{file}')",
    "SELECT * FROM csv_scan('{file}')",
    "SELECT * FROM read_parquet('{file}')",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT read_text('{file}')",
    "SELECT load_extension('{file}')",
    "SELECT getenv('PATH')",
    "SELECT * FROM slice('{file}')",
    "SELECT slice('{file}', [0], [1])",
    "SET datafusion.execution.batch_size = 1",
    "SET datafusion.runtime.temp_directory = '{folder}'",
    "SET datafusion.catalog.location = '{folder}'",
    "SET atlas.out_of_bounds = 'null'",
    "RESET datafusion.execution.batch_size",
    "CREATE FUNCTION f() RETURNS INT LANGUAGE c AS '{file}'",
    "ATTACH '{file}' AS x",
    "INSTALL httpfs",
    "LOAD '{file}'",
    "CALL f('{file}')",
    "PREPARE x AS SELECT 1",
    "BEGIN; COPY (SELECT 1) TO '{folder}/out.csv'",
    "SELECT 1; COPY (SELECT 1) TO '{folder}/out.csv'",
]


@pytest.mark.parametrize("sql", OUTSIDE)
def test_sql_reaches_nothing_but_the_stores(fleet_server, secret, sql):
    sql = sql.format(file=secret / "table.csv", folder=secret)
    query, where = statement(sql), {"stacked": {"store": "fleet", "arrays": ["temperature"], "where": sql}}
    prepare_it = sql_message("ActionCreatePreparedStatementRequest", field(1, sql))
    update = command(sql_message("CommandStatementUpdate", field(1, sql)))
    with RawClient(fleet_server.port) as client:
        answers = [
            client.call("GetFlightInfo", query),
            client.call("GetSchema", query),
            client.call("DoAction", action("CreatePreparedStatement", prepare_it)),
            client.call("GetFlightInfo", command(json.dumps(where).encode())),
            client.call("DoPut", flight_data(descriptor=update)),
        ]
    for answer in answers:
        assert answer.code in (DENIED, MISSING, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNIMPLEMENTED), answer
        assert "very-secret" not in answer.details and "\n" not in answer.details
    assert os.listdir(secret) == ["table.csv"]


def test_strings_that_look_like_paths_are_strings(fleet_server, secret):
    file = str(secret / "table.csv")
    found = fleet_server.sql("SELECT ? AS a, length(?) AS n, concat('file://', ?) AS url", (file,) * 3).to_pylist()
    assert found == [{"a": file, "n": len(file), "url": f"file://{file}"}]


def test_settings_are_shown_and_stay(fleet_server):
    before = fleet_server.sql("SHOW ALL").to_pylist()
    for setting in ("datafusion.execution.batch_size = 7", "datafusion.optimizer.max_passes = 0"):
        with fleet_server.adbc() as connection, connection.cursor() as cursor:
            with pytest.raises(adbc_driver_manager.Error):
                cursor.execute(f"SET {setting}")
    assert fleet_server.sql("SHOW ALL").to_pylist() == before
    # Nothing of the machine is in them.
    assert not [row for row in before if row["value"] and str(Path.home()) in str(row["value"])]


def test_users_do_not_share_what_they_bind(server):  # noqa: F811
    with adbc(server.uri, login(ANN)) as ann, adbc(server.uri, login(BOB)) as bob:
        with ann.cursor() as one, bob.cursor() as two:
            one.execute("SELECT ? AS a", ("ann's",))
            two.execute("SELECT ? AS a", ("bob's",))
            assert (one.fetchall(), two.fetchall()) == ([("ann's",)], [("bob's",)])

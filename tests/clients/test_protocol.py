"""What clients do beside asking: sessions, cancelling, tickets that expire, listings, users that come and go."""

import contextlib
import json
import os
import time
from datetime import datetime, timedelta, timezone

import adbc_driver_flightsql.dbapi
import adbc_driver_manager
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from adbc_driver_flightsql import DatabaseOptions

from atlas_process import Server
from fleet import CASTS, cast_name
from test_jdbc import Jdbc, driver_jar

COOKIES = {DatabaseOptions.WITH_COOKIE_MIDDLEWARE.value: "true"}
ENDLESS = "SELECT value FROM generate_series(1, 1000000000000)"
COUNT = "SELECT count(*) AS n FROM datasets"
CANCELLED, NOT_CANCELLABLE = b"\x08\x01", b"\x08\x03"


@pytest.fixture(scope="module")
def smaller_store(atlas, fleet_files, tmp_path_factory):
    """The fleet without its first cast: its count tells it from the fleet."""
    store = tmp_path_factory.mktemp("stores") / "smaller"
    atlas("import", store, fleet_files)
    atlas("rm", store, cast_name(0))
    return store


@pytest.fixture(scope="module")
def server(atlas, fleet_store, smaller_store):
    with Server(atlas, fleet=fleet_store, smaller=smaller_store) as server:
        yield server


def adbc(server, options=COOKIES, **more):
    return adbc_driver_flightsql.dbapi.connect(server.uri, db_kwargs=options, autocommit=True, **more)


def count(connection) -> int:
    with connection.cursor() as cursor:
        cursor.execute(COUNT)
        return cursor.fetchone()[0]


def wrapped(message: bytes) -> bytes:
    """A protobuf message whose field 1 is `message`."""
    length, rest = bytearray(), len(message)
    while rest > 0x7F:
        length.append(rest & 0x7F | 0x80)
        rest >>= 7
    return b"\x0a" + bytes(length) + bytes([rest]) + message


def act(client, name: str, body: bytes) -> bytes:
    return next(iter(client.do_action(flight.Action(name, body)))).body.to_pybytes()


# Sessions


def test_adbc_has_a_current_schema_of_its_own(server):
    with adbc(server) as one, adbc(server) as two:
        assert (one.adbc_current_catalog, one.adbc_current_db_schema) == ("atlas", "fleet")
        one.adbc_current_db_schema = "smaller"
        assert (one.adbc_current_db_schema, two.adbc_current_db_schema) == ("smaller", "fleet")
        assert (count(one), count(two)) == (CASTS - 1, CASTS)
        with pytest.raises(adbc_driver_manager.Error, match="schema"):
            one.adbc_current_db_schema = "nowhere"
        with pytest.raises(adbc_driver_manager.Error, match="catalog"):
            one.adbc_current_catalog = "nowhere"
        assert count(one) == CASTS - 1


def test_adbc_connects_with_a_schema(server):
    with adbc(server, conn_kwargs={"adbc.connection.db_schema": "smaller"}) as connection:
        assert count(connection) == CASTS - 1


def test_jdbc_connects_with_a_catalog(server):
    jdbc = Jdbc(server, driver_jar(), "useEncryption=false&catalog=atlas")
    assert jdbc.rows("query", COUNT) == [[str(CASTS)]]
    # The driver closes a session twice, and throws when its own channel is gone by then.
    jdbc.process.communicate()
    with pytest.raises(RuntimeError, match="catalog"):
        Jdbc(server, driver_jar(), "useEncryption=false&catalog=nowhere")


# Cancelling


def test_adbc_cancels_and_the_query_leaves_its_place(atlas, fleet_store):
    with Server(atlas, "--max-queries", "1", "--query-timeout", "0", fleet=fleet_store) as server:
        with adbc(server) as connection, connection.cursor() as cursor:
            cursor.execute(ENDLESS)
            reader = cursor.fetch_record_batch()
            assert reader.read_next_batch().num_rows > 0
            cursor.adbc_cancel()
            with pytest.raises((OSError, adbc_driver_manager.Error), match="ancel"):
                while True:
                    reader.read_next_batch()
        assert server.sql(COUNT)["n"].to_pylist() == [CASTS]


def test_a_flight_info_is_cancelled_from_elsewhere(server):
    info_of = flight.FlightDescriptor.for_path("fleet", "temperature")
    with server.connect() as client, server.connect() as other:
        info = client.get_flight_info(info_of)
        request = wrapped(info.serialize())
        assert act(other, "CancelFlightInfo", request) == CANCELLED
        with pytest.raises(flight.FlightCancelledError, match="the query was cancelled"):
            client.do_get(info.endpoints[0].ticket).read_all()
        info = client.get_flight_info(info_of)
        assert client.do_get(info.endpoints[0].ticket).read_all().num_rows == CASTS
        assert act(other, "CancelFlightInfo", wrapped(info.serialize())) == NOT_CANCELLABLE


# Expiry


def test_endpoints_expire_and_are_renewed(atlas, fleet_store):
    path = flight.FlightDescriptor.for_path("fleet", "temperature")
    with Server(atlas, "--ticket-lifetime", "30m", fleet=fleet_store) as server, server.connect() as client:
        endpoint = client.get_flight_info(path).endpoints[0]
        left = endpoint.expiration_time.as_py() - datetime.now(timezone.utc)
        assert timedelta(minutes=25) < left <= timedelta(minutes=30)
        renewed = flight.FlightEndpoint.deserialize(act(client, "RenewFlightEndpoint", wrapped(endpoint.serialize())))
        assert renewed.expiration_time.as_py() >= endpoint.expiration_time.as_py()
        assert client.do_get(renewed.ticket).read_all().num_rows == CASTS
    with Server(atlas, "--ticket-lifetime", "1s", fleet=fleet_store) as server, server.connect() as client:
        endpoint = client.get_flight_info(path).endpoints[0]
        with pytest.raises(pa.ArrowKeyError, match="the ticket expired"):
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                client.do_get(endpoint.ticket).read_all()


# Listings


def test_flights_are_listed_by_criteria(server):
    criteria = {"store": "smaller", "array": "temp*", "datasets": True, "where": "month = 3"}
    with server.connect() as client:
        flights = list(client.list_flights(json.dumps(criteria).encode()))
        paths = [tuple(part.decode() for part in info.descriptor.path) for info in flights]
        expected = [cast_name(number) for number in range(1, CASTS) if number % 12 + 1 == 3]
        assert paths == [("smaller", "temperature", cast) for cast in expected]
        for info in flights:
            table = client.do_get(info.endpoints[0].ticket).read_all()
            assert table.schema.equals(info.schema, check_metadata=True) and table.num_rows == info.total_records == 1
        with pytest.raises(pa.ArrowInvalid, match="unknown field `wher`"):
            list(client.list_flights(b'{"store": "fleet", "wher": "month = 3"}'))


# Users


def test_users_come_and_go_while_the_server_runs(atlas, fleet_store, tmp_path):
    def user(name: str):
        token, line = atlas("token").splitlines()
        return token, f"[users.{name}]\n{line}\nstores = {{ fleet = 'read' }}\n"

    def replace(text: str):
        new = tmp_path / "new.toml"
        new.write_text(text)
        os.replace(new, file)

    def asks(token: str):
        options = flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {token}".encode())])
        with server.connect() as client:
            return client.get_flight_info(flight.FlightDescriptor.for_path("fleet", "temperature"), options)

    def waits_until(condition):
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, "it did not come to be"

    def is_in(token: str) -> bool:
        with contextlib.suppress(flight.FlightUnauthenticatedError):
            return bool(asks(token))
        return False

    file = tmp_path / "users.toml"
    (ann, ann_lines), (bob, bob_lines) = user("ann"), user("bob")
    file.write_text(ann_lines)
    with Server(atlas, "--users", file, fleet=fleet_store) as server:
        assert is_in(ann) and not is_in(bob)
        replace(bob_lines)
        waits_until(lambda: is_in(bob))
        assert not is_in(ann)
        replace("[users.ann\n")
        waits_until(lambda: any("the users are as they were" in line for line in server.output))
        assert is_in(bob) and not any(bob in line or ann in line for line in server.output)

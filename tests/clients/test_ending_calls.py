"""Calls that end before they are done, by cancelling, by leaving or by a timeout: the server stops working for them."""

import threading

import adbc_driver_flightsql.dbapi
import adbc_driver_manager
import pytest
from adbc_driver_flightsql import DatabaseOptions
from adbc_driver_manager import AdbcStatusCode

from atlas_process import Server
from fleet import CASTS
from raw_flight import RawClient, field
from test_adbc import connection, cursor, server  # noqa: F401 (fixtures)


def connect(server: Server, **options: str):
    return adbc_driver_flightsql.dbapi.connect(server.uri, db_kwargs=options, autocommit=True)


LONG = "SELECT sum(random()) FROM generate_series(1, 1000000000000)"


def busy(server: Server, run) -> threading.Thread:
    """`run` in a thread, once the server works for it."""
    before = server.cpu_seconds()
    thread = threading.Thread(target=run)
    thread.start()
    server.wait_until(lambda: server.cpu_seconds() > before + 0.3, "the query runs")
    return thread


def test_cancelling_a_query_stops_the_servers_work(server, cursor):
    caught = []

    def run():
        try:
            cursor.execute(LONG)
            cursor.fetchall()
        except adbc_driver_manager.Error as error:
            caught.append(error)

    thread = busy(server, run)
    cursor.adbc_cancel()
    thread.join(20)
    assert [error.status_code for error in caught] == [AdbcStatusCode.CANCELLED]
    server.wait_until_idle()
    assert server.sql("SELECT 1 AS one").to_pylist() == [{"one": 1}]


@pytest.mark.parametrize("leave", ["cancel", "close"])
def test_a_client_that_leaves_stops_the_servers_work(server, leave):
    ticket = server.statement_ticket(LONG)
    before = server.cpu_seconds()
    with RawClient(server.port) as client:
        call = client.start("DoGet", field(1, ticket.ticket))
        server.wait_until(lambda: server.cpu_seconds() > before + 0.3, "the query runs")
        if leave == "cancel":
            call.cancel()
            server.wait_until_idle()
    server.wait_until_idle()


def test_a_timeout_of_the_client_stops_the_servers_work(server):
    with connect(server, **{DatabaseOptions.TIMEOUT_FETCH.value: "0.5"}) as connection, connection.cursor() as cursor:
        with pytest.raises(adbc_driver_manager.Error) as caught:
            cursor.execute(LONG)
            cursor.fetchall()
        assert caught.value.status_code in (AdbcStatusCode.TIMEOUT, AdbcStatusCode.CANCELLED)
    server.wait_until_idle()


def test_timeouts_that_are_long_enough_change_nothing(server):
    names = [DatabaseOptions.TIMEOUT_QUERY, DatabaseOptions.TIMEOUT_FETCH, DatabaseOptions.TIMEOUT_UPDATE]
    with connect(server, **{name.value: "60" for name in names}) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM fleet.datasets")
        assert cursor.fetchall() == [(CASTS,)]


def test_a_result_that_is_not_read_to_its_end_is_left_alone(server, connection):
    for _ in range(20):
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM generate_series(1, 1000000000)")
            assert cursor.fetchone() == (1,)
    server.wait_until_idle()

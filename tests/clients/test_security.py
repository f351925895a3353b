"""Logins, tokens, TLS and client certificates, by the clients that people use."""

import base64
import subprocess
from dataclasses import dataclass
from pathlib import Path

import adbc_driver_flightsql.dbapi
import adbc_driver_manager
import pyarrow as pa
import pyarrow.flight as flight
import pytest
import trustme
from adbc_driver_flightsql import DatabaseOptions

from atlas_process import Server
from test_jdbc import Jdbc, driver_jar

ANN = ("ann", "correct: horse")
BOB = ("bob", "battery")
REFUSED = (adbc_driver_manager.Error, pa.ArrowException, flight.FlightError)


@dataclass
class Logins:
    """A users file: ann may read all stores, bob only `fleet`, where he has a token, too."""

    file: Path
    token: str


@pytest.fixture(scope="module")
def logins(atlas, tmp_path_factory) -> Logins:
    def password_line(password: str) -> str:
        done = subprocess.run([atlas.binary, "passwd"], input=password, capture_output=True, text=True, check=True)
        return done.stdout

    token, token_line = atlas("token").splitlines()
    file = tmp_path_factory.mktemp("users") / "users.toml"
    file.write_text(
        f"[users.ann]\n{password_line(ANN[1])}stores = {{ '*' = 'read' }}\n"
        f"[users.bob]\n{password_line(BOB[1])}{token_line}\nstores = {{ fleet = 'read' }}\n"
    )
    return Logins(file, token)


@pytest.fixture(scope="module")
def server(atlas, fleet_store, logins):
    with Server(atlas, "--users", logins.file, fleet=fleet_store, other=fleet_store) as server:
        yield server


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def tls_options(authority: trustme.CA, folder: Path) -> list:
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    return ["--tls-cert", folder / "cert.pem", "--tls-key", folder / "key.pem"]


def pem(authority: trustme.CA) -> str:
    return authority.cert_pem.bytes().decode()


def adbc(uri: str, options: dict):
    return adbc_driver_flightsql.dbapi.connect(uri, db_kwargs=options, autocommit=True)


def login(user: tuple[str, str]) -> dict:
    return {"username": user[0], "password": user[1]}


def bearer(token: str) -> dict:
    return {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {token}"}


def rows(uri: str, options: dict, sql: str = "SELECT count(*) FROM fleet.datasets") -> list:
    with adbc(uri, options) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def read(client: flight.FlightClient, options=None, store: str = "fleet") -> int:
    options = options or flight.FlightCallOptions()
    info = client.get_flight_info(flight.FlightDescriptor.for_path(store, "temperature"), options)
    return sum(client.do_get(endpoint.ticket, options).read_all().num_rows for endpoint in info.endpoints)


def headers(value: str) -> flight.FlightCallOptions:
    return flight.FlightCallOptions(headers=[(b"authorization", value.encode())])


# pyarrow


def test_pyarrow_logs_in_and_reads(server, fleet):
    with server.connect() as client:
        header = client.authenticate_basic_token(*ANN)
        assert header[1].startswith(b"Bearer ")
        datasets = read(client, flight.FlightCallOptions(headers=[header]))
        assert datasets == len(fleet.variables["temperature"])
        basic = base64.b64encode(":".join(ANN).encode()).decode()
        for value in (f"Basic {basic}", f"basic {basic.rstrip('=')}"):
            assert read(client, headers(value)) == datasets


def test_pyarrow_is_refused_without_a_good_login(server, logins):
    with server.connect() as client:
        for user in [("ann", "wrong"), ("nobody", ANN[1]), ("", "")]:
            with pytest.raises(flight.FlightUnauthenticatedError, match="user name or the password is wrong"):
                client.authenticate_basic_token(*user)
        with pytest.raises(flight.FlightUnauthenticatedError, match="log in"):
            read(client)
        for value in ("Bearer anonymous", f"Bearer {logins.token}x", "Basic !", "Digest x"):
            with pytest.raises(flight.FlightUnauthenticatedError):
                read(client, headers(value))
            with pytest.raises(flight.FlightUnauthenticatedError):
                list(client.list_flights(options=headers(value)))
            with pytest.raises(flight.FlightUnauthenticatedError):
                list(client.do_action("GetSessionOptions", headers(value)))


def test_a_ticket_is_of_no_use_to_another_user(server, logins):
    with server.connect() as client:
        ann = flight.FlightCallOptions(headers=[client.authenticate_basic_token(*ANN)])
        info = client.get_flight_info(flight.FlightDescriptor.for_path("fleet", "temperature"), ann)
        with pytest.raises(flight.FlightUnauthorizedError, match="another user"):
            client.do_get(info.endpoints[0].ticket, headers(f"Bearer {logins.token}")).read_all()


# ADBC


def test_adbc_logs_in_with_a_password_or_a_token(server, logins):
    expected = rows(server.uri, login(ANN))
    assert expected == rows(server.uri, login(BOB)) == rows(server.uri, bearer(logins.token))
    for options in ({}, login(("ann", "wrong")), login(("nobody", "x")), bearer("anonymous")):
        with pytest.raises(adbc_driver_manager.Error, match="(?i)unauthenticated"):
            rows(server.uri, options)


def test_adbc_binds_parameters_again_and_again(server):
    with adbc(server.uri, login(BOB)) as connection, connection.cursor() as cursor:
        for value in (1, 2, 3):
            cursor.execute("SELECT ? AS a, ? AS b", (value, str(value)))
            assert cursor.fetchall() == [(value, str(value))]


def test_a_user_sees_its_own_stores_only(server, logins):
    schemas = "SELECT DISTINCT table_schema FROM information_schema.tables WHERE table_schema <> 'information_schema'"
    assert sorted(rows(server.uri, login(ANN), schemas)) == [("fleet",), ("other",)]
    for options in (login(BOB), bearer(logins.token)):
        assert rows(server.uri, options, schemas) == [("fleet",)]
        with adbc(server.uri, options) as connection:
            objects = connection.adbc_get_objects(depth="db_schemas").read_all().to_pylist()
            listed = {schema["db_schema_name"] for catalog in objects for schema in catalog["catalog_db_schemas"]}
            assert listed == {"fleet"}
        with pytest.raises(adbc_driver_manager.Error, match="not found"):
            rows(server.uri, options, "SELECT * FROM other.datasets")
    with server.connect() as client:
        bob = flight.FlightCallOptions(headers=[client.authenticate_basic_token(*BOB)])
        assert {info.descriptor.path[0] for info in client.list_flights(options=bob)} == {b"fleet"}
        with pytest.raises(REFUSED, match="no such store: other; served are fleet"):
            read(client, bob, "other")


# JDBC


def test_jdbc_logs_in_with_a_password_or_a_token(server, logins):
    driver = driver_jar()
    for login in ("user=bob&password=battery", f"token={logins.token}"):
        jdbc = Jdbc(server, driver, f"useEncryption=false&{login}")
        assert jdbc.rows("schemas") == [["fleet", "atlas"]]
        for month in ("1", "2"):
            ((expected,),) = rows(server.uri, bearer(logins.token), f"SELECT count(*) FROM datasets WHERE month = {month}")
            sql = "SELECT count(*) FROM datasets WHERE month = ?"
            assert jdbc.rows("prepared", sql, f"long:{month}") == [[str(expected)]]
        jdbc.close()
    for login in ("user=bob&password=wrong", "token=wrong"):
        with pytest.raises(RuntimeError, match="(?i)unauthenticated|wrong|not known"):
            Jdbc(server, driver, f"useEncryption=false&{login}").rows("schemas")


def test_jdbc_connects_over_tls(atlas, fleet_store, authority, tmp_path):
    driver = driver_jar()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with Server(atlas, *tls_options(authority, tmp_path), fleet=fleet_store) as server:
        jdbc = Jdbc(server, driver, f"tlsRootCerts={tmp_path / 'ca.pem'}&useSystemTrustStore=false")
        assert jdbc.rows("schemas") == [["fleet", "atlas"]]
        jdbc.close()


# Servers


def test_replicas_with_one_key_take_each_others_tokens(atlas, fleet_store, logins, tmp_path):
    key = tmp_path / "key"
    key.write_text("k" * 40)
    options = ["--users", logins.file, "--key", key]
    with Server(atlas, *options, fleet=fleet_store) as one, Server(atlas, *options, fleet=fleet_store) as two:
        with one.connect() as client, two.connect() as replica:
            call = flight.FlightCallOptions(headers=[client.authenticate_basic_token(*BOB)])
            info = client.get_flight_info(flight.FlightDescriptor.for_path("fleet", "temperature"), call)
            assert replica.do_get(info.endpoints[0].ticket, call).read_all().num_rows > 0


def test_without_users_a_name_and_password_do_no_harm(fleet_server):
    assert rows(fleet_server.uri, login(("anybody", "x"))) == rows(fleet_server.uri, {})
    with fleet_server.connect() as client:
        assert client.authenticate_basic_token("anybody", "x") == (b"authorization", b"Bearer anonymous")


# TLS


def test_clients_read_over_tls_if_they_trust_the_server(atlas, fleet_store, logins, authority, tmp_path):
    options = tls_options(authority, tmp_path)
    with Server(atlas, *options, "--users", logins.file, fleet=fleet_store) as server:
        assert f"grpc+tls://127.0.0.1:{server.port}" in "".join(server.output)
        uri = f"grpc+tls://localhost:{server.port}"
        trusted = {DatabaseOptions.TLS_ROOT_CERTS.value: pem(authority)}
        assert rows(uri, trusted | login(ANN)) == rows(uri, trusted | bearer(logins.token))
        with flight.FlightClient(uri, tls_root_certs=pem(authority)) as client:
            assert read(client, flight.FlightCallOptions(headers=[client.authenticate_basic_token(*ANN)])) > 0
        stranger = pem(trustme.CA())
        with pytest.raises(adbc_driver_manager.Error, match="certificate"):
            rows(uri, {DatabaseOptions.TLS_ROOT_CERTS.value: stranger} | login(ANN))
        with flight.FlightClient(uri, tls_root_certs=stranger) as client, pytest.raises(REFUSED):
            client.authenticate_basic_token(*ANN)
        with pytest.raises(adbc_driver_manager.Error):
            rows(server.uri, login(ANN))


def test_with_a_client_authority_only_its_clients_are_let_in(atlas, fleet_store, authority, tmp_path):
    clients = trustme.CA()
    clients.cert_pem.write_to_path(tmp_path / "clients.pem")
    options = [*tls_options(authority, tmp_path), "--tls-client-ca", tmp_path / "clients.pem"]
    with Server(atlas, *options, fleet=fleet_store) as server:
        uri = f"grpc+tls://localhost:{server.port}"

        def certificate(of: trustme.CA) -> tuple[str, str]:
            issued = of.issue_cert("ann@example.org")
            return issued.cert_chain_pems[0].bytes().decode(), issued.private_key_pem.bytes().decode()

        def connect(chain=None, key=None) -> flight.FlightClient:
            return flight.FlightClient(uri, tls_root_certs=pem(authority), cert_chain=chain, private_key=key)

        chain, key = certificate(clients)
        with connect(chain, key) as client:
            assert read(client) > 0
        trusted = {DatabaseOptions.TLS_ROOT_CERTS.value: pem(authority)}
        mine = {DatabaseOptions.MTLS_CERT_CHAIN.value: chain, DatabaseOptions.MTLS_PRIVATE_KEY.value: key}
        assert rows(uri, trusted | mine)
        with pytest.raises(adbc_driver_manager.Error):
            rows(uri, trusted)
        for credentials in ((), certificate(authority)):
            with connect(*credentials) as client, pytest.raises(REFUSED):
                read(client)


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "other key"])
def test_bad_files_are_named_in_one_line(atlas, fleet_store, authority, tmp_path, damage):
    options = tls_options(authority, tmp_path)
    key = tmp_path / "key.pem"
    if damage == "missing":
        key.unlink()
    else:
        other = trustme.CA().issue_cert("localhost").private_key_pem.bytes()
        key.write_bytes({"empty": b"", "text": b"-----BEGIN PRIVATE KEY-----\nxx", "other key": other}[damage])
    line = atlas.error("serve", "--store", f"fleet={fleet_store}", "--listen", "127.0.0.1:0", *options)
    assert str(key) in line, line

"""Connecting: addresses, logins, TLS, what becomes of a lost login, and what is never shown."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from flight_server import Command, Server, command, fleet, fleet_server  # noqa: F401

pytest.importorskip("pyarrow")

import atlas  # noqa: E402  after what it is skipped for
from atlas.errors import DeadlineError, InvalidArgumentError, StoreNotFoundError, UnauthenticatedError, UnavailableError

PASSWORD = "correct: horse"
COUNT = "SELECT count(*) AS n FROM datasets"


@dataclass
class Users:
    """A users file: ann may read all stores by her password, a program `fleet` by its token."""

    file: Path
    token: str


@pytest.fixture(scope="module")
def users(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Users:
    password = command("passwd", given=PASSWORD).decode()
    token, line = command("token").decode().splitlines()
    file = tmp_path_factory.mktemp("users") / "users.toml"
    file.write_text(
        f"[users.ann]\n{password}stores = {{ '*' = 'read' }}\n[users.program]\n{line}\nstores = {{ fleet = 'read' }}\n"
    )
    return Users(file, token)


@pytest.fixture(scope="module")
def guarded(command: Command, fleet: Path, users: Users) -> Iterator[Server]:
    with Server(command, "--users", users.file, fleet=fleet, other=fleet) as server:
        yield server


def count(client: atlas.flight.Client) -> int:
    (number,) = client.sql(COUNT)["n"].to_pylist()
    return int(number)


# Addresses and arguments


@pytest.mark.parametrize(
    "uri",
    ["127.0.0.1:1", "http://127.0.0.1:1", "grpc://127.0.0.1", "grpc://:1", "grpc://h:x", "grpc://h:70000", "grpc://h:1/a/b"],
)
def test_an_address_that_is_none_is_refused(uri):
    with pytest.raises(InvalidArgumentError, match="grpc://"):
        atlas.connect(uri)


@pytest.mark.parametrize(
    "options",
    [
        {"username": "ann"},
        {"password": "secret"},
        {"token": "secret", "username": "ann", "password": "secret"},
        {"token": "two\nlines of secret"},
        {"tls_ca": b"-----BEGIN secret"},
        {"streams": 0},
    ],
)
def test_arguments_that_do_not_fit_are_refused_unseen(options):
    with pytest.raises(ValueError) as caught:
        atlas.connect("grpc://127.0.0.1:1", **options)
    assert "secret" not in str(caught.value)


def test_a_password_in_an_address_is_refused_unseen():
    with pytest.raises(InvalidArgumentError) as caught:
        atlas.connect("grpc://ann:secret@127.0.0.1:1")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("options", [{}, {"token": "abc"}, {"username": "ann", "password": PASSWORD}], ids=len)
def test_nobody_there_is_an_error_at_once(options):
    with pytest.raises(ConnectionError, match="cannot connect") as caught:
        atlas.connect("grpc://127.0.0.1:1", **options)
    assert isinstance(caught.value, UnavailableError) and "\n" not in str(caught.value)


def test_importing_atlas_leaves_flight_alone():
    done = subprocess.run([sys.executable, "-c", "import atlas, sys; assert 'pyarrow.flight' not in sys.modules"])
    assert done.returncode == 0


def test_without_pyarrow_the_error_says_what_to_install():
    program = (
        "import sys; sys.modules['pyarrow'] = None\nimport atlas\n"
        "try: atlas.connect('grpc://127.0.0.1:1')\nexcept ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert 'pip install "atlas-python[flight]"' in done.stdout


# Stores


def test_the_store_is_that_of_the_address_or_the_argument_or_the_servers_first(command, fleet, tmp_path):
    few = tmp_path / "few"
    command("demo", few)
    command("rm", few, "cast_0001")
    with Server(command, fleet=fleet, few=few) as server:
        with atlas.connect(server.uri) as client:
            assert (client.store, count(client), client.stores()) == ("fleet", 1000, ["few", "fleet"])
        with atlas.connect(f"{server.uri}/few") as client:
            assert (client.store, count(client)) == ("few", 999)
            assert client.sql('SELECT count(*) AS n FROM fleet.datasets')["n"].to_pylist() == [1000]
        with atlas.connect(server.uri, store="few") as client:
            assert count(client) == 999
            # The server forgets its sessions.
            server.stop()
            server.start()
            assert count(client) == 999
        for uri, options in ((f"{server.uri}/fewer", {}), (server.uri, {"store": "fewer"})):
            with pytest.raises(StoreNotFoundError, match="fewer.*few, fleet"):
                atlas.connect(uri, **options)
        with pytest.raises(InvalidArgumentError, match="few"):
            atlas.connect(f"{server.uri}/few", store="fleet")


# Logins


def test_a_password_and_a_token_let_in(guarded, users):
    with atlas.connect(guarded.uri, username="ann", password=PASSWORD) as client:
        assert (count(client), client.stores()) == (1000, ["fleet", "other"])
    with atlas.connect(guarded.uri, token=users.token) as client:
        assert (count(client), client.stores()) == (1000, ["fleet"])
        with pytest.raises(StoreNotFoundError, match="other"):
            client.stacked("temperature", store="other")
    with atlas.connect(f"{guarded.uri}/other", username="ann", password=PASSWORD) as client:
        assert count(client) == 1000


@pytest.mark.parametrize(
    "options", [{}, {"token": "made-up-secret"}, {"username": "ann", "password": "a-wrong-secret"}], ids=lambda given: "+".join(given)
)
def test_who_is_not_known_is_not_let_in(guarded, options):
    with pytest.raises(PermissionError) as caught:
        atlas.connect(guarded.uri, **options)
    assert isinstance(caught.value, UnauthenticatedError) and "secret" not in str(caught.value)


def test_secrets_are_not_shown(guarded, users):
    with atlas.connect(guarded.uri, token=users.token) as client, pytest.raises(ValueError) as caught:
        shown = repr(client) + str(vars(client)) + client._repr_html_()
        client.sql("SELECT nothing FROM datasets")
    assert users.token not in shown + repr(caught.value) + str(vars(caught.value))
    with atlas.connect(guarded.uri, username="ann", password=PASSWORD) as client:
        assert PASSWORD not in repr(client) + str(vars(client))


def test_a_login_is_made_again_when_its_token_is_not_taken_any_more(command, fleet, users, tmp_path):
    atlas.Atlas.create(str(tmp_path / "empty")).flush()
    # Without --key, the server's tokens end with it, and so do the sessions.
    with Server(command, "--users", users.file, empty=tmp_path / "empty", fleet=fleet) as server:
        with atlas.connect(f"{server.uri}/fleet", username="ann", password=PASSWORD) as client:
            before = client.stacked("temperature", where="month = 3")
            server.stop()
            server.start()
            assert count(client) == 1000
            assert client.stacked("temperature", where="month = 3").tobytes() == before.tobytes()


def test_a_token_that_expires_is_renewed_by_the_login(command, fleet, users):
    with Server(command, "--users", users.file, "--token-lifetime", "1s", fleet=fleet) as server:
        with atlas.connect(server.uri, username="ann", password=PASSWORD) as client:
            logins = client._connection._logins
            while client._connection._logins == logins:
                assert count(client) == 1000


# TLS


@pytest.fixture(scope="module")
def authority():
    return pytest.importorskip("trustme").CA()


@pytest.fixture(scope="module")
def encrypted(command, fleet, authority, tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("tls")
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    tls = ("--tls-cert", folder / "cert.pem", "--tls-key", folder / "key.pem", "--tls-client-ca", folder / "ca.pem")
    with Server(command, *tls, fleet=fleet) as server:
        yield server


def test_tls_with_certificates_as_files_and_as_bytes(encrypted, authority, tmp_path):
    mine = authority.issue_cert("me")
    files = {name: tmp_path / f"{name}.pem" for name in ("ca", "cert", "key")}
    authority.cert_pem.write_to_path(files["ca"])
    mine.cert_chain_pems[0].write_to_path(files["cert"])
    mine.private_key_pem.write_to_path(files["key"])
    uri = f"grpc+tls://localhost:{encrypted.port}/fleet"
    by_path = {f"tls_{name}": path for name, path in files.items()}
    by_bytes = {f"tls_{name}": path.read_bytes() for name, path in files.items()}
    for options in (by_path, {name: str(path) for name, path in by_path.items()}, by_bytes):
        with atlas.connect(uri, **options) as client:
            assert count(client) == 1000
            assert client.stacked("temperature", where="month = 3", streams=3).shape == (50, 50, 24)


def test_tls_without_trust_is_refused(encrypted, authority):
    mine = authority.issue_cert("me")
    certificate = {"tls_cert": mine.cert_chain_pems[0].bytes(), "tls_key": mine.private_key_pem.bytes()}
    other = pytest.importorskip("trustme").CA().cert_pem.bytes()
    uri = f"grpc+tls://localhost:{encrypted.port}"
    # The system's authorities, another one, and a server that wants to see a certificate.
    for options in (certificate, {**certificate, "tls_ca": other}, {"tls_ca": authority.cert_pem.bytes()}):
        with pytest.raises(UnavailableError) as caught:
            atlas.connect(uri, **options)
        assert "\n" not in str(caught.value) and "PRIVATE KEY" not in str(caught.value)
    with pytest.raises(InvalidArgumentError, match="tls_key"):
        atlas.connect(uri, tls_cert=certificate["tls_cert"])
    with pytest.raises(InvalidArgumentError, match="PEM"):
        atlas.connect(uri, tls_ca=b"no certificate")
    with pytest.raises(FileNotFoundError):
        atlas.connect(uri, tls_ca="there/is/none.pem")


# Its life


def test_a_closed_client_says_so(fleet_server):
    with atlas.connect(fleet_server.uri) as client:
        assert fleet_server.uri in repr(client) and "fleet" in client._repr_html_()
    with pytest.raises(InvalidArgumentError, match="closed"):
        client.sql(COUNT)
    assert "closed" in repr(client)
    client.close()


def test_a_server_that_does_not_answer_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"grpc://127.0.0.1:{silent.getsockname()[1]}"
        for options in ({}, {"username": "ann", "password": PASSWORD}):
            with pytest.raises(TimeoutError) as caught:
                atlas.connect(uri, timeout=0.1, **options)
            assert isinstance(caught.value, DeadlineError)

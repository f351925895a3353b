"""Stores on handles of obstore, and on S3."""

import multiprocessing
import pickle
import subprocess
import sys

import numpy as np
import pytest

import atlas
from atlas import Atlas

obstore = pytest.importorskip("obstore", reason="SKIPPED: obstore is not installed (pip install 'atlas-python[cloud]')")
from obstore.store import LocalStore, MemoryStore, S3Store  # noqa: E402  where there is obstore at all

CELLS = np.random.default_rng(7).integers(0, 500, (40, 30)).astype("int32")


def add(store: Atlas, name: str, offset: int = 0) -> None:
    view = store.create_dataset(name)
    view.define_array("x", "int32", ["i", "j"], [40, 30], [16, 16], -1)
    view.write_array("x", [0, 0], CELLS + np.int32(offset))
    view.set_attribute("offset", offset)


def check(store: Atlas, offsets: dict[str, int]) -> None:
    assert store.list_datasets() == list(offsets)
    for name, offset in offsets.items():
        view = store.open_dataset(name)
        assert (view.read_array("x") == CELLS + offset).all()
        assert (view.read_array("x", [15, 10], [3, 9]) == CELLS[15:18, 10:19] + offset).all()
        assert view.attributes() == {"offset": offset}
    if offsets:
        stacked = store.read_array_across_stacked("x", list(offsets), [0, 0], [2, 2])
        assert (stacked == CELLS[:2, :2] + np.array(list(offsets.values()))[:, None, None]).all()


def live(place) -> None:
    """A store's life on this place: created, written, reopened, changed, compacted."""
    with pytest.raises(FileNotFoundError):
        Atlas.open(place)
    with Atlas.create(place) as store:
        add(store, "a")
        add(store, "b", 1)
        check(store, {"a": 0, "b": 1})
        check(Atlas.open(place), {})
    reader = Atlas.open(place)
    check(reader, {"a": 0, "b": 1})
    with pytest.raises(FileExistsError):
        Atlas.create(place)
    with Atlas.open(place) as store:
        add(store, "c", 2)
        store.delete_dataset("a")
    store.compact()
    check(store, {"b": 1, "c": 2})
    check(reader, {"a": 0, "b": 1})
    assert reader.refresh() is True
    check(reader, {"b": 1, "c": 2})
    assert reader.verify() == []


def test_a_store_lives_on_a_local_store(tmp_path):
    (tmp_path / "root").mkdir()
    place = LocalStore(str(tmp_path / "root"))
    live(place)
    check(Atlas.open(tmp_path / "root"), {"b": 1, "c": 2})


def test_what_a_path_wrote_a_local_store_reads_and_the_other_way(tmp_path):
    with Atlas.create(tmp_path / "store") as store:
        add(store, "a")
    place = LocalStore(str(tmp_path / "store"))
    with Atlas.open(place) as store:
        add(store, "b", 1)
    check(Atlas.open(tmp_path / "store"), {"a": 0, "b": 1})


def test_a_writer_by_path_and_one_by_handle_are_in_each_others_way(tmp_path):
    store = Atlas.create(tmp_path / "store")
    other = Atlas.open(LocalStore(str(tmp_path / "store")))
    add(store, "a")
    with pytest.raises(atlas.errors.ConflictError):
        add(other, "b")
        other.flush()
    store.flush()
    check(Atlas.open(tmp_path / "store"), {"a": 0})


def test_a_local_store_survives_a_pickle(tmp_path):
    with Atlas.create(LocalStore(str(tmp_path))) as store:
        add(store, "a")
    check(pickle.loads(pickle.dumps(store)), {"a": 0})
    assert pickle.loads(pickle.dumps(store.open_dataset("a"))).get_attribute("offset") == 0


def test_a_store_lives_in_the_memory_of_obstore():
    place = MemoryStore()
    live(place)
    assert "atlas.json" in [each["path"] for page in obstore.list(place) for each in page]
    with pytest.raises(TypeError):
        pickle.dumps(Atlas.open(place))


@pytest.mark.parametrize("source", [object(), obstore, LocalStore], ids=["object", "module", "class"])
def test_what_is_no_handle_is_a_type_error(source):
    with pytest.raises(TypeError) as refused:
        Atlas.create(source)
    assert "\n" not in str(refused.value)


MOTO = """
import threading
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

application, lock = DomainDispatcherApplication(create_backend_app), threading.Lock()

def one_at_a_time(environ, start_response):
    # Its conditional puts compare and put in two steps.
    with lock:
        return application(environ, start_response)

server = make_server("127.0.0.1", 0, one_at_a_time, threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture(scope="module")
def endpoint():
    """The address of an S3 server on loopback."""
    pytest.importorskip("moto", reason="SKIPPED: there is no S3 server to test with: moto is not installed")
    with subprocess.Popen(
        [sys.executable, "-c", MOTO], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            port = server.stdout.readline().strip()
            assert port, "moto did not start"
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


CREDENTIALS = {"access_key_id": "test", "secret_access_key": "test", "region": "us-east-1"}


def bucket(endpoint: str, name: str, prefix: str | None = None) -> S3Store:
    import urllib.request

    request = urllib.request.Request(f"{endpoint}/{name}", method="PUT")
    request.add_header("Authorization", "AWS4-HMAC-SHA256 Credential=test/20240101/us-east-1/s3/aws4_request")
    urllib.request.urlopen(request).close()
    options = {"allow_http": True}
    return S3Store(name, prefix=prefix, endpoint=endpoint, client_options=options, **CREDENTIALS)


def test_a_store_lives_on_s3(endpoint):
    live(bucket(endpoint, "lives"))


def test_a_store_lives_under_a_prefix_of_a_bucket(endpoint):
    place = bucket(endpoint, "prefixed", prefix="some/fleet")
    live(place)
    names = [each["path"] for page in obstore.list(bucket(endpoint, "prefixed")) for each in page]
    assert names and all(name.startswith("some/fleet/") for name in names)


def test_two_writers_on_s3_lose_nothing(endpoint):
    place = bucket(endpoint, "writers")
    first = Atlas.create(place)
    second = Atlas.open(place)
    add(first, "a")
    add(second, "b", 1)
    first.flush()
    with pytest.raises(atlas.errors.ConflictError) as refused:
        second.flush()
    assert refused.value.kind == "conflict"
    check(Atlas.open(place), {"a": 0})
    assert second.rebase() is True
    second.flush()
    check(Atlas.open(place), {"a": 0, "b": 1})


def test_a_store_on_s3_survives_a_pickle(endpoint):
    place = bucket(endpoint, "pickled")
    with Atlas.create(place) as store:
        add(store, "a")
    check(pickle.loads(pickle.dumps(store)), {"a": 0})
    assert pickle.loads(pickle.dumps(store.open_dataset("a"))).get_attribute("offset") == 0


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_reads_and_writes_s3_through_the_handle_it_inherited(endpoint):
    place = bucket(endpoint, "forked")
    with Atlas.create(place) as store:
        add(store, "a")
    # Requests have been made here, by threads that the child does not have.
    check(store, {"a": 0})

    def work() -> None:
        check(store, {"a": 0})
        with store:
            add(store, "b", 1)

    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(120)
    if child.is_alive():
        child.kill()
    assert child.exitcode == 0
    assert store.refresh() is True
    check(store, {"a": 0, "b": 1})


def test_an_s3_url_and_a_handle_are_the_same_place(endpoint, monkeypatch):
    place = bucket(endpoint, "urls", prefix="fleet")
    with Atlas.create(place) as store:
        add(store, "a")
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    with Atlas.open("s3://urls/fleet") as store:
        add(store, "b", 1)
    check(Atlas.open(place), {"a": 0, "b": 1})


def test_a_bucket_that_does_not_exist_is_an_error_of_one_line(endpoint):
    place = S3Store("nowhere", endpoint=endpoint, client_options={"allow_http": True}, **CREDENTIALS)
    with pytest.raises((OSError, FileNotFoundError)) as failed:
        Atlas.open(place)
    assert "\n" not in str(failed.value)
    assert "secret" not in str(failed.value).lower()

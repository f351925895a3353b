"""Stores behind a web server, which anybody may read and nobody write."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

import atlas


class Files(BaseHTTPRequestHandler):
    """Files of `server.folder`, whole or a range of each; notes what was asked for."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.asked.append((self.command, self.path, self.headers.get("Range")))
        path = Path(self.server.folder) / unquote(self.path).lstrip("/")
        content = path.read_bytes() if path.is_file() else None
        asked = self.headers.get("Range")
        if content is None:
            self.send_response(404)
            content = b"there is no such file"
        elif asked:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            size = len(content)
            begin = int(first) if first else size - int(last)
            end = min(int(last) + 1, size) if first and last else size
            content = content[begin:end]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{size}")
        else:
            self.send_response(200)
        self.send_header("ETag", f'"{path.stat().st_mtime_ns}"' if path.is_file() else '"none"')
        self.send_header("Last-Modified", "Sat, 01 Jan 2000 00:00:00 GMT")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def server(tmp_path):
    """A web server on loopback, whose `url` is that of `tmp_path`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        server.folder, server.asked = tmp_path, []
        server.url = f"http://127.0.0.1:{server.server_port}"
        # It looks often whether it is to stop, so that each test does not end with a wait.
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


CELLS = np.random.default_rng(12).standard_normal((400, 500))


@pytest.fixture
def fleet(store):
    for index in range(3):
        view = store.create_dataset(f"d{index}")
        view.define_array("x y", "float64", ["i", "j"], [400, 500], [100, 100])
        view.write_array("x y", [0, 0], CELLS + index)
        view.set_attribute("index", index)
    store.flush()
    return store


def test_a_store_on_the_web_is_read_as_any_other(fleet, server):
    found = atlas.Atlas.open(f"{server.url}/store")
    assert found.list_datasets() == ["d0", "d1", "d2"]
    assert found["d2"].get_attribute("index") == 2
    assert (found["d1"].read_array("x y") == CELLS + 1).all()
    stacked = found.read_array_across_stacked("x y", ["d2", "d0"], [10, 20], [3, 4])
    assert (stacked == np.stack([CELLS[10:13, 20:24] + 2, CELLS[10:13, 20:24]])).all()
    assert found["d0"].array_stats("x y") == fleet["d0"].array_stats("x y")


def test_a_slice_asks_for_a_part_of_the_file(fleet, server, tmp_path):
    (segment,) = (tmp_path / "store").glob("x*/*.af")
    found = atlas.Atlas.open(f"{server.url}/store")
    server.asked.clear()
    found["d1"].read_array("x y", [0, 0], [10, 10])
    ranges = [asked for _, _, asked in server.asked if asked]
    assert ranges and all(asked is not None for command, _, asked in server.asked if command == "GET")
    total = 0
    for asked in ranges:
        first, _, last = asked.removeprefix("bytes=").partition("-")
        total += int(last) - int(first) + 1 if first and last else int(last or 0)
    assert 0 < total < segment.stat().st_size / 4


def test_what_the_owner_flushes_is_seen_after_a_refresh(fleet, server):
    found = atlas.Atlas.open(f"{server.url}/store")
    fleet.create_dataset("later")
    fleet.flush()
    assert "later" not in found
    assert found.refresh() is True
    assert "later" in found


def test_a_store_on_the_web_cannot_be_written(fleet, server):
    found = atlas.Atlas.open(f"{server.url}/store")
    with pytest.raises(ValueError, match="read-only"):
        found.create_dataset("mine")
    with pytest.raises(ValueError, match="read-only"):
        atlas.Atlas.create(f"{server.url}/other")
    assert fleet.refresh() is False


def test_no_store_on_the_web_is_file_not_found(server):
    with pytest.raises(FileNotFoundError) as missing:
        atlas.Atlas.open(f"{server.url}/nothing")
    assert "nothing" in str(missing.value)


def test_a_handle_of_obstore_reads_the_web_too(fleet, server):
    obstore = pytest.importorskip("obstore", reason="SKIPPED: obstore is not installed")
    place = obstore.store.HTTPStore(f"{server.url}/store", client_options={"allow_http": True})
    assert (atlas.Atlas.open(place)["d2"].read_array("x y") == CELLS + 2).all()

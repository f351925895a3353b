"""Servers for the tests of the Flight client: the `atlas` command, and stores that it makes.

The command is that of ATLAS_BIN, else of the workspace's `target`; without one the tests that need it are skipped.
"""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
REAL_DATA = Path(os.environ.get("ATLAS_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
BOUND = re.compile(r"127\.0\.0\.1:(\d+)")
SECONDS = 60
POLL_SECONDS = 0.02
IDLE_SECONDS = 0.3


def _binary() -> Path | None:
    if given := os.environ.get("ATLAS_BIN"):
        return Path(given)
    built = [REPOSITORY / "target" / profile / "atlas" for profile in ("release", "debug")]
    return next((path for path in built if os.access(path, os.X_OK)), None)


class Command:
    """Runs `atlas` commands."""

    def __init__(self, binary: Path) -> None:
        self.binary = binary

    def __call__(self, *arguments: Any, given: str | None = None) -> bytes:
        """What a command that succeeds prints; `given` is its standard input."""
        words = [str(self.binary), *map(str, arguments)]
        done = subprocess.run(words, input=(given or "").encode(), capture_output=True, timeout=2 * SECONDS)
        assert done.returncode == 0, f"atlas {' '.join(words[1:])}: {done.stderr.decode(errors='replace')}"
        return done.stdout

    def query(self, store: Path, sql: str) -> Any:
        """The answer of `atlas query` as a table."""
        import pyarrow

        content = self("query", store, sql, "--format", "arrow")
        opener = pyarrow.ipc.open_file if content.startswith(b"ARROW1") else pyarrow.ipc.open_stream
        return opener(content).read_all()

    def read(self, store: Path, array: str, folder: Path, *options: Any) -> np.ndarray[Any, Any]:
        """The answer of `atlas read`."""
        file = folder / f"{array}.npy"
        self("read", store, array, *options, "-o", file)
        return np.load(file)  # type: ignore[no-any-return]


class Server:
    """`atlas serve` of some stores on a loopback port; it ends with its `with` block, and can be started again before."""

    def __init__(self, command: Command, *options: Any, **stores: Path) -> None:
        self._command = command
        self._words = [str(word) for name, path in stores.items() for word in ("--store", f"{name}={path}")]
        self._words += map(str, options)
        self.port = 0
        self.start()

    def start(self) -> None:
        """On the port that it had before, if it had one."""
        words = [str(self._command.binary), "serve", *self._words, "--listen", f"127.0.0.1:{self.port}"]
        self.child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.output: list[str] = []
        lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._listen, args=(self.child.stdout, lines), daemon=True).start()
        while (line := lines.get(timeout=SECONDS)) is not None:
            if found := BOUND.search(line):
                self.port = int(found.group(1))
                return
        raise AssertionError(f"the server did not start: {''.join(self.output)}")

    def _listen(self, output: Any, lines: queue.Queue[str | None]) -> None:
        for line in output:
            self.output.append(line)
            lines.put(line)
        lines.put(None)

    def kill(self) -> None:
        """Ends it without a word."""
        self.child.kill()
        self.child.wait()

    def stop(self) -> None:
        """Ends it as an operator would."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def uri(self) -> str:
        return f"grpc://127.0.0.1:{self.port}"

    def wait_until_idle(self) -> None:
        """Returns once it takes next to no processor time, which it must within a time."""
        deadline = time.monotonic() + SECONDS
        since, taken = time.monotonic(), self._cpu_seconds()
        while True:
            assert time.monotonic() < deadline, "the server goes on working"
            time.sleep(POLL_SECONDS)
            if (window := time.monotonic() - since) < IDLE_SECONDS:
                continue
            before, since, taken = taken, time.monotonic(), self._cpu_seconds()
            if taken - before < window / 10:
                return

    def _cpu_seconds(self) -> float:
        words = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Returns once `condition()` holds, which it must within a time."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(POLL_SECONDS)


@pytest.fixture(scope="session")
def command() -> Command:
    pytest.importorskip("pyarrow.flight", reason="the Flight client needs pyarrow")
    binary = _binary()
    if binary is None:
        pytest.skip("there is no atlas command: cargo build builds it, ATLAS_BIN names another")
    return Command(binary)


@pytest.fixture(scope="session")
def fleet(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of `atlas demo`."""
    store = tmp_path_factory.mktemp("stores") / "fleet"
    command("demo", store)
    return store


@pytest.fixture(scope="session")
def argo(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real profiles, of many shapes."""
    folder = REAL_DATA / "argo"
    if not folder.is_dir():
        pytest.skip(f"real data are missing: {folder} (set ATLAS_TEST_DATA)")
    store = tmp_path_factory.mktemp("stores") / "argo"
    command("import", store, folder)
    return store


@pytest.fixture(scope="session")
def fleet_server(command: Command, fleet: Path) -> Iterator[Server]:
    with Server(command, fleet=fleet) as server:
        yield server

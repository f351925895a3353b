"""The `atlas` binary as a caller sees it: commands with their output, and a server with its address."""

import json
import os
import queue
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import adbc_driver_flightsql.dbapi
import pyarrow as pa
import pyarrow.flight as flight

import raw_flight

COMMAND_SECONDS = 120
BANNER_SECONDS = 60
CONDITION_SECONDS = 30
POLL_SECONDS = 0.02
IDLE_WINDOW_SECONDS = 0.3
BOUND = re.compile(r"127\.0\.0\.1:(\d+)")


class Atlas:
    """Runs `atlas` commands."""

    def __init__(self, binary: Path):
        self.binary = binary

    def attempt(self, *arguments, cwd=None, text=True) -> subprocess.CompletedProcess:
        """One command, whatever becomes of it. It never panics."""
        done = subprocess.run(
            [self.binary, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=text,
            cwd=cwd,
            timeout=COMMAND_SECONDS,
        )
        stderr = done.stderr if text else done.stderr.decode(errors="replace")
        assert "panicked" not in stderr and done.returncode in (0, 1, 2), f"{arguments}: {done.returncode}\n{stderr}"
        return done

    def __call__(self, *arguments, cwd=None) -> str:
        """What a command that succeeds prints."""
        done = self.attempt(*arguments, cwd=cwd)
        assert done.returncode == 0, f"atlas {' '.join(map(str, arguments))}: {done.stderr}"
        return done.stdout

    def json(self, *arguments):
        """What a command that succeeds prints, parsed."""
        return json.loads(self(*arguments))

    def arrow(self, store, sql: str) -> pa.Table:
        """The answer of `atlas query --format arrow`."""
        done = self.attempt("query", store, sql, "--format", "arrow", text=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return read_arrow(done.stdout)

    def error(self, *arguments, code=1) -> str:
        """The one line that a command that fails prints."""
        done = self.attempt(*arguments)
        assert done.returncode == code, f"exit code {done.returncode}, not {code}: {done.stdout}{done.stderr}"
        lines = done.stderr.splitlines()
        assert len(lines) == 1 and lines[0].strip(), f"not one line on stderr: {done.stderr!r}"
        return lines[0]


def read_arrow(content: bytes) -> pa.Table:
    """An Arrow file or stream."""
    opener = pa.ipc.open_file if content.startswith(b"ARROW1") else pa.ipc.open_stream
    return opener(content).read_all()


class Process:
    """A started command whose output is read line by line as it comes, and which ends with its `with` block."""

    def __init__(self, command, cwd=None, env=None):
        self.output: list[str] = []
        self._lines: queue.Queue = queue.Queue()
        self.child = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=cwd,
            env=env,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.child.stdout:
            self.output.append(line)
            self._lines.put(line)
        self._lines.put(None)

    def wait_for(self, pattern: re.Pattern) -> re.Match:
        """The first match in a line that has not been looked at yet."""
        deadline = time.monotonic() + BANNER_SECONDS
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {pattern.pattern!r} within {BANNER_SECONDS} s: {self.output}") from None
            if line is None:
                raise AssertionError(f"ended without {pattern.pattern!r}: {''.join(self.output)}")
            if found := pattern.search(line):
                return found

    # What it holds, as Linux tells it.

    def resident_bytes(self) -> int:
        return 1024 * int(re.search(r"VmRSS:\s+(\d+) kB", self._status()).group(1))

    def threads(self) -> int:
        return int(re.search(r"Threads:\s+(\d+)", self._status()).group(1))

    def handles(self) -> int:
        """Open files and connections."""
        return len(list(Path(f"/proc/{self.child.pid}/fd").iterdir()))

    def cpu_seconds(self) -> float:
        """Processor time that it has taken so far."""
        words = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def _status(self) -> str:
        return Path(f"/proc/{self.child.pid}/status").read_text()

    def wait_until(self, condition, what: str, seconds: float = CONDITION_SECONDS) -> None:
        """Returns once `condition()` holds, which it must within a time."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
            assert self.child.poll() is None, f"the process ended: {''.join(self.output[-20:])}"
            time.sleep(POLL_SECONDS)

    def wait_until_idle(self) -> None:
        """Returns once it takes next to no processor time."""
        since, taken = time.monotonic(), self.cpu_seconds()

        def idle() -> bool:
            nonlocal since, taken
            if (window := time.monotonic() - since) < IDLE_WINDOW_SECONDS:
                return False
            before, since, taken = taken, time.monotonic(), self.cpu_seconds()
            return taken - before < window / 10

        self.wait_until(idle, "it stops working")

    def terminate(self) -> int:
        """Ends it as an operator would; its exit code."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(20)
            except subprocess.TimeoutExpired:
                self.child.kill()
        return self.child.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.terminate()


class Server(Process):
    """`atlas serve` of some stores on a loopback port, a free one unless it is told which."""

    def __init__(self, atlas: Atlas, *options, on_port: int = 0, **stores: Path):
        mounts = [word for name, path in stores.items() for word in ("--store", f"{name}={path}")]
        super().__init__([atlas.binary, "serve", *mounts, "--listen", f"127.0.0.1:{on_port}", *options])
        try:
            self.port = int(self.wait_for(BOUND).group(1))
            assert self.port != 0, f"the banner does not name the bound port: {self.output}"
        except BaseException:
            self.terminate()
            raise

    @property
    def uri(self) -> str:
        return f"grpc://127.0.0.1:{self.port}"

    def connect(self) -> flight.FlightClient:
        return flight.connect(self.uri)

    def adbc(self) -> adbc_driver_flightsql.dbapi.Connection:
        return adbc_driver_flightsql.dbapi.connect(self.uri, autocommit=True)

    def sql(self, query: str, parameters=None) -> pa.Table:
        """The answer to a query through ADBC."""
        with self.adbc() as connection, connection.cursor() as cursor:
            cursor.execute(query, parameters)
            return cursor.fetch_arrow_table()

    def stacked(self, store: str, arrays: list[str], **request) -> pa.Table:
        """The answer to a stacked read: the endpoints one after the other."""
        info = self.stacked_info(store, arrays, **request)
        with self.connect() as client:
            return pa.concat_tables(client.do_get(endpoint.ticket).read_all() for endpoint in info.endpoints)

    def stacked_info(self, store: str, arrays: list[str], **request) -> flight.FlightInfo:
        command = {"stacked": {"store": store, "arrays": arrays, **request}}
        with self.connect() as client:
            return client.get_flight_info(flight.FlightDescriptor.for_command(json.dumps(command)))

    def statement_ticket(self, query: str) -> flight.Ticket:
        """The ticket of a query's answer, by Flight SQL without a driver."""
        statement = raw_flight.sql_message("CommandStatementQuery", raw_flight.field(1, query))
        with self.connect() as client:
            info = client.get_flight_info(flight.FlightDescriptor.for_command(statement))
        return info.endpoints[0].ticket

    def path(self, *path: str) -> pa.Table:
        """The answer to a path descriptor: `store, array` or `store, array, dataset`."""
        with self.connect() as client:
            info = client.get_flight_info(flight.FlightDescriptor.for_path(*path))
            return pa.concat_tables(client.do_get(endpoint.ticket).read_all() for endpoint in info.endpoints)

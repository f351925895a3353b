"""Stacked reads over Flight, beside pyarrow's C++ Flight server sending the same batches from memory.

A pyarrow client takes all batches of `t` of all datasets, from one stream or from several at a time (one connection
each), and drops them as they come. In each round both servers answer once, the other one first every time. Before that
their answers are compared. Servers and client share the machine: what counts is the ratio within a round.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.flight as flight
import pyarrow.ipc

from profiles import ARRAY, make_store

HERE = Path(__file__).resolve().parent
MIB = 1 << 20
GIB = 1 << 30
TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """A server process, and what it took."""

    def __init__(self, command: list, port: str):
        self.child = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in self.child.stdout:
            if found := re.search(port, line):
                self.location = f"grpc://127.0.0.1:{found[1]}"
                # What reads leave behind is theirs: rest is before the first of them.
                self.rest = self.memory("VmRSS")
                return
        sys.exit(f"{command[0]} did not start")

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def forget_peak(self) -> None:
        Path(f"/proc/{self.child.pid}/clear_refs").write_text("5")

    def memory(self, which: str) -> int:
        """VmRSS or VmHWM (its peak), in bytes."""
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return int(re.search(rf"{which}:\s+(\d+) kB", status)[1]) * 1024

    def stop(self) -> None:
        self.child.terminate()
        self.child.wait()


def take(location: str, ticket: bytes) -> int:
    """Reads one stream; its bytes as Arrow buffers."""
    with flight.connect(location) as client:
        return sum(chunk.data.nbytes for chunk in client.do_get(flight.Ticket(ticket)))


def read(location: str, tickets: list[bytes]) -> int:
    if len(tickets) == 1:
        return take(location, tickets[0])
    with ThreadPoolExecutor(len(tickets)) as pool:
        return sum(pool.map(lambda ticket: take(location, ticket), tickets))


def atlas_tickets(location: str, partitions: int) -> list[bytes]:
    command = {"stacked": {"store": "fleet", "arrays": [ARRAY], "partitions": partitions}}
    with flight.connect(location) as client:
        info = client.get_flight_info(flight.FlightDescriptor.for_command(json.dumps(command)))
    return [endpoint.ticket.ticket for endpoint in info.endpoints]


def whole(location: str, ticket: bytes) -> flight.FlightStreamReader:
    with flight.connect(location) as client:
        return client.do_get(flight.Ticket(ticket)).read_all()


class Measured:
    """What rounds of one server gave."""

    def __init__(self, server: Server, tickets: list[bytes]):
        self.server, self.tickets = server, tickets
        self.seconds, self.cpu, self.bytes = [], [], 0
        server.forget_peak()

    def round(self) -> None:
        cpu, start = self.server.cpu_seconds(), time.perf_counter()
        self.bytes = read(self.server.location, self.tickets)
        self.seconds.append(time.perf_counter() - start)
        self.cpu.append(self.server.cpu_seconds() - cpu)

    def row(self, label: str) -> str:
        rates = sorted(self.bytes / GIB / seconds for seconds in self.seconds)
        # The clock of processes is coarse: over all rounds.
        cpu = statistics.fmean(self.cpu) / (self.bytes / GIB)
        more = (self.server.memory("VmHWM") - self.server.rest) / MIB
        rate = f"{statistics.median(rates):.2f} ({rates[0]:.2f}–{rates[-1]:.2f})"
        return f"| {label} | {rate} | {cpu:.2f} | {more:.0f} |"


def compare(atlas: Server, cpp: Server, streams: int, rounds: int) -> tuple[str, str, list[float]]:
    ours = Measured(atlas, atlas_tickets(atlas.location, streams))
    theirs = Measured(cpp, [f"{part}/{streams}".encode() for part in range(streams)])
    for number in range(rounds + 1):
        for each in (ours, theirs) if number % 2 else (theirs, ours):
            each.round()
        if number == 0:
            # The first warms both up.
            assert ours.bytes == theirs.bytes, (ours.bytes, theirs.bytes)
            ours.seconds, ours.cpu, theirs.seconds, theirs.cpu = [], [], [], []
    ratios = sorted(cpp / atlas for atlas, cpp in zip(ours.seconds, theirs.seconds))
    return ours.row("atlas"), theirs.row("C++, from memory"), ratios


def measure(options, codec: str, datasets: int, folder: Path) -> None:
    store = make_store(options.atlas, folder, options.data, codec, datasets)
    atlas = Server([options.atlas, "serve", "--store", f"fleet={store}", "--listen", "127.0.0.1:0"], r"127\.0\.0\.1:(\d+)")
    cpp = None
    try:
        table = whole(atlas.location, atlas_tickets(atlas.location, 1)[0])
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            with pyarrow.ipc.new_stream(file.name, table.schema) as writer:
                # Batches as they came: the table's chunks.
                writer.write_table(table)
            cpp = Server([sys.executable, HERE / "cpp_server.py", file.name], r"^(\d+)$")
        assert whole(cpp.location, b"0/1").equals(table), "the servers' answers differ"
        size = table.nbytes / MIB
        del table
        for streams in options.streams:
            ours, theirs, ratios = compare(atlas, cpp, streams, options.rounds)
            load = os.getloadavg()[0]
            median = statistics.median(ratios)
            print(f"\n{options.data}, codec {codec}, {datasets} datasets, {size:.0f} MiB, streams: {streams}; load {load:.1f}\n")
            print("| server | GiB/s, median (min–max) | server's CPU s per GiB | its memory's peak, MiB above rest |")
            print("|---|---|---|---|")
            print(f"{ours}\n{theirs}")
            print(f"\natlas / C++: {median:.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f}), {options.rounds} rounds", flush=True)
    finally:
        atlas.stop()
        if cpp:
            cpp.stop()


def main() -> None:
    numbers = lambda text: [int(number) for number in text.split(",")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atlas", required=True, help="the atlas binary (benches/compare_flight gives it)")
    parser.add_argument("--datasets", type=numbers, default=[500, 2000, 8000], help="sizes, 33 KB a dataset: 500,2000,8000")
    parser.add_argument("--codecs", type=lambda text: text.split(","), default=["none", "pco"], help="none,pco")
    parser.add_argument("--data", choices=["noise", "smooth"], default="noise", help="noise of 1000 steps of the last digit, or of 2")
    parser.add_argument("--streams", type=numbers, default=[1, 2, 4], help="streams read at a time: 1,2,4")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--folder", type=Path, help="where stores are made, and found the next time (default: temporary)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for codec in options.codecs:
            for datasets in options.datasets:
                measure(options, codec, datasets, folder)


if __name__ == "__main__":
    main()

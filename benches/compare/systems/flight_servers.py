"""Stacked reads over Flight on loopback, into a pyarrow table.

The variant `atlas` is `atlas serve` (ATLAS_BIN) over the files that Atlas wrote in process; `cpp` is pyarrow's C++ server, which
sends the same batches from memory.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.flight as flight

from task import Box, Task

CPP_SERVER = Path(__file__).resolve().parents[2] / "flight" / "cpp_server.py"


class Server:
    def __init__(self, command: list[str], port: str) -> None:
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in self.child.stdout or ():
            if found := re.search(port, line):
                self.location = f"grpc://127.0.0.1:{found[1]}"
                return
        raise RuntimeError(f"{command[0]} did not start")

    def stop(self) -> None:
        self.child.terminate()
        self.child.wait()


class System:
    def __init__(self, variant: str) -> None:
        self.variant = variant
        self.version = f"pyarrow {pa.__version__}"
        self.server: Server | None = None
        # The ticket of all there is, where nothing is to be asked.
        self.fixed: flight.Ticket | None = None

    def close(self) -> None:
        if self.server:
            self.server.stop()

    def pids(self) -> list[int]:
        return [self.server.child.pid] if self.server else []

    def prepare(self, folder: str, task: Task, box: Box) -> None:
        """Starts the server; the C++ one with the batches that Atlas answers."""
        self.close()
        self.server = own = self.atlas(folder)
        self.fixed = None
        if self.variant == "atlas":
            return
        with tempfile.NamedTemporaryFile() as file:
            table = self.stacked(self.open(folder, task), task, box)
            with pa.ipc.new_stream(file.name, table.schema) as writer:
                # Batches as they came: the table's chunks.
                writer.write_table(table)
            del table
            own.stop()
            self.server = Server([sys.executable, str(CPP_SERVER), file.name], r"^(\d+)$")
            self.fixed = flight.Ticket(b"0/1")

    def atlas(self, folder: str) -> Server:
        # Nothing decoded is kept: every round reads and decodes.
        options = ["--listen", "127.0.0.1:0", "--cache", "0"]
        return Server([os.environ["ATLAS_BIN"], "serve", "--store", f"store={folder}", *options], r"127\.0\.0\.1:(\d+)")

    def open(self, folder: str, task: Task) -> flight.FlightClient:
        assert self.server
        return flight.connect(self.server.location)

    def stacked(self, client: flight.FlightClient, task: Task, box: Box) -> pa.Table:
        with client:
            ticket = self.fixed
            if not ticket:
                arrays = [variable.name for variable in task.variables]
                command = {"stacked": {"store": "store", "arrays": arrays, "start": box[0], "shape": box[1]}}
                info = client.get_flight_info(flight.FlightDescriptor.for_command(json.dumps(command)))
                ticket = info.endpoints[0].ticket
            return client.do_get(ticket).read_all()

    def arrays(self, table: pa.Table, task: Task) -> list[np.ndarray]:
        """The same arrays that other systems give; not part of what is timed."""
        columns = (table[variable.name].chunks for variable in task.variables)
        return [np.concatenate([chunk.to_numpy_ndarray() for chunk in chunks]) for chunks in columns]

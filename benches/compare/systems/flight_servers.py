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

import numpy as np
import pyarrow as pa
import pyarrow.flight as flight

CPP_SERVER = Path(__file__).resolve().parents[2] / "flight" / "cpp_server.py"


class Server:
    def __init__(self, command, port):
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in self.child.stdout:
            if found := re.search(port, line):
                self.location = f"grpc://127.0.0.1:{found[1]}"
                return
        raise RuntimeError(f"{command[0]} did not start")

    def stop(self):
        self.child.terminate()
        self.child.wait()


class System:
    def __init__(self, variant):
        self.variant = variant
        self.version = f"pyarrow {pa.__version__}"
        self.server = None
        # The ticket of all there is, where nothing is to be asked.
        self.fixed = None

    def close(self):
        if self.server:
            self.server.stop()

    def pids(self):
        return [self.server.child.pid]

    def prepare(self, folder, task, box):
        """Starts the server; the C++ one with the batches that Atlas answers."""
        self.close()
        self.server, self.fixed = self.atlas(folder), None
        if self.variant == "atlas":
            return
        with tempfile.NamedTemporaryFile() as file:
            table = self.stacked(self.open(folder, task), task, box)
            with pa.ipc.new_stream(file.name, table.schema) as writer:
                # Batches as they came: the table's chunks.
                writer.write_table(table)
            del table
            self.server.stop()
            self.server = Server([sys.executable, str(CPP_SERVER), file.name], r"^(\d+)$")
            self.fixed = flight.Ticket(b"0/1")

    def atlas(self, folder):
        command = [os.environ["ATLAS_BIN"], "serve", "--store", f"store={folder}", "--listen", "127.0.0.1:0"]
        return Server(command, r"127\.0\.0\.1:(\d+)")

    def open(self, folder, task):
        return flight.connect(self.server.location)

    def stacked(self, client, task, box):
        with client:
            ticket = self.fixed
            if not ticket:
                arrays = [variable.name for variable in task.variables]
                command = {"stacked": {"store": "store", "arrays": arrays, "start": box[0], "shape": box[1]}}
                info = client.get_flight_info(flight.FlightDescriptor.for_command(json.dumps(command)))
                ticket = info.endpoints[0].ticket
            return client.do_get(ticket).read_all()

    def arrays(self, table, task):
        """The same arrays that other systems give; not part of what is timed."""
        columns = (table[variable.name].chunks for variable in task.variables)
        return [np.concatenate([chunk.to_numpy_ndarray() for chunk in chunks]) for chunks in columns]

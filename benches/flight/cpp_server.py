"""pyarrow's C++ Flight server over the batches of an Arrow stream, all in memory.

    cpp_server.py FILE      prints the port that it listens on

The ticket `i/n` is the i-th of n runs of the batches.
"""

import sys

import pyarrow as pa
import pyarrow.flight as flight


class FromMemory(flight.FlightServerBase):
    def __init__(self, batches: list[pa.RecordBatch]):
        super().__init__("grpc://127.0.0.1:0")
        self.batches = batches

    def do_get(self, context, ticket):
        part, count = map(int, ticket.ticket.decode().split("/"))
        own = self.batches[part * len(self.batches) // count : (part + 1) * len(self.batches) // count]
        # The reader and its batches are C++ objects: sending them runs no Python.
        return flight.RecordBatchStream(pa.RecordBatchReader.from_batches(self.batches[0].schema, own))


def main() -> None:
    with open(sys.argv[1], "rb") as file:
        stream = pa.ipc.open_stream(pa.py_buffer(file.read()))
        server = FromMemory(list(stream))
    print(server.port, flush=True)
    server.serve()


if __name__ == "__main__":
    main()

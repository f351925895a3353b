"""A server as it is operated: settings from a file and the environment, following a writer, metrics, logs, stopping."""

import json
import os
import re
import signal
import time
import urllib.error
import urllib.request

import pyarrow as pa
import pyarrow.flight as flight
import pytest

from atlas_process import BOUND, Atlas, Process, Server
from fleet import CASTS, cast_name

METRICS = re.compile(r"http://(127\.0\.0\.1:\d+)/metrics")
PATIENCE_SECONDS = 60


class Operated(Server):
    """A server started by its settings file and its environment, with metrics."""

    def __init__(self, atlas: Atlas, config, **environment: str):
        Process.__init__(
            self, [atlas.binary, "serve", "--metrics", "127.0.0.1:0"],
            env=os.environ | {"ATLAS_CONFIG": str(config), "ATLAS_LISTEN": "127.0.0.1:0"} | environment,
        )
        try:
            self.port = int(self.wait_for(BOUND).group(1))
            self.metrics_address = self.wait_for(METRICS).group(1)
        except BaseException:
            self.terminate()
            raise

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://{self.metrics_address}{path}", timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, series: str) -> float:
        code, text = self.get("/metrics")
        assert code == 200
        values = (line.rpartition(" ") for line in text.splitlines())
        return next((float(value) for name, _, value in values if name == series), 0.0)

    def events(self) -> list[dict]:
        return [json.loads(line) for line in self.output if line.startswith("{")]


def until(holds, what: str):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain: {what}"


@pytest.fixture
def store(atlas, fleet_files, tmp_path):
    atlas("import", tmp_path / "store", fleet_files)
    return tmp_path / "store"


@pytest.fixture
def config(store, tmp_path):
    path = tmp_path / "atlas.toml"
    path.write_text(
        'listen = "127.0.0.1:1"\nrefresh = "1s"\nlog = "info"\nlog_format = "json"\n'
        f'[stores]\nfleet = "{store}"\n[limits]\nmax_result_rows = 100\n'
    )
    return path


def test_the_environment_goes_before_the_file(atlas, config):
    rows = "SELECT 1 AS one FROM datasets a, datasets b"
    with Operated(atlas, config) as server:
        with pytest.raises(Exception, match="more than 100 rows"):
            server.sql(rows)
    with Operated(atlas, config, ATLAS_MAX_RESULT_ROWS="0") as server:
        assert server.sql(rows).num_rows == CASTS**2


def test_a_reader_goes_on_while_a_writer_commits(atlas, config, store):
    with Operated(atlas, config) as server, server.connect() as client:
        info = server.stacked_info("fleet", ["temperature"], partitions=4)
        first = client.do_get(info.endpoints[0].ticket).read_all()
        atlas("rm", store, cast_name(0))
        until(lambda: server.sql("SELECT dataset FROM datasets").num_rows == CASTS - 1, "the deletion is seen")
        rest = [client.do_get(endpoint.ticket).read_all() for endpoint in info.endpoints[1:]]
        assert pa.concat_tables([first, *rest]).num_rows == CASTS
        assert server.stacked("fleet", ["temperature"]).num_rows == CASTS - 1
        assert server.metric('atlas_refreshes_total{store="fleet",outcome="changed"}') == 1
        assert server.metric('atlas_refreshes_total{store="fleet",outcome="failed"}') == 0


def test_what_is_done_is_counted_and_logged(atlas, config):
    with Operated(atlas, config) as server:
        table = server.sql("SELECT dataset, temperature FROM datasets WHERE dataset = ?", ["cast_swordfish"])
        assert table.num_rows == 0
        assert server.sql("SELECT dataset FROM datasets LIMIT 5").num_rows == 5
        until(lambda: server.metric("atlas_calls_running") == 0, "all calls are over")
        assert server.metric('atlas_queries_total{kind="sql",code="OK"}') == 2
        assert server.metric('atlas_rows_sent_total{kind="sql"}') == 5
        server.terminate()
        runs = [event for event in server.events() if event.get("method") == "DoGet" and event.get("kind") == "sql"]
    assert [event["rows"] for event in runs] == [0, 5]
    assert all(event["code"] == "OK" and event["sent_bytes"] > 0 and len(event["fingerprint"]) == 16 for event in runs)
    assert runs[0]["fingerprint"] != runs[1]["fingerprint"]
    assert not any("swordfish" in line for line in server.output)


def statement(sql: str) -> flight.FlightDescriptor:
    """CommandStatementQuery in protobuf's Any: ADBC would close its statement over a connection of its own at the end."""

    def field(number: int, content: bytes) -> bytes:
        assert len(content) < 128
        return bytes([number << 3 | 2, len(content)]) + content

    kind = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
    return flight.FlightDescriptor.for_command(field(1, kind) + field(2, field(1, sql.encode())))


def test_stopping_is_told_and_streams_may_end(atlas, config):
    # What is small waits in buffers; a stream that is not read keeps the server from ending.
    long = statement("SELECT repeat('x', 4000) AS text FROM datasets a, datasets b, datasets c")
    with Operated(atlas, config, ATLAS_MAX_RESULT_ROWS="0") as server, server.connect() as client:
        assert server.get("/healthz") == (200, "serving\n")
        reader = client.do_get(client.get_flight_info(long).endpoints[0].ticket)
        rows = reader.read_chunk().data.num_rows
        server.child.send_signal(signal.SIGTERM)
        until(lambda: server.get("/healthz")[0] == 503, "it says that it stops")
        with pytest.raises(flight.FlightError), server.connect() as other:
            other.get_flight_info(long)
        rows += reader.read_all().num_rows
        assert rows == CASTS**3
        assert server.child.wait(20) == 0

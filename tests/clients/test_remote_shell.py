"""`atlas query grpc://…` on a terminal: the shell, with a server behind it."""

import os

import pytest

from test_shell import PROMPT, Terminal


@pytest.fixture
def terminal(atlas, fleet_server, tmp_path):
    terminal = Terminal(atlas, f"{fleet_server.uri}/fleet", tmp_path, "xterm")
    yield terminal
    terminal.process.kill()
    terminal.process.wait()
    os.close(terminal.controller)


def test_statements_and_commands_are_those_of_a_local_store(terminal, fleet_files):
    answer = terminal.ask("SELECT count(*) AS casts FROM datasets;", "row in ")
    assert str(len(list(fleet_files.glob("*.nc")))) in answer
    assert "nowhere" in terminal.ask("SELECT * FROM nowhere;", "not found")
    assert "datasets" in terminal.ask(".tables", "rows in ")
    assert "dataset" in terminal.ask(".schema catalog", "rows in ")
    terminal.ask(".rows 2", "\n")
    assert "the first 2 rows" in terminal.ask("SELECT dataset FROM datasets;", "there are more rows")
    assert "only reads" in terminal.ask("CREATE VIEW mine AS SELECT 1;", "is not allowed")
    terminal.until(PROMPT)
    assert terminal.close() == 0


def test_ctrl_c_stops_the_query_that_runs_on_the_server(terminal):
    # The first statement's answer shows that the second one runs.
    terminal.ask("SELECT 1; SELECT count(*) FROM generate_series(1, 1000000000000);", "1 row in ")
    os.write(terminal.controller, b"\x03")
    terminal.until("interrupted")
    assert "| 9 " in terminal.ask("SELECT 4 + 5;", "1 row in ")
    terminal.until(PROMPT)
    assert terminal.close() == 0

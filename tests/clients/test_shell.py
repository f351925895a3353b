"""`atlas query STORE` without SQL: a shell on a terminal, statements from a pipe elsewhere."""

import fcntl
import os
import pty
import select
import subprocess
import termios
import time

import pytest

PROMPT = "atlas> "


class Terminal:
    """The shell on a terminal of its own."""

    def __init__(self, atlas, store, home, kind):
        controller, terminal = pty.openpty()
        environment = dict(os.environ, HOME=str(home), XDG_STATE_HOME="", TERM=kind)
        self.process = subprocess.Popen(
            [str(atlas.binary), "query", str(store)],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(terminal)
        self.controller = controller
        self.kind = kind
        self.text = ""

    def until(self, expected: str, deadline: float = 30) -> str:
        """What is printed up to `expected`."""
        end = time.monotonic() + deadline
        while expected not in self.text:
            left = end - time.monotonic()
            ready = select.select([self.controller], [], [], max(left, 0))[0]
            assert ready, f"{expected!r} did not come: {self.text!r}"
            try:
                self.text += os.read(self.controller, 65536).decode()
            except OSError:
                raise AssertionError(f"the shell ended before {expected!r}: {self.text!r}") from None
        before, self.text = self.text.split(expected, 1)
        return before

    def ask(self, line: str, expected: str) -> str:
        self.until(PROMPT)
        os.write(self.controller, line.encode() + b"\n")
        return self.until(expected)

    def close(self) -> int:
        os.write(self.controller, b"\x04")
        return self.process.wait(timeout=30)


@pytest.fixture(params=["dumb", "xterm"])
def terminal(request, atlas, fleet_store, tmp_path):
    terminal = Terminal(atlas, fleet_store, tmp_path, request.param)
    yield terminal
    terminal.process.kill()
    terminal.process.wait()
    os.close(terminal.controller)


def test_statements_span_lines_and_errors_do_not_end_it(terminal, fleet_files):
    terminal.until(PROMPT)
    os.write(terminal.controller, b"SELECT count(*)\nAS casts FROM datasets;\n")
    answer = terminal.until("row in ")
    assert "casts" in answer and str(len(list(fleet_files.glob('*.nc')))) in answer
    assert "nowhere" in terminal.ask("SELECT * FROM nowhere;", "not found")
    assert "| 2 " in terminal.ask("SELECT 1 + 1;", "1 row in ")
    terminal.until(PROMPT)
    assert terminal.close() == 0


def test_commands(terminal):
    assert "datasets" in terminal.ask(".tables", "rows in ")
    assert "dataset" in terminal.ask(".schema catalog", "rows in ")
    assert ".timing" in terminal.ask(".help", "Ctrl-C")
    assert "no such command" in terminal.ask(".drop everything", ".help")
    terminal.ask(".rows 2", "\n")
    answer = terminal.ask("SELECT dataset FROM datasets;", "there are more rows")
    assert "the first 2 rows" in answer
    terminal.ask(".rows all", "\n")
    assert "the first" not in terminal.ask("SELECT dataset FROM datasets;", "rows in ")
    terminal.until(PROMPT)
    os.write(terminal.controller, b".quit\n")
    assert terminal.process.wait(timeout=30) == 0


def test_ctrl_c_drops_the_line_that_is_typed(terminal):
    if terminal.kind == "dumb":
        pytest.skip("a terminal without line editing passes Ctrl-C on to the process")
    terminal.until(PROMPT)
    os.write(terminal.controller, b"SELECT nothing that is finished")
    terminal.until("finished")
    os.write(terminal.controller, b"\x03")
    assert "| 5 " in terminal.ask("SELECT 2 + 3;", "1 row in ")


def test_ctrl_c_stops_the_query_that_runs(terminal):
    # The first statement's answer shows that the second one runs.
    terminal.ask("SELECT 1; SELECT count(*) FROM generate_series(1, 1000000000000);", "1 row in ")
    os.write(terminal.controller, b"\x03")
    terminal.until("interrupted")
    assert "| 9 " in terminal.ask("SELECT 4 + 5;", "1 row in ")
    terminal.until(PROMPT)
    assert terminal.close() == 0


@pytest.mark.parametrize("kind", ["dumb", "xterm"])
def test_history_is_kept(kind, atlas, fleet_store, tmp_path):
    for line in ("SELECT 41 + 1;", "SELECT 'it''s';"):
        terminal = Terminal(atlas, fleet_store, tmp_path, kind)
        terminal.ask(line, "1 row in ")
        terminal.until(PROMPT)
        assert terminal.close() == 0
        os.close(terminal.controller)
    kept = (tmp_path / ".local/state/atlas/history").read_text()
    assert "SELECT 41 + 1;" in kept and "it''s" in kept


def test_a_pipe_is_read_to_its_end(atlas, fleet_store):
    done = subprocess.run(
        [str(atlas.binary), "query", str(fleet_store), "--format", "csv", "--timing", "--max-rows", "3"],
        input="SELECT dataset\nFROM datasets ORDER BY dataset",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 4
    assert "the first 3 rows in " in done.stderr


def test_nothing_on_the_pipe_is_a_usage_error(atlas, fleet_store):
    done = subprocess.run(
        [str(atlas.binary), "query", str(fleet_store)], input=" ", capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "") and "no statement" in done.stderr

"""A system's process, from the driver's side."""

import json
import os
import select
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WORKER = Path(__file__).resolve().with_name("worker.py")


class Failed(Exception):
    """A system could not do what was asked: its error, how it crashed, or that it took too long."""


@dataclass
class System:
    """One that is compared: what runs it, and what it can do."""

    name: str
    # The interpreter that has its packages.
    python: str
    # A module of `systems`, or the path of a file with a class `System`.
    module: str
    variant: str = ""
    # Systems with the same files read what the first of them wrote.
    files: str = ""
    # What it is not asked for.
    without: frozenset[str] = frozenset()
    # One that keeps a file for each dataset is spared large numbers of them.
    file_each: bool = False
    environment: dict[str, str] = field(default_factory=dict)


class Worker:
    """The process of a system. One that crashed or took too long is started again when it is next asked."""

    def __init__(self, system: System, timeout: float):
        self.system, self.timeout = system, timeout
        self.version = "?"
        self.child: subprocess.Popen[bytes] | None = None
        self.errors = tempfile.TemporaryFile()

    def start(self) -> subprocess.Popen[bytes]:
        command = [self.system.python, str(WORKER), self.system.module, self.system.variant]
        environment = {**os.environ, **self.system.environment, "PYTHONDONTWRITEBYTECODE": "1"}
        # A group of its own: the servers that it starts end with it.
        self.child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, env=environment, start_new_session=True
        )
        self.version = self.answer(self.child)["version"]
        return self.child

    def ask(self, **request: Any) -> dict[str, Any]:
        """Has it do something. What it took, or `Failed`."""
        child = self.child or self.start()
        assert child.stdin
        try:
            child.stdin.write(json.dumps(request).encode() + b"\n")
            child.stdin.flush()
        except BrokenPipeError:
            pass  # It ended; why, is read of it.
        answer = self.answer(child)
        if "failure" in answer:
            raise Failed(answer["failure"])
        return answer

    def answer(self, child: subprocess.Popen[bytes]) -> dict[str, Any]:
        assert child.stdout
        ready, _, _ = select.select([child.stdout], [], [], self.timeout)
        if not ready:
            child.kill()
            self.stop()
            raise Failed(f"gave up after {self.timeout:.0f} s")
        line = child.stdout.readline()
        if line:
            return json.loads(line)
        self.stop()
        code = child.returncode
        self.errors.seek(0)
        last = (self.errors.read().decode(errors="replace").strip().splitlines() or [""])[-1]
        raise Failed(f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}: {last}")

    def stop(self) -> None:
        if child := self.child:
            self.child = None
            if child.stdin:
                child.stdin.close()
            try:
                # Its input is at an end: it goes by itself, unless it hangs.
                child.wait(5)
            except subprocess.TimeoutExpired:
                pass
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # All of the group are gone.
            child.wait()

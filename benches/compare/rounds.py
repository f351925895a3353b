"""Rounds in which the systems take turns, and what came of them."""

import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Callable

from process import Failed, System, Worker
from task import Task, digest


@dataclass
class Settings:
    rounds: int = 5
    write_rounds: int = 3
    # A system that takes longer for its first run is not asked for another.
    patience_s: float = 10.0
    # One that takes longer still is stopped.
    timeout_s: float = 300.0


@dataclass
class Row:
    """What one system did in one operation at one size."""

    case: str
    operation: str
    datasets: int
    system: str
    runs: list[dict[str, Any]] = field(default_factory=list)
    # Instead of runs: a wrong answer, an error, a crash. Or why it was not asked.
    failure: str = ""
    skipped: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Bench:
    """The processes of the systems on one task, and the files that they wrote."""

    def __init__(self, systems: list[System], task: Task, folder: Path, settings: Settings, say: Callable[[str], None], cap: int):
        self.task, self.folder, self.settings, self.say = task, folder, settings, say
        self.capped = [system for system in systems if system.file_each and task.datasets > cap]
        self.cap = cap
        self.workers = [Worker(system, settings.timeout_s) for system in systems if system not in self.capped]
        # Who writes the files that others read too.
        self.owners: dict[str, System] = {}
        for worker in self.workers:
            if "write" not in worker.system.without:
                self.owners.setdefault(worker.system.files, worker.system)

    def place(self, system: System, operation: str) -> Path:
        owner = system if operation == "write" else self.owners.get(system.files, system)
        return self.folder / owner.name.replace(" ", "-")

    def stop(self) -> None:
        for worker in self.workers:
            worker.stop()

    def measure(self, operation: str) -> list[Row]:
        """One operation by all systems that can do it, in rounds."""
        asked = [worker for worker in self.workers if operation not in worker.system.without]
        rows = {worker.system.name: Row(self.task.case, operation, self.task.datasets, worker.system.name) for worker in asked}
        for worker in asked:
            if operation != "write" and not self.place(worker.system, operation).exists():
                rows[worker.system.name].failure = "there is nothing to read"
            elif operation != "write":
                self.once(worker, rows[worker.system.name], "prepare", operation=operation)
        # The first round shows who is too slow for more; those that the others are compared to never are.
        self.round(operation, 0, asked, rows)
        again = [worker for worker in asked if worker is asked[0] or not self.slow(rows[worker.system.name])]
        rounds = self.settings.write_rounds - 1
        if operation != "write":
            # It also warms up: where there are others, it does not count.
            rounds = self.settings.rounds
            for worker in again:
                rows[worker.system.name].runs.clear()
        for number in range(1, rounds + 1):
            turn = number % max(1, len(again))
            self.round(operation, number, again[turn:] + again[:turn], rows)
        if operation == "write":
            self.keep_owners()
        skipped = [
            Row(self.task.case, operation, self.task.datasets, system.name, skipped=f"not more than {self.cap}")
            for system in self.capped
            if operation not in system.without
        ]
        return [*rows.values(), *skipped]

    def slow(self, row: Row) -> bool:
        return any(run["all_seconds"] > self.settings.patience_s for run in row.runs)

    def round(self, operation: str, number: int, workers: list[Worker], rows: dict[str, Row]) -> None:
        numbers = self.numbers(number)
        more = {"numbers": numbers} if operation in ("cold", "warm") else {}
        expected = self.expected(operation, numbers)
        for worker in workers:
            row = rows[worker.system.name]
            if row.failure:
                continue
            if operation == "write":
                shutil.rmtree(self.place(worker.system, operation), ignore_errors=True)
                # What others wrote is not this one's to wait for.
                os.sync()
            run = self.once(worker, row, operation, **more)
            if run is None:
                continue
            run["all_seconds"] = run["seconds"] * len(more.get("numbers", [0]))
            if expected and run.pop("digest") != expected:
                row.failure = "WRONG ANSWER"
                self.say(f"{operation}: {row.system}: {row.failure}")
            else:
                row.runs.append(run)

    def once(self, worker: Worker, row: Row, what: str, **more: Any) -> dict[str, Any] | None:
        folder = self.place(worker.system, row.operation)
        try:
            return worker.ask(do=what, folder=str(folder), task=self.task.to_json(), **more)
        except Failed as failed:
            row.failure = str(failed)
            self.say(f"{row.operation}: {row.system}: {row.failure}")
            return None

    def numbers(self, round_number: int) -> list[int]:
        """The datasets that single reads of a round are of: other ones in each, so that nothing decoded is found again."""
        datasets = self.task.datasets
        count = min(20, max(1, datasets // (self.settings.rounds + 1)))
        # Far from each other; the step has no divisor that the sizes have.
        return [(round_number * count + at) * 100_003 % datasets for at in range(count)]

    def expected(self, operation: str, numbers: list[int]) -> str:
        """The digest of the right answer: of the cells as they were made, not of any system's."""
        if operation == "write":
            return ""
        if operation == "names":
            return digest(self.task.names())
        if operation in ("cold", "warm"):
            return digest(self.task.single(numbers))
        return digest(self.task.stacked(self.task.box(operation)))

    def keep_owners(self) -> None:
        for worker in self.workers:
            if "write" not in worker.system.without and self.owners[worker.system.files] is not worker.system:
                shutil.rmtree(self.place(worker.system, "write"), ignore_errors=True)
        os.sync()

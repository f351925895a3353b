"""One system in a process of its own: obeys JSON lines on stdin, and answers each with what it took.

    worker.py MODULE VARIANT      a module of `systems`, or the path of a file with a class `System`

| request | what is timed |
|---|---|
| `prepare` | nothing: servers are started |
| `write` | from the cells in memory to all of them stored |
| `slice`, `full` | from opening the store to one array a variable, or what the system has instead |
| `cold` | a read of one dataset's region, the store opened for each |
| `warm` | the same with a store that is open |
| `names` | opening, and the names of all datasets |
"""

import ctypes
import gc
import importlib
import importlib.util
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any, Callable

from task import Task, digest

TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """What the kernel counts of a process: this one, or a server that it started."""

    def __init__(self, pid: int):
        self.folder = Path(f"/proc/{pid}")

    def io(self) -> tuple[int, int]:
        """Bytes read and read calls so far, those that the page cache answered included; not what is mapped, nor sockets."""
        found = dict(line.split(": ") for line in (self.folder / "io").read_text().splitlines())
        return int(found["rchar"]), int(found["syscr"])

    def cpu_seconds(self) -> float:
        if self.folder.name == str(os.getpid()):
            return time.process_time()
        fields = (self.folder / "stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self, which: str) -> int:
        """VmRSS or VmHWM (its peak), in bytes."""
        found = re.search(rf"{which}:\s+(\d+) kB", (self.folder / "status").read_text())
        assert found, which
        return int(found[1]) * 1024

    def forget_peak(self) -> None:
        (self.folder / "clear_refs").write_text("5")


def measure(processes: list[Process], work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What the work gives, and what it took of all the processes."""
    gc.collect()
    give_back()
    for process in processes:
        process.forget_peak()
    rest = sum(process.memory("VmRSS") for process in processes)
    cpu = sum(process.cpu_seconds() for process in processes)
    before = [process.io() for process in processes]
    start = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    after = [process.io() for process in processes]
    return result, {
        "seconds": seconds,
        "cpu_seconds": sum(process.cpu_seconds() for process in processes) - cpu,
        "bytes": sum(one[0] - other[0] for one, other in zip(after, before)),
        "requests": sum(one[1] - other[1] for one, other in zip(after, before)),
        "peak_bytes": max(0, sum(process.memory("VmHWM") for process in processes) - rest),
    }


def give_back() -> None:
    """Returns what was freed to the system, so that memory of an earlier answer is not at hand for free. glibc only."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


class Worker:
    def __init__(self, module: str, variant: str):
        self.system = load(module).System(variant)
        # A store that stays open, for `warm`: of which folder, and the handle.
        self.opened: tuple[str, Any] = ("", None)

    def obey(self, request: dict[str, Any]) -> dict[str, Any]:
        operation, folder = request["do"], request["folder"]
        task = Task.from_json(request["task"])
        system = self.system
        if operation == "prepare":
            if hasattr(system, "prepare"):
                system.prepare(folder, task, task.box(request["operation"]))
            return {}
        if operation == "write":
            cells = system.load(task) if hasattr(system, "load") else [task.cells(each) for each in task.variables]
            _, took = self.measure(lambda: system.write(folder, task, cells))
            return {**took, **size(Path(folder))}
        if operation in ("slice", "full"):
            box = task.box(operation)
            answer, took = self.measure(lambda: system.stacked(system.open(folder, task), task, box))
            arrays = system.arrays(answer, task) if hasattr(system, "arrays") else answer
            return {**took, "digest": digest(arrays), "answer_bytes": sum(array.nbytes for array in arrays)}
        if operation == "names":
            answer, took = self.measure(lambda: system.names(system.open(folder, task)))
            return {**took, "digest": digest(answer)}
        numbers, box, variable = request["numbers"], (task.start, task.shape), task.variables[0]
        if operation == "cold":
            read = lambda: [system.single(system.open(folder, task), task, number, variable, box) for number in numbers]
        else:
            if self.opened[0] != folder:
                self.opened = (folder, system.open(folder, task))
            handle = self.opened[1]
            read = lambda: [system.single(handle, task, number, variable, box) for number in numbers]
        answer, took = self.measure(read)
        # For each read; but the peak is that of all.
        each = {what: value / (1 if what == "peak_bytes" else len(numbers)) for what, value in took.items()}
        return {**each, "digest": digest(answer)}

    def measure(self, work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
        pids = [os.getpid(), *getattr(self.system, "pids", lambda: [])()]
        return measure([Process(pid) for pid in pids], work)


def size(folder: Path) -> dict[str, int]:
    """Bytes and files on disk."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {"disk_bytes": sum(path.stat().st_size for path in files), "disk_files": len(files)}


def load(module: str) -> Any:
    if not module.endswith(".py"):
        return importlib.import_module(f"systems.{module}")
    spec = importlib.util.spec_from_file_location("system", module)
    assert spec and spec.loader, module
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def main() -> None:
    # What libraries print must not get between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker(sys.argv[1], sys.argv[2])
    print(json.dumps({"version": worker.system.version}), file=answers, flush=True)
    for line in sys.stdin:
        try:
            answer = worker.obey(json.loads(line))
        except Exception as error:  # It is a result: the driver's table shows it.
            answer = {"failure": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)
    # Also where the driver was killed: no server stays behind.
    getattr(worker.system, "close", lambda: None)()


if __name__ == "__main__":
    main()

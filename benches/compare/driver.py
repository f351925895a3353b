"""Atlas beside what users would pick instead: the same data written and read through each, in turns, answers checked.

Each system runs in a process of its own. For each case, size and operation there is a round that warms up and compares the
answers to the cells as they were made, then rounds in which every system runs once, another one first each time. Runs
include opening. Files are in the page cache. `benches/compare/run` makes the environments and starts this.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import chart
import known
import report
import sql
from cases import CASES, OPERATIONS, Case, Missing
from process import System
from rounds import Bench, Settings


def main() -> None:
    options = arguments()
    # Somebody ends it: processes are stopped and files removed as after an error.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    options.out.mkdir(parents=True, exist_ok=True)
    pythons = known.Interpreters(options.atlas_python, options.reference_python, options.peers_python, options.atlas_bin)
    systems = chosen(known.systems(pythons), options.system)
    systems += [System(name, options.peers_python, file, files=name) for name, file in options.other]
    cases = [case for case in CASES if not options.case or any(part in case.name for part in options.case)]
    settings = Settings(options.rounds, options.write_rounds, options.patience, options.timeout)
    results = report.Results(report.machine(), options.rounds, [system.name for system in systems], cases)
    with tempfile.TemporaryDirectory(prefix="atlas-compare-") as temporary:
        plan = Plan(systems, settings, options.op or OPERATIONS, options.folder or Path(temporary), bool(options.folder))
        for case in cases:
            for datasets in options.datasets or getattr(case, options.sizes):
                compare(plan, case, datasets, results)
                # What is known is kept, should the rest not come to an end.
                results.save(options.out)
    if options.sql:
        results.sql = sql.run(options.sql_bench, options.peers_python, options.sizes == "small")
    results.save(options.out)
    if results.rows and not chart.draw(results, options.out):
        say("no chart: this Python has no matplotlib")
    say(f"results are in {options.out}")
    failed = [row for row in results.rows if row.failure]
    broken = [f"{row.case}, {row.operation}, {row.datasets}: {row.system}: {row.failure}" for row in failed]
    if results.sql.startswith(sql.FAILED):
        broken.append(f"benches/compare_sql {results.sql.splitlines()[0]}")
    if broken:
        sys.exit("\n".join(broken))


@dataclass
class Plan:
    """What is done with each case."""

    systems: list[System]
    settings: Settings
    operations: list[str]
    folder: Path
    # Files that are kept are read the next time, unless they are to be written again.
    keep: bool


def compare(plan: Plan, case: Case, datasets: int, results: report.Results) -> None:
    """All operations on a case at one size."""
    place = plan.folder / f"{case.name}-{datasets}"
    try:
        task = case.task(datasets, place / "cells")
    except Missing as missing:
        say(f"SKIPPED {case.name}: {missing}")
        return
    bench = Bench(plan.systems, task, place, plan.settings, say, case.files_cap)
    written = all(bench.place(system, "slice").exists() for system in bench.owners.values())
    try:
        for operation in OPERATIONS:
            wanted = operation in plan.operations and operation in case.operations
            if wanted or (operation == "write" and not written):
                start = time.perf_counter()
                results.add(bench.measure(operation))
                say(f"{case.name}, {datasets} datasets: {operation}: {time.perf_counter() - start:.0f} s")
        results.versions |= {worker.system.name: worker.version for worker in bench.workers}
    finally:
        bench.stop()
        if not plan.keep:
            shutil.rmtree(place)


def chosen(systems: list[System], names: list[str]) -> list[System]:
    if unknown := set(names) - {system.name for system in systems}:
        sys.exit(f"no such system: {', '.join(sorted(unknown))}; there are {', '.join(system.name for system in systems)}")
    return [system for system in systems if (system.name in names if names else system.name not in known.EXTRA)]


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="benches/compare/run", description=__doc__, formatter_class=plain)
    parser.add_argument("--out", type=Path, required=True, help="a folder for compare.md, .json, .svg and .png")
    parser.add_argument("--sizes", choices=["small", "full"], default="full", help="how many datasets (full)")
    numbers = lambda text: [int(number) for number in text.split(",")]
    parser.add_argument("--datasets", type=numbers, help="other sizes, as 100,1000")
    parser.add_argument("--case", action="append", default=[], help="only cases with this in their names (may be repeated)")
    parser.add_argument("--system", action="append", default=[], help="only this system (may be repeated)")
    other: dict[str, Any] = {"metavar": "NAME=FILE", "type": lambda text: text.split("=", 1), "action": "append", "default": []}
    parser.add_argument("--other", **other, help="one more system: a file as those in benches/compare/systems")
    parser.add_argument("--op", action="append", choices=OPERATIONS, help="only this operation (may be repeated)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write-rounds", type=int, default=3)
    parser.add_argument("--patience", type=float, help="seconds; who takes longer for a run is asked once (10; 2 where sizes are small)")
    parser.add_argument("--timeout", type=float, default=300, help="seconds; who takes longer is stopped (300)")
    parser.add_argument("--folder", type=Path, help="where files are made, kept, and found the next time (default: temporary)")
    parser.add_argument("--sql", action=argparse.BooleanOptionalAction, help="benches/compare_sql too (default: where all of full is done)")
    parser.add_argument("--sql-bench", help="a built `sql` bench (default: benches/compare_sql builds it)")
    parser.add_argument("--atlas-python", default=sys.executable, help="a Python with this tree's package")
    parser.add_argument("--reference-python", default=sys.executable, help="a Python with atlas-python 0.9.1")
    parser.add_argument("--peers-python", default=sys.executable, help="a Python with the other systems")
    parser.add_argument("--atlas-bin", default="", help="a release build; without one nothing goes over Flight")
    options = parser.parse_args()
    if options.sql is None:
        options.sql = options.sizes == "full" and not (options.case or options.system or options.op)
    if options.patience is None:
        options.patience = 2 if options.sizes == "small" else 10
    # Workers run elsewhere.
    options.atlas_bin = options.atlas_bin and os.path.abspath(options.atlas_bin)
    return options


if __name__ == "__main__":
    main()

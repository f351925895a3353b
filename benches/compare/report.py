"""What came out, as Markdown and JSON."""

import json
import os
import platform
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cases import OPERATIONS, Case
from rounds import Row

MIB = 1 << 20
TITLES = {
    "write": "write and flush",
    "slice": "stacked slice, a quarter of each dimension",
    "full": "stacked read of everything",
    "cold": "one dataset, one array; the store opened for each read",
    "warm": "one dataset, one array; the store is open",
    "names": "open, and the names of all datasets",
}
NOTES = """\
Times are those of a round with all it takes: opening, reading, and one array in memory for each variable. `÷ atlas` is the
median of the ratios within the rounds: above 1, Atlas is faster. One run: it took too long to be asked again. MiB and calls
are what the process read by `read`, from the page cache or not (`rchar` and `syscr` of Linux; none of the systems maps its
files into memory). Peak is the resident memory above what it was before, answer included, the most of all rounds. Over
Flight, CPU, reads and peak are those of client and server together. The answers of all systems were the same, bit for bit,
but where the tables say otherwise.

- **atlas** decides itself how it encodes; **atlas none** stores cells as they are. Both flush to the disk (`fsync`).
- **reference** is atlas-python 0.9.1 with its default, zstd. A handle keeps the files that it read in memory.
- **tensorstore**, **zarrs** and **zarr-python** have one sharded Zarr v3 array a variable, stacked by hand: chunks of one
  dataset (sensor: 1000; Argo: 50, padded to the longest) in shards of 100 (gridded: 10; sensor: 10,000; Argo: 1000), zstd
  level 3, or blosc with byte shuffle and zstd level 3. That takes equal shapes, and datasets that are all known before.
  They are given the datasets stacked. TensorStore flushes to the disk, zarr-python does not.
- **zarr stores** are a Zarr v3 store for each dataset, read by `xarray.open_mfdataset(parallel=True)`; **netcdf** is a
  NetCDF-4 file for each (shuffle, zlib 1), read one after the other, since netCDF4 crashes where threads open files. They have
  nothing that stays open, and their names are the folder's. Neither flushes to the disk.
- **atlas flight** reads from `atlas serve` on loopback into a pyarrow table, in one stream, **atlas none flight** from the store
  of atlas none; **C++ flight** is pyarrow's C++ server, which sends the same batches from memory.
"""


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{len(os.sched_getaffinity(0))} cores of {os.cpu_count()} ({model}), Linux {platform.release()}"


@dataclass
class Results:
    machine: str
    rounds: int
    systems: list[str]
    cases: list[Case]
    rows: list[Row] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    sql: str = ""
    # What else ran: times are only worth something beside each other.
    loads: list[float] = field(default_factory=list)

    def add(self, rows: list[Row]) -> None:
        self.rows += rows
        self.loads.append(os.getloadavg()[0])

    def of(self, case: str, operation: str) -> list[Row]:
        return [row for row in self.rows if (row.case, row.operation) == (case, operation)]

    def ratios(self, row: Row, base: str) -> list[float]:
        """The row's times over those of another system, round by round."""
        others = [each for each in self.of(row.case, row.operation) if (each.datasets, each.system) == (row.datasets, base)]
        if not others or not others[0].runs or not row.runs:
            return []
        runs = [run["seconds"] for run in others[0].runs]
        if len(runs) != len(row.runs):
            # One of them was too slow to take turns.
            runs = [statistics.median(runs)] * len(row.runs)
        return sorted(run["seconds"] / other for run, other in zip(row.runs, runs))

    def save(self, out: Path) -> None:
        fields = {
            "machine": self.machine,
            "loads": self.loads,
            "rounds": self.rounds,
            "versions": self.versions,
            "rows": [self.summary(row) for row in self.rows],
            "sql": sql_rows(self.sql),
        }
        (out / "compare.json").write_text(json.dumps(fields, indent=1) + "\n")
        (out / "compare.md").write_text(self.markdown())

    def summary(self, row: Row) -> dict[str, Any]:
        seconds = [run["seconds"] for run in row.runs]
        ratios = {base: statistics.median(found) for base in self.systems if (found := self.ratios(row, base))}
        return {**row.to_json(), "median_seconds": statistics.median(seconds) if seconds else None, "time_over": ratios}

    def markdown(self) -> str:
        loads = f"{min(self.loads):.1f} to {max(self.loads):.1f}" if self.loads else "unknown"
        parts = [f"{self.machine}; load {loads}; {self.rounds} rounds.\n", NOTES]
        if self.versions:
            each = "; ".join(f"{system}: {version}" for system, version in self.versions.items())
            parts.append(f"Versions: {each}.\n")
        if self.rows:
            parts += [f"### At a glance: time ÷ {self.systems[0]}\n", self.glance()]
        for case in self.cases:
            for operation in OPERATIONS:
                if rows := self.of(case.name, operation):
                    parts += [f"### {case.title}: {TITLES[operation]}\n", self.table(rows)]
            if rows := self.of(case.name, "write"):
                parts += [f"### {case.title}: size on disk\n", sizes(rows)]
        if flown := self.flights():
            parts += ["### Over Flight\n", flown]
        if self.sql:
            parts += ["### SQL: `benches/compare_sql`\n", self.sql]
        return "\n".join(parts)

    def glance(self) -> str:
        """At the largest size of each case; where a system was spared that, at the largest that it did."""
        lines = ["| case | datasets | " + " | ".join(self.systems[1:]) + " |", "|---|--:|" + "--:|" * (len(self.systems) - 1)]
        for case in self.cases:
            for operation in OPERATIONS:
                rows = self.of(case.name, operation)
                if not rows:
                    continue
                most = max(row.datasets for row in rows)
                cells = []
                for system in self.systems[1:]:
                    own = [row for row in rows if row.system == system and not row.skipped]
                    row = max(own, key=lambda row: row.datasets, default=None)
                    ratios = self.ratios(row, self.systems[0]) if row else []
                    at = f" ({row.datasets})" if row and row.datasets != most else ""
                    cells.append("—" if not row else row.failure or (times(statistics.median(ratios)) + at if ratios else "?"))
                lines.append(f"| {case.name}, {operation} | {most} | " + " | ".join(cells) + " |")
        return "\n".join(lines) + "\n"

    def table(self, rows: list[Row]) -> str:
        lines = [
            f"| datasets | system | runs | median ms | min–max | ÷ {self.systems[0]} | CPU ms | MiB read | calls | peak MiB |",
            "|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|",
        ]
        for row in sorted(rows, key=lambda row: (row.datasets, self.systems.index(row.system))):
            if not row.runs or row.failure:
                lines.append(f"| {row.datasets} | {row.system} | | {row.failure or f'— ({row.skipped})'} | | | | | | |")
                continue
            lines.append("| " + " | ".join([str(row.datasets), row.system, *self.measured(row)]) + " |")
        if answers := {row.datasets: row.runs[0]["answer_bytes"] for row in rows if row.runs and "answer_bytes" in row.runs[0]}:
            each = (f"{number(size / MIB)} MiB of {count} datasets" for count, size in sorted(answers.items()))
            lines += ["", f"Answers: {', '.join(each)}."]
        return "\n".join(lines) + "\n"

    def measured(self, row: Row) -> list[str]:
        """The cells of a row of a table, from the number of runs on."""

        def middle(what: str) -> float:
            return statistics.median(run[what] for run in row.runs)

        seconds, ratios = [run["seconds"] for run in row.runs], self.ratios(row, self.systems[0])
        return [
            str(len(seconds)),
            ms(statistics.median(seconds)),
            f"{ms(min(seconds))}–{ms(max(seconds))}",
            times(statistics.median(ratios)) if ratios else "",
            ms(middle("cpu_seconds")),
            number(middle("bytes") / MIB),
            f"{middle('requests'):.0f}",
            number(max(run["peak_bytes"] for run in row.runs) / MIB),
        ]

    def flights(self) -> str:
        """Streams beside the wire's ceiling, and beside the reference without a wire."""
        lines = []
        for row in self.rows:
            if row.system.startswith("atlas") and row.system.endswith("flight") and row.runs:
                of = [self.ratios(row, base) for base in ("C++ flight", "reference")]
                cells = [f"{statistics.median(1 / ratio for ratio in ratios):.2f}" if ratios else "" for ratios in of]
                lines.append(f"| {row.case}, {row.operation} | {row.datasets} | {row.system} | {cells[0]} | {cells[1]} |")
        head = ["| case | datasets | system | speed ÷ C++ server's | speed ÷ the reference's, which reads its files |"]
        head.append("|---|--:|---|--:|--:|")
        return "\n".join(head + lines) + "\n" if lines else ""


def sizes(rows: list[Row]) -> str:
    counts = sorted({row.datasets for row in rows})
    head = " | ".join(f"{count} datasets: MiB | files" for count in counts)
    lines = [f"| system | {head} |", "|---|" + "--:|--:|" * len(counts)]
    for system in dict.fromkeys(row.system for row in rows):
        found = {row.datasets: row.runs[-1] for row in rows if row.system == system and row.runs}
        runs = [found.get(count) for count in counts]
        cells = [f"{run['disk_bytes'] / MIB:.2f} | {run['disk_files']}" if run else "— | " for run in runs]
        lines.append(f"| {system} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def sql_rows(text: str) -> list[dict[str, str]]:
    """The rows of the tables that `compare_sql` printed."""
    rows: list[dict[str, str]] = []
    title, query = "", ""
    head: list[str] = []
    for line in text.splitlines():
        if line.startswith("#### "):
            title, head = line[5:], []
        elif line.startswith("|") and not line.startswith("|-"):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if not head:
                head = cells
                continue
            query = cells[0] or query
            rows.append({"table": title, **dict(zip(head, cells)), "query": query})
    return rows


def ms(seconds: float) -> str:
    return number(seconds * 1000)


def times(ratio: float) -> str:
    return f"{number(ratio)}×"


def number(value: float) -> str:
    """Three digits that mean something."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"

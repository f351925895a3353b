"""How the time of each operation grows with the number of datasets, as SVG and PNG."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from report import Results

DRAWN = {"slice": "stacked slice", "full": "stacked read of everything", "write": "write and flush"}
# A colour a project, a line a codec or way: systems that differ in codec alone look alike.
COLOURS = {
    "atlas": "#1f5fbf",
    "reference": "#e07b00",
    "tensorstore": "#2a8f4f",
    "zarrs": "#8a5cc2",
    "zarr-python": "#c43d8c",
    "zarr stores": "#b02a2a",
    "netcdf": "#7a6a4f",
    "C++ flight": "#555555",
}
LINES = {"none flight": (0, (1, 3)), "flight": ":", "none": "--", "zstd": "--", "lz4": "-."}


def draw(results: Results, out: Path) -> bool:
    """Whether there is a chart: not without matplotlib."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        return False
    matplotlib.use("svg")
    from matplotlib import pyplot, ticker

    # The same results give the same file, and its text stays text.
    pyplot.rcParams.update({"svg.hashsalt": "compare", "svg.fonttype": "none", "font.size": 8})
    cases = [case for case in results.cases if any(results.of(case.name, operation) for operation in DRAWN)]
    operations = [operation for operation in DRAWN if any(row.operation == operation for row in results.rows)]
    if not cases or not operations:
        return True
    size = (2.9 * len(cases) + 0.4, 2.6 * len(operations) + 1.1)
    figure, panels = pyplot.subplots(len(operations), len(cases), figsize=size, squeeze=False, layout="constrained")
    named: dict[str, Any] = {}
    for line, operation in zip(panels, operations):
        for panel, case in zip(line, cases):
            found = points_of(results, case.name, operation)
            panel.set_visible(bool(found))
            for system, points in found.items():
                named.setdefault(system, panel.plot(*zip(*points), label=system, **style(system))[0])
            panel.set(xscale="log", yscale="log", title=f"{case.name}: {DRAWN[operation]}")
            panel.title.set_fontsize(8)
            counts = sorted({count for points in found.values() for count, _ in points})
            panel.set_xticks(counts, [f"{count:,}" for count in counts], minor=False)
            panel.set_xticks([], minor=True)
            panel.yaxis.set_major_formatter(ticker.FuncFormatter(duration))
            panel.yaxis.set_minor_formatter(ticker.FuncFormatter(duration))
            # One decade and less still has a tick or two with a number.
            panel.yaxis.set_minor_locator(ticker.LogLocator(subs=(3,)))
            panel.grid(True, color="#dddddd", linewidth=0.5)
            panel.spines[["top", "right"]].set_visible(False)
    figure.suptitle("Median time by the number of datasets;\nless is better", fontsize=9)
    order = [system for system in results.systems if system in named]
    columns = max(2, int(size[0] / 1.6))
    figure.legend([named[system] for system in order], order, loc="outside lower center", ncols=columns, frameon=False)
    figure.savefig(out / "compare.svg", metadata={"Date": None})
    figure.savefig(out / "compare.png", dpi=120)
    pyplot.close(figure)
    return True


def points_of(results: Results, case: str, operation: str) -> dict[str, list[tuple[int, float]]]:
    """The medians of each system, by the number of datasets."""
    points: dict[str, list[tuple[int, float]]] = {}
    for row in results.of(case, operation):
        if row.runs and not row.failure:
            points.setdefault(row.system, []).append((row.datasets, statistics.median(run["seconds"] for run in row.runs)))
    return {system: sorted(own) for system, own in points.items()}


def duration(seconds: float, _position: int) -> str:
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1e3:g} ms"


def style(system: str) -> dict[str, Any]:
    colour = next((colour for name, colour in COLOURS.items() if system.startswith(name)), "#000000")
    way = next((way for end, way in LINES.items() if system.endswith(end)), "-")
    return {"color": colour, "linestyle": way, "linewidth": 2.2 if system == "atlas" else 1.2, "marker": "o", "markersize": 3}

"""Which casts were warm? Answered from the statistics in the catalog: no cells are read.

Output:
    1000 casts, 67 warmer than 29 degrees, the warmest cast_0999 with 30.0
    7 casts have gaps, 70 cells in all
    mean of all cells from sums and counts: 19.31
    the cells say the same: 19.31
"""

import tempfile
from pathlib import Path

import numpy as np

import atlas


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "fleet"
        with atlas.Atlas.create(place) as store:
            for cast in range(1000):
                view = store.create_dataset(f"cast_{cast:04}")
                view.define_array("temperature", "float64", ["depth"], [50], fill_value=float("nan"))
                surface = 10 + 20 * (cast + 1) / 1000
                cells = surface - np.linspace(0, 8, 50) * 0.8
                if cast % 150 == 0:
                    cells[20:30] = np.nan
                view.write_array("temperature", [0], cells + 5 * (1 - (cast + 1) / 1000))

        store = atlas.Atlas.open(place)
        stats = {name: store[name].array_stats("temperature", extended=True) for name in store}
        warm = [name for name, known in stats.items() if known["max"] > 29]
        warmest = max(stats, key=lambda name: stats[name]["max"])
        print(f"{len(stats)} casts, {len(warm)} warmer than 29 degrees, "
              f"the warmest {warmest} with {stats[warmest]['max']:.1f}")
        gaps = [known["null_count"] for known in stats.values() if known["null_count"]]
        print(f"{len(gaps)} casts have gaps, {sum(gaps)} cells in all")
        count = sum(known["row_count"] - known["null_count"] for known in stats.values())
        print(f"mean of all cells from sums and counts: {sum(known['sum'] for known in stats.values()) / count:.2f}")
        cells = store.read_array_across_stacked("temperature", list(store))
        print(f"the cells say the same: {np.nanmean(cells):.2f}")


if __name__ == "__main__":
    main()

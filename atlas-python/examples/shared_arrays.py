"""Arrays of one name lie together, whatever dataset they are of: the same slice of all datasets is one read.

Output:
    300 datasets, 2 arrays, files: ['atlas.json', 'salinity/data.af', 'temperature/data.af']
    surface of all: (300, 2) float32, mean 20.50
    the same one by one: equal
    dataset cast_150 has no salinity: [(10,), None, (10,)]
    stacked needs it of all: no such array: salinity in dataset cast_150
"""

import tempfile
from pathlib import Path

import numpy as np

import atlas


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "fleet"
        with atlas.Atlas.create(place) as store:
            for cast in range(300):
                view = store.create_dataset(f"cast_{cast}")
                view.define_array("temperature", "f32", ["depth"], [10])
                cells = (20 + (cast % 10) / 9 - np.arange(10) * 0.5).astype("float32")
                view.write_array("temperature", [0], cells)
                if cast != 150:
                    view.define_array("salinity", "f32", ["depth"], [10], fill_value=35.0)

        store = atlas.Atlas.open(place)
        names = store.list_datasets()
        # Nothing of salinity was written: it has a declaration and a fill value, and no cells until it has.
        with store:
            store["cast_0"].write_array("salinity", [0], np.full(10, 34.5, dtype="float32"))
        files = sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())
        files = [file for file in files if file != "atlas.lock"]
        print(f"{len(store)} datasets, {len(store.list_arrays())} arrays, files: {files}")

        surface = store.read_array_across_stacked("temperature", names, start=[0], shape=[2])
        print(f"surface of all: {surface.shape} {surface.dtype}, mean {surface[:, 0].mean():.2f}")
        one_by_one = np.stack([store[name].read_array("temperature", [0], [2]) for name in names])
        print("the same one by one:", "equal" if np.array_equal(surface, one_by_one) else "different")

        some = store.read_array_across("salinity", ["cast_0", "cast_150", "cast_299"])
        print("dataset cast_150 has no salinity:", [None if cells is None else cells.shape for cells in some])
        try:
            store.read_array_across_stacked("salinity", names)
        except KeyError as error:
            print("stacked needs it of all:", error)


if __name__ == "__main__":
    main()

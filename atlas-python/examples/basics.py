"""Create a store, declare and write arrays, set attributes; open it again and read.

Output:
    before the flush, others see []
    arrays: ['temperature', 'time']
    temperature[0:2, 0:3]:
    [[0. 1. 2.]
     [8. 9. 10.]]
    never written: nan
    {'row_count': 32, 'null_count': 8, 'min': 0.0, 'max': 23.0}
    {'month': 1, 'station': 'De Bilt'}
"""

import tempfile
from pathlib import Path

import numpy as np

import atlas


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "fleet"
        with atlas.Atlas.create(place) as store:
            january = store.create_dataset("jan_2024")
            january.define_array(
                "temperature",
                dtype="float32",
                dims=["time", "depth"],
                shape=[4, 8],
                chunk_shape=[2, 8],
                fill_value=float("nan"),
            )
            january.define_array("time", "datetime64[ns]", ["time"], [4])
            # The last row stays as it is: not written.
            january.write_array("temperature", [0, 0], np.arange(24, dtype="float32").reshape(3, 8))
            hours = np.datetime64("2024-01-01", "ns") + np.arange(4) * np.timedelta64(6, "h")
            january.write_array("time", [0], hours)
            january.set_attribute("month", 1)
            january.set_attribute("station", "De Bilt")
            print("before the flush, others see", atlas.Atlas.open(place).list_datasets())

        january = atlas.Atlas.open(place).open_dataset("jan_2024")
        print("arrays:", january.list_arrays())
        print("temperature[0:2, 0:3]:")
        corner = january.read_array("temperature", [0, 0], [2, 3])
        print(np.array2string(corner, formatter={"float": lambda cell: f"{cell:g}."}))
        print("never written:", january.read_array("temperature", [3, 0], [1, 1])[0, 0])
        print(january.array_stats("temperature"))
        print(january.attributes())


if __name__ == "__main__":
    main()

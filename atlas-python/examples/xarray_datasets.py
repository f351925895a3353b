"""xarray datasets into a store and back, by both ways of writing and all three of reading.

Output:
    identical: True
    many: {'dataset': 12, 'depth': 5} ['dataset', 'depth']
    warmest surface: cast_07, 27.0 degree_Celsius
    lazy: only 2 of 5 depths read, [24.4 23.9]
"""

import tempfile
from pathlib import Path

import numpy as np
import xarray as xr

import atlas


def cast(month: int) -> xr.Dataset:
    surface = 20 + 7 * np.sin(np.pi * month / 14)
    return xr.Dataset(
        {"temperature": ("depth", np.round(surface - np.arange(5) * 0.5, 1), {"units": "degree_Celsius"})},
        coords={"depth": np.arange(0, 50, 10.0)},
        attrs={"month": month, "cruise": "AR7"},
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "casts"
        with atlas.Atlas.create(place) as store:
            for month in range(1, 13):
                if month % 2:
                    store.add_xr_dataset(cast(month), f"cast_{month:02}")
                else:
                    cast(month).atlas.write(store, f"cast_{month:02}")

        store = atlas.Atlas.open(place)
        back = [store.to_xarray(name) for name in store]
        print("identical:", all(cast(at + 1).identical(ds) for at, ds in enumerate(back)))

        fleet = store.to_xarray_many(store.list_datasets())
        print("many:", dict(fleet.sizes), sorted(fleet.coords))
        surface = fleet["temperature"][:, 0]
        warmest = surface[np.argmax(surface.values)]
        print(f"warmest surface: {warmest['dataset'].item()}, {warmest.item()} {surface.attrs['units']}")

        lazy = xr.open_dataset(place, engine="atlas", group="cast_03")
        print(f"lazy: only 2 of {lazy.sizes['depth']} depths read,", lazy["temperature"][:2].values)


if __name__ == "__main__":
    main()

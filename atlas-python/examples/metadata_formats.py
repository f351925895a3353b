"""The catalog in its two formats and three compressions, of 2000 datasets with 4 arrays and 3 attributes.

Output:
    atlas.json            100 %
    atlas.json.zst         10 %
    atlas.json.lz4         23 %
    atlas.msgpack          96 %
    atlas.msgpack.zst      10 %
    atlas.msgpack.lz4      18 %
    a store is opened without saying which: 2000 datasets each
"""

import tempfile
from pathlib import Path

import atlas

FORMATS, COMPRESSIONS = ["json", "msgpack"], ["none", "zstd", "lz4"]


def main() -> None:
    counts, sizes = set(), {}
    with tempfile.TemporaryDirectory() as folder:
        for meta_format in FORMATS:
            for compression in COMPRESSIONS:
                place = Path(folder) / f"{meta_format}-{compression}"
                with atlas.Atlas.create(place, meta_format=meta_format, meta_compression=compression) as store:
                    for cast in range(2000):
                        view = store.create_dataset(f"cast_{cast:04}")
                        for array in ["temperature", "salinity", "pressure", "oxygen"]:
                            view.define_array(array, "float32", ["depth"], [100 + cast % 7])
                        view.set_attribute("latitude", (cast * 37 % 18000) / 100 - 90)
                        view.set_attribute("cruise", f"AR{cast // 100}")
                        view.set_attribute("month", cast % 12 + 1)
                (catalog,) = place.glob("atlas.[jm]*")
                sizes[catalog.name] = catalog.stat().st_size
                counts.add(len(atlas.Atlas.open(place)))
    for name, size in sizes.items():
        print(f"{name:20} {round(100 * size / sizes['atlas.json']):4} %")
    print(f"a store is opened without saying which: {' '.join(map(str, counts))} datasets each")


if __name__ == "__main__":
    main()

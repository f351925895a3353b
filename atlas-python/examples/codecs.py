"""What each codec makes of the same cells: a smooth field with three decimals, and text.

Output:
    none  field 100.0 %, text 100.0 %
    lz4   field  36.2 %, text   0.6 %
    zstd  field  21.8 %, text   0.2 %
    pco   field   6.3 %, text   0.2 %
    auto  field   6.3 %, text   0.2 %
    all read back the same cells
"""

import tempfile
from pathlib import Path

import numpy as np

import atlas

CODECS = ["none", "lz4", "zstd", "pco", "auto"]


def field() -> np.ndarray:
    x, y = np.meshgrid(np.linspace(0, 6, 512), np.linspace(0, 4, 512))
    return np.round(15 + 10 * np.sin(x) * np.cos(y), 3).astype("float32")


def stored_bytes(place: Path, array: str) -> int:
    return sum(path.stat().st_size for path in (place / array).iterdir())


def main() -> None:
    cells, text = field(), np.array(["good", "bad", "missing", "good"] * 4096, dtype=object)
    equal, plain = True, {}
    with tempfile.TemporaryDirectory() as folder:
        for codec in CODECS:
            place = Path(folder) / codec
            with atlas.Atlas.create(place, codec=codec) as store:
                view = store.create_dataset("field")
                view.define_array("t", "float32", ["y", "x"], [512, 512], chunk_shape=[256, 256])
                view.define_array("quality", "string", ["n"], [len(text)])
                view.write_array("t", [0, 0], cells)
                view.write_array("quality", [0], text)
            view = atlas.Atlas.open(place).open_dataset("field")
            equal &= np.array_equal(view.read_array("t"), cells)
            equal &= np.array_equal(view.read_array("quality"), text)
            sizes = {array: stored_bytes(place, array) for array in ["t", "quality"]}
            plain = plain or sizes
            of_field, of_text = (100 * sizes[array] / plain[array] for array in sizes)
            print(f"{codec:5} field {of_field:5.1f} %, text {of_text:5.1f} %")
    print("all read back the same cells" if equal else "the cells differ")


if __name__ == "__main__":
    main()

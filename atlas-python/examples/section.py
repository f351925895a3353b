"""A section across a fleet: the upper 300 m of every cast of a cruise, asked of a server, as a picture (section.png).

Needs the `atlas` binary (on the path, or named by ATLAS_BIN), and `pip install "atlas-python[flight]" matplotlib`.

Output:
    60 casts, 40 of cruise AR7
    temperature (dataset: 40, depth: 31), degree_Celsius, from -24.0 to 54.0 degrees north
    warmest 28.3 at 0 m, 4.0 degrees north; coldest 6.0 at 300 m, -4.0 degrees north
    section.png: a picture of 900 x 450
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib
import numpy as np
import xarray as xr

import atlas
from atlas.__main__ import find_binary

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402  after the choice of where to draw


def cast(number: int) -> xr.Dataset:
    """A cast: 61 depths every 10 m, colder downwards and away from the equator."""
    latitude = -24 + 2 * (number % 40)
    depth = np.arange(0, 610, 10.0)
    surface = 28 * np.cos(np.radians(latitude - 5)) ** 1.5
    temperature = 4 + (surface - 4) * np.exp(-depth / (120 + 2 * abs(latitude))) + 0.3 * np.sin(number + depth / 40)
    return xr.Dataset(
        {"temperature": ("depth", temperature.astype("float32"), {"units": "degree_Celsius"})},
        coords={"depth": ("depth", depth, {"units": "m"}), "latitude": float(latitude)},
        attrs={"cruise": "AR7" if number < 40 else "AR8"},
    )


def main() -> None:
    binary = find_binary()
    if binary is None:
        sys.exit("no atlas binary: build it, or name it in ATLAS_BIN")
    with tempfile.TemporaryDirectory() as folder:
        with atlas.Atlas.create(Path(folder) / "fleet") as store:
            for number in range(60):
                store.add_xr_dataset(cast(number), f"cast_{number:02}")
        command = [binary, "serve", "--store", f"fleet={folder}/fleet", "--listen", "127.0.0.1:0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
            try:
                draw(address_of(server))
            finally:
                server.terminate()


def address_of(server: subprocess.Popen[str]) -> str:
    """Where the server says that it listens."""
    assert server.stdout is not None
    for line in server.stdout:
        for word in line.split():
            if word.startswith("grpc://127.0.0.1:"):
                return word
    sys.exit("the server did not start")


def draw(address: str) -> None:
    with atlas.connect(address) as client:
        casts, chosen = client.sql("SELECT count(*), count(*) FILTER (WHERE cruise = 'AR7') FROM datasets").to_pylist()[0].values()
        print(f"{casts} casts, {chosen} of cruise AR7")
        section = client.stacked("temperature", where="cruise = 'AR7'", start=[0], shape=[31], as_="xarray")
        latitude = client.stacked("latitude", where="cruise = 'AR7'")

    section = section.assign_coords(latitude=("dataset", latitude)).sortby("latitude")
    units, north = section.attrs["units"], section["latitude"].values
    sizes = ", ".join(f"{dim}: {size}" for dim, size in section.sizes.items())
    print(f"temperature ({sizes}), {units}, from {north[0]} to {north[-1]} degrees north")
    warm = section.isel(section.argmax(...))
    cold = section.isel(section.argmin(...))
    print(
        f"warmest {warm.item():.1f} at {warm['depth'].item():.0f} m, {warm['latitude'].item()} degrees north; "
        f"coldest {cold.item():.1f} at {cold['depth'].item():.0f} m, {cold['latitude'].item()} degrees north"
    )

    figure, axes = pyplot.subplots(figsize=(9, 4.5), dpi=100)
    cells = axes.pcolormesh(north, section["depth"], section.values.T, cmap="turbo", shading="nearest")
    axes.contour(north, section["depth"], section.values.T, levels=range(4, 30, 4), colors="black", linewidths=0.5)
    axes.invert_yaxis()
    axes.set(xlabel="latitude (degrees north)", ylabel="depth (m)", title="Temperature along cruise AR7")
    figure.colorbar(cells, label=units)
    figure.tight_layout()
    figure.savefig("section.png")
    height, width, _ = pyplot.imread("section.png").shape
    print(f"section.png: a picture of {width} x {height}")


if __name__ == "__main__":
    main()

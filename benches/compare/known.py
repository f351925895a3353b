"""The systems that the bench knows."""

from dataclasses import dataclass
from typing import Any

from process import System

# Not what an expert would choose, or of little news: asked for by name.
EXTRA = {"atlas zstd", "atlas lz4", "zarr-python zstd"}


@dataclass
class Interpreters:
    """Pythons with the packages of the systems, and the server."""

    atlas: str
    reference: str
    peers: str
    atlas_bin: str


def systems(pythons: Interpreters) -> list[System]:
    """All of them. The first is what the others are compared to."""
    stacked = []
    for name, module in (("tensorstore", "tensorstore_stacked"), ("zarrs", "zarr_stacked"), ("zarr-python", "zarr_stacked")):
        for codec in ("blosc", "zstd"):
            variant = codec if name == "tensorstore" else f"{name.removesuffix('-python')}-{codec}"
            stacked.append(System(f"{name} {codec}", pythons.peers, module, variant, files=f"stacked {codec}"))
    flights = [("atlas flight", "atlas", "atlas"), ("atlas none flight", "atlas", "atlas none"), ("C++ flight", "cpp", "atlas")]
    served: dict[str, Any] = {
        "without": frozenset({"write", "cold", "warm", "names"}),
        "environment": {"ATLAS_BIN": pythons.atlas_bin},
    }
    over_flight = flights if pythons.atlas_bin else []
    return [
        System("atlas", pythons.atlas, "atlas_store", "default", files="atlas"),
        *(System(f"atlas {codec}", pythons.atlas, "atlas_store", codec, f"atlas {codec}") for codec in ("none", "zstd", "lz4")),
        System("reference", pythons.reference, "atlas_store", "default", files="reference"),
        *stacked,
        System("zarr stores", pythons.peers, "zarr_stores", files="zarr stores", file_each=True),
        System("netcdf", pythons.peers, "netcdf_files", files="netcdf", file_each=True),
        *(System(name, pythons.peers, "flight_servers", variant, files, **served) for name, variant, files in over_flight),
    ]

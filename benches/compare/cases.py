"""The cases: what is stored and which part of it is read, and their cells, the same in every run."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

import numpy as np

from task import Task, Variable

REPOSITORY = Path(__file__).resolve().parents[2]
REAL_DATA = Path(os.environ.get("ATLAS_TEST_DATA", REPOSITORY.parent / "shared" / "data"))

# What is measured, in the order in which it is.
OPERATIONS = ["write", "slice", "full", "cold", "warm", "names"]


class Missing(Exception):
    """Real data are not there."""


@dataclass
class Case:
    name: str
    title: str
    # Numbers of datasets: those that say how the cost grows, and such as are soon done.
    full: list[int]
    small: list[int]
    variables: list[Variable]
    start: list[int]
    shape: list[int]
    # Writes the cells of a variable: (case, variable's place, datasets, folder).
    make: Callable[["Case", int, Path], None]
    operations: list[str] = field(default_factory=lambda: list(OPERATIONS))
    ragged: bool = False
    stacked_chunk: int = 1
    stacked_shard: int = 100
    # With a file or a store for each dataset, more than these take too long.
    files_cap: int = 1000

    def task(self, datasets: int, folder: Path) -> Task:
        """The task for so many datasets; its cells are made unless they are there."""
        if not (folder / "whole").exists():
            folder.mkdir(parents=True, exist_ok=True)
            self.make(self, datasets, folder)
            (folder / "whole").touch()
        task = Task(self.name, datasets, self.variables, self.start, self.shape, str(folder), self.ragged)
        task.stacked_chunk, task.stacked_shard = self.stacked_chunk, self.stacked_shard
        return task


def rows(case: Case, datasets: int, folder: Path, cells: Callable[[np.random.Generator, Variable], np.ndarray]) -> None:
    """Writes the variables one dataset at a time; which are its cells depends on its number and the variable alone."""
    for place, variable in enumerate(case.variables):
        whole = np.lib.format.open_memmap(
            folder / f"{variable.name}.npy", "w+", variable.dtype, (datasets, *variable.shape)
        )
        for number in range(datasets):
            whole[number] = cells(np.random.default_rng([place, number]), variable)
        whole.flush()


def noise(case: Case, datasets: int, folder: Path) -> None:
    """Standard normal numbers: nothing to compress but the exponents."""
    rows(case, datasets, folder, lambda random, variable: random.standard_normal(variable.shape, np.float32))


def smooth(case: Case, datasets: int, folder: Path) -> None:
    """What a sensor gives: smooth along all dimensions, a noise of a few hundredths, three decimals."""

    def cells(random: np.random.Generator, variable: Variable) -> np.ndarray:
        field = random.uniform(5, 25) + random.standard_normal(variable.shape) * 0.02
        for axis, extent in enumerate(variable.shape):
            wave = random.uniform(1, 4) * np.sin(np.linspace(0, random.uniform(2, 6), extent) + random.uniform(0, 6))
            field += wave.reshape([-1 if other == axis else 1 for other in range(len(variable.shape))])
        return np.round(field, 3).astype(np.float32)

    rows(case, datasets, folder, cells)


def sensor(case: Case, datasets: int, folder: Path) -> None:
    """A day of a sensor: a value with two decimals an hour, and its time in seconds."""
    hours = np.arange(24)

    def cells(random: np.random.Generator, variable: Variable) -> np.ndarray:
        if variable.dtype == "int64":
            return random.integers(0, 20_000) * 86_400 + hours * 3_600
        day = random.uniform(5, 25) + 4 * np.sin(hours / 24 * 2 * np.pi) + random.standard_normal(24) * 0.1
        return np.round(day, 2).astype(np.float32)

    rows(case, datasets, folder, cells)


def argo(case: Case, datasets: int, folder: Path) -> None:
    """Profiles of real floats, from their files; the same again and again where more are wanted than there are."""
    files = sorted((REAL_DATA / "argo").rglob("*.nc"))
    if not files:
        raise Missing(f"no Argo profiles in {REAL_DATA / 'argo'} (set ATLAS_TEST_DATA)")
    import netCDF4

    profiles: dict[str, list[np.ndarray]] = {variable.name: [] for variable in case.variables}
    for path in files:
        with netCDF4.Dataset(path) as file:
            file.set_auto_maskandscale(False)
            for name, own in profiles.items():
                own.append(np.asarray(file[name][0], "float32"))
    chosen = [number % len(files) for number in range(datasets)]
    for name, own in profiles.items():
        np.save(folder / f"{name}.npy", np.concatenate([own[number] for number in chosen]))
    lengths = [len(profiles[case.variables[0].name][number]) for number in chosen]
    np.save(folder / "lengths.npy", np.array(lengths))


def floats(names: list[str], dims: list[str], shape: list[int], chunks: list[int]) -> list[Variable]:
    return [Variable(name, "float32", dims, shape, chunks) for name in names]


PROFILE: dict[str, Any] = {
    "full": [100, 1000, 4000],
    "small": [50, 100, 200],
    "variables": floats(["temperature", "salinity", "oxygen", "chlorophyll"], ["depth", "time"], [50, 168], [50, 168]),
    "start": [12, 42],
    "shape": [12, 42],
}
SENSOR = [Variable("value", "float32", ["hour"], [24], [24]), Variable("time", "int64", ["hour"], [24], [24])]

CASES = [
    Case("profile-noise", "profile, noise: 4 variables of (50, 168) float32, a chunk each", **PROFILE, make=noise),
    Case("profile-smooth", "profile, smooth: 4 variables of (50, 168) float32, a chunk each", **PROFILE, make=smooth, files_cap=100),
    Case(
        "gridded",
        "gridded: 3 variables of (100, 100, 48) float32 in chunks of (50, 50, 24)",
        full=[10, 50, 100],
        small=[3, 6, 12],
        variables=floats(["u", "v", "w"], ["y", "x", "t"], [100, 100, 48], [50, 50, 24]),
        start=[25, 25, 12],
        shape=[25, 25, 12],
        make=smooth,
        stacked_shard=10,
        files_cap=50,
    ),
    Case(
        "sensor",
        "sensor: a float32 and an int64 of 24 cells",
        full=[1000, 10_000, 50_000],
        small=[200, 500, 1000],
        variables=SENSOR,
        start=[6],
        shape=[6],
        make=sensor,
        stacked_chunk=1000,
        stacked_shard=10_000,
    ),
    Case(
        "argo",
        "Argo: 2 variables of real profiles, 13 to 115 levels long",
        full=[191, 1000, 4000],
        small=[50, 100, 191],
        variables=floats(["PRES", "TEMP"], ["level"], [115], [115]),
        start=[0],
        shape=[12],
        make=argo,
        # Arrays of several lengths are not stacked whole.
        operations=[operation for operation in OPERATIONS if operation != "full"],
        ragged=True,
        files_cap=191,
        stacked_chunk=50,
        stacked_shard=1000,
    ),
]

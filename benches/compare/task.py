"""What a system is asked to store and to read: the drivers and the workers share it. Needs numpy only."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Iterable

import numpy as np

Box = tuple[list[int], list[int]]


@dataclass
class Variable:
    """One array that every dataset has."""

    name: str
    dtype: str
    dims: list[str]
    # Of the longest dataset, where lengths differ.
    shape: list[int]
    chunks: list[int]


@dataclass
class Task:
    """Datasets with the same variables, and the region that is read of all of them."""

    case: str
    datasets: int
    variables: list[Variable]
    start: list[int]
    shape: list[int]
    # Where the cells are: `<variable>.npy`, one row a dataset; ragged ones end to end, cut by `lengths.npy`.
    data: str
    ragged: bool = False
    # How who stacks by hand would lay out one array of all datasets: how many go into a chunk, and into a shard.
    stacked_chunk: int = 1
    stacked_shard: int = 100

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(fields: dict[str, Any]) -> "Task":
        return Task(**{**fields, "variables": [Variable(**variable) for variable in fields["variables"]]})

    def names(self) -> list[str]:
        return [f"d{number:06}" for number in range(self.datasets)]

    def cells(self, variable: Variable, in_memory: bool = True) -> Any:
        """The cells of each dataset: one array with a row for each, or a list where lengths differ."""
        cells = np.load(Path(self.data) / f"{variable.name}.npy", mmap_mode=None if in_memory else "r")
        if not self.ragged:
            return cells
        lengths = np.load(Path(self.data) / "lengths.npy")
        return np.split(cells, np.cumsum(lengths)[:-1])

    def padded(self, variable: Variable, fill: float) -> np.ndarray:
        """The cells as one array, shorter datasets filled up to the longest."""
        cells = self.cells(variable)
        if not self.ragged:
            return cells
        whole = np.full((self.datasets, *variable.shape), fill, variable.dtype)
        for row, own in zip(whole, cells):
            row[: len(own)] = own
        return whole

    def box(self, operation: str) -> Box:
        """The region that an operation reads."""
        if operation == "full":
            return [0] * len(self.start), list(self.variables[0].shape)
        return self.start, self.shape

    def stacked(self, box: Box) -> list[np.ndarray]:
        """What a stacked read has to give."""
        region = slices(box)
        cells = (self.cells(variable, in_memory=False) for variable in self.variables)
        if self.ragged:
            return [np.stack([own[region] for own in all_of_it]) for all_of_it in cells]
        return [all_of_it[(slice(None), *region)] for all_of_it in cells]

    def single(self, numbers: Iterable[int]) -> list[np.ndarray]:
        """What reads of the region of single datasets have to give."""
        cells, region = self.cells(self.variables[0], in_memory=False), slices((self.start, self.shape))
        return [np.array(cells[number][region]) for number in numbers]


def slices(box: Box) -> tuple[slice, ...]:
    return tuple(slice(start, start + extent) for start, extent in zip(*box))


def digest(answer: Iterable[Any]) -> str:
    """What is equal for equal answers alone: arrays by type, shape and every bit; anything else by its text."""
    hashed = hashlib.sha256()
    for part in answer:
        if isinstance(part, np.ndarray):
            hashed.update(f"{part.dtype.str}{part.shape}".encode())
            hashed.update(np.ascontiguousarray(part).reshape(-1).view("u1").data)
        else:
            hashed.update(f"{part}\n".encode())
    return hashed.hexdigest()

"""Putting arrays beside one another that were read one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from atlas.errors import InvalidArgumentError


def stack(array: str, names: Sequence[str], parts: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """The parts along a new leading axis; each of ``names`` is the dataset of one."""
    for name, part in zip(names, parts):
        if part.shape != parts[0].shape:
            raise InvalidArgumentError(
                f"array {array} has shape {list(part.shape)} in dataset {name} and {list(parts[0].shape)} in "
                f"{names[0]}: they cannot be stacked"
            )
    return np.stack(list(parts))

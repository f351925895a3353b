"""What xarray does with a file or a store for each dataset: opens them all and concatenates."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from task import Box, Task, slices


def concatenated(paths: list[Path], task: Task, box: Box, **engine: Any) -> list[np.ndarray]:
    """The box of all datasets: an array for each variable."""
    region = dict(zip(task.variables[0].dims, slices(box)))
    options: dict[str, Any] = {
        "combine": "nested",
        "concat_dim": "dataset",
        "coords": "minimal",
        "compat": "override",
        "decode_cf": False,
        # Datasets of several lengths cannot be concatenated: each is cut as it is opened.
        "preprocess": lambda dataset: dataset.isel(region),
    }
    with xr.open_mfdataset(paths, **engine, **options) as datasets:
        part = datasets.load()
        return [part[variable.name].values for variable in task.variables]

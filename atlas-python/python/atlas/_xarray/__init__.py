"""xarray datasets in and out of a store, with dask where arrays are chunked."""

from atlas._xarray.many import to_xarray_many
from atlas._xarray.read import to_xarray
from atlas._xarray.write import add_xr_dataset

__all__ = ["add_xr_dataset", "to_xarray", "to_xarray_many"]

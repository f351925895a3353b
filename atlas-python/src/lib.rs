//! The native module of the Python package `atlas`: `Atlas` and `DatasetView` over [`atlas_store`].
//!
//! The package's Python part (`python/atlas/`) has what needs xarray, dask and pyarrow. The documentation of the methods here is
//! what Python shows; `scripts/stub` copies it to `_atlas.pyi`.
//! Calls give up the interpreter's lock while they read, encode, write or wait.

mod attribute;
mod bulk;
mod dataset;
mod error;
mod from_numpy;
mod handle;
mod home;
mod interrupt;
mod memory;
mod near;
mod process;
mod region;
mod scalar;
mod source;
mod store;
mod to_numpy;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
mod _atlas {
    #[pymodule_export]
    use crate::dataset::DatasetView;
    #[pymodule_export]
    use crate::store::Atlas;
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::process::note_home();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}

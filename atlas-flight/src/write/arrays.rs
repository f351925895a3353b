//! Batches that are the arrays of one dataset: each column an array, its leading dimension the rows of all batches.

use super::request::Mode;
use super::rows::{Changes, declaration, define};
use super::spool::Spool;
use crate::status;
use arrow::datatypes::{DataType, Field, Schema};
use atlas_sql::tensor::GivenArray;
use atlas_store::Store;
use tonic::{Code, Status};

/// The name of the leading dimension where nobody says another.
pub(super) const ROW: &str = "row";

/// The columns of an upload that is one dataset.
pub(super) struct Columns {
    arrays: Vec<(usize, String, GivenArray)>,
}

impl Columns {
    /// Reads a schema: each column has values of one shape.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` that names the column.
    pub(super) fn new(schema: &Schema) -> Result<Self, Status> {
        let mut arrays: Vec<(usize, String, GivenArray)> = Vec::new();
        for (index, field) in schema.fields().iter().enumerate() {
            let refused = |why: &str| {
                let message = format!("column {} is of type {}, {why}", field.name(), field.data_type());
                status::status(Code::InvalidArgument, &message)
            };
            if *field.data_type() == DataType::Null {
                return Err(refused("which has no values"));
            }
            if arrays.iter().any(|(_, name, _)| name == field.name()) {
                return Err(refused("and another has its name"));
            }
            let given = GivenArray::of(field).and_then(|given| match given {
                Some(given) => Ok(Some(given)),
                None => GivenArray::of(&scalar(field)),
            });
            let given = given.map_err(|error| status::from_datafusion(&error))?;
            let given = given.ok_or_else(|| refused("which no array can hold"))?;
            if given.shape().is_none() {
                return Err(refused("whose values may differ in shape: an array's rows have one shape"));
            }
            arrays.push((index, field.name().clone(), given));
        }
        if arrays.is_empty() {
            return Err(Status::invalid_argument("the upload has no columns"));
        }
        Ok(Columns { arrays })
    }

    /// Writes what was put aside into the store's draft.
    ///
    /// # Errors
    /// `ALREADY_EXISTS` and `INVALID_ARGUMENT` that name the dataset or array; those of the store.
    pub(super) fn write(
        &self,
        store: &Store,
        dataset: &str,
        spool: Spool,
        mode: Mode,
        dim: &str,
    ) -> Result<Changes, Status> {
        let failed = |error: atlas_store::Error| status::from_store(&error);
        let rows = spool.rows();
        let mut changes = Changes { rows, ..Changes::default() };
        if mode == Mode::Create || !store.dataset_exists(dataset) {
            store.create_dataset(dataset).map_err(failed)?;
            changes.datasets = 1;
        }
        for (_, name, array) in &self.arrays {
            let shape: Vec<u64> = std::iter::once(rows).chain(array.shape().unwrap_or_default()).collect();
            define(store, (dataset, name), declaration(array, &shape, Some(dim))?, mode)?;
            changes.arrays += 1;
        }
        let mut first = 0u64;
        for batch in spool.batches()? {
            let batch = batch?;
            for (index, name, array) in &self.arrays {
                let values = array.values(batch.column(*index)).map_err(|error| status::from_datafusion(&error))?;
                if batch.num_rows() == 0 {
                    continue;
                }
                let data = values.stacked().map_err(|error| status::from_datafusion(&error))?;
                let mut start = vec![0; data.shape().len()];
                start[0] = first;
                store.write_array(dataset, name, &start, &data).map_err(failed)?;
            }
            first += batch.num_rows() as u64;
        }
        Ok(changes)
    }
}

/// The field of a column whose values are single cells.
fn scalar(field: &Field) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.insert(atlas_sql::tensor::SHAPE.into(), "[]".into());
    Field::new(field.name(), field.data_type().clone(), true).with_metadata(metadata)
}

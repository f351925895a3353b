//! Batches whose rows are datasets.

use super::attributes;
use super::request::Mode;
use super::spool::Spool;
use crate::status;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use atlas_sql::tensor::{GivenArray, GivenValues};
use atlas_store::{ArrayData, ArraySchema, AttributeType, DType, Scalar, Snapshot, Store, default_chunk_shape};
use tonic::{Code, Status};

/// The column that names the dataset of each row.
pub(crate) const DATASET: &str = "dataset";

/// What a cell of text is taken to need, for the size of chunks.
const TEXT_CELL_BYTES: u64 = 16;

/// What each column of some batches is, and what it is written to.
pub(crate) struct Rows {
    dataset: usize,
    columns: Vec<(usize, String, Column)>,
    target: Target,
}

/// What rows are written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Datasets with their arrays and attributes.
    Datasets(Mode),
    /// Arrays that are there, the first cell of each value at this place.
    Region(Vec<u64>),
    /// The attributes of datasets that are there; NULL removes.
    Attributes,
}

enum Column {
    Attribute(AttributeType),
    Array(GivenArray),
}

/// What a change did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Changes {
    /// Rows that came in.
    pub(crate) rows: u64,
    /// Datasets that were created.
    pub(crate) datasets: u64,
    /// Arrays that were written.
    pub(crate) arrays: u64,
    /// Attributes that were set.
    pub(crate) attributes: u64,
}

impl Rows {
    /// Reads a schema: `dataset`, and a column for each array and attribute. Columns of type null say nothing.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` that names the column, where there is no `dataset`, or a column is neither array nor attribute.
    pub(crate) fn new(schema: &Schema, target: Target) -> Result<Self, Status> {
        let invalid = |message: String| status::status(Code::InvalidArgument, &message);
        let mut dataset = None;
        let mut columns: Vec<(usize, String, Column)> = Vec::new();
        for (index, field) in schema.fields().iter().enumerate() {
            let name = field.name().clone();
            if columns.iter().any(|(_, other, _)| *other == name) || (name == DATASET && dataset.is_some()) {
                return Err(invalid(format!("two columns are named {name}")));
            }
            if name == DATASET {
                if !is_text(field.data_type()) {
                    return Err(invalid(format!(
                        "column {DATASET} is of type {}, it names datasets",
                        field.data_type()
                    )));
                }
                dataset = Some(index);
            } else if *field.data_type() == DataType::Null {
                if target == Target::Attributes {
                    columns.push((index, name, Column::Attribute(AttributeType::String)));
                }
            } else {
                let column = column_of(field)?;
                match (&target, &column) {
                    (Target::Region(_), Column::Attribute(_)) => {
                        return Err(invalid(format!("column {name} is no array, and only those are written into")));
                    }
                    (Target::Attributes, Column::Array(_)) => {
                        return Err(invalid(format!("{name} is set to an array: those are uploaded (DoPut)")));
                    }
                    _ => columns.push((index, name, column)),
                }
            }
        }
        let dataset =
            dataset.ok_or_else(|| invalid(format!("there is no column {DATASET}, which names each row's dataset")))?;
        Ok(Rows { dataset, columns, target })
    }

    /// The same, where attributes take on the type that they have in a store already, if every value of theirs fits it: text
    /// any, integers that of floats, and everything that of text.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for an attribute with the name of an array.
    pub(crate) fn typed_as(mut self, snapshot: &Snapshot) -> Result<Self, Status> {
        for (_, name, column) in &mut self.columns {
            let Column::Attribute(kind) = column else { continue };
            if snapshot.find_family(name).is_some() {
                let message =
                    format!("{name} is an array: its values are tensors or lists, and uploaded (DoPut) to change");
                return Err(status::status(Code::InvalidArgument, &message));
            }
            let Some(known) = attributes::known_kind(snapshot, name) else { continue };
            match (*kind, known) {
                (AttributeType::String, known) | (AttributeType::Int64, known @ AttributeType::Float64) => {
                    *kind = known
                }
                (_, AttributeType::String) => *kind = AttributeType::String,
                _ => {}
            }
        }
        Ok(self)
    }

    /// Prepares a store for the first batch.
    ///
    /// # Errors
    /// Those of deleting datasets.
    fn begin(&self, store: &Store) -> Result<(), Status> {
        if self.target != Target::Datasets(Mode::Replace) {
            return Ok(());
        }
        let failed = |error: atlas_store::Error| status::from_store(&error);
        let Some(first) = store.snapshot().dataset_names().next().map(str::to_string) else { return Ok(()) };
        store.delete_dataset(&first).map_err(failed)?;
        // With the first mutation the handle is at the newest snapshot, and nobody else changes the store.
        let newest = store.snapshot();
        newest
            .dataset_names()
            .filter(|name| *name != first)
            .try_for_each(|name| store.delete_dataset(name))
            .map_err(failed)
    }

    /// Writes all batches into the store's draft.
    ///
    /// # Errors
    /// As [`Rows::write`].
    pub(crate) fn write_all(&self, store: &Store, spool: Spool) -> Result<Changes, Status> {
        self.begin(store)?;
        let mut changes = Changes::default();
        for batch in spool.batches()? {
            let Changes { rows, datasets, arrays, attributes } = self.write(store, &batch?)?;
            changes.rows += rows;
            changes.datasets += datasets;
            changes.arrays += arrays;
            changes.attributes += attributes;
        }
        Ok(changes)
    }

    /// Writes the rows of one batch into the store's draft.
    ///
    /// # Errors
    /// `ALREADY_EXISTS` and `INVALID_ARGUMENT` that name the dataset, array or attribute; those of the store.
    fn write(&self, store: &Store, batch: &RecordBatch) -> Result<Changes, Status> {
        let names = cast(batch.column(self.dataset), &DataType::Utf8).map_err(|error| status::from_arrow(&error))?;
        let names = names.as_string::<i32>();
        let mut prepared = Vec::with_capacity(self.columns.len());
        for (index, name, column) in &self.columns {
            let given = batch.column(*index);
            prepared.push((
                name,
                match column {
                    Column::Attribute(kind) => Values::Attribute(*kind, attributes::canonical(given, *kind)?),
                    Column::Array(array) => {
                        Values::Array(array, array.values(given).map_err(|error| status::from_datafusion(&error))?)
                    }
                },
            ));
        }
        let mut changes = Changes { rows: batch.num_rows() as u64, ..Changes::default() };
        for row in 0..batch.num_rows() {
            if names.is_null(row) {
                return Err(Status::invalid_argument(format!("column {DATASET} is NULL in a row")));
            }
            let dataset = names.value(row);
            let create = match self.target {
                Target::Region(_) | Target::Attributes => false,
                Target::Datasets(Mode::Create | Mode::Replace) => true,
                Target::Datasets(Mode::Extend | Mode::Overwrite) => !store.dataset_exists(dataset),
            };
            if create {
                store.create_dataset(dataset).map_err(|error| status::from_store(&error))?;
                changes.datasets += 1;
            }
            for (name, values) in &prepared {
                match values {
                    Values::Attribute(kind, column) => {
                        if let Some(value) = attributes::value(column, *kind, row) {
                            store.set_attribute(dataset, name, value).map_err(|error| status::from_store(&error))?;
                            changes.attributes += 1;
                        } else if self.target == Target::Attributes {
                            store.remove_attribute(dataset, name).map_err(|error| status::from_store(&error))?;
                        }
                    }
                    Values::Array(array, values) => {
                        let fill = self.fill_of(store, dataset, name, array);
                        if let Some(data) =
                            values.value_with(row, fill.as_ref()).map_err(|error| status::from_datafusion(&error))?
                        {
                            self.write_array(store, (dataset, name), array, &data)?;
                            changes.arrays += 1;
                        }
                    }
                }
            }
        }
        Ok(changes)
    }

    /// What NULL cells become: the fill value of the array that is written into, or of the one that is declared.
    fn fill_of(&self, store: &Store, dataset: &str, name: &str, array: &GivenArray) -> Option<Scalar> {
        match self.target {
            Target::Region(_) => {
                store.snapshot().array(dataset, name).ok().and_then(|(_, schema)| schema.fill_value.clone())
            }
            Target::Datasets(_) | Target::Attributes => array.fill_value.clone(),
        }
    }

    fn write_array(
        &self,
        store: &Store,
        (dataset, name): (&str, &str),
        array: &GivenArray,
        data: &ArrayData,
    ) -> Result<(), Status> {
        let failed = |error: atlas_store::Error| status::from_store(&error);
        match &self.target {
            Target::Region(start) => return store.write_array(dataset, name, start, data).map_err(failed),
            Target::Datasets(mode) => define(store, (dataset, name), declaration(array, data.shape(), None)?, *mode)?,
            Target::Attributes => return Err(status::internal(&"arrays are no attributes")),
        }
        store.write_array(dataset, name, &vec![0; data.shape().len()], data).map_err(failed)
    }
}

/// The values of a column of one batch.
enum Values<'a> {
    Attribute(AttributeType, ArrayRef),
    Array(&'a GivenArray, GivenValues<'a>),
}

/// Declares an array, in place of the one that is there where `mode` says so.
///
/// # Errors
/// `ALREADY_EXISTS` where it does not; those of the store.
pub(super) fn define(
    store: &Store,
    (dataset, name): (&str, &str),
    schema: ArraySchema,
    mode: Mode,
) -> Result<(), Status> {
    let failed = |error: atlas_store::Error| status::from_store(&error);
    if mode == Mode::Overwrite {
        match store.delete_array(dataset, name) {
            Err(error) if error.kind() != atlas_store::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    store.define_array(dataset, name, schema).map_err(failed)
}

/// What an array of this shape is declared to be; `leading` is the name of a dimension that comes before those of the values.
///
/// # Errors
/// `INVALID_ARGUMENT` where a chunk shape has another rank.
pub(super) fn declaration(array: &GivenArray, shape: &[u64], leading: Option<&str>) -> Result<ArraySchema, Status> {
    let values = shape.len() - usize::from(leading.is_some());
    let own = array.dims.clone().filter(|dims| dims.len() == values || dims.len() == shape.len());
    let mut dims = own.unwrap_or_else(|| (0..values).map(|dim| format!("dim_{dim}")).collect());
    if let (Some(leading), true) = (leading, dims.len() < shape.len()) {
        dims.insert(0, leading.to_string());
    }
    let cell_bytes = array.dtype.cell_bytes().map_or(TEXT_CELL_BYTES, |bytes| bytes as u64);
    let chunk_shape = match &array.chunk_shape {
        Some(chunks) => chunks.iter().zip(shape).map(|(chunk, extent)| (*chunk).min((*extent).max(1))).collect(),
        None => default_chunk_shape(shape, cell_bytes),
    };
    if array.chunk_shape.as_ref().is_some_and(|chunks| chunks.len() != shape.len()) {
        let message = format!("chunk shape {:?} is not of the rank of shape {shape:?}", array.chunk_shape);
        return Err(status::status(Code::InvalidArgument, &message));
    }
    let dims: Vec<&str> = dims.iter().map(String::as_str).collect();
    let schema = ArraySchema::new(array.dtype, &dims, shape).with_chunk_shape(&chunk_shape);
    Ok(schema.with_fill_value(array.fill_value.clone()))
}

fn column_of(field: &Field) -> Result<Column, Status> {
    let array = GivenArray::of(field).map_err(|error| status::from_datafusion(&error))?;
    if let Some(array) = array {
        return Ok(Column::Array(array));
    }
    attributes::kind_of(field.data_type()).map(Column::Attribute).ok_or_else(|| {
        let dtypes = DType::ALL.map(DType::name).join(", ");
        let message = format!(
            "column {} is of type {}: neither an array (a tensor, or lists, of {dtypes}) nor an attribute",
            field.name(),
            field.data_type()
        );
        status::status(Code::InvalidArgument, &message)
    })
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

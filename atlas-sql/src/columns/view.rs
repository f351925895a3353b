//! One snapshot, as the tables see it.

use super::attribute::AttributeColumn;
use super::source::{EntryField, Source, Statistic};
use super::{declaration, entry, statistic};
use crate::error::from_store;
use crate::names::{self, Names};
use crate::tensor::{Form, Tensor, data_type};
use arrow::array::{ArrayRef, UInt32Array};
use arrow::datatypes::{DataType, Field};
use atlas_store::{ArraySchema, DType, Family, Snapshot};
use datafusion::error::{DataFusionError, Result};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// One snapshot with the names and types of its columns. Catalog columns are made once, when they are first needed.
pub(crate) struct View {
    pub(crate) snapshot: Snapshot,
    pub(crate) attributes: Vec<AttributeColumn>,
    /// The array families, sorted by name.
    pub(crate) families: Vec<FamilyColumn>,
    entries: OnceLock<Arc<[(u32, u32)]>>,
    columns: Mutex<HashMap<Source, ArrayRef>>,
}

/// An array family as a column.
#[derive(Debug)]
pub(crate) struct FamilyColumn {
    /// The array's name.
    pub(crate) name: String,
    /// The column's name.
    pub(crate) column: String,
    pub(crate) dtype: DType,
    /// The type of the column that holds the whole arrays.
    pub(crate) tensor: Tensor,
    /// The shape, where all datasets that have the array share it.
    pub(crate) shape: Option<Vec<u64>>,
    /// The lists of dimensions that it has in some dataset, in the order of the datasets.
    pub(crate) dims: Vec<Vec<String>>,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "View(snapshot {})", self.snapshot.number())
    }
}

impl View {
    /// The columns of this snapshot.
    ///
    /// # Cost
    /// One pass over the declarations of all arrays.
    pub(crate) fn new(snapshot: Snapshot) -> Self {
        let mut attributes = AttributeColumn::of(&snapshot);
        let mut families: Vec<FamilyColumn> =
            snapshot.families().map(|family| FamilyColumn::new(&snapshot, family)).collect();
        let keys: Vec<&str> = attributes.iter().map(|attribute| attribute.key.as_str()).collect();
        let arrays: Vec<&str> = families.iter().map(|family| family.name.as_str()).collect();
        let Names { attributes: attribute_names, arrays: array_names } = names::assign(&keys, &arrays);
        for (attribute, name) in attributes.iter_mut().zip(attribute_names) {
            attribute.column = name;
        }
        for (family, name) in families.iter_mut().zip(array_names) {
            family.column = name;
        }
        View { snapshot, attributes, families, entries: OnceLock::new(), columns: Mutex::default() }
    }

    /// The store's own family behind a position.
    pub(crate) fn family(&self, family: usize) -> Result<&Family> {
        self.snapshot.family(&self.families[family].name).map_err(from_store)
    }

    /// The position of the array that is the coordinate of a dimension: named like it, with that one dimension, in some
    /// dataset that has the dimension in its array of `family`.
    ///
    /// # Cost
    /// A look at the declarations up to the first such dataset.
    pub(crate) fn coordinate(&self, family: usize, dim: &str) -> Result<Option<usize>> {
        let Some(position) = self.families.iter().position(|family| family.name == dim) else { return Ok(None) };
        let arrays = self.family(family)?;
        let is_coordinate = self.family(position)?.entries().any(|(row, entry)| {
            self.snapshot.schema(entry).dims.as_slice() == [dim]
                && arrays.entry(row).is_some_and(|entry| self.snapshot.schema(entry).dims.iter().any(|own| own == dim))
        });
        Ok(is_coordinate.then_some(position))
    }

    /// The rows of the `arrays` table: dataset row and family, by dataset and then array.
    pub(crate) fn entries(&self) -> &Arc<[(u32, u32)]> {
        self.entries.get_or_init(|| {
            let mut entries: Vec<(u32, u32)> = (0u32..)
                .zip(&self.families)
                .filter_map(|(position, family)| Some((position, self.snapshot.find_family(&family.name)?)))
                .flat_map(|(position, family)| family.entries().map(move |(row, _)| (row, position)))
                .collect();
            entries.sort_unstable();
            entries.into()
        })
    }

    /// The field of a column with values from `source`.
    pub(crate) fn field(&self, source: &Source, name: &str) -> Result<Field> {
        let list = |item: DataType| DataType::List(Arc::new(Field::new_list_field(item, true)));
        let data_type = match source {
            Source::Dataset => return Ok(Field::new(name, DataType::Utf8, false)),
            Source::Attribute(attribute) => self.attributes[*attribute].data_type.clone(),
            Source::Statistic(family, statistic) => {
                let cell = data_type(self.families[*family].dtype);
                // `catalog` has a mean of every array: NULL where cells have none.
                statistic.data_type(&cell).unwrap_or(DataType::Float64)
            }
            Source::Shape(_) | Source::ChunkShape(_) => list(DataType::Int64),
            Source::Dims(_) => list(DataType::Utf8),
            Source::Dtype(_) => DataType::Utf8,
            Source::Array(family) => return self.families[*family].tensor.field(name),
            Source::Slice(family, cut) => return cut.tensor(&self.families[*family].tensor).field(name),
            Source::Element(family, _) => data_type(self.families[*family].dtype),
            Source::Reduction(family, _, reduction) => {
                let cell = data_type(self.families[*family].dtype);
                reduction.data_type(&cell).ok_or_else(|| {
                    DataFusionError::Plan(format!("{}: cells of {cell} have none", reduction.function()))
                })?
            }
            Source::Entry(field) => return Ok(entry::field(*field, name)),
        };
        Ok(Field::new(name, data_type, true))
    }

    /// A catalog column over all rows.
    ///
    /// # Cost
    /// One pass over the catalog the first time; nothing afterwards.
    pub(crate) fn column(&self, source: &Source) -> Result<ArrayRef> {
        let mut columns = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(column) = columns.get(source) {
            return Ok(Arc::clone(column));
        }
        let column = match source {
            Source::Dataset => {
                declaration::text(self.snapshot.dataset_names().collect::<Vec<_>>().iter().map(|name| Some(*name)))?
            }
            Source::Attribute(attribute) => self.attributes[*attribute].array(&self.snapshot)?,
            Source::Statistic(family, wanted) => statistic::of_family(self, *family, *wanted)?,
            Source::Shape(family) => declaration::shapes(&self.schemas(*family)?, |schema| &schema.shape),
            Source::ChunkShape(family) => declaration::shapes(&self.schemas(*family)?, |schema| &schema.chunk_shape),
            Source::Dims(family) => declaration::dims(&self.schemas(*family)?),
            Source::Dtype(family) => {
                let name = self.families[*family].dtype.name();
                declaration::text(self.schemas(*family)?.iter().map(|schema| schema.map(|_| name)))?
            }
            Source::Entry(field) => entry::column(self, *field)?,
            Source::Array(_) | Source::Slice(..) | Source::Element(..) | Source::Reduction(..) => {
                return Err(DataFusionError::Internal(format!("{source:?} is not in the catalog")));
            }
        };
        columns.insert(source.clone(), Arc::clone(&column));
        Ok(column)
    }

    /// A catalog column over these rows.
    pub(crate) fn column_at(&self, source: &Source, rows: &[u32]) -> Result<ArrayRef> {
        let column = self.column(source)?;
        match rows {
            [] => Ok(column.slice(0, 0)),
            [first, .., last]
                if last.checked_sub(*first).is_some_and(|span| span as usize + 1 == rows.len()) && rows.is_sorted() =>
            {
                Ok(column.slice(*first as usize, rows.len()))
            }
            _ => Ok(arrow::compute::take(&column, &UInt32Array::from(rows.to_vec()), None)?),
        }
    }

    /// The declaration of an array in each dataset, in dataset order.
    fn schemas(&self, family: usize) -> Result<Vec<Option<&ArraySchema>>> {
        let mut schemas = vec![None; self.snapshot.dataset_count()];
        for (row, entry) in self.family(family)?.entries() {
            schemas[row as usize] = Some(self.snapshot.schema(entry));
        }
        Ok(schemas)
    }

    /// The sources of the columns of the `datasets` table.
    pub(crate) fn dataset_columns(&self) -> Vec<(String, Source)> {
        let arrays = (0..).zip(&self.families).map(|(index, family)| (family.column.clone(), Source::Array(index)));
        self.attribute_columns().chain(arrays).collect()
    }

    /// The sources of the columns of the `catalog` table.
    pub(crate) fn catalog_columns(&self) -> Vec<(String, Source)> {
        let derived = (0..).zip(&self.families).flat_map(|(index, family)| {
            let sources = [
                Source::Statistic(index, Statistic::Min),
                Source::Statistic(index, Statistic::Max),
                Source::Statistic(index, Statistic::Mean),
                Source::Statistic(index, Statistic::NullCount),
                Source::Statistic(index, Statistic::RowCount),
                Source::Shape(index),
            ];
            names::DERIVED
                .into_iter()
                .zip(sources)
                .map(move |(suffix, source)| (format!("{}_{suffix}", family.name), source))
        });
        self.attribute_columns().chain(derived).collect()
    }

    /// The sources of the columns of the `arrays` table.
    pub(crate) fn entry_columns(&self) -> Vec<(String, Source)> {
        EntryField::ALL.iter().map(|(field, name)| ((*name).to_string(), Source::Entry(*field))).collect()
    }

    fn attribute_columns(&self) -> impl Iterator<Item = (String, Source)> {
        let attributes = (0..).zip(&self.attributes);
        std::iter::once((names::DATASET.to_string(), Source::Dataset))
            .chain(attributes.map(|(index, attribute)| (attribute.column.clone(), Source::Attribute(index))))
    }
}

impl FamilyColumn {
    fn new(snapshot: &Snapshot, family: &Family) -> Self {
        let mut schemas = snapshot.declarations(family).into_iter();
        let first = schemas.next();
        let mut shape = first.map(|first| first.shape.clone());
        let mut rank = first.map(ArraySchema::rank);
        let mut dims = first.map(|first| first.dims.clone());
        let mut fill = first.and_then(|first| first.fill_value.clone());
        let mut never_filled = first.is_some_and(|first| first.fill_value.is_none());
        let mut all_dims: Vec<Vec<String>> = dims.iter().cloned().collect();
        for schema in schemas {
            shape = shape.filter(|shape| *shape == schema.shape);
            rank = rank.filter(|rank| *rank == schema.rank());
            dims = dims.filter(|dims| *dims == schema.dims);
            if dims.is_none() && !all_dims.contains(&schema.dims) {
                all_dims.push(schema.dims.clone());
            }
            fill = fill.filter(|fill| Some(fill) == schema.fill_value.as_ref());
            never_filled &= schema.fill_value.is_none();
        }
        let dtype = family.dtype();
        let cells =
            shape.as_ref().and_then(|shape| shape.iter().try_fold(1u64, |cells, extent| cells.checked_mul(*extent)));
        let fits = cells.is_some_and(|cells| cells > 0 && i32::try_from(cells).is_ok());
        let form = match (&shape, rank) {
            (_, Some(0)) => Form::Scalar,
            (Some(shape), _) if fits => Form::Fixed(shape.clone()),
            (_, Some(1)) if !dtype.is_number() => Form::List,
            (_, rank) => Form::Variable(rank),
        };
        FamilyColumn {
            name: family.name().to_string(),
            column: String::new(),
            dtype,
            tensor: Tensor {
                cell: data_type(dtype),
                form,
                dims,
                fill_value: fill.map(|fill| fill.to_string()),
                never_filled,
            },
            shape,
            dims: all_dims,
        }
    }
}

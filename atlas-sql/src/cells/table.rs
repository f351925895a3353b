//! One `cells_<dims>` table: its columns, and how it is scanned.

use super::axes::{Axes, Declared};
use super::exec::CellsScanExec;
use super::group::Group;
use super::layout::Layout;
use super::prune;
use super::zones::WholeZones;
use crate::columns::{Source, View};
use crate::names::DATASET;
use crate::scan::can_evaluate;
use crate::tensor::data_type;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use atlas_store::{ArraySchema, CancelToken};
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// What a column is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    /// The dataset's name.
    Dataset,
    /// An attribute, as a position in the view.
    Attribute(usize),
    /// The index along an axis.
    Index(usize),
    /// The cells of a 1-D array along an axis.
    Coordinate(usize, usize),
    /// The cells of an array, as a position in the view; of one of lower rank, repeated along the axes that it lacks.
    Array(usize),
}

impl Column {
    /// The catalog's column with this value of each dataset.
    pub(crate) fn source(self) -> Option<Source> {
        match self {
            Column::Dataset => Some(Source::Dataset),
            Column::Attribute(attribute) => Some(Source::Attribute(attribute)),
            _ => None,
        }
    }

    /// The axis of a dimension's column.
    pub(crate) fn axis(self) -> Option<usize> {
        match self {
            Column::Index(axis) | Column::Coordinate(axis, _) => Some(axis),
            _ => None,
        }
    }

    /// The array that it is read from.
    pub(crate) fn family(self) -> Option<usize> {
        match self {
            Column::Array(family) | Column::Coordinate(_, family) => Some(family),
            _ => None,
        }
    }
}

/// A table over one snapshot.
#[derive(Debug, Clone)]
pub(crate) struct CellsTable {
    /// The store's name in SQL.
    pub(crate) store: String,
    pub(crate) view: Arc<View>,
    pub(crate) group: Group,
    pub(crate) layout: Arc<Layout>,
    pub(crate) zones: Arc<WholeZones>,
    /// What each column is made of, in the order of the schema.
    pub(crate) columns: Vec<Column>,
    pub(crate) schema: SchemaRef,
}

impl CellsTable {
    /// The table of a group: `dataset`, the attributes, the dimensions, the group's arrays, then those of lower rank.
    ///
    /// A dimension's column is named like it; where an attribute or an array of the table has that name, `name@dim`,
    /// the suffix repeated until the name is free. It holds the coordinate, which is an array named like the dimension
    /// with that one dimension, where some dataset of the table has one, and else the index.
    ///
    /// An array is of lower rank where its dimensions are some of the group's. One that is named like a dimension is left
    /// out: where it is not the coordinate, it would take the dimension's name.
    ///
    /// # Errors
    /// That of the store, where a family is not in the snapshot.
    pub(crate) fn try_new(store: &str, view: &Arc<View>, group: &Group) -> Result<Self> {
        let layout = Arc::new(Layout::new(view, group)?);
        let mut columns = vec![Column::Dataset];
        let mut fields = vec![Field::new(DATASET, DataType::Utf8, false)];
        for (index, attribute) in view.attributes.iter().enumerate() {
            columns.push(Column::Attribute(index));
            fields.push(view.field(&Source::Attribute(index), &attribute.column)?);
        }
        let coordinates = group.dims.iter().map(|dim| coordinate(view, &layout, dim)).collect::<Result<Vec<_>>>()?;
        // In a table of one dimension, the coordinate is the dimension's column and no other.
        let is_dim = |family: &usize| group.dims.len() == 1 && coordinates.contains(&Some(*family));
        let mut arrays: Vec<usize> = group.families.iter().copied().filter(|family| !is_dim(family)).collect();
        for (position, family) in view.families.iter().enumerate() {
            if !group.families.contains(&position)
                && !group.dims.contains(&family.name)
                && is_of_lower_rank(view, &layout, group, position)?
            {
                arrays.push(position);
            }
        }
        let mut taken: HashSet<String> = fields.iter().map(|field| field.name().clone()).collect();
        taken.extend(arrays.iter().map(|family| view.families[*family].column.clone()));
        for (axis, (dim, coordinate)) in group.dims.iter().zip(coordinates).enumerate() {
            // An array called `dataset` is `dataset@array` everywhere, as a coordinate too.
            let mut name = dim.clone();
            while !taken.insert(name.clone()) {
                name.push_str("@dim");
            }
            let (column, cell) = match coordinate {
                Some(family) => (Column::Coordinate(axis, family), data_type(view.families[family].dtype)),
                None => (Column::Index(axis), DataType::Int64),
            };
            columns.push(column);
            fields.push(Field::new(name, cell, coordinate.is_some()));
        }
        for family in arrays {
            columns.push(Column::Array(family));
            fields.push(Field::new(&view.families[family].column, data_type(view.families[family].dtype), true));
        }
        Ok(CellsTable {
            store: store.to_string(),
            view: Arc::clone(view),
            group: group.clone(),
            layout,
            zones: Arc::default(),
            columns,
            schema: Arc::new(Schema::new(fields)),
        })
    }

    /// The table's name, with the store's.
    pub(crate) fn full_name(&self) -> String {
        format!("{}.{}", self.store, self.group.name)
    }

    /// Whether the values of a column are numbers with a sum.
    pub(crate) fn adds_up(&self, column: Column) -> bool {
        column.family().is_none_or(|family| self.view.families[family].dtype.is_number())
    }

    /// The declaration of the array behind a column in one dataset, and which axes it has; `None` where the dataset
    /// lacks it, or has it with a dimension that the table lacks.
    pub(crate) fn declaration(&self, column: Column, row: u32) -> Result<Option<Declared<'_>>> {
        let Some(family) = column.family() else { return Ok(None) };
        let Some(entry) = self.view.family(family)?.entry(row) else { return Ok(None) };
        let schema = self.view.snapshot.schema(entry);
        let axes = match column {
            Column::Coordinate(axis, _) => {
                (schema.dims[..] == self.group.dims[axis..=axis]).then(|| Axes::Some(vec![axis]))
            }
            _ => Axes::of(&schema.dims, &self.group.dims),
        };
        Ok(axes.map(|axes| Declared { schema, axes }))
    }

    /// The chunk shape of an array in one dataset; `None` where it has not all dimensions of the table.
    pub(crate) fn tile(&self, column: Column, row: u32) -> Result<Option<&[u64]>> {
        let declared = self.declaration(column, row)?.filter(|declared| declared.axes == Axes::All);
        Ok(declared.map(|declared| declared.schema.chunk_shape.as_slice()))
    }
}

/// The family that is the coordinate of a dimension in some dataset of the layout.
fn coordinate(view: &View, layout: &Layout, dim: &str) -> Result<Option<usize>> {
    let Some(family) = view.families.iter().position(|family| family.name == dim) else { return Ok(None) };
    let is_coordinate = view.family(family)?.entries().any(|(row, entry)| {
        view.snapshot.schema(entry).dims.as_slice() == [dim] && layout.rows().binary_search(&row).is_ok()
    });
    Ok(is_coordinate.then_some(family))
}

/// Whether some dataset of the layout has the array with some of the group's dimensions, and not with all of them.
fn is_of_lower_rank(view: &View, layout: &Layout, group: &Group, family: usize) -> Result<bool> {
    // Datasets of one declaration share it.
    let mut known: HashMap<*const ArraySchema, bool> = HashMap::new();
    Ok(view.family(family)?.entries().any(|(row, entry)| {
        let schema = view.snapshot.schema(entry);
        let fits = known
            .entry(std::ptr::from_ref(schema))
            .or_insert_with(|| matches!(Axes::of(&schema.dims, &group.dims), Some(Axes::Some(_))));
        *fits && layout.rows().binary_search(&row).is_ok()
    }))
}

#[async_trait]
impl TableProvider for CellsTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Predicates over the dataset and its attributes are exact; the others prune, and run again above the scan.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        filters
            .iter()
            .map(|filter| {
                Ok(if !can_evaluate(filter)? {
                    TableProviderFilterPushDown::Unsupported
                } else if prune::is_catalog(self, filter)? {
                    TableProviderFilterPushDown::Exact
                } else {
                    TableProviderFilterPushDown::Inexact
                })
            })
            .collect()
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let projection = projection.cloned().unwrap_or_else(|| (0..self.columns.len()).collect());
        let table = Arc::new(self.clone());
        let filters = prune::Filters::new(session, &table, filters)?;
        let partitions = session.config().target_partitions().max(1);
        // Coordinates, segment indexes and zone maps are read here.
        let cancel = CancelToken::new();
        let _ends_with_the_query = cancel.guard();
        let plan = move || CellsScanExec::plan(table, projection, filters, limit, partitions, &cancel);
        let plan = tokio::task::spawn_blocking(plan);
        let plan = plan.await.map_err(|error| DataFusionError::Execution(format!("planning failed: {error}")))??;
        Ok(Arc::new(plan))
    }
}

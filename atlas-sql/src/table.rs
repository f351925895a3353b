//! The tables `datasets`, `catalog` and `arrays`, each a list of named sources over one snapshot.

use crate::columns::{Source, View};
use crate::scan;
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use std::collections::HashSet;
use std::sync::Arc;

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableKind {
    /// A row is a dataset; arrays are tensors.
    Datasets,
    /// A row is a dataset; scalars only.
    Catalog,
    /// A row is an array of a dataset.
    Arrays,
}

impl TableKind {
    pub(crate) const ALL: [TableKind; 3] = [TableKind::Datasets, TableKind::Catalog, TableKind::Arrays];

    pub(crate) fn name(self) -> &'static str {
        match self {
            TableKind::Datasets => "datasets",
            TableKind::Catalog => "catalog",
            TableKind::Arrays => "arrays",
        }
    }
}

/// A table over one snapshot. Calls on its columns are added to it as further columns.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    /// The store's name in SQL.
    pub(crate) store: String,
    pub(crate) kind: TableKind,
    pub(crate) view: Arc<View>,
    /// What each column is made of, in the order of the schema.
    pub(crate) sources: Vec<Source>,
    schema: SchemaRef,
}

impl Table {
    /// The table of this kind.
    ///
    /// # Errors
    /// A plan error where a column's type cannot be expressed.
    pub(crate) fn try_new(store: &str, kind: TableKind, view: &Arc<View>) -> Result<Self> {
        let columns = match kind {
            TableKind::Datasets => view.dataset_columns(),
            TableKind::Catalog => view.catalog_columns(),
            TableKind::Arrays => view.entry_columns(),
        };
        let fields = columns.iter().map(|(name, source)| view.field(source, name)).collect::<Result<Vec<_>>>()?;
        Ok(Table {
            store: store.to_string(),
            kind,
            view: Arc::clone(view),
            sources: columns.into_iter().map(|(_, source)| source).collect(),
            schema: Arc::new(Schema::new(fields)),
        })
    }

    /// The table with a column for `source`, and that column's position. A column that is there already is used.
    pub(crate) fn with_source(&self, source: Source) -> Result<(Table, usize)> {
        if let Some(index) = self.sources.iter().position(|own| *own == source) {
            return Ok((self.clone(), index));
        }
        let mut name = describe(&self.view, &source);
        let taken: HashSet<&str> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        while taken.contains(name.as_str()) {
            name.push('\'');
        }
        let mut fields = self.schema.fields().to_vec();
        fields.push(Arc::new(self.view.field(&source, &name)?));
        let mut table = Table { schema: Arc::new(Schema::new(fields)), ..self.clone() };
        table.sources.push(source);
        Ok((table, self.sources.len()))
    }

    /// How many rows there are before any filter.
    pub(crate) fn row_count(&self) -> usize {
        match self.kind {
            TableKind::Datasets | TableKind::Catalog => self.view.snapshot.dataset_count(),
            TableKind::Arrays => self.view.entries().len(),
        }
    }
}

/// The call that a source stands for, as EXPLAIN shows it.
fn describe(view: &View, source: &Source) -> String {
    let name = source.family().map_or("", |family| view.families[family].name.as_str());
    match source {
        Source::Statistic(_, statistic) => format!("{}({name})", statistic.function()),
        Source::Shape(_) => format!("shape({name})"),
        Source::ChunkShape(_) => format!("chunk_shape({name})"),
        Source::Dims(_) => format!("dims({name})"),
        Source::Dtype(_) => format!("dtype({name})"),
        Source::Slice(_, cut) => cut.text(name, false),
        Source::Element(_, cut) => cut.text(name, true),
        Source::Reduction(_, _, reduction) => format!("{}({})", reduction.function(), describe(view, &source.cells())),
        Source::Dataset | Source::Attribute(_) | Source::Array(_) | Source::Entry(_) => name.to_string(),
    }
}

#[async_trait]
impl TableProvider for Table {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Every predicate is exact: the scan evaluates it on the catalog, or on cells while it reads.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        filters.iter().map(|filter| scan::pushdown(filter)).collect()
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let projection = projection.cloned().unwrap_or_else(|| (0..self.sources.len()).collect());
        let table = Arc::new(self.clone());
        Ok(Arc::new(scan::AtlasScanExec::plan(session, table, projection, filters, limit)?))
    }
}

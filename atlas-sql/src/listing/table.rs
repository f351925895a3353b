//! A listing as a table.

use super::Listing;
use super::attributes::Attributes;
use super::chunks::Chunks;
use super::exec::AtlasListExec;
use crate::columns::View;
use crate::scan;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use std::sync::Arc;

/// `attributes` or `chunks` of one snapshot.
#[derive(Debug, Clone)]
pub(crate) struct ListingTable {
    /// The store's name in SQL.
    pub(crate) store: String,
    listing: Arc<dyn Listing>,
}

impl ListingTable {
    /// The names of the tables, in the order of [`Self::all`].
    pub(crate) const NAMES: [&str; 2] = ["attributes", "chunks"];

    /// All of them.
    pub(crate) fn all(store: &str, view: &Arc<View>) -> [Arc<ListingTable>; 2] {
        let listings: [Arc<dyn Listing>; 2] = [Arc::new(Attributes::new(view)), Arc::new(Chunks::new(view))];
        listings.map(|listing| Arc::new(ListingTable { store: store.to_string(), listing }))
    }

    /// The number of the snapshot.
    pub(crate) fn snapshot(&self) -> u64 {
        self.listing.view().snapshot.number()
    }
}

#[async_trait]
impl TableProvider for ListingTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.listing.schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

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
        let projection = projection.cloned().unwrap_or_else(|| (0..self.listing.schema().fields().len()).collect());
        Ok(Arc::new(AtlasListExec::plan(session, &self.store, Arc::clone(&self.listing), projection, filters, limit)?))
    }
}

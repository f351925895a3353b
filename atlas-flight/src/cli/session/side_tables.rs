//! Tables of the user's own beside those of a store: views, Parquet, CSV and Arrow files, for the length of a query.

use crate::cli::results::Format;
use async_trait::async_trait;
use atlas_store::Store;
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::prelude::SessionContext;
use std::path::Path;
use std::sync::Arc;

/// A context with the store as its default schema, which also takes `CREATE VIEW`, `CREATE TABLE` and
/// `CREATE EXTERNAL TABLE`, and reads `'file.parquet'` as a table.
///
/// # Errors
/// Those of [`atlas_sql::session`].
pub(crate) fn session(name: &str, store: Store) -> Result<SessionContext> {
    let context = atlas_sql::session(&[(name.to_owned(), store)])?;
    let default = context.state_ref().read().config_options().catalog.default_catalog.clone();
    if let Some(catalog) = context.catalog(&default)
        && let Some(store) = catalog.schema(name)
    {
        catalog.register_schema(name, Arc::new(SideTables { store, own: MemorySchemaProvider::new() }))?;
    }
    Ok(context.enable_url_table())
}

/// A store's schema that other tables can be added to; the store's own come first.
#[derive(Debug)]
struct SideTables {
    store: Arc<dyn SchemaProvider>,
    own: MemorySchemaProvider,
}

#[async_trait]
impl SchemaProvider for SideTables {
    fn table_names(&self) -> Vec<String> {
        let mut names = self.store.table_names();
        names.extend(self.own.table_names());
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match self.store.table(name).await? {
            Some(table) => Ok(Some(table)),
            None => match self.own.table(name).await? {
                None if is_missing_file(name) => {
                    Err(DataFusionError::Plan(format!("{name}: there is no such file, and no table of that name")))
                }
                found => Ok(found),
            },
        }
    }

    fn register_table(&self, name: String, table: Arc<dyn TableProvider>) -> Result<Option<Arc<dyn TableProvider>>> {
        if self.store.table_exist(&name) {
            return Err(DataFusionError::Plan(format!("{name} is a table of the store: take another name")));
        }
        self.own.register_table(name, table)
    }

    fn deregister_table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if self.store.table_exist(name) {
            return Err(DataFusionError::Plan(format!("{name} is a table of the store: it cannot be dropped")));
        }
        self.own.deregister_table(name)
    }

    fn table_exist(&self, name: &str) -> bool {
        self.store.table_exist(name) || self.own.table_exist(name)
    }
}

/// Whether a name is that of a file on this machine, and there is none.
fn is_missing_file(name: &str) -> bool {
    let path = Path::new(name);
    let is_path = name.contains('/') || Format::of_path(path).is_some();
    is_path && !name.contains("://") && !name.contains('*') && !path.exists()
}

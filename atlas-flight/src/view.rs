//! What a caller sees of the server: the stores that it may read, and SQL over these and no others.

use crate::auth::Caller;
use crate::bulk::{Given, Stores};
use crate::limits::{Gate, Limits};
use crate::server::ServeError;
use crate::sql::{Queries, Workers, bounded};
use crate::status;
use atlas_store::Store;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::SessionContext;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tonic::Status;

/// Some of the stores, by themselves.
pub(crate) struct View {
    /// The stores, for stacked reads.
    pub(crate) stores: Stores,
    /// The stores, for SQL.
    pub(crate) queries: Queries,
}

/// The views of all callers. Callers who may read the same stores share one.
pub(crate) struct Views {
    stores: Vec<(String, Store)>,
    /// All stores, mounted.
    mounted: SessionContext,
    workers: Arc<Workers>,
    gate: Arc<Gate>,
    given: Arc<Given>,
    made: Mutex<HashMap<Vec<String>, Arc<View>>>,
}

impl Views {
    /// Mounts these stores, for queries within the limits; the first that a caller may read is that caller's default schema.
    ///
    /// # Errors
    /// What mounting a store fails with, or starting threads.
    pub(crate) fn new(stores: Vec<(String, Store)>, limits: Limits) -> Result<Self, ServeError> {
        let failed = |error: DataFusionError| ServeError::new(error.to_string());
        let workers = Workers::new().map_err(|error| ServeError::new(format!("cannot start threads: {error}")))?;
        let mounted = atlas_sql::session(&stores).map_err(failed)?;
        let gate = Arc::new(Gate::new(limits));
        let (workers, given) = (Arc::new(workers), Arc::new(Given::default()));
        Ok(Views { stores, mounted, workers, gate, given, made: Mutex::default() })
    }

    /// The threads that queries are planned and run on.
    pub(crate) fn workers(&self) -> &Arc<Workers> {
        &self.workers
    }

    /// The limits, and who is within them.
    pub(crate) fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// The snapshots that tickets were given for.
    pub(crate) fn given(&self) -> &Arc<Given> {
        &self.given
    }

    /// What `caller` sees.
    ///
    /// # Errors
    /// `INTERNAL` where the stores cannot be mounted.
    pub(crate) fn of(&self, caller: &Caller) -> Result<Arc<View>, Status> {
        let readable = || self.stores.iter().filter(|(name, _)| caller.may_read(name));
        let names: Vec<String> = readable().map(|(name, _)| name.clone()).collect();
        // A view is whole once it is in the map.
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = made.get(&names) {
            return Ok(Arc::clone(view));
        }
        let context = self.mount(&names).map_err(|error| status::from_datafusion(&error))?;
        let (workers, gate) = (Arc::clone(&self.workers), Arc::clone(&self.gate));
        let stores = Stores::new(
            readable().cloned().collect(),
            Arc::clone(&workers),
            Arc::clone(&gate),
            Arc::clone(&self.given),
        );
        let queries = Queries::new(context, workers, gate);
        let view = Arc::new(View { stores, queries });
        made.insert(names, Arc::clone(&view));
        Ok(view)
    }

    /// A context of these of the mounted stores, which shares their tables, and reads no files.
    fn mount(&self, names: &[String]) -> Result<SessionContext> {
        let state = self.mounted.state();
        let catalog_name = state.config_options().catalog.default_catalog.clone();
        let all = self.mounted.catalog(&catalog_name);
        let catalog = MemoryCatalogProvider::new();
        for name in names {
            let schema = all.as_ref().and_then(|all| all.schema(name));
            let schema = schema.ok_or_else(|| DataFusionError::Internal(format!("store {name} is not mounted")))?;
            catalog.register_schema(name, schema)?;
        }
        let catalogs = MemoryCatalogProviderList::new();
        catalogs.register_catalog(catalog_name.clone(), Arc::new(catalog));
        // Where there is none to read, a name that is no store's.
        let default_schema = names.first().map_or("public", String::as_str);
        let config = state.config().clone().with_default_catalog_and_schema(catalog_name, default_schema);
        let runtime = RuntimeEnvBuilder::new().with_object_store_registry(Arc::new(NoFiles)).build_arc()?;
        let functions = state.scalar_functions().values().cloned().map(bounded).collect();
        let state = SessionStateBuilder::new_from_existing(state)
            .with_scalar_functions(functions)
            .with_config(config.with_create_default_catalog_and_schema(false))
            .with_catalog_list(Arc::new(catalogs))
            .with_runtime_env(runtime)
            .build();
        Ok(SessionContext::new_with_state(state))
    }
}

/// The object stores that SQL may read files from: none. Stores are read by their own means.
#[derive(Debug)]
struct NoFiles;

impl datafusion::execution::object_store::ObjectStoreRegistry for NoFiles {
    fn register_store(
        &self,
        _url: &url::Url,
        _store: Arc<dyn object_store::ObjectStore>,
    ) -> Option<Arc<dyn object_store::ObjectStore>> {
        None
    }

    fn get_store(&self, _url: &url::Url) -> Result<Arc<dyn object_store::ObjectStore>> {
        Err(DataFusionError::Plan("SQL reads the mounted stores, and no files".into()))
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "View({})", self.stores.names().collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;
    use crate::auth::Users;
    use atlas_store::CreateOptions;

    fn views(directory: &tempfile::TempDir) -> Views {
        let store = |name: &str| {
            let location = directory.path().join(name);
            (name.to_string(), Store::create(location.to_str().unwrap(), CreateOptions::default()).unwrap())
        };
        Views::new(vec![store("a"), store("b"), store("c")], Limits::default()).unwrap()
    }

    fn caller(stores: &str) -> Caller {
        let text = format!("[users.u]\ntokens = [\"sha256:{}\"]\nstores = {stores}", "0".repeat(64));
        Users::parse(&text).unwrap().caller_named("u").unwrap()
    }

    #[test]
    fn callers_with_the_same_stores_share_a_view() {
        let directory = tempfile::tempdir().unwrap();
        let views = views(&directory);
        let one = views.of(&caller("{ \"*\" = \"read\", a = \"none\" }")).unwrap();
        let same = views.of(&caller("{ b = \"read\", c = \"write\", z = \"read\" }")).unwrap();
        assert!(Arc::ptr_eq(&one, &same));
        assert_eq!(one.stores.names().collect::<Vec<_>>(), ["b", "c"]);
        let state = one.queries.session().state();
        assert_eq!(state.config_options().catalog.default_schema, "b");
        assert_eq!(one.queries.session().catalog("atlas").unwrap().schema_names().len(), 2);
        let nothing = views.of(&caller("{}")).unwrap();
        assert_eq!(nothing.queries.session().catalog("atlas").unwrap().schema_names().len(), 0);
    }

    #[test]
    fn no_files_can_be_read_whatever_sql_says() {
        let directory = tempfile::tempdir().unwrap();
        let view = views(&directory).of(&Caller::anybody()).unwrap();
        let runtime = view.queries.session().runtime_env();
        for url in ["file:///etc/passwd", "http://127.0.0.1/", "s3://bucket/key"] {
            assert!(runtime.object_store_registry.get_store(&url::Url::parse(url).unwrap()).is_err(), "{url}");
        }
    }
}

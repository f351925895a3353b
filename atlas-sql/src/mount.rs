//! Stores as schemas of a DataFusion catalog.

use crate::cells::{AggregateFromStatistics, CellsTable, Group, groups};
use crate::columns::View;
use crate::listing::ListingTable;
use crate::literal::LiteralLists;
use crate::options::{Options, OutOfBounds};
use crate::rewrite::ResolveArrayCalls;
use crate::table::{Table, TableKind};
use crate::udf;
use crate::yielding::YieldInJoins;
use async_trait::async_trait;
use atlas_store::Store;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, SchemaProvider, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::prelude::{SessionConfig, SessionContext};
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The catalog that [`session`] mounts stores in.
const CATALOG: &str = "atlas";

/// Mounts a store as schema `name` of the context's default catalog, with its tables; the first call also installs the
/// functions and, unless the context has them, the default [`Options`].
///
/// Each query sees the snapshot that `store` is at when the query is planned.
///
/// # Errors
/// Where the context's default catalog does not take schemas.
pub fn register(context: &SessionContext, name: &str, store: &Store) -> Result<()> {
    install(context);
    let catalog = context.state_ref().read().config_options().catalog.default_catalog.clone();
    let provider = match context.catalog(&catalog) {
        Some(provider) => provider,
        None => {
            let provider: Arc<dyn CatalogProvider> = Arc::new(MemoryCatalogProvider::new());
            context.register_catalog(catalog, Arc::clone(&provider));
            provider
        }
    };
    let schema = StoreSchema { name: name.to_string(), store: store.clone(), tables: Mutex::default() };
    provider.register_schema(name, Arc::new(schema))?;
    Ok(())
}

/// A context with these stores mounted in catalog `atlas`; the first is the default schema, so that plain table names
/// resolve there. `information_schema` is on.
///
/// # Errors
/// A plan error where two stores have one name; those of [`register`].
pub fn session(stores: &[(String, Store)]) -> Result<SessionContext> {
    let default = stores.first().map_or("public", |(name, _)| name.as_str());
    let config = SessionConfig::new().with_information_schema(true).with_default_catalog_and_schema(CATALOG, default);
    let context = SessionContext::new_with_config(config);
    for (index, (name, store)) in stores.iter().enumerate() {
        if stores[..index].iter().any(|(other, _)| other == name) {
            return Err(DataFusionError::Plan(format!("two stores are named {name}")));
        }
        register(&context, name, store)?;
    }
    Ok(context)
}

/// Whether a table is one of a store, and not another one of the same context.
pub fn is_of_store(table: &dyn TableProvider) -> bool {
    let table: &dyn Any = table;
    table.is::<Table>() || table.is::<ListingTable>() || table.is::<CellsTable>()
}

/// Installs the functions, their options, the rule that resolves them, literal lists, and the rule that answers
/// aggregates from statistics, unless they are there.
pub(crate) fn install(context: &SessionContext) {
    let state = context.state_ref();
    let mut state = state.write();
    if state.analyzer().rules.iter().any(|rule| rule.name() == ResolveArrayCalls::NAME) {
        return;
    }
    // Planners are asked in order and the stock one takes every list, so ours goes first.
    let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(LiteralLists)];
    planners.extend(state.expr_planners().iter().cloned());
    let options = state.config_mut().options_mut();
    if options.extensions.get::<Options>().is_none() {
        options.extensions.insert(Options::default());
    }
    let outside = OutOfBounds::of(options);
    let mut functions: Vec<_> = state.scalar_functions().values().cloned().collect();
    functions.extend(udf::all(outside).into_iter().map(Arc::new));
    let mut optimizers = state.physical_optimizers().to_vec();
    let after = optimizers.iter().position(|rule| rule.name() == AggregateFromStatistics::AFTER);
    optimizers.insert(after.map_or(0, |after| after + 1), Arc::new(AggregateFromStatistics));
    optimizers.push(Arc::new(YieldInJoins));
    let session_id = state.session_id().to_string();
    *state = SessionStateBuilder::new_from_existing(state.clone())
        .with_session_id(session_id)
        .with_expr_planners(planners)
        .with_scalar_functions(functions)
        .with_physical_optimizer_rules(optimizers)
        .with_analyzer_rule(Arc::new(ResolveArrayCalls))
        .build();
}

/// A store as a schema.
struct StoreSchema {
    name: String,
    store: Store,
    /// The tables of the last snapshot that a query saw.
    tables: Mutex<Option<Tables>>,
}

/// The tables of one snapshot.
#[derive(Clone)]
struct Tables {
    snapshot: u64,
    tables: [Arc<Table>; 3],
    listings: [Arc<ListingTable>; 2],
    cells: Arc<Cells>,
}

/// The tables of cells; each is made when it is first asked for.
struct Cells {
    view: Arc<View>,
    groups: Vec<Group>,
    made: Mutex<BTreeMap<String, Arc<CellsTable>>>,
}

impl Cells {
    fn table(&self, store: &str, name: &str) -> Result<Option<Arc<CellsTable>>> {
        let Some(group) = self.groups.iter().find(|group| group.name == name) else { return Ok(None) };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = made.get(name) {
            return Ok(Some(Arc::clone(table)));
        }
        let table = Arc::new(CellsTable::try_new(store, &self.view, group)?);
        made.insert(name.to_string(), Arc::clone(&table));
        Ok(Some(table))
    }
}

impl fmt::Debug for StoreSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreSchema({} at {})", self.name, self.store.location())
    }
}

impl StoreSchema {
    fn tables(&self) -> Result<Tables> {
        let snapshot = self.store.snapshot();
        let mut cached = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        match &*cached {
            Some(tables) if tables.snapshot == snapshot.number() => Ok(tables.clone()),
            _ => {
                let number = snapshot.number();
                let view = Arc::new(View::new(snapshot));
                let [datasets, catalog, arrays] = TableKind::ALL.map(|kind| Table::try_new(&self.name, kind, &view));
                let tables = [Arc::new(datasets?), Arc::new(catalog?), Arc::new(arrays?)];
                let listings = ListingTable::all(&self.name, &view);
                let cells = Cells { groups: groups(&view), view, made: Mutex::default() };
                let tables = Tables { snapshot: number, tables, listings, cells: Arc::new(cells) };
                *cached = Some(tables.clone());
                Ok(tables)
            }
        }
    }
}

#[async_trait]
impl SchemaProvider for StoreSchema {
    fn table_names(&self) -> Vec<String> {
        let own = TableKind::ALL.iter().map(|kind| kind.name()).chain(ListingTable::NAMES);
        let mut names: Vec<String> = own.map(str::to_string).collect();
        if let Ok(tables) = self.tables() {
            names.extend(tables.cells.groups.iter().map(|group| group.name.clone()));
        }
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(position) = ListingTable::NAMES.iter().position(|own| *own == name) {
            let table: Arc<dyn TableProvider> = self.tables()?.listings[position].clone();
            return Ok(Some(table));
        }
        let Some(position) = TableKind::ALL.iter().position(|kind| kind.name() == name) else {
            let table = self.tables()?.cells.table(&self.name, name)?;
            return Ok(table.map(|table| -> Arc<dyn TableProvider> { table }));
        };
        let table: Arc<dyn TableProvider> = self.tables()?.tables[position].clone();
        Ok(Some(table))
    }

    /// A store's schema takes no tables of others.
    fn register_table(&self, name: String, _: Arc<dyn TableProvider>) -> Result<Option<Arc<dyn TableProvider>>> {
        Err(DataFusionError::Plan(format!(
            "{name}: schema {} has the tables of a store only: CREATE SCHEMA makes one for others",
            self.name
        )))
    }

    fn table_exist(&self, name: &str) -> bool {
        let is_cells = || self.tables().is_ok_and(|tables| tables.cells.groups.iter().any(|group| group.name == name));
        TableKind::ALL.iter().map(|kind| kind.name()).chain(ListingTable::NAMES).any(|own| own == name) || is_cells()
    }
}

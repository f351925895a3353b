//! What a query means apart from its text.

use crate::arrays::ArrayFormat;
use crate::ticket::SettingsTicket;
use atlas_sql::{Options, OutOfBounds};
use datafusion::error::DataFusionError;
use datafusion::execution::{SessionState, SessionStateBuilder};
use std::sync::Arc;

/// What is in force for a query: settled when it is prepared, or its FlightInfo made, and written into what the client
/// carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// How array columns are delivered.
    pub(crate) format: ArrayFormat,
    /// The schema of tables that are named without one; the caller's first where it is empty.
    pub(crate) schema: String,
    /// What `slice`, `sel` and `element` give of a dataset that does not contain the region.
    pub(crate) out_of_bounds: OutOfBounds,
}

impl Settings {
    /// Those that a ticket or handle says.
    pub(crate) fn of_ticket(ticket: Option<&SettingsTicket>) -> Self {
        let ticket = ticket.cloned().unwrap_or_default();
        Settings {
            format: ArrayFormat::of_ticket(&ticket.array_format),
            schema: ticket.schema,
            out_of_bounds: if ticket.null_out_of_bounds { OutOfBounds::Null } else { OutOfBounds::Error },
        }
    }

    /// The same for a ticket or handle.
    pub(crate) fn to_ticket(&self) -> SettingsTicket {
        SettingsTicket {
            array_format: self.format.to_string(),
            schema: self.schema.clone(),
            null_out_of_bounds: self.out_of_bounds == OutOfBounds::Null,
        }
    }

    /// `state` with these in force.
    pub(crate) fn apply(&self, state: SessionState) -> SessionState {
        let catalog = &state.config_options().catalog;
        let same_schema = self.schema.is_empty() || self.schema == catalog.default_schema;
        if same_schema && self.out_of_bounds == OutOfBounds::default() {
            return state;
        }
        let mut config = state.config().clone();
        let options = config.options_mut();
        if !same_schema {
            options.catalog.default_schema.clone_from(&self.schema);
        }
        options.extensions.insert(Options { out_of_bounds: self.out_of_bounds });
        // Some functions are made for what is in force.
        let options = Arc::clone(config.options());
        let functions = state.scalar_functions().values().map(|function| {
            let updated = function.inner().with_updated_config(&options);
            updated.map_or_else(|| Arc::clone(function), Arc::new)
        });
        let functions = functions.collect();
        SessionStateBuilder::new_from_existing(state).with_config(config).with_scalar_functions(functions).build()
    }
}

/// Reads what an `out_of_bounds` option says.
///
/// # Errors
/// Text that is neither `error` nor `null`.
pub(crate) fn out_of_bounds(text: &str) -> Result<OutOfBounds, DataFusionError> {
    use datafusion::config::ExtensionOptions;
    let mut options = Options::default();
    options.set("out_of_bounds", text)?;
    Ok(options.out_of_bounds)
}

/// The text of an `out_of_bounds` option.
pub(crate) fn out_of_bounds_name(outside: OutOfBounds) -> &'static str {
    match outside {
        OutOfBounds::Error => "error",
        OutOfBounds::Null => "null",
    }
}

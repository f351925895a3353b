//! Settings of a session: what `SET atlas.…` sets.

use datafusion::common::config::{ConfigEntry, ConfigExtension, ExtensionOptions};
use datafusion::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use std::any::Any;

const OUT_OF_BOUNDS: &str = "out_of_bounds";

/// What `slice` and `element` give of a dataset whose array does not contain what they ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OutOfBounds {
    /// The query fails.
    #[default]
    Error,
    /// NULL.
    Null,
}

/// The settings of a session, as `atlas.<name>`. [`register`](crate::register) and [`session`](crate::session) install
/// them, unless the context has its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// `atlas.out_of_bounds`: `error` or `null`.
    pub out_of_bounds: OutOfBounds,
}

impl OutOfBounds {
    fn name(self) -> &'static str {
        match self {
            OutOfBounds::Error => "error",
            OutOfBounds::Null => "null",
        }
    }

    /// What a session says.
    pub(crate) fn of(config: &ConfigOptions) -> Self {
        config.extensions.get::<Options>().map_or_else(Self::default, |options| options.out_of_bounds)
    }
}

impl ConfigExtension for Options {
    const PREFIX: &'static str = "atlas";
}

impl ExtensionOptions for Options {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        if key != OUT_OF_BOUNDS {
            return Err(DataFusionError::Plan(format!("atlas.{key} is no setting: there is atlas.{OUT_OF_BOUNDS}")));
        }
        let known = [OutOfBounds::Error, OutOfBounds::Null];
        let found = known.into_iter().find(|known| known.name().eq_ignore_ascii_case(value.trim()));
        self.out_of_bounds = found.ok_or_else(|| {
            DataFusionError::Plan(format!("atlas.{OUT_OF_BOUNDS} is 'error' or 'null', not '{value}'"))
        })?;
        Ok(())
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        vec![ConfigEntry {
            key: format!("{}.{OUT_OF_BOUNDS}", Self::PREFIX),
            value: Some(self.out_of_bounds.name().to_string()),
            description: "What slice and element give of a dataset whose array does not contain the region: 'error' \
                          (the query fails) or 'null'",
        }]
    }
}

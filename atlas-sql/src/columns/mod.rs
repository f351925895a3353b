//! What the columns of the tables are made of: a [`Source`] each, over the [`View`] of one snapshot.

mod attribute;
mod declaration;
mod entry;
mod source;
mod spread;
mod statistic;
mod view;

pub(crate) use declaration::{as_i64, text};
pub(crate) use source::{EntryField, Source, Statistic};
pub(crate) use statistic::{scalars, value as statistic};
pub(crate) use view::{FamilyColumn, View};

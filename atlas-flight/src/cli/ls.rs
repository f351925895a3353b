//! `atlas ls`: the datasets of a store.

use crate::cli::columns::{Align, Columns};
use crate::cli::describe;
use crate::cli::{Failure, Output};
use atlas_store::{Snapshot, Store};
use clap::Args;
use serde_json::json;
use std::io::Write;

/// List the datasets of a store.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atlas ls fleet
  atlas ls fleet --json | jq -r '.[].dataset'

JSON: an array of {dataset, arrays, cells, attributes}, in the order in which the datasets were added.")]
pub(crate) struct Ls {
    /// Directory of the store
    store: String,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// What one line says about a dataset, its name apart.
#[derive(Clone, Copy, Default)]
struct Contents {
    arrays: u64,
    cells: u64,
    attributes: u64,
}

impl Ls {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let snapshot = Store::open(&self.store)?.snapshot();
        let contents = contents(&snapshot);
        let mut out = Output::stdout();
        let rows = snapshot.dataset_names().zip(&contents);
        if self.json {
            let mut before = "[";
            for (dataset, Contents { arrays, cells, attributes }) in rows {
                let row = json!({"dataset": dataset, "arrays": arrays, "cells": cells, "attributes": attributes});
                write!(out, "{before}\n{row}")?;
                before = ",";
            }
            writeln!(out, "{}", if before == "[" { "[]" } else { "\n]" })?;
        } else if contents.is_empty() {
            writeln!(out, "no datasets")?;
        } else {
            let mut columns = Columns::new(&[
                ("dataset", Align::Left),
                ("arrays", Align::Right),
                ("cells", Align::Right),
                ("attributes", Align::Right),
            ]);
            for (dataset, Contents { arrays, cells, attributes }) in rows {
                let number = |number: &u64| describe::count(*number);
                columns.push([dataset.to_owned(), number(arrays), number(cells), number(attributes)]);
            }
            columns.write(&mut out, "")?;
        }
        out.finish()
    }
}

/// One entry per dataset row, gathered in one pass over the families and attribute columns.
fn contents(snapshot: &Snapshot) -> Vec<Contents> {
    let mut contents = vec![Contents::default(); snapshot.dataset_count()];
    let mut add = |row: u32, add: &dyn Fn(&mut Contents)| {
        if let Some(contents) = usize::try_from(row).ok().and_then(|row| contents.get_mut(row)) {
            add(contents);
        }
    };
    for family in snapshot.families() {
        for (row, entry) in family.entries() {
            let cells = snapshot.schema(entry).cell_count();
            add(row, &|contents| {
                contents.arrays += 1;
                contents.cells += cells;
            });
        }
    }
    for column in snapshot.attribute_columns() {
        for row in column.rows() {
            add(*row, &|contents| contents.attributes += 1);
        }
    }
    contents
}

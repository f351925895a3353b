//! `atlas show`: one dataset, its arrays and attributes.

use crate::cli::columns::{Align, Columns};
use crate::cli::describe;
use crate::cli::{Failure, Output};
use atlas_store::{ArraySchema, Snapshot, Statistics, Store};
use clap::Args;
use serde_json::{Value, json};
use std::io::Write;

/// Show the arrays, attributes and statistics of a dataset.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atlas show fleet cast_0001
  atlas show fleet cast_0001 --json | jq '.arrays[] | select(.array == \"temperature\").statistics'

JSON: {store, dataset, snapshot, attributes, arrays}; an attribute is {key, type, value}; an array is {array, dtype, dims,
shape, chunk_shape, fill_value, codec, chunks, stored_bytes, statistics}; statistics are {row_count, null_count,
nan_count, min, max, mean, min_exact, max_exact}. Sizes are in bytes.")]
pub(crate) struct Show {
    /// Directory of the store
    store: String,
    /// Name of the dataset
    dataset: String,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// One array's line.
struct ArrayLine<'a> {
    array: &'a str,
    schema: &'a ArraySchema,
    statistics: Option<Statistics>,
    codec: String,
    chunks: u64,
    stored_bytes: u64,
}

impl Show {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let snapshot = Store::open(&self.store)?.snapshot();
        let row = snapshot.dataset_row(&self.dataset)?;
        let mut arrays = Vec::new();
        for family in snapshot.families() {
            let Some(entry) = family.entry(row) else { continue };
            let array = family.name();
            let (chunks, stored_bytes) = snapshot.chunk_totals(array, &[row])?;
            arrays.push(ArrayLine {
                array,
                schema: snapshot.schema(entry),
                statistics: entry.statistics(),
                codec: snapshot.array_codec(row, array)?,
                chunks,
                stored_bytes,
            });
        }
        let mut out = Output::stdout();
        if self.json {
            serde_json::to_writer_pretty(&mut out, &self.as_json(&snapshot, row, &arrays))?;
            writeln!(out)?;
        } else {
            self.write_text(&mut out, &snapshot, row, &arrays)?;
        }
        out.finish()
    }

    fn as_json(&self, snapshot: &Snapshot, row: u32, arrays: &[ArrayLine<'_>]) -> Value {
        let attributes: Vec<Value> = snapshot
            .attributes(row)
            .iter()
            .map(|(key, value)| {
                json!({"key": key, "type": value.kind().name(), "value": describe::attribute_json(value)})
            })
            .collect();
        json!({
            "store": self.store,
            "dataset": self.dataset,
            "snapshot": snapshot.number(),
            "attributes": attributes,
            "arrays": arrays.iter().map(ArrayLine::as_json).collect::<Vec<_>>(),
        })
    }

    fn write_text(
        &self,
        out: &mut Output,
        snapshot: &Snapshot,
        row: u32,
        arrays: &[ArrayLine<'_>],
    ) -> Result<(), Failure> {
        writeln!(out, "{} in {} (snapshot {})", self.dataset, self.store, snapshot.number())?;
        let mut columns = Columns::new(&[
            ("array", Align::Left),
            ("dtype", Align::Left),
            ("dims", Align::Left),
            ("shape", Align::Right),
            ("chunk", Align::Right),
            ("codec", Align::Left),
            ("stored", Align::Right),
            ("fill", Align::Right),
            ("nulls", Align::Right),
            ("min", Align::Right),
            ("max", Align::Right),
            ("mean", Align::Right),
        ]);
        for line in arrays {
            let statistics = line.statistics.as_ref();
            columns.push([
                line.array.to_owned(),
                line.schema.dtype.name().to_owned(),
                line.schema.dims.join(", "),
                describe::shape(&line.schema.shape),
                describe::shape(&line.schema.chunk_shape),
                line.codec.clone(),
                describe::bytes(line.stored_bytes),
                describe::bound(line.schema.fill_value.as_ref(), true),
                statistics.map_or_else(|| "-".into(), |statistics| describe::count(statistics.null_count)),
                statistics.map_or_else(|| "-".into(), |s| describe::bound(s.min.as_ref(), s.min_exact)),
                statistics.map_or_else(|| "-".into(), |s| describe::bound(s.max.as_ref(), s.max_exact)),
                statistics.and_then(Statistics::mean).map_or_else(|| "-".into(), describe::float),
            ]);
        }
        if !columns.is_empty() {
            writeln!(out)?;
            columns.write(out, "")?;
        }
        let mut columns = Columns::new(&[("attribute", Align::Left), ("type", Align::Left), ("value", Align::Left)]);
        for (key, value) in snapshot.attributes(row) {
            columns.push([key, value.kind().name().to_owned(), describe::short(&value.to_string())]);
        }
        if !columns.is_empty() {
            writeln!(out)?;
            columns.write(out, "")?;
        }
        Ok(())
    }
}

impl ArrayLine<'_> {
    fn as_json(&self) -> Value {
        json!({
            "array": self.array,
            "dtype": self.schema.dtype.name(),
            "dims": self.schema.dims,
            "shape": self.schema.shape,
            "chunk_shape": self.schema.chunk_shape,
            "fill_value": self.schema.fill_value.as_ref().map(describe::scalar_json),
            "codec": self.codec,
            "chunks": self.chunks,
            "stored_bytes": self.stored_bytes,
            "statistics": describe::statistics_json(self.statistics.as_ref()),
        })
    }
}

//! `atlas info`: what a store holds in all, family by family.

use crate::cli::columns::{Align, Columns};
use crate::cli::describe;
use crate::cli::{Failure, Output};
use atlas_store::{CreateOptions, Family, Scalar, Snapshot, Store};
use clap::Args;
use serde_json::{Value, json};
use std::io::Write;

/// Show the totals of a store and its array families.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atlas info fleet
  atlas info fleet --json | jq '.families[] | {array, stored_bytes}'

JSON: {store, snapshot, codec, meta_format, meta_compression, datasets, arrays, cells, stored_bytes, raw_bytes,
catalog_bytes, families}; a family is {array, dtype, datasets, shape, chunks, cells, null_count, stored_bytes, raw_bytes,
min, max}, its shape null where datasets differ. Sizes are in bytes.")]
pub(crate) struct Info {
    /// Directory of the store
    store: String,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// One family's line.
struct FamilyLine {
    array: String,
    dtype: &'static str,
    datasets: u64,
    /// `None` where datasets differ.
    shape: Option<Vec<u64>>,
    cells: u64,
    nulls: u64,
    chunks: u64,
    stored_bytes: u64,
    raw_bytes: u64,
    min: Option<Scalar>,
    max: Option<Scalar>,
}

impl Info {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let store = Store::open(&self.store)?;
        let snapshot = store.snapshot();
        let families: Vec<FamilyLine> =
            snapshot.families().map(|family| FamilyLine::of(&snapshot, family)).collect::<Result<_, _>>()?;
        let mut out = Output::stdout();
        if self.json {
            let value = self.as_json(&snapshot, &store.options(), &families);
            serde_json::to_writer_pretty(&mut out, &value)?;
            writeln!(out)?;
        } else {
            self.write_text(&mut out, &snapshot, &store.options(), &families)?;
        }
        out.finish()
    }

    fn as_json(&self, snapshot: &Snapshot, options: &CreateOptions, families: &[FamilyLine]) -> Value {
        let total = |of: fn(&FamilyLine) -> u64| families.iter().map(of).sum::<u64>();
        json!({
            "store": self.store,
            "snapshot": snapshot.number(),
            "codec": options.codec.to_string(),
            "meta_format": options.meta_format.to_string(),
            "meta_compression": options.meta_compression.to_string(),
            "datasets": snapshot.dataset_count(),
            "arrays": total(|family| family.datasets),
            "cells": total(|family| family.cells),
            "stored_bytes": snapshot.stored_bytes(),
            "raw_bytes": total(|family| family.raw_bytes),
            "catalog_bytes": snapshot.catalog_bytes(),
            "families": families.iter().map(FamilyLine::as_json).collect::<Vec<_>>(),
        })
    }

    fn write_text(
        &self,
        out: &mut Output,
        snapshot: &Snapshot,
        options: &CreateOptions,
        families: &[FamilyLine],
    ) -> Result<(), Failure> {
        let arrays = families.iter().map(|family| family.datasets).sum();
        let raw_bytes = families.iter().map(|family| family.raw_bytes).sum();
        let datasets = snapshot.dataset_count() as u64;
        writeln!(out, "store     {} (snapshot {})", self.store, snapshot.number())?;
        writeln!(
            out,
            "holds     {}, {} in {}",
            describe::counted(datasets, "dataset"),
            describe::counted(arrays, "array"),
            if families.len() == 1 { "1 family".to_owned() } else { format!("{} families", families.len()) },
        )?;
        writeln!(
            out,
            "size      {} stored of {} raw{}, catalog {}",
            describe::bytes(snapshot.stored_bytes()),
            describe::bytes(raw_bytes),
            ratio(raw_bytes, snapshot.stored_bytes()).map(|ratio| format!(" ({ratio})")).unwrap_or_default(),
            describe::bytes(snapshot.catalog_bytes()),
        )?;
        let CreateOptions { codec, meta_format, meta_compression } = options;
        writeln!(out, "written   codec {codec}, catalog {meta_format}, compression {meta_compression}")?;
        if families.is_empty() {
            return Ok(());
        }
        let mut columns = Columns::new(&[
            ("array", Align::Left),
            ("dtype", Align::Left),
            ("datasets", Align::Right),
            ("shape", Align::Right),
            ("chunks", Align::Right),
            ("stored", Align::Right),
            ("ratio", Align::Right),
            ("nulls", Align::Right),
            ("min", Align::Right),
            ("max", Align::Right),
        ]);
        for family in families {
            columns.push([
                family.array.clone(),
                family.dtype.to_owned(),
                describe::count(family.datasets),
                family.shape.as_deref().map_or_else(|| "varies".into(), describe::shape),
                describe::count(family.chunks),
                describe::bytes(family.stored_bytes),
                ratio(family.raw_bytes, family.stored_bytes).unwrap_or_else(|| "-".into()),
                describe::count(family.nulls),
                describe::bound(family.min.as_ref(), true),
                describe::bound(family.max.as_ref(), true),
            ]);
        }
        writeln!(out)?;
        columns.write(out, "")?;
        Ok(())
    }
}

impl FamilyLine {
    fn of(snapshot: &Snapshot, family: &Family) -> Result<Self, Failure> {
        let totals = snapshot.family_totals(family.name())?;
        let mut line = FamilyLine {
            array: family.name().to_owned(),
            dtype: family.dtype().name(),
            datasets: family.len() as u64,
            shape: None,
            cells: 0,
            nulls: 0,
            chunks: totals.chunks,
            stored_bytes: totals.stored_bytes,
            raw_bytes: totals.raw_bytes,
            min: None,
            max: None,
        };
        let mut shapes = family.entries().map(|(_, entry)| &snapshot.schema(entry).shape);
        if let Some(first) = shapes.next()
            && shapes.all(|shape| shape == first)
        {
            line.shape = Some(first.clone());
        }
        for (_, entry) in family.entries() {
            line.cells += snapshot.schema(entry).cell_count();
            let Some(statistics) = entry.statistics() else { continue };
            line.nulls += statistics.null_count;
            if let Some(min) = &statistics.min
                && line.min.as_ref().is_none_or(|least| describe::less(min, least))
            {
                line.min = Some(min.clone());
            }
            if let Some(max) = &statistics.max
                && line.max.as_ref().is_none_or(|most| describe::less(most, max))
            {
                line.max = Some(max.clone());
            }
        }
        Ok(line)
    }

    fn as_json(&self) -> Value {
        json!({
            "array": self.array,
            "dtype": self.dtype,
            "datasets": self.datasets,
            "shape": self.shape,
            "chunks": self.chunks,
            "cells": self.cells,
            "null_count": self.nulls,
            "stored_bytes": self.stored_bytes,
            "raw_bytes": self.raw_bytes,
            "min": self.min.as_ref().map(describe::scalar_json),
            "max": self.max.as_ref().map(describe::scalar_json),
        })
    }
}

/// How many times smaller stored bytes are than raw ones.
fn ratio(raw_bytes: u64, stored_bytes: u64) -> Option<String> {
    (stored_bytes > 0 && raw_bytes > 0).then(|| format!("{:.1}×", raw_bytes as f64 / stored_bytes as f64))
}

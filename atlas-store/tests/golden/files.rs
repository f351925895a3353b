//! The files of the golden store: what must never change, and what another reader compares with.

use crate::expected::{Array, expected};
use atlas_store::{Attribute, Cells, Scalar, Sum};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// A line for each file below a folder, by path: its CRC-32C, its size and its path.
pub fn checksums(root: &Path) -> String {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_string();
                files.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    let line = |(name, bytes): (&String, &Vec<u8>)| format!("{:08x} {} {name}\n", crc32c::crc32c(bytes), bytes.len());
    files.iter().map(line).collect()
}

/// What the store holds, for readers in other languages. Floats are their bits, binary is hexadecimal, and of many
/// numbers there is the CRC-32C of their bytes.
pub fn expected_json() -> String {
    let datasets = expected().into_iter().map(|dataset| {
        let attributes = dataset.attributes.iter().map(|(key, value)| ((*key).to_string(), attribute(value)));
        let arrays = dataset.arrays.iter().map(|found| (found.name.clone(), array(found)));
        json!({
            "dataset": dataset.name,
            "attributes": attributes.collect::<Map<_, _>>(),
            "arrays": arrays.collect::<Map<_, _>>(),
        })
    });
    let lines: Vec<String> = datasets.map(|dataset| dataset.to_string()).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

fn attribute(value: &Attribute) -> Value {
    match value {
        Attribute::Bool(value) => json!({"bool": value}),
        Attribute::Int64(value) => json!({"int64": value}),
        Attribute::Float64(value) => json!({"float64": bits64(*value)}),
        Attribute::String(value) => json!({"string": value}),
        Attribute::Timestamp(value) => json!({"timestamp_nanoseconds": value}),
    }
}

fn array(array: &Array) -> Value {
    let (schema, found) = (&array.schema, &array.statistics);
    let sum = found.sum.map_or(Value::Null, |sum| match sum {
        Sum::Int(sum) => json!(sum),
        Sum::Float(sum) => bits64(sum),
    });
    json!({
        "dtype": schema.dtype.name(),
        "dims": schema.dims,
        "shape": schema.shape,
        "chunk_shape": schema.chunk_shape,
        "fill_value": scalar(schema.fill_value.as_ref()),
        "statistics": {
            "row_count": found.row_count,
            "null_count": found.null_count,
            "nan_count": found.nan_count,
            "min": scalar(found.min.as_ref()),
            "max": scalar(found.max.as_ref()),
            "min_exact": found.min_exact,
            "max_exact": found.max_exact,
            "sum": sum,
        },
        "cells": cells(array),
    })
}

fn cells(array: &Array) -> Value {
    match array.cells.cells() {
        Cells::I32(cells) if cells.len() > 100 => {
            let bytes: Vec<u8> = cells.iter().flat_map(|cell| cell.to_le_bytes()).collect();
            json!({"crc32c": crc32c::crc32c(&bytes)})
        }
        Cells::I8(cells) => json!(cells),
        Cells::I16(cells) => json!(cells),
        Cells::I32(cells) => json!(cells),
        Cells::I64(cells) => json!(cells),
        Cells::U8(cells) => json!(cells),
        Cells::U16(cells) => json!(cells),
        Cells::U32(cells) => json!(cells),
        Cells::U64(cells) => json!(cells),
        Cells::F32(cells) => cells.iter().copied().map(bits32).collect(),
        Cells::F64(cells) => cells.iter().copied().map(bits64).collect(),
        Cells::Var(cells) => {
            cells.iter().map(|cell| scalar(Some(&Scalar::from_bytes(array.schema.dtype, cell)))).collect()
        }
    }
}

fn scalar(scalar: Option<&Scalar>) -> Value {
    match scalar {
        None => Value::Null,
        Some(Scalar::Bool(value)) => json!(value),
        Some(Scalar::Int(value) | Scalar::Timestamp(value)) => json!(value),
        Some(Scalar::UInt(value)) => json!(value),
        Some(Scalar::Float32(value)) => bits32(*value),
        Some(Scalar::Float64(value)) => bits64(*value),
        Some(Scalar::String(value)) => json!(value),
        Some(Scalar::Binary(value)) => value.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
    }
}

fn bits32(value: f32) -> Value {
    json!(format!("0x{:08x}", value.to_bits()))
}

fn bits64(value: f64) -> Value {
    json!(format!("0x{:016x}", value.to_bits()))
}

//! How the golden store came to be: five flushes with five codecs, and a compaction.

use crate::expected::{ODD, ODD_ARRAY, expected, first_chunk, grid, numbers, walk};
use atlas_store::{ArrayData, ArraySchema, CompactOptions, CreateOptions, DType, Scalar, Store};
use std::path::Path;

/// Defines an array as it is to be in the end, and writes all of it.
fn add(store: &Store, dataset: &str, array: &str) {
    define(store, dataset, array);
    let cells = find(dataset, array).cells;
    store.write_array(dataset, array, &vec![0; cells.shape().len()], &cells).unwrap();
}

fn define(store: &Store, dataset: &str, array: &str) {
    store.define_array(dataset, array, find(dataset, array).schema).unwrap();
}

fn find(dataset: &str, array: &str) -> crate::expected::Array {
    let dataset = expected().into_iter().find(|found| found.name == dataset).unwrap();
    dataset.arrays.into_iter().find(|found| found.name == array).unwrap()
}

fn set_attributes(store: &Store, dataset: &str) {
    let found = expected().into_iter().find(|found| found.name == dataset).unwrap();
    for (key, value) in found.attributes {
        store.set_attribute(dataset, key, value).unwrap();
    }
}

fn one(value: f32) -> ArrayData {
    numbers(&[1, 1], vec![value])
}

/// Switches the codec: a store is written with the one that its catalog names.
fn reopen(path: &Path, codec: &str) -> Store {
    let file = path.join("atlas.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let (head, body) = text.split_once("\"catalog\":\n").unwrap();
    let body = body.strip_suffix("\n}\n").unwrap();
    let (before, rest) = body.split_once("\"codec\":\"").unwrap();
    let (_, after) = rest.split_once('"').unwrap();
    let body = format!("{before}\"codec\":\"{codec}\"{after}");
    let (head, _) = head.split_once("\"crc32c\":").unwrap();
    let crc = crc32c::crc32c(body.as_bytes());
    std::fs::write(&file, format!("{head}\"crc32c\":\"{crc:08x}\",\"catalog\":\n{body}\n}}\n")).unwrap();
    let store = Store::open(path.to_str().unwrap()).unwrap();
    assert_eq!(store.options().codec.name(), codec);
    store
}

/// Writes the store into a folder that does not exist.
pub fn live(path: &Path) {
    let store = Store::create(path.to_str().unwrap(), CreateOptions::default()).unwrap();
    for dataset in ["alpha", "doomed", "gone", ODD] {
        store.create_dataset(dataset).unwrap();
    }
    set_attributes(&store, "alpha");
    store.set_attribute("alpha", "b", true.into()).unwrap();
    store.set_attribute("alpha", "retyped", 1.into()).unwrap();
    store.set_attribute("alpha", "removed", 1.5.into()).unwrap();
    store.set_attribute("gone", "i", 5.into()).unwrap();
    define(&store, "alpha", "t");
    store.write_array("alpha", "t", &[0, 0], grid([6, 8], 0.0)).unwrap();
    for array in ["walk", "T", "flag", "raw", "text"] {
        add(&store, "alpha", array);
    }
    let small = |dtype, length| ArraySchema::new(dtype, &["x"], &[length]);
    store.define_array("alpha", "redefined", small(DType::Int32, 4)).unwrap();
    store.write_array("alpha", "redefined", &[0], numbers(&[4], vec![1i32, 2, 3, 4])).unwrap();
    store.define_array("alpha", "moved", small(DType::Int8, 2)).unwrap();
    store.write_array("alpha", "moved", &[0], numbers(&[2], vec![1i8, 2])).unwrap();
    for dataset in ["doomed", "gone"] {
        store.define_array(dataset, "t", ArraySchema::new(DType::Float32, &["y", "x"], &[1, 1])).unwrap();
        store.write_array(dataset, "t", &[0, 0], one(5.0)).unwrap();
        let schema = small(DType::String, 1).with_fill_value(Scalar::String("?".into()));
        store.define_array(dataset, "text", schema).unwrap();
    }
    store.flush().unwrap();

    let store = reopen(path, "zstd");
    store.delete_dataset("doomed").unwrap();
    store.delete_array("alpha", "moved").unwrap();
    store.delete_array("alpha", "redefined").unwrap();
    define(&store, "alpha", "redefined");
    store.write_array("alpha", "redefined", &[1, 0], numbers(&[1, 3], vec![5i32, 9, 7])).unwrap();
    let negative = (1..5).flat_map(|y| (2..7).map(move |x| -((y * 10 + x) as f32))).collect();
    store.write_array("alpha", "t", &[1, 2], numbers(&[4, 5], negative)).unwrap();
    store.remove_attribute("alpha", "removed").unwrap();
    store.set_attribute("alpha", "retyped", "1".into()).unwrap();
    set_attributes(&store, ODD);
    for array in ["walk", "flag", "raw", "when", "big", "nans", ODD_ARRAY, "dot.", "atlas.json"] {
        add(&store, ODD, array);
    }
    for array in ["text", "point", "sparse"] {
        define(&store, ODD, array);
    }
    store.write_array(ODD, "sparse", &[3, 5], numbers(&[1, 1], vec![-3i16])).unwrap();
    store.flush().unwrap();
    // What it replaces is retired, and stays.
    let report = store.compact(CompactOptions::default()).unwrap();
    assert!(report.families >= 2 && report.retained_bytes > 0, "{report:?}");

    let store = reopen(path, "lz4");
    store.write_array("alpha", "t", &[0, 0], grid([4, 3], 7000.0)).unwrap();
    // A mebibyte, after which the chunk before it is encoded: it gets a second entry in the same segment.
    store.create_dataset("bulk").unwrap();
    store.define_array("bulk", "t", ArraySchema::new(DType::Float32, &["y", "x"], &[512, 512])).unwrap();
    store.write_array("bulk", "t", &[0, 0], numbers(&[512, 512], vec![1f32; 512 * 512])).unwrap();
    store.write_array("alpha", "t", &[0, 0], first_chunk()).unwrap();
    for array in ["when", "big", "unsigned", "point", "nans", "moved"] {
        add(&store, "alpha", array);
    }
    define(&store, "alpha", "none");
    define(&store, "alpha", "sparse");
    store.write_array("alpha", "sparse", &[7, 3], numbers(&[1, 1], vec![12i16])).unwrap();
    add(&store, "alpha", &"n".repeat(200));
    store.create_dataset("third").unwrap();
    set_attributes(&store, "third");
    add(&store, "third", "walk");
    add(&store, "third", "nans");
    for array in ["text", "point", "sparse"] {
        define(&store, "third", array);
    }
    store.flush().unwrap();

    let store = reopen(path, "none");
    store.delete_dataset("bulk").unwrap();
    store.delete_dataset("gone").unwrap();
    store.write_array("alpha", "t", &[5, 7], one(f32::INFINITY)).unwrap();
    store.set_attribute("alpha", "b", false.into()).unwrap();
    store.create_dataset("fourth").unwrap();
    set_attributes(&store, "fourth");
    add(&store, "fourth", "walk");
    add(&store, "fourth", "point");
    define(&store, "fourth", "text");
    store.create_dataset("gone").unwrap();
    add(&store, "gone", "t");
    add(&store, "gone", "text");
    store.flush().unwrap();

    let store = reopen(path, "pco");
    store.create_dataset("fifth").unwrap();
    set_attributes(&store, "fifth");
    // Once with other cells, which the second flush of this segment's chunk hides.
    define(&store, "fifth", "walk");
    store.write_array("fifth", "walk", &[0], walk(9)).unwrap();
    add(&store, "fifth", "text");
    store.flush().unwrap();
    store.write_array("fifth", "walk", &[0], &find("fifth", "walk").cells).unwrap();
    store.flush().unwrap();
    std::fs::remove_file(path.join("atlas.lock")).unwrap();
}

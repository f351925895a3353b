//! Arrays of lower rank as columns of a table of cells, against brute force.

use crate::cells::{Random, rows, scans};
use crate::fleet::{empty, query, write};
use atlas_store::{ArrayData, ArraySchema, DType, Scalar, Store};
use std::collections::BTreeMap;

const DIMS: [&str; 3] = ["time", "prof", "level"];

/// An array of the test: its dimensions, extents and cells; -1 is missing.
struct Own {
    dims: Vec<&'static str>,
    shape: Vec<u64>,
    cells: Vec<i32>,
}

fn put(store: &Store, dataset: &str, name: &str, dims: &[&'static str], shape: &[u64], random: &mut Random) -> Own {
    let count = shape.iter().product::<u64>();
    let cells: Vec<i32> = (0..count).map(|_| random.below(12) as i32 - 1).collect();
    let chunk: Vec<u64> = shape.iter().map(|_| 1 + random.below(3)).collect();
    let schema = ArraySchema::new(DType::Int32, dims, shape).with_chunk_shape(&chunk).with_fill_value(Scalar::Int(-1));
    write(store, dataset, name, schema, ArrayData::from_numbers(shape.to_vec(), cells.clone()).unwrap());
    Own { dims: dims.to_vec(), shape: shape.to_vec(), cells }
}

/// Five datasets with `full` over all dimensions, and arrays over some, which are missing, shorter, longer, or have other
/// dimensions in some of them.
fn fleet() -> (Store, tempfile::TempDir, Vec<BTreeMap<&'static str, Own>>) {
    let (store, directory) = empty();
    let mut random = Random(11);
    let mut all = Vec::new();
    for index in 0..5u64 {
        let name = format!("d{index}");
        store.create_dataset(&name).unwrap();
        let (t, p, l) = (1 + index % 2, 2 + index % 3, 4);
        let mut own = BTreeMap::new();
        let mut add = |array: &'static str, dims: &[&'static str], shape: &[u64]| {
            own.insert(array, put(&store, &name, array, dims, shape, &mut random));
        };
        add("full", &DIMS, &[t, p, l]);
        add("by_prof", &["prof"], &[p]);
        add("single", &[], &[]);
        // The order of the dimensions is its own, and one extent is not the grid's.
        add("turned", &["level", "time"], &[l - 1, t + 2]);
        // Over all dimensions in some, over fewer or others elsewhere.
        match index {
            0 | 1 => add("mixed", &DIMS, &[t, p, l]),
            2 => add("mixed", &["prof", "level"], &[p, l]),
            3 => add("mixed", &["elsewhere"], &[3]),
            _ => {}
        }
        if index > 1 {
            add("level", &["level"], &[l]);
        }
        // Named like a dimension, and not its coordinate.
        add("time", &["prof"], &[p]);
        add("other", &["elsewhere", "prof"], &[2, p]);
        add("same_set", &["level", "prof", "time"], &[l, p, t]);
        all.push(own);
    }
    store.flush().unwrap();
    (store, directory, all)
}

/// The value of an array at a cell of the table.
fn value(own: Option<&Own>, index: [u64; 3]) -> Option<i32> {
    let own = own?;
    let mut at = 0;
    for (dim, extent) in own.dims.iter().zip(&own.shape) {
        let axis = DIMS.iter().position(|name| name == dim)?;
        if index[axis] >= *extent {
            return None;
        }
        at = at * extent + index[axis];
    }
    Some(own.cells[at as usize]).filter(|cell| *cell != -1)
}

/// The columns: dataset, time, prof, level, full, mixed, by_prof, single, turned.
fn expected(all: &[BTreeMap<&'static str, Own>], keep: impl Fn(&[Option<i32>]) -> bool) -> Vec<String> {
    let mut rows = Vec::new();
    for (number, own) in all.iter().enumerate() {
        let [t, p, l] = own["full"].shape[..] else { panic!("rank 3") };
        for cell in 0..t * p * l {
            let index = [cell / (p * l), cell / l % p, cell % l];
            let mut values = vec![Some(index[0] as i32), Some(index[1] as i32), value(own.get("level"), index)];
            let names = ["full", "mixed", "by_prof", "single", "turned"];
            values.extend(names.iter().map(|array| value(own.get(array), index)));
            if keep(&values) {
                let texts = values.iter().map(|value| value.map_or("NULL".to_string(), |value| value.to_string()));
                rows.push(format!("d{number}|{}", texts.collect::<Vec<_>>().join("|")));
            }
        }
    }
    rows.sort();
    rows
}

#[tokio::test]
async fn arrays_over_fewer_dimensions_are_repeated_along_the_others() {
    let (store, _directory, all) = fleet();
    let context = atlas_sql::session(&[("g".to_string(), store)]).unwrap();
    let batch = query(&context, "SELECT * FROM cells_time_prof_level").await;
    let schema = batch.schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["dataset", "time", "prof", "level", "full", "mixed", "by_prof", "single", "turned"]);
    assert_eq!(rows(&batch), expected(&all, |_| true));
}

#[tokio::test]
async fn predicates_over_them_prune_and_keep_the_same_rows() {
    let (store, _directory, all) = fleet();
    let context = atlas_sql::session(&[("g".to_string(), store)]).unwrap();
    type Keep = fn(&[Option<i32>]) -> bool;
    let cases: [(&str, Keep); 8] = [
        ("by_prof > 6", |v| v[5] > Some(6)),
        ("single = 3", |v| v[6] == Some(3)),
        ("single <> 3 AND by_prof < 4", |v| v[6].is_some_and(|s| s != 3) && v[5].is_some_and(|p| p < 4)),
        ("turned IS NULL", |v| v[7].is_none()),
        ("turned BETWEEN 2 AND 5 AND level > 4", |v| v[7].is_some_and(|t| (2..=5).contains(&t)) && v[2] > Some(4)),
        ("mixed > 5 OR by_prof = 10", |v| v[4] > Some(5) || v[5] == Some(10)),
        ("by_prof + single > 14", |v| v[5].zip(v[6]).is_some_and(|(p, s)| p + s > 14)),
        ("mixed IS NULL AND full < 8", |v| v[4].is_none() && v[3].is_some_and(|f| f < 8)),
    ];
    for (predicate, keep) in cases {
        let batch = query(&context, &format!("SELECT * FROM cells_time_prof_level WHERE {predicate}")).await;
        assert_eq!(rows(&batch), expected(&all, keep), "{predicate}");
    }
    // The statistics of a single value leave its dataset out, and its chunks are one each.
    let singles: Vec<i32> = all.iter().map(|own| own["single"].cells[0]).collect();
    let left = singles.iter().filter(|single| **single > 8).count();
    let scans = scans(&context, "SELECT single FROM cells_time_prof_level WHERE single > 8").await;
    assert!(scans[0].contains(&format!("datasets=5→{left}, chunks=5→{left}, bytes=")), "{singles:?}: {}", scans[0]);
}

#[tokio::test]
async fn text_of_lower_rank_is_repeated_too() {
    let (store, _directory) = empty();
    store.create_dataset("a").unwrap();
    let schema = ArraySchema::new(DType::Float32, &["prof", "level"], &[2, 3]);
    write(&store, "a", "t", schema, ArrayData::from_numbers(vec![2, 3], vec![0f32; 6]).unwrap());
    let schema = ArraySchema::new(DType::String, &["prof"], &[2]);
    write(&store, "a", "platform", schema, ArrayData::from_strings(vec![2], ["P1", "P2"]).unwrap());
    store.flush().unwrap();
    let context = atlas_sql::session(&[("g".to_string(), store)]).unwrap();
    let sql = "SELECT platform, count(*) AS cells FROM cells_prof_level GROUP BY platform";
    assert_eq!(rows(&query(&context, sql).await), ["P1|3", "P2|3"]);
}

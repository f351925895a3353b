//! A store of grids whose coordinates are in any order, and what a region by labels is by looking at each label.

use crate::fleet::{Fleet, empty, write};
use arrow::array::{Array, ArrayRef, AsArray};
use atlas_store::{ArrayData, ArraySchema, Cells, DType, Region, Scalar, Store};

pub(crate) const DAY: i64 = 86_400_000_000_000;
const NAN: f64 = f64::NAN;

/// The latitudes of a dataset; its longitudes are 0.0, 0.1, … 0.5.
const GRIDS: [(&str, &[f64]); 6] = [
    ("ascending", &[0.0, 10.0, 20.0, 30.0]),
    ("descending", &[30.0, 20.0, 10.0, 0.0]),
    ("gap", &[0.0, 10.0, NAN, 30.0]),
    ("short", &[5.0, 15.0, 25.0]),
    ("twin", &[0.0, 10.0, 20.0, 30.0]),
    ("unsorted", &[20.0, 0.0, 30.0, 10.0]),
];

pub(crate) fn float32(values: impl IntoIterator<Item = f32>) -> ArrayData {
    let values: Vec<f32> = values.into_iter().collect();
    ArrayData::from_numbers(vec![values.len() as u64], values).unwrap()
}

pub(crate) fn float64(values: &[f64]) -> ArrayData {
    ArrayData::from_numbers(vec![values.len() as u64], values.to_vec()).unwrap()
}

/// `t` is lat × lon in chunks of 2 × 3, `lat` and `lon` its coordinates; `bare` has no `lat`, `none` has no `t`.
/// `v` is by `day`, a time, and `w` by `station`, text, of `ascending` and `descending` only.
pub(crate) fn grids() -> Fleet {
    let (store, directory) = empty();
    let mut all: Vec<(&str, &[f64])> = GRIDS.to_vec();
    all.push(("bare", &[0.0; 4]));
    all.push(("none", &[0.0, 10.0]));
    for (index, (name, lat)) in all.into_iter().enumerate() {
        store.create_dataset(name).unwrap();
        let rows = lat.len() as u64;
        if name != "none" {
            let cells: Vec<f32> = (0..rows * 6).map(|cell| (index * 100) as f32 + cell as f32).collect();
            let schema = ArraySchema::new(DType::Float32, &["lat", "lon"], &[rows, 6])
                .with_chunk_shape(&[2, 3])
                .with_fill_value(Scalar::Float32(f32::NAN));
            write(&store, name, "t", schema, ArrayData::from_numbers(vec![rows, 6], cells).unwrap());
        }
        if name != "bare" {
            let schema = ArraySchema::new(DType::Float64, &["lat"], &[rows])
                .with_chunk_shape(&[2])
                .with_fill_value(Scalar::Float64(NAN));
            write(&store, name, "lat", schema, float64(lat));
        }
        let schema = ArraySchema::new(DType::Float32, &["lon"], &[6]);
        write(&store, name, "lon", schema, float32((0..6u8).map(|lon| f32::from(lon) / 10.0)));
        if index < 2 {
            let days: Vec<i64> = (0..5).map(|day| day + 5 * index as i64).map(|day| day * DAY).collect();
            let schema = ArraySchema::new(DType::TimestampNanoseconds, &["day"], &[5]);
            let times = ArrayData::try_new(DType::TimestampNanoseconds, vec![5], Cells::I64(days)).unwrap();
            write(&store, name, "day", schema, times);
            let schema = ArraySchema::new(DType::Bool, &["day"], &[5]);
            let flags = ArrayData::try_new(DType::Bool, vec![5], Cells::U8(vec![1, 0, 1, 1, 0])).unwrap();
            write(&store, name, "v", schema, flags);
            let stations = if index == 0 { ["A", "B", "C"] } else { ["C", "B", "A"] };
            let schema = ArraySchema::new(DType::String, &["station"], &[3]);
            write(&store, name, "station", schema, ArrayData::from_strings(vec![3], stations).unwrap());
            let schema = ArraySchema::new(DType::Int32, &["station"], &[3]);
            write(&store, name, "w", schema, ArrayData::from_numbers(vec![3], vec![1i32, 2, 3]).unwrap());
        }
    }
    store.flush().unwrap();
    Fleet::of(store, directory)
}

/// Bounds of a dimension's labels.
pub(crate) type Bounds<'a> = (&'a str, Option<f64>, Option<f64>);

/// The region of `t` by labels, each label looked at; `None` where the dataset has no `t`.
pub(crate) fn region(store: &Store, dataset: &str, bounds: &[Bounds<'_>]) -> Option<Region> {
    let snapshot = store.snapshot();
    let row = snapshot.dataset_row(dataset).unwrap();
    let entry = snapshot.find_family("t").unwrap().entry(row)?;
    let schema = snapshot.schema(entry);
    let (mut start, mut shape) = (vec![0; 2], schema.shape.clone());
    for (dim, low, high) in bounds {
        let axis = schema.dims.iter().position(|own| own == dim).unwrap();
        let labels: Vec<f64> = match snapshot.read(dataset, dim, None) {
            Ok(labels) => {
                (0..schema.shape[axis] as usize).map(|at| labels.scalar(at).unwrap().as_f64().unwrap()).collect()
            }
            Err(_) => (0..schema.shape[axis]).map(|index| index as f64).collect(),
        };
        // Bounds of float32 labels are the float32 nearest to what is written.
        let own = |bound: f64| if *dim == "lon" { f64::from(bound as f32) } else { bound };
        let within = |label: f64| {
            low.is_none_or(|low| label >= own(low)) && high.is_none_or(|high| label <= own(high)) && !label.is_nan()
        };
        let found: Vec<u64> = (0..).zip(&labels).filter(|(_, label)| within(**label)).map(|(at, _)| at).collect();
        assert!(found.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{dataset} {dim}: {found:?}");
        (start[axis], shape[axis]) = (found.first().copied().unwrap_or(0), found.len() as u64);
    }
    Some(Region::try_new(start, shape).unwrap())
}

/// The shape and cells of that region.
pub(crate) fn expected(store: &Store, dataset: &str, bounds: &[Bounds<'_>]) -> Option<(Vec<i64>, Vec<f64>)> {
    let region = region(store, dataset, bounds)?;
    let cells = store.snapshot().read(dataset, "t", Some(&region)).unwrap();
    let shape = region.shape().iter().map(|extent| *extent as i64).collect();
    Some((shape, cells.as_numbers::<f32>().unwrap().iter().map(|cell| f64::from(*cell)).collect()))
}

/// The shape and cells of a tensor of any shape.
pub(crate) fn tensor(column: &ArrayRef, row: usize) -> Option<(Vec<i64>, Vec<f64>)> {
    let parts = column.as_struct();
    if parts.is_null(row) {
        return None;
    }
    let cells = parts.column_by_name("data").unwrap().as_list::<i32>().value(row);
    let shape = parts.column_by_name("shape").unwrap();
    let shape = match shape.as_fixed_size_list_opt() {
        Some(shapes) => shapes.value(row),
        None => shape.as_list::<i32>().value(row),
    };
    let cells = crate::fleet::floats(&cells).into_iter().map(Option::unwrap).collect();
    Some((crate::fleet::integers(&shape).into_iter().map(Option::unwrap).collect(), cells))
}

/// The SQL of `sel` with these bounds.
pub(crate) fn sel(bounds: &[Bounds<'_>]) -> String {
    let label = |label: &Option<f64>| label.map_or("NULL".to_string(), |label| label.to_string());
    let bounds: String =
        bounds.iter().map(|(dim, low, high)| format!(", '{dim}', {}, {}", label(low), label(high))).collect();
    format!("sel(t{bounds})")
}

//! Datasets for questions to the catalog: 10 attributes, 5 arrays of a few cells, statistics that differ.

use crate::cells::mixed;
use atlas_store::{ArrayData, ArraySchema, Attribute, Cells, DType, Scalar, Store};

/// Cells of each array but `time`.
pub const CELLS: u64 = 4;
/// The arrays but `time`.
pub const ARRAYS: [&str; 4] = ["temperature", "salinity", "oxygen", "depth"];

/// One dataset.
#[derive(Debug, Clone)]
pub struct Cast {
    /// The dataset's name.
    pub name: String,
    /// The attributes `int0` to `int3`: below 1000, without a pattern.
    pub ints: [i64; 4],
    /// The attributes `float0` to `float3`, which grow with the number.
    pub floats: [f64; 4],
    /// An attribute that a thousand datasets share.
    pub cruise: String,
    /// An attribute that is each dataset's own.
    pub station: String,
    /// The cells of [`ARRAYS`]: below 40, three decimals, without a pattern; NaN where one is missing.
    pub cells: [Vec<f32>; 4],
    /// The cell of `time`.
    pub time: i64,
}

impl Cast {
    /// The dataset with this number.
    pub fn new(number: u64) -> Cast {
        let cell = |array: u64, at: u64| (mixed(number * 64 + array * 8 + at) % 40_000) as f32 / 1000.0;
        let cells = |array: u64| -> Vec<f32> {
            (0..CELLS).map(|at| if at < number % 3 { f32::NAN } else { cell(array, at) }).collect()
        };
        Cast {
            name: format!("cast{number:08}"),
            ints: [0, 1, 2, 3].map(|key| (mixed(number * 64 + 40 + key) % 1000) as i64),
            floats: [0, 1, 2, 3].map(|key| (number * 17 + key) as f64 / 1024.0),
            cruise: format!("AT{:03}", number / 1000),
            station: format!("station {number}"),
            cells: [0, 1, 2, 3].map(cells),
            time: 1_600_000_000_000_000_000 + number as i64 * 61_000_000_000,
        }
    }

    /// Adds it to a store, which is still to be flushed.
    pub fn add_to(&self, store: &Store) {
        let name = &self.name;
        store.create_dataset(name).unwrap();
        for key in 0..4 {
            store.set_attribute(name, &format!("int{key}"), Attribute::Int64(self.ints[key])).unwrap();
            store.set_attribute(name, &format!("float{key}"), Attribute::Float64(self.floats[key])).unwrap();
        }
        store.set_attribute(name, "cruise", Attribute::String(self.cruise.clone())).unwrap();
        store.set_attribute(name, "station", Attribute::String(self.station.clone())).unwrap();
        for (array, cells) in ARRAYS.into_iter().zip(&self.cells) {
            let schema = ArraySchema::new(DType::Float32, &["z"], &[CELLS]);
            let schema = schema.with_fill_value(Scalar::Float32(f32::NAN));
            store.define_array(name, array, schema).unwrap();
            let data = ArrayData::from_numbers(vec![CELLS], cells.clone()).unwrap();
            store.write_array(name, array, &[0], &data).unwrap();
        }
        store.define_array(name, "time", ArraySchema::new(DType::TimestampNanoseconds, &[], &[])).unwrap();
        let time = ArrayData::try_new(DType::TimestampNanoseconds, vec![], Cells::I64(vec![self.time])).unwrap();
        store.write_array(name, "time", &[], &time).unwrap();
    }
}

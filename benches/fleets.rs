//! Stores of many datasets that have one array each, `t`.

use crate::cells::measured;
use atlas_store::{ArrayData, ArraySchema, Cells, CreateOptions, DType, Store};

/// The shape of a profile: depths and times.
pub const PROFILE: [u64; 2] = [50, 168];

/// The array of every dataset of a fleet.
#[derive(Debug, Clone, Copy)]
pub struct Grid {
    /// The type of its cells.
    pub dtype: DType,
    /// Its extents, rows first.
    pub shape: [u64; 2],
    /// Those of its chunks.
    pub chunk: [u64; 2],
}

impl Grid {
    /// A float32 array of a profile's shape, in one chunk.
    pub fn profile() -> Grid {
        Grid { dtype: DType::Float32, shape: PROFILE, chunk: PROFILE }
    }

    /// How many cells it has.
    pub fn cells(&self) -> u64 {
        self.shape[0] * self.shape[1]
    }

    /// What it holds in the dataset with this number.
    pub fn measured(&self, number: u64) -> ArrayData {
        self.data(measured(self.dtype, self.shape, number..number + 1))
    }

    /// The array with these cells.
    pub fn data(&self, cells: Cells) -> ArrayData {
        ArrayData::try_new(self.dtype, self.shape.to_vec(), cells).unwrap()
    }

    /// Creates a store at `path`, writes so many datasets and flushes. Dataset `k` gets the array number `k`, starting over where
    /// there are fewer.
    pub fn write(&self, path: &str, options: CreateOptions, datasets: u64, arrays: &[ArrayData]) -> Store {
        let store = Store::create(path, options).unwrap();
        for (number, data) in (0..datasets).zip(arrays.iter().cycle()) {
            let name = format!("profile{number:06}");
            let schema = ArraySchema::new(self.dtype, &["y", "x"], &self.shape).with_chunk_shape(&self.chunk);
            store.create_dataset(&name).unwrap();
            store.define_array(&name, "t", schema).unwrap();
            store.write_array(&name, "t", &[0, 0], data).unwrap();
        }
        store.flush().unwrap();
        store
    }
}

//! A store on object storage: two writers that commit at the same time, and a reader.
//!
//! Any handle of the crate `object_store` will do; here one in memory. `Store::open("s3://bucket/path")` makes one of a URL.
//!
//! `cargo run -p atlas-examples --bin object_store` prints
//!
//! ```text
//! first writer: snapshot 1
//! second writer: conflict
//! second writer, rebased: snapshot 2
//! reader: ["monday", "tuesday"]
//! tuesday: [1.5, 2.5, 3.5]
//! ```

use atlas_store::object_store::memory::InMemory;
use atlas_store::{
    ArrayData, ArraySchema, CreateOptions, DType, ErrorKind, ObjectOptions, ObjectStorage, Storage, Store,
};
use std::sync::Arc;

fn add(store: &Store, dataset: &str, cells: Vec<f64>) -> atlas_store::Result<()> {
    let shape = [cells.len() as u64];
    store.create_dataset(dataset)?;
    store.define_array(dataset, "level", ArraySchema::new(DType::Float64, &["time"], &shape))?;
    store.write_array(dataset, "level", &[0], &ArrayData::from_numbers(shape.to_vec(), cells)?)
}

#[allow(clippy::print_stdout, reason = "an example")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    // How many requests may run at a time, and when one that failed is made again.
    let options = ObjectOptions { requests: 32, ..ObjectOptions::default() };
    let bucket = Arc::new(InMemory::new());
    let storage: Arc<dyn Storage> = Arc::new(ObjectStorage::with_options(bucket, "gauges/harbour", &options)?);
    Store::create_on(storage.clone(), CreateOptions::default())?;

    // There is no lock on object storage: of two that commit at once, one is told.
    let first = Store::open_on(storage.clone())?;
    let second = Store::open_on(storage.clone())?;
    add(&first, "monday", vec![0.5, 1.5])?;
    add(&second, "tuesday", vec![1.5, 2.5, 3.5])?;
    println!("first writer: snapshot {}", first.flush()?.snapshot);
    match second.flush() {
        Err(error) if error.kind() == ErrorKind::Conflict => println!("second writer: conflict"),
        flushed => println!("second writer: snapshot {}", flushed?.snapshot),
    }
    // It has lost nothing: its changes are moved onto what the first has committed.
    second.rebase()?;
    println!("second writer, rebased: snapshot {}", second.flush()?.snapshot);

    let snapshot = Store::open_on(storage)?.snapshot();
    println!("reader: {:?}", snapshot.dataset_names().collect::<Vec<_>>());
    let level = snapshot.read("tuesday", "level", None)?;
    println!("tuesday: {:?}", level.as_numbers::<f64>().unwrap_or_default());
    Ok(())
}

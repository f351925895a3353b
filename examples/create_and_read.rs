//! Creates a store, writes three stations, and reads one slice of all of them.
//!
//! `cargo run -p atlas-examples --bin create_and_read` prints
//!
//! ```text
//! flushed snapshot 1: 1 segment
//! stacked [3, 2, 4], first cells [20.0, 20.1, 20.2, 20.3]
//! chunks to read: 3 of 9
//! bergen: max Some(Float32(21.1)), mean 20.55
//! ```

use atlas_store::{ArrayData, ArraySchema, CreateOptions, DType, Region, Scalar, Store};

#[allow(clippy::print_stdout, reason = "an example")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let location = directory.path().join("stations").display().to_string();

    let store = Store::create(&location, CreateOptions::default())?;
    for (station, surface) in [("bergen", 20.0f32), ("brest", 22.0), ("faro", 24.0)] {
        store.create_dataset(station)?;
        store.set_attribute(station, "surface", f64::from(surface).into())?;
        let schema = ArraySchema::new(DType::Float32, &["depth", "hour"], &[3, 4])
            .with_chunk_shape(&[1, 4])
            .with_fill_value(Scalar::Float32(f32::NAN));
        store.define_array(station, "temperature", schema)?;
        let cells = (0..12u8).map(|cell| surface + f32::from(cell) / 10.0).collect();
        store.write_array(station, "temperature", &[0, 0], &ArrayData::from_numbers(vec![3, 4], cells)?)?;
    }
    // Nothing is visible to others, or survives, before this.
    let report = store.flush()?;
    println!("flushed snapshot {}: {} segment", report.snapshot, report.segments);

    let snapshot = Store::open(&location)?.snapshot();
    let rows: Vec<u32> = snapshot.family("temperature")?.rows().to_vec();
    let upper = Region::try_new(vec![0, 0], vec![2, 4])?;
    let stacked = snapshot.read_stacked("temperature", &rows, Some(&upper))?;
    let cells = stacked.as_numbers::<f32>().unwrap_or_default();
    println!("stacked {:?}, first cells {:?}", stacked.shape(), &cells[..4]);

    let lowest = Region::try_new(vec![2, 0], vec![1, 4])?;
    let plan = snapshot.plan_stacked("temperature", &rows, Some(&lowest))?;
    let (chunks, _) = snapshot.chunk_totals("temperature", &rows)?;
    println!("chunks to read: {} of {chunks}", plan.chunks());

    let (array, _) = snapshot.array("bergen", "temperature")?;
    if let Some(statistics) = array.statistics() {
        println!("bergen: max {:?}, mean {:.2}", statistics.max, statistics.mean().unwrap_or(f64::NAN));
    }
    Ok(())
}

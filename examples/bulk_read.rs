//! The three bulk reads: one slice of many datasets stacked, arrays of differing shapes across datasets, several arrays of
//! one dataset; with what they cost before they are made, their progress, and how they are ended.
//!
//! `cargo run -p atlas-examples --bin bulk_read` prints
//!
//! ```text
//! planned: 500 chunks, output of 320000 bytes
//! stacked [500, 4, 40], read to 100 %
//! across: 3 datasets, shapes [Some([50]), None, Some([52])]
//! joined: 102 cells
//! cast0002: temperature [8, 40], depth [52]
//! the read was cancelled
//! ```

use atlas_store::{ArrayData, ArraySchema, CancelToken, CreateOptions, DType, ReadHooks, ReadProgress, Region, Store};
use std::sync::atomic::{AtomicU64, Ordering};

fn fill(store: &Store) -> atlas_store::Result<()> {
    for number in 0..500u16 {
        let cast = format!("cast{number:04}");
        store.create_dataset(&cast)?;
        store.define_array(&cast, "temperature", ArraySchema::new(DType::Float32, &["z", "t"], &[8, 40]))?;
        let cells = (0..320u16).map(|cell| f32::from(number) / 10.0 + f32::from(cell)).collect();
        store.write_array(&cast, "temperature", &[0, 0], &ArrayData::from_numbers(vec![8, 40], cells)?)?;
        // Each cast has its own number of depths, the second has none.
        if number != 1 {
            let depths = 50 + u64::from(number % 7);
            store.define_array(&cast, "depth", ArraySchema::new(DType::Int32, &["level"], &[depths]))?;
            let cells = (0..50 + i32::from(number % 7)).collect();
            store.write_array(&cast, "depth", &[0], &ArrayData::from_numbers(vec![depths], cells)?)?;
        }
    }
    store.flush().map(drop)
}

#[allow(clippy::print_stdout, reason = "an example")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let store = Store::create(&directory.path().join("casts").display().to_string(), CreateOptions::default())?;
    fill(&store)?;
    let snapshot = store.snapshot();

    // The same slice of every cast, in one buffer. A plan tells what it would read.
    let rows: Vec<u32> = snapshot.family("temperature")?.rows().to_vec();
    let upper = Region::try_new(vec![0, 0], vec![4, 40])?;
    let plan = snapshot.plan_stacked("temperature", &rows, Some(&upper))?;
    println!("planned: {} chunks, output of {} bytes", plan.chunks(), plan.output_bytes());
    let percent = AtomicU64::new(0);
    let tell = |progress: ReadProgress| {
        percent.store(progress.done_bytes * 100 / progress.total_bytes, Ordering::Relaxed);
    };
    let stacked = plan.execute(ReadHooks::new().on_progress(&tell))?;
    println!("stacked {:?}, read to {} %", stacked[0].shape(), percent.load(Ordering::Relaxed));

    // Arrays of differing shapes, and one that is missing.
    let across = snapshot.read_across("depth", &[0, 1, 2], None)?;
    let shapes: Vec<_> = across.iter().map(|data| data.as_ref().map(ArrayData::shape)).collect();
    println!("across: {} datasets, shapes {shapes:?}", across.len());
    // The same in one buffer for each array, as list columns want it. (The cells of the outputs follow one another.)
    let plan = snapshot.plan_across(&["depth"], &[0, 1, 2], None)?;
    let joined = plan.execute_joined(ReadHooks::new())?;
    assert_eq!(joined[0].len(), plan.outputs().map(|output| output.cell_count()).sum::<usize>());
    println!("joined: {} cells", joined[0].len());

    // Several arrays of one dataset.
    let arrays = snapshot.read_arrays("cast0002", &["temperature", "depth"], None)?;
    println!("cast0002: temperature {:?}, depth {:?}", arrays[0].shape(), arrays[1].shape());

    // Another thread, or the drop of `token.guard()`, ends a read.
    let token = CancelToken::new();
    token.cancel();
    if let Err(error) = plan.execute(ReadHooks::new().cancelled_by(&token)) {
        println!("{error}");
    }
    Ok(())
}

//! Questions about all datasets that the catalog alone answers: attributes and statistics as columns, no segment opened.
//!
//! `cargo run -p atlas-examples --bin stats_scan` prints
//!
//! ```text
//! 3000 casts, 250 of March
//! warm casts of March: 125, the warmest 32.5 in cast2942
//! fleet: 150000 cells, 300 missing, mean 15.64
//! a slice of the warm ones only: [125, 5]
//! ```

use atlas_store::{
    ArrayData, ArraySchema, Attribute, AttributeValues, Cells, CreateOptions, DType, Region, Scalar, Store, Sums,
};
use std::collections::HashSet;

const MISSING: f32 = -999.0;

fn fill(store: &Store) -> atlas_store::Result<()> {
    for number in 0..3000u16 {
        let cast = format!("cast{number:04}");
        store.create_dataset(&cast)?;
        store.set_attribute(&cast, "month", Attribute::Int64(i64::from(number % 12) + 1))?;
        let schema = ArraySchema::new(DType::Float32, &["depth"], &[50]).with_fill_value(Scalar::Float32(MISSING));
        store.define_array(&cast, "temperature", schema)?;
        let surface = 26.0 + f32::from(number % 36) / 4.0 - 5.0 * f32::from(u8::from(number % 24 < 12));
        let mut cells: Vec<f32> = (0..50u8).map(|depth| surface - f32::from(depth) / 2.0).collect();
        if number % 10 == 0 {
            cells[49] = MISSING;
        }
        store.write_array(&cast, "temperature", &[0], &ArrayData::from_numbers(vec![50], cells)?)?;
    }
    store.flush().map(drop)
}

#[allow(clippy::print_stdout, reason = "an example")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let store = Store::create(&directory.path().join("casts").display().to_string(), CreateOptions::default())?;
    fill(&store)?;
    let snapshot = store.snapshot();

    // An attribute is a column of the rows that have it, and their values.
    let month = snapshot.attribute_columns().find(|column| column.key() == "month").ok_or("no month")?;
    let AttributeValues::Int64(months) = month.values() else { return Err("month is not a number".into()) };
    let march: HashSet<u32> =
        month.rows().iter().zip(months).filter(|(_, month)| **month == 3).map(|(row, _)| *row).collect();
    println!("{} casts, {} of March", snapshot.dataset_count(), march.len());

    // So are the statistics of an array, in its own dtype.
    let family = snapshot.family("temperature")?;
    let columns = family.statistics();
    let Cells::F32(highest) = columns.maxs() else { return Err("temperature is not float32".into()) };
    let warm: Vec<(u32, f32)> = family
        .rows()
        .iter()
        .zip(highest)
        .filter(|(row, max)| march.contains(row) && **max > 27.0)
        .map(|(row, max)| (*row, *max))
        .collect();
    let (warmest, max) = warm.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1)).ok_or("no warm cast")?;
    println!("warm casts of March: {}, the warmest {max} in {}", warm.len(), snapshot.dataset_name(warmest));

    let (cells, missing): (u64, u64) = (columns.row_counts().iter().sum(), columns.null_counts().iter().sum());
    let Sums::Float(sums) = columns.sums() else { return Err("temperature has no sums".into()) };
    println!(
        "fleet: {cells} cells, {missing} missing, mean {:.2}",
        sums.iter().sum::<f64>() / (cells - missing) as f64
    );

    // What is read then is a slice of what the scan left.
    let rows: Vec<u32> = warm.iter().map(|(row, _)| *row).collect();
    let upper = snapshot.read_stacked("temperature", &rows, Some(&Region::try_new(vec![0], vec![5])?))?;
    println!("a slice of the warm ones only: {:?}", upper.shape());
    Ok(())
}

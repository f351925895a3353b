//! Mounts a store in a DataFusion session and asks it in SQL.
//!
//! `cargo run -p atlas-examples --bin query_in_process` prints
//!
//! ```text
//! +---------+---------+---------+
//! | dataset | warmest | surface |
//! +---------+---------+---------+
//! | faro    | 24.6    | 24.0    |
//! | brest   | 22.6    | 22.0    |
//! +---------+---------+---------+
//! ```

use atlas_store::{ArrayData, ArraySchema, CreateOptions, DType, Store};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::SessionContext;

#[allow(clippy::print_stdout, reason = "an example")]
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let store = Store::create(&directory.path().join("stations").display().to_string(), CreateOptions::default())?;
    for (station, country, surface) in [("bergen", "no", 20.0f32), ("brest", "fr", 22.0), ("faro", "pt", 24.0)] {
        store.create_dataset(station)?;
        store.set_attribute(station, "country", country.into())?;
        store.define_array(station, "temperature", ArraySchema::new(DType::Float32, &["hour"], &[7]))?;
        let cells = (0..7u8).map(|hour| surface + f32::from(hour) / 10.0).collect();
        store.write_array(station, "temperature", &[0], &ArrayData::from_numbers(vec![7], cells)?)?;
    }
    store.flush()?;

    let context = SessionContext::new();
    atlas_sql::register(&context, "stations", &store)?;
    let sql = "SELECT dataset, stat_max(temperature) AS warmest, element(temperature, 0) AS surface
               FROM stations.datasets
               WHERE stat_max(temperature) > 21 AND country <> 'no'
               ORDER BY warmest DESC";
    println!("{}", pretty_format_batches(&context.sql(sql).await?.collect().await?)?);
    Ok(())
}

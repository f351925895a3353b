//! Serves a store on a free port of this machine, and asks it as another process would: SQL, a statement with parameters,
//! and a stacked read in several parts.
//!
//! `cargo run -p atlas-examples --bin flight_client` prints
//!
//! ```text
//! stores: stations
//! +---------+---------+
//! | dataset | warmest |
//! +---------+---------+
//! | faro    | 24.6    |
//! | brest   | 22.6    |
//! +---------+---------+
//! in no: bergen
//! 3 stations are coming, in batches of dataset, temperature
//! bergen, brest, faro: 3 hours each
//! refused (PermissionDenied): this server only reads: DROP is not allowed
//! ```

use atlas_flight::bulk::request::StackedRequest;
use atlas_flight::client::{Client, ReadOptions, parameters};
use atlas_flight::{Limits, server::Server};
use atlas_store::{ArrayData, ArraySchema, CreateOptions, DType, Store};
use datafusion::arrow::array::AsArray;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;
use tokio::sync::oneshot;

fn stations(location: &str) -> atlas_store::Result<Store> {
    let store = Store::create(location, CreateOptions::default())?;
    for (station, country, surface) in [("bergen", "no", 20.0f32), ("brest", "fr", 22.0), ("faro", "pt", 24.0)] {
        store.create_dataset(station)?;
        store.set_attribute(station, "country", country.into())?;
        store.define_array(station, "temperature", ArraySchema::new(DType::Float32, &["hour"], &[7]))?;
        let cells = (0..7u8).map(|hour| surface + f32::from(hour) / 10.0).collect();
        store.write_array(station, "temperature", &[0], &ArrayData::from_numbers(vec![7], cells)?)?;
    }
    store.flush()?;
    Ok(store)
}

#[allow(clippy::print_stdout, reason = "an example")]
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let store = stations(&directory.path().join("stations").display().to_string())?;
    let server = Server::bind("127.0.0.1:0", vec![("stations".into(), store)], Limits::default()).await?;
    let address = format!("grpc://{}", server.local_addr());
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.run(async { drop(stopped.await) }));

    // With TLS and a login: grpc+tls:// and Client::connect_with.
    let client = Client::connect(&address).await?;
    println!("stores: {}", client.stores().await?.join(", "));
    let sql = "SELECT dataset, stat_max(temperature) AS warmest FROM datasets
               WHERE stat_max(temperature) > 21 ORDER BY warmest DESC";
    println!("{}", pretty_format_batches(&client.query(sql).await?)?);

    let mut statement = client.prepare("SELECT dataset FROM datasets WHERE country = ?").await?;
    statement.bind(parameters(&[ScalarValue::from("no")])?).await?;
    println!("in no: {}", statement.query().await?[0].column(0).as_string::<i32>().value(0));
    statement.close().await?;

    // The first three hours of each, in two parts that are read at the same time. A part that is cut is asked for again.
    let request = StackedRequest {
        store: "stations".into(),
        arrays: vec!["temperature".into()],
        shape: Some(vec![3]),
        partitions: 2,
        ..StackedRequest::default()
    };
    let options = ReadOptions { parts_at_a_time: 2, ..ReadOptions::default() };
    let mut stacked = client.stacked_stream_with(&request, &options).await?;
    let columns: Vec<String> = stacked.schema().fields().iter().map(|field| field.name().clone()).collect();
    let stations = stacked.total_rows().unwrap_or_default();
    println!("{stations} stations are coming, in batches of {}", columns.join(", "));
    let (mut names, mut hours) = (Vec::new(), 0);
    while let Some(batch) = stacked.try_next().await? {
        names.extend(batch.column(0).as_string::<i32>().iter().flatten().map(str::to_owned));
        hours = batch.column(1).as_fixed_size_list().value_length();
    }
    println!("{}: {hours} hours each", names.join(", "));

    if let Err(error) = client.query("DROP TABLE datasets").await {
        println!("refused ({:?}): {error}", error.code());
    }
    drop(stop);
    serving.await??;
    Ok(())
}

//! A small fleet behind a running server.

#![allow(dead_code, reason = "each test file uses a part of this")]

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{FlightInfo, Ticket};
use atlas_flight::Limits;
use atlas_flight::server::{Server, ServerOptions};
use atlas_store::{ArrayData, ArraySchema, Attribute, CreateOptions, DType, Scalar, Store};
use futures::{StreamExt, TryStreamExt};
use std::sync::Arc;
use tokio::sync::oneshot;
use tonic::Status;
use tonic::transport::Channel;

/// How many datasets the fleet has.
pub(crate) const DATASETS: u32 = 10;
/// The dataset that has no `salinity`.
pub(crate) const WITHOUT_SALINITY: u32 = 3;
/// The shape of `temperature` and `salinity`.
pub(crate) const SHAPE: [u64; 2] = [4, 6];

/// A server over a fleet, stopped when it is dropped.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) address: String,
    /// Where the metrics are, if they are served.
    pub(crate) metrics: Option<std::net::SocketAddr>,
    _directory: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
}

/// A dataset's name.
pub(crate) fn dataset(row: u32) -> String {
    format!("cast_{row:02}")
}

/// The temperature of one cell.
pub(crate) fn temperature(row: u32, depth: u64, time: u64) -> f32 {
    row as f32 * 100.0 + depth as f32 * 10.0 + time as f32
}

impl Fixture {
    /// Makes the fleet and serves it as `fleet`.
    pub(crate) async fn start() -> Fixture {
        Self::serve(&["fleet"], ServerOptions::default()).await
    }

    /// The same, within these limits.
    pub(crate) async fn start_within(limits: Limits) -> Fixture {
        Self::serve(&["fleet"], ServerOptions { limits, ..ServerOptions::default() }).await
    }

    /// Makes a fleet for each name and serves them, secured as `options` say.
    pub(crate) async fn serve(names: &[&str], options: ServerOptions) -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        let store = |name: &&str| {
            let location = directory.path().join(name);
            let store = Store::create(location.to_str().unwrap(), CreateOptions::default()).unwrap();
            fill(&store);
            (name.to_string(), store)
        };
        let stores: Vec<(String, Store)> = names.iter().map(store).collect();
        let store = stores[0].1.clone();
        let server = Server::bind_with("127.0.0.1:0", stores, options).await.unwrap();
        let address = format!("http://{}", server.local_addr());
        let metrics = server.metrics_addr();
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Fixture { store, address, metrics, _directory: directory, stop: Some(stop) }
    }

    /// Tells the server to stop.
    pub(crate) fn stop(&mut self) {
        self.stop = None;
    }

    /// A connection.
    pub(crate) async fn channel(&self) -> Channel {
        Channel::from_shared(self.address.clone()).unwrap().connect().await.unwrap()
    }

    /// A plain Flight client with the limits of the crate's defaults.
    pub(crate) async fn flight(&self) -> FlightServiceClient<Channel> {
        FlightServiceClient::new(self.channel().await).max_decoding_message_size(64 << 20)
    }
}

fn fill(store: &Store) {
    for row in 0..DATASETS {
        let name = dataset(row);
        store.create_dataset(&name).unwrap();
        let define = |array: &str, dtype, dims: &[&str], shape: &[u64]| {
            store.define_array(&name, array, ArraySchema::new(dtype, dims, shape)).unwrap();
        };
        let dims = ["depth", "time"];
        let floats = ArraySchema::new(DType::Float32, &dims, &SHAPE).with_fill_value(Scalar::Float32(f32::NAN));
        store.define_array(&name, "temperature", floats).unwrap();
        let cells = (0..SHAPE[0]).flat_map(|d| (0..SHAPE[1]).map(move |t| temperature(row, d, t))).collect();
        write(store, &name, "temperature", ArrayData::from_numbers::<f32>(SHAPE.to_vec(), cells).unwrap());
        if row != WITHOUT_SALINITY {
            define("salinity", DType::Float64, &dims, &SHAPE);
            let cells = vec![f64::from(row) + 0.5; 24];
            write(store, &name, "salinity", ArrayData::from_numbers(SHAPE.to_vec(), cells).unwrap());
        }
        define("depth", DType::Float32, &["depth"], &[4]);
        write(store, &name, "depth", ArrayData::from_numbers(vec![4], vec![0f32, 10.0, 20.0, 50.0]).unwrap());
        // Each dataset has its own times, so that they are no coordinate of a stack.
        define("time", DType::Int64, &["time"], &[6]);
        let times = (0..6).map(|t| i64::from(row) * 6 + t).collect();
        write(store, &name, "time", ArrayData::from_numbers::<i64>(vec![6], times).unwrap());
        let length = u64::from(row) + 1;
        define("profile", DType::Int32, &["level"], &[length]);
        let levels = (0..i32::try_from(length).unwrap()).collect();
        write(store, &name, "profile", ArrayData::from_numbers::<i32>(vec![length], levels).unwrap());
        define("note", DType::String, &["line"], &[2]);
        write(store, &name, "note", ArrayData::from_strings(vec![2], [name.as_str(), "é"]).unwrap());
        define("count", DType::UInt16, &[], &[]);
        write(store, &name, "count", ArrayData::from_numbers(vec![], vec![u16::try_from(row).unwrap()]).unwrap());
        store.set_attribute(&name, "month", Attribute::Int64(i64::from(row % 3))).unwrap();
        store.set_attribute(&name, "station", Attribute::String(format!("s{}", row % 2))).unwrap();
    }
    store.flush().unwrap();
}

fn write(store: &Store, dataset: &str, array: &str, data: ArrayData) {
    store.write_array(dataset, array, &vec![0; data.shape().len()], &data).unwrap();
}

/// The schema that a FlightInfo announces.
pub(crate) fn announced(info: &FlightInfo) -> Schema {
    info.clone().try_decode_schema().unwrap()
}

/// What a ticket gives: the schema and the batches.
pub(crate) async fn fetch(
    client: &mut FlightServiceClient<Channel>,
    ticket: Ticket,
) -> Result<(SchemaRef, Vec<RecordBatch>), Status> {
    let messages = client.do_get(ticket).await?.into_inner();
    let mut stream =
        FlightRecordBatchStream::new_from_flight_data(messages.map_err(|status| FlightError::Tonic(Box::new(status))));
    let mut batches = Vec::new();
    while let Some(batch) = stream.next().await {
        batches.push(batch.map_err(|error| match error {
            FlightError::Tonic(status) => *status,
            other => panic!("{other}"),
        })?);
    }
    Ok((Arc::clone(stream.schema().unwrap()), batches))
}

//! A stacked read whose client is slow: what the server reads of the store, and holds of it, as an allocator counts it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "../../atlas-store/tests/fuzz/allocation.rs"]
#[allow(dead_code, reason = "it is shared with tests that ask for more of it")]
mod allocation;
#[path = "../../atlas-sql/tests/sql/gate.rs"]
mod gate;

use arrow_flight::FlightDescriptor;
use arrow_flight::flight_service_client::FlightServiceClient;
use atlas_flight::Limits;
use atlas_flight::bulk::request::StackedRequest;
use atlas_flight::server::Server;
use atlas_store::{ArrayData, ArraySchema, Codec, CreateOptions, DType, OpenOptions, Store, storage_at};
use gate::Gate;
use std::sync::Arc;
use tokio::sync::oneshot;
use tonic::transport::Channel;

#[global_allocator]
static ALLOCATOR: allocation::Counting = allocation::Counting;

const MIB: usize = 1 << 20;
/// A dataset is a batch, and one read.
const DATASET_BYTES: usize = 8 * MIB;
const DATASETS: u64 = 12;
/// At most: a batch on its way to the socket, one that waits for it, and one that is being read.
const BATCHES_HELD: u64 = 3;

fn big() -> (tempfile::TempDir, Store, Arc<Gate>) {
    let directory = tempfile::tempdir().unwrap();
    let location = directory.path().join("store");
    let location = location.to_str().unwrap();
    let store = Store::create(location, CreateOptions { codec: Codec::Zstd, ..CreateOptions::default() }).unwrap();
    let shape = [1024, 1024];
    for dataset in 0..DATASETS {
        let name = format!("d{dataset:02}");
        store.create_dataset(&name).unwrap();
        store.define_array(&name, "v", ArraySchema::new(DType::Float64, &["y", "x"], &shape)).unwrap();
        let cells = vec![dataset as f64; DATASET_BYTES / 8];
        store.write_array(&name, "v", &[0, 0], ArrayData::from_numbers(shape.to_vec(), cells).unwrap()).unwrap();
    }
    store.flush().unwrap();
    drop(store);
    let (storage, gate) = Gate::around(storage_at(location).unwrap());
    (directory, OpenOptions { cache_bytes: 0 }.open_on(storage).unwrap(), gate)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_does_not_take_is_not_read() {
    let (_directory, store, gate) = big();
    let server = Server::bind("127.0.0.1:0", vec![("fleet".into(), store)], Limits::default()).await.unwrap();
    let channel = Channel::from_shared(format!("http://{}", server.local_addr())).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    let mut client =
        FlightServiceClient::new(channel.connect().await.unwrap()).max_decoding_message_size(2 * DATASET_BYTES);
    let request = StackedRequest { store: "fleet".into(), arrays: vec!["v".into()], ..StackedRequest::default() };
    let info = client.get_flight_info(FlightDescriptor::new_cmd(request.to_command())).await.unwrap().into_inner();
    let ticket = info.endpoint[0].ticket.clone().unwrap();

    // Twice to the end: what is read and allocated once is, and how many reads a batch takes is known.
    for _ in 0..2 {
        gate.take();
        let mut stream = client.do_get(ticket.clone()).await.unwrap().into_inner();
        while stream.message().await.unwrap().is_some() {}
    }
    let reads = gate.take();
    assert!(reads.is_multiple_of(DATASETS), "{reads}");
    let per_batch = reads / DATASETS;

    let before = allocation::held();
    let mut stream = client.do_get(ticket).await.unwrap().into_inner();
    // The schema.
    stream.message().await.unwrap().unwrap();
    for taken in 0..=DATASETS {
        // The transport may have begun less ahead; the one that is taken next is there in any case.
        gate.until_begun((taken + 1).min(DATASETS) * per_batch);
        let begun = gate.begun();
        assert!(
            begun <= (taken + BATCHES_HELD) * per_batch,
            "{taken} batches were taken: {begun} reads, {per_batch} each"
        );
        let held = allocation::held().saturating_sub(before);
        // And the memory of one that was sent, until another is read into it; the rest is the client's.
        let bound = (usize::try_from(BATCHES_HELD).unwrap() + 2) * DATASET_BYTES;
        assert!(held < bound, "{taken} batches were taken: {} MiB are held, not {}", held / MIB, bound / MIB);
        assert_eq!(stream.message().await.unwrap().is_some(), taken < DATASETS);
    }
    drop((stream, client, stop));
    serving.await.unwrap().unwrap();
}

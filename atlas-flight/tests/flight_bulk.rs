//! Stacked reads through a running server, with a plain Flight client.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod flight_fixture;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int32Type, UInt16Type};
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{Criteria, FlightDescriptor, FlightInfo, Ticket};
use atlas_flight::Limits;
use atlas_flight::bulk::request::{Missing, StackedRequest};
use atlas_flight::client::Client;
use atlas_flight::server::{Server, ServerOptions};
use atlas_store::{ArrayData, ArraySchema, Attribute, DType};
use flight_fixture::{DATASETS, Fixture, WITHOUT_SALINITY, announced, dataset, fetch, temperature};
use futures::TryStreamExt;
use tonic::transport::Channel;
use tonic::{Code, Status};

fn request(arrays: &[&str]) -> StackedRequest {
    let arrays = arrays.iter().map(ToString::to_string).collect();
    StackedRequest { store: "fleet".into(), arrays, ..StackedRequest::default() }
}

async fn read(
    client: &mut FlightServiceClient<Channel>,
    descriptor: FlightDescriptor,
) -> Result<(FlightInfo, Vec<Vec<RecordBatch>>), Status> {
    let info = client.get_flight_info(descriptor).await?.into_inner();
    let mut parts = Vec::new();
    for endpoint in &info.endpoint {
        assert!(endpoint.location.is_empty());
        let (schema, batches) = fetch(client, endpoint.ticket.clone().unwrap()).await?;
        assert_eq!(*schema, announced(&info), "delivered is announced");
        assert!(batches.iter().all(|batch| batch.schema() == schema));
        parts.push(batches);
    }
    let rows: usize = parts.iter().flatten().map(RecordBatch::num_rows).sum();
    assert_eq!(info.total_records, i64::try_from(rows).unwrap());
    Ok((info, parts))
}

async fn stacked(
    client: &mut FlightServiceClient<Channel>,
    request: &StackedRequest,
) -> Result<(FlightInfo, Vec<Vec<RecordBatch>>), Status> {
    read(client, FlightDescriptor::new_cmd(request.to_command())).await
}

fn names(batches: &[Vec<RecordBatch>]) -> Vec<String> {
    let of =
        |batch: &RecordBatch| batch.column(0).as_string::<i32>().iter().map(|name| name.unwrap().to_string()).collect();
    batches.iter().flatten().flat_map(|batch| -> Vec<String> { of(batch) }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_of_all_datasets_is_one_tensor_column() {
    let fixture = Fixture::start().await;
    let mut client = fixture.flight().await;
    let mut wanted = request(&["temperature"]);
    (wanted.start, wanted.shape) = (Some(vec![1, 2]), Some(vec![2, 3]));
    let (info, parts) = stacked(&mut client, &wanted).await.unwrap();
    assert_eq!(names(&parts), (0..DATASETS).map(dataset).collect::<Vec<_>>());
    let batch = &parts[0][0];
    let column = batch.column_by_name("temperature").unwrap().as_fixed_size_list();
    assert_eq!(column.value_length(), 6);
    let cells = column.values().as_primitive::<Float32Type>().values().to_vec();
    let expected: Vec<f32> =
        (0..DATASETS).flat_map(|row| (1..3).flat_map(move |d| (2..5).map(move |t| temperature(row, d, t)))).collect();
    assert_eq!(cells, expected);
    let schema = announced(&info);
    let metadata = schema.field(1).metadata();
    assert_eq!(metadata["ARROW:extension:name"], "arrow.fixed_shape_tensor");
    let parameters: serde_json::Value = serde_json::from_str(&metadata["ARROW:extension:metadata"]).unwrap();
    assert_eq!(parameters, serde_json::json!({"shape": [2, 3], "dim_names": ["depth", "time"]}));
    assert_eq!(metadata["atlas.fill_value"], "NaN");
    let coordinates: serde_json::Value = serde_json::from_str(&schema.metadata()["atlas.coords"]).unwrap();
    assert_eq!(coordinates, serde_json::json!({"depth": {"dtype": "float32", "values": [10.0, 20.0]}}));
    // Names, their offsets, and the cells.
    assert_eq!(info.total_bytes, 10 * 7 + 10 * 4 + 10 * 6 * 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_without_cells_keeps_its_rows_and_shape() {
    let fixture = Fixture::start().await;
    let mut client = fixture.flight().await;
    let (start, shape) = (Some(vec![4, 0]), Some(vec![0, 6]));
    let wanted = StackedRequest { start, shape, missing: Missing::Null, ..request(&["temperature", "salinity"]) };
    let (info, parts) = stacked(&mut client, &wanted).await.unwrap();
    assert_eq!(names(&parts), (0..DATASETS).map(dataset).collect::<Vec<_>>());
    let batch = &parts[0][0];
    for (array, lacking) in [("temperature", 0), ("salinity", 1)] {
        let column = batch.column_by_name(array).unwrap().as_fixed_size_list();
        assert_eq!((column.value_length(), column.len(), column.null_count()), (0, 10, lacking));
    }
    let schema = announced(&info);
    let parameters: serde_json::Value =
        serde_json::from_str(&schema.field(1).metadata()["ARROW:extension:metadata"]).unwrap();
    assert_eq!(parameters["shape"], serde_json::json!([0, 6]));
    let outside = StackedRequest { start: Some(vec![5, 0]), ..wanted };
    assert_eq!(stacked(&mut client, &outside).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_disjoint_and_keep_the_order_asked_for() {
    let fixture = Fixture::start().await;
    let mut client = fixture.flight().await;
    let asked: Vec<String> = [7, 1, 9, 2].map(dataset).to_vec();
    let wanted = StackedRequest { datasets: Some(asked.clone()), partitions: 3, ..request(&["temperature", "count"]) };
    let (info, parts) = stacked(&mut client, &wanted).await.unwrap();
    assert_eq!(info.endpoint.len(), 3);
    assert_eq!(names(&parts), asked);
    let counts: Vec<u16> = parts
        .iter()
        .flatten()
        .flat_map(|batch| batch.column_by_name("count").unwrap().as_primitive::<UInt16Type>().values().to_vec())
        .collect();
    assert_eq!(counts, [7, 1, 9, 2]);
    // A part is read again and gives the same.
    let again = fetch(&mut client, info.endpoint[1].ticket.clone().unwrap()).await.unwrap().1;
    assert_eq!(again, parts[1]);
    let many = StackedRequest { partitions: 4000, ..wanted };
    assert_eq!(stacked(&mut client, &many).await.unwrap().0.endpoint.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_selects_on_attributes_and_statistics() {
    let fixture = Fixture::start().await;
    let mut client = fixture.flight().await;
    let text = "month = 1 AND stat_max(temperature) > 200".to_string();
    let wanted = StackedRequest { where_: Some(text.clone()), ..request(&["temperature"]) };
    let (_, parts) = stacked(&mut client, &wanted).await.unwrap();
    assert_eq!(names(&parts), [4, 7].map(dataset));
    let wanted = StackedRequest { datasets: Some([7, 1, 2].map(dataset).to_vec()), ..wanted };
    assert_eq!(names(&stacked(&mut client, &wanted).await.unwrap().1), [dataset(7)]);
    let nothing = StackedRequest { where_: Some("month = 77".into()), partitions: 4, ..request(&["temperature"]) };
    let (info, parts) = stacked(&mut client, &nothing).await.unwrap();
    assert_eq!((info.total_records, info.endpoint.len(), parts.len()), (0, 1, 1));
    assert_eq!(announced(&info).fields().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_arrays_are_an_error_skipped_or_null() {
    let fixture = Fixture::start().await;
    let mut client = fixture.flight().await;
    let status = stacked(&mut client, &request(&["temperature", "salinity"])).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains(&dataset(WITHOUT_SALINITY)), "{}", status.message());
    let skip = StackedRequest { missing: Missing::Skip, ..request(&["salinity"]) };
    let (info, parts) = stacked(&mut client, &skip).await.unwrap();
    assert!(!names(&parts).contains(&dataset(WITHOUT_SALINITY)) && info.total_records == 9);
    assert!(!announced(&info).field(1).is_nullable());
    let null = StackedRequest { missing: Missing::Null, ..request(&["salinity"]) };
    let (info, parts) = stacked(&mut client, &null).await.unwrap();
    assert!(announced(&info).field(1).is_nullable());
    let column = parts[0][0].column(1).as_fixed_size_list();
    let nulls: Vec<u32> = (0..DATASETS).filter(|row| column.is_null(*row as usize)).collect();
    assert_eq!(nulls, [WITHOUT_SALINITY]);
    let last = column.value(9);
    assert!(last.as_primitive::<Float64Type>().values().iter().all(|cell| *cell == 9.5));
    assert_eq!(info.total_bytes, 10 * 7 + 10 * 4 + 10 * 24 * 8 + 2);
    let only = StackedRequest { datasets: Some(vec![dataset(WITHOUT_SALINITY)]), ..null };
    let (_, parts) = stacked(&mut client, &only).await.unwrap();
    assert_eq!(parts[0][0].column(1).null_count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn ragged_arrays_come_with_their_shapes() {
    let fixture = Fixture::start().await;
    let mut client = fixture.flight().await;
    let (info, parts) = stacked(&mut client, &request(&["profile"])).await.unwrap();
    let metadata = announced(&info).field(1).metadata().clone();
    assert_eq!(metadata["ARROW:extension:name"], "arrow.variable_shape_tensor");
    let column = parts[0][0].column(1).as_struct();
    let data = column.column_by_name("data").unwrap().as_list::<i32>();
    let shapes = column.column_by_name("shape").unwrap().as_fixed_size_list();
    let numbers = |values: ArrayRef| values.as_primitive::<Int32Type>().values().to_vec();
    for (row, length) in (0..10usize).zip(1..) {
        assert_eq!(numbers(data.value(row)), (0..length).collect::<Vec<_>>());
        assert_eq!(numbers(shapes.value(row)), [length]);
    }
    assert_eq!(info.total_bytes, 10 * 7 + 10 * 4 + 55 * 4 + 10 * 4 + 10 * 4);
    // With a region, or where the datasets share a shape, the same array is a fixed-shape tensor.
    let mut region = request(&["profile"]);
    region.shape = Some(vec![1]);
    let (_, parts) = stacked(&mut client, &region).await.unwrap();
    assert!(matches!(parts[0][0].column(1).data_type(), DataType::FixedSizeList(_, 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_are_read_together_are_those_that_are_read_alone() {
    let fixture = Fixture::start().await;
    let mut client = fixture.flight().await;
    let null = |arrays: &[&str]| StackedRequest { missing: Missing::Null, ..request(arrays) };
    let arrays = ["salinity", "profile", "note", "temperature", "count", "time"];
    let (_, together) = stacked(&mut client, &null(&arrays)).await.unwrap();
    assert_eq!(together[0][0].num_rows(), DATASETS as usize);
    for (at, array) in arrays.iter().enumerate() {
        let (_, alone) = stacked(&mut client, &null(&[array])).await.unwrap();
        assert_eq!(together[0][0].column(at + 1), alone[0][0].column(1), "{array}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_name_families_and_single_arrays() {
    let fixture = Fixture::start().await;
    let mut client = fixture.flight().await;
    let path = |parts: &[&str]| FlightDescriptor::new_path(parts.iter().map(ToString::to_string).collect());
    let (info, _) = read(&mut client, path(&["fleet", "salinity"])).await.unwrap();
    assert_eq!(info.total_records, 9);
    let (_, parts) = read(&mut client, path(&["fleet", "note", "cast_05"])).await.unwrap();
    let notes = parts[0][0].column(1).as_fixed_size_list().value(0);
    assert_eq!(notes.as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["cast_05", "é"]);
    for (parts, code) in [
        (vec!["fleet"], Code::InvalidArgument),
        (vec!["fleet", "a", "b", "c"], Code::InvalidArgument),
        (vec!["other", "temperature"], Code::NotFound),
        (vec!["fleet", "nothing"], Code::NotFound),
        (vec!["fleet", "temperature", "cast_99"], Code::NotFound),
        (vec!["fleet", "salinity", "cast_03"], Code::NotFound),
    ] {
        assert_eq!(read(&mut client, path(&parts)).await.unwrap_err().code(), code, "{parts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn families_are_listed_and_have_schemas() {
    let fixture = Fixture::start().await;
    for (row, shape) in [(0, vec![2]), (1, vec![2, 2])] {
        let dims = ["x", "y"];
        let schema = ArraySchema::new(DType::Int8, &dims[..shape.len()], &shape);
        fixture.store.define_array(&dataset(row), "mixed_ranks", schema).unwrap();
    }
    fixture.store.flush().unwrap();
    let mut client = fixture.flight().await;
    let status = stacked(&mut client, &StackedRequest { missing: Missing::Skip, ..request(&["mixed_ranks"]) }).await;
    assert!(status.unwrap_err().message().contains("ranks differ"));
    let listed = client.list_flights(Criteria::default()).await.unwrap().into_inner();
    let listed: Vec<FlightInfo> = listed.try_collect().await.unwrap();
    let paths: Vec<_> = listed.iter().map(|info| info.flight_descriptor.clone().unwrap().path[1].clone()).collect();
    assert_eq!(paths, ["count", "depth", "note", "profile", "salinity", "temperature", "time"]);
    for info in listed {
        let descriptor = info.flight_descriptor.clone().unwrap();
        let schema = client.get_schema(descriptor.clone()).await.unwrap().into_inner();
        assert_eq!(schema.schema, info.schema);
        let poll = client.poll_flight_info(descriptor).await.unwrap().into_inner();
        assert!(poll.flight_descriptor.is_none());
        assert_eq!(poll.info.unwrap().schema, info.schema);
        fetch(&mut client, info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    }
}

async fn listed(fixture: &Fixture, expression: &str) -> Result<Vec<FlightInfo>, Status> {
    let criteria = Criteria { expression: expression.to_string().into() };
    fixture.flight().await.list_flights(criteria).await?.into_inner().try_collect().await
}

#[tokio::test(flavor = "multi_thread")]
async fn criteria_choose_the_flights_that_are_listed() {
    let fixture = Fixture::serve(&["fleet", "other"], ServerOptions::default()).await;
    let mut client = fixture.flight().await;
    for (expression, count, records) in [
        (r#"{"array": "*al*"}"#, 2, 18),
        (r#"{"store": "fleet", "array": "t*"}"#, 2, 20),
        (r#"{"version": 1, "store": "fleet", "array": "salinity", "datasets": true}"#, 9, 9),
        (r#"{"store": "other", "array": "?emperature", "where": "month = 0"}"#, 1, 4),
        (r#"{"store": "fleet", "array": "*y", "datasets": true, "where": "month = 0 OR month = 99"}"#, 3, 3),
        (r#"{"store": "fleet", "array": "absent"}"#, 0, 0),
        (r#"{"store": "fleet", "datasets": true, "where": "month = 99"}"#, 0, 0),
    ] {
        let flights = listed(&fixture, expression).await.unwrap_or_else(|status| panic!("{expression}: {status}"));
        assert_eq!(flights.len(), count, "{expression}");
        assert_eq!(flights.iter().map(|info| info.total_records).sum::<i64>(), records, "{expression}");
        for info in &flights {
            // A flight is what its descriptor gives.
            let (asked, batches) = read(&mut client, info.flight_descriptor.clone().unwrap()).await.unwrap();
            assert_eq!((&asked.schema, asked.total_records), (&info.schema, info.total_records), "{expression}");
            let ticket = info.endpoint[0].ticket.clone().unwrap();
            assert_eq!(fetch(&mut client, ticket).await.unwrap().1, batches.concat());
        }
    }
    let of_dataset = listed(&fixture, r#"{"store": "fleet", "array": "count", "datasets": true}"#).await.unwrap();
    let path = of_dataset[3].flight_descriptor.clone().unwrap().path;
    assert_eq!(path, ["fleet".to_string(), "count".into(), dataset(3)]);
    for (expression, code, part) in [
        (r#"{"store": "absent"}"#, Code::NotFound, "served are fleet, other"),
        (r#"{"store": "fleet", "where": "nothing = 1"}"#, Code::InvalidArgument, "nothing"),
        (r#"{"where": "month = 1"}"#, Code::InvalidArgument, "without"),
        (r#"{"stacked": {}}"#, Code::InvalidArgument, "stacked"),
        ("fleet", Code::InvalidArgument, "not readable"),
    ] {
        let status = listed(&fixture, expression).await.unwrap_err();
        assert_eq!(status.code(), code, "{expression}");
        assert!(status.message().contains(part), "{expression}: {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_name_what_is_wrong() {
    let fixture = Fixture::start().await;
    let mut client = fixture.flight().await;
    let region = |start: &[u64], shape: &[u64]| StackedRequest {
        start: Some(start.to_vec()),
        shape: Some(shape.to_vec()),
        ..request(&["temperature"])
    };
    for (request, words) in [
        (region(&[0], &[1]), vec!["rank 1", "rank 2"]),
        (region(&[0, 5], &[1, 2]), vec!["temperature", "cast_00", "5", "6"]),
        (region(&[0, 0], &[1]), vec!["rank"]),
        (StackedRequest { where_: Some("nonsense +".into()), ..request(&["temperature"]) }, vec![]),
        (StackedRequest { where_: Some("colour = 1".into()), ..request(&["temperature"]) }, vec!["colour"]),
        (
            StackedRequest {
                where_: Some("dataset IN (SELECT dataset FROM catalog)".into()),
                ..request(&["temperature"])
            },
            vec!["no subquery"],
        ),
    ] {
        let status = stacked(&mut client, &request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{}", status.message());
        for word in words {
            assert!(status.message().contains(word), "{word}: {}", status.message());
        }
        assert!(!status.message().contains('\n') && status.message().len() < 4096);
    }
    for command in ["{", "{}", r#"{"stacked": {"store": "fleet"}}"#] {
        let status = client.get_flight_info(FlightDescriptor::new_cmd(command)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
    }
    for ticket in ["", "nonsense", "ATS1", "ATS1\u{7f}", "{}"] {
        let status = client.do_get(Ticket::new(ticket)).await.unwrap_err();
        assert!(matches!(status.code(), Code::InvalidArgument | Code::NotFound), "{ticket:?}: {status:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_reads_come_in_messages_of_bounded_size() {
    let fixture = Fixture::start().await;
    let cells = 1u64 << 18;
    for row in 0..5 {
        let schema = ArraySchema::new(DType::Float32, &["cell"], &[cells]);
        fixture.store.define_array(&dataset(row), "large", schema).unwrap();
        let data = ArrayData::from_numbers(vec![cells], vec![row as f32; 1 << 18]).unwrap();
        fixture.store.write_array(&dataset(row), "large", &[0], &data).unwrap();
    }
    fixture.store.flush().unwrap();
    let mut client = fixture.flight().await;
    let wanted = StackedRequest { missing: Missing::Skip, ..request(&["large"]) };
    let info = client.get_flight_info(FlightDescriptor::new_cmd(wanted.to_command())).await.unwrap().into_inner();
    let messages = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap().into_inner();
    let bodies: Vec<usize> = messages.map_ok(|message| message.data_body.len()).try_collect().await.unwrap();
    // The schema, then three arrays of 1 MiB, then two: a fourth would make a message of more than 4 MiB.
    assert_eq!(bodies.len(), 3);
    assert!(bodies[1] > 3 << 20 && bodies[1] < 4 << 20 && bodies[2] > 2 << 20, "{bodies:?}");
    assert_eq!(info.total_bytes, 5 * (7 + 4 + 4 * (1 << 18)));
    let (_, parts) = stacked(&mut client, &wanted).await.unwrap();
    let last = parts[0][1].column(1).as_fixed_size_list().value(1);
    assert!(last.as_primitive::<Float32Type>().values().iter().all(|cell| *cell == 4.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_may_be_dropped_and_the_server_goes_on() {
    let fixture = Fixture::start().await;
    let mut client = fixture.flight().await;
    let info = stacked(&mut client, &request(&["temperature"])).await.unwrap().0;
    for _ in 0..20 {
        let mut messages = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap().into_inner();
        messages.message().await.unwrap();
    }
    stacked(&mut client, &request(&["temperature"])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_tickets_are_refused() {
    let fixture = Fixture::start().await;
    let mut client = fixture.flight().await;
    let mut tickets = Vec::new();
    let region = StackedRequest { shape: Some(vec![2, 3]), ..request(&["temperature"]) };
    let null = StackedRequest { missing: Missing::Null, ..request(&["salinity", "profile", "note"]) };
    for request in [region, null] {
        let info = stacked(&mut client, &request).await.unwrap().0;
        tickets.push(info.endpoint[0].ticket.clone().unwrap().ticket.to_vec());
    }
    let mut state = 7u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let mut refused = 0;
    for round in 0..600 {
        let mut bytes = tickets[round % tickets.len()].clone();
        match random(3) {
            0 => bytes.truncate(random(bytes.len())),
            1 => bytes.insert(random(bytes.len()), u8::try_from(random(256)).unwrap()),
            _ => (0..=random(3)).for_each(|_| {
                let at = random(bytes.len());
                bytes[at] = u8::try_from(random(256)).unwrap();
            }),
        }
        if let Err(status) = fetch(&mut client, Ticket::new(bytes.clone())).await {
            refused += 1;
            let codes = [Code::InvalidArgument, Code::PermissionDenied];
            assert!(codes.contains(&status.code()), "{status:?} for {bytes:?}");
        }
    }
    assert!(refused > 500, "{refused}: all but those that were replaced by what they were");
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_of_an_older_snapshot_are_good_until_many_others_were_read() {
    let fixture = Fixture::start().await;
    let mut client = fixture.flight().await;
    let info = stacked(&mut client, &request(&["temperature"])).await.unwrap().0;
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    fixture.store.delete_dataset(&dataset(0)).unwrap();
    fixture.store.flush().unwrap();
    let (_, batches) = fetch(&mut client, ticket.clone()).await.unwrap();
    assert_eq!(batches[0].num_rows(), DATASETS as usize, "the dataset is in the snapshot that was planned");
    for month in 0..8 {
        fixture.store.set_attribute(&dataset(1), "month", Attribute::Int64(month)).unwrap();
        fixture.store.flush().unwrap();
        stacked(&mut client, &request(&["temperature"])).await.unwrap();
    }
    let status = fetch(&mut client, ticket).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("snapshot"), "{}", status.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_client_reads_and_queries() {
    let fixture = Fixture::start().await;
    let client = Client::connect(&fixture.address.replace("http", "grpc")).await.unwrap();
    let batches = client.stacked(&StackedRequest { partitions: 2, ..request(&["count"]) }).await.unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 10);
    let nothing = StackedRequest { where_: Some("month = 77".into()), ..request(&["count"]) };
    assert_eq!(client.stacked(&nothing).await.unwrap()[0].num_columns(), 2);
    let batches = client.query("SELECT dataset FROM datasets WHERE month = 1 ORDER BY dataset").await.unwrap();
    assert_eq!(batches[0].num_rows(), 3);
    let error = client.query("SELECT * FROM nothing").await.unwrap_err().to_string();
    assert!(error.contains("nothing") && !error.contains('\n'), "{error}");
    assert!(Client::connect("ftp://x").await.is_err());
    let error = Client::connect("grpc://127.0.0.1:1").await.unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:1"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_says_why_it_cannot_listen() {
    let fixture = Fixture::start().await;
    let stores = || vec![("fleet".to_string(), fixture.store.clone())];
    let address = fixture.address.trim_start_matches("http://");
    let error = Server::bind(address, stores(), Limits::default()).await.err().unwrap().to_string();
    assert_eq!(error, format!("cannot listen on {address}: the port is in use"));
    let error = Server::bind("0.0.0.0:0", stores(), Limits::default()).await.err().unwrap().to_string();
    assert!(error.contains("other machines"), "{error}");
    assert!(Server::bind("not an address", stores(), Limits::default()).await.is_err());
    let twice = [stores(), stores()].concat();
    assert!(
        Server::bind("127.0.0.1:0", twice, Limits::default()).await.err().unwrap().to_string().contains("two stores")
    );
}

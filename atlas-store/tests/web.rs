//! Stores on a web server, which reads them and no more; and a network that answers late, in part, or with errors.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, unreachable_pub, reason = "tests")]

#[path = "web/server.rs"]
mod server;

use atlas_store::object_store::aws::AmazonS3Builder;
use atlas_store::object_store::http::HttpBuilder;
use atlas_store::object_store::{BackoffConfig, ClientOptions, RetryConfig};
use atlas_store::{
    ArrayData, ArraySchema, CompactOptions, CreateOptions, DType, Error, ErrorKind, MetaCompression, MetaFormat,
    ObjectOptions, ObjectStorage, Region, Result, Scalar, Storage, Store, storage_at, storage_with,
};
use server::{Fault, Server};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const SHAPE: [u64; 2] = [128, 2000];

/// Noise, so that a chunk is larger than what comes with an object's size.
fn numbers(seed: u32) -> ArrayData {
    let noise = |k: u32| ((u64::from(k) + 1) * (u64::from(seed) * 2 + 1)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    ArrayData::from_numbers(SHAPE.to_vec(), (0..256_000).map(|k| noise(k) as f32 / 8.0).collect()).unwrap()
}

fn add(store: &Store, dataset: &str, seed: u32) {
    store.create_dataset(dataset).unwrap();
    store.set_attribute(dataset, "seed", i64::from(seed).into()).unwrap();
    let schema = ArraySchema::new(DType::Float32, &["z", "x"], &SHAPE).with_chunk_shape(&[16, 2000]);
    store.define_array(dataset, "t", schema).unwrap();
    store.write_array(dataset, "t", &[0, 0], numbers(seed)).unwrap();
    let schema = ArraySchema::new(DType::String, &["s"], &[3]).with_fill_value(Scalar::String("-".into()));
    store.define_array(dataset, "név #1?", schema).unwrap();
    let words = ArrayData::from_strings(vec![2], [dataset, "é"]).unwrap();
    store.write_array(dataset, "név #1?", &[0], &words).unwrap();
}

fn check(store: &Store, datasets: &[(&str, u32)]) {
    let snapshot = store.snapshot();
    let names: Vec<&str> = datasets.iter().map(|(name, _)| *name).collect();
    assert_eq!(snapshot.dataset_names().collect::<Vec<_>>(), names);
    for (row, (name, seed)) in (0..).zip(datasets) {
        assert_eq!(snapshot.attribute(row, "seed"), Some(i64::from(*seed).into()));
        assert_eq!(snapshot.read(name, "t", None).unwrap(), numbers(*seed));
        let words = ArrayData::from_strings(vec![3], [*name, "é", "-"]).unwrap();
        assert_eq!(snapshot.read_arrays(name, &["név #1?"], None).unwrap(), [words]);
    }
}

/// A store of two datasets in a folder, and a server of what is beside that folder.
fn served(has_etags: bool) -> (TempDir, Store, Server) {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::create(temp.path().join("fleet").to_str().unwrap(), CreateOptions::default()).unwrap();
    add(&store, "a", 1);
    add(&store, "b", 2);
    store.flush().unwrap();
    let server = Server::start(temp.path().into(), has_etags);
    (temp, store, server)
}

#[test]
fn slices_and_bulk_reads_are_those_of_the_files() {
    let (_temp, store, server) = served(true);
    let web = Store::open_on(storage_at(&server.url("/fleet")).unwrap()).unwrap();
    assert_eq!(web.location(), server.url("/fleet"));
    let (local, snapshot) = (store.snapshot(), web.snapshot());
    server.take_log();
    let region = Region::try_new(vec![66, 7], vec![10, 100]).unwrap();
    assert_eq!(snapshot.read("b", "t", Some(&region)).unwrap(), local.read("b", "t", Some(&region)).unwrap());
    // The end of the segment, with its index; then one of sixteen chunks, and the header of its block.
    let log = server.take_log();
    assert!(log.len() <= 3 && log.iter().all(|line| line.starts_with("GET /fleet/t/data.af 206 ")), "{log:?}");
    let bytes: u64 = log.iter().map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum();
    assert!(bytes * 4 < local.stored_bytes(), "{log:?}");
    let stacked = snapshot.read_stacked("t", &[1, 0], Some(&region)).unwrap();
    assert_eq!(stacked, local.read_stacked("t", &[1, 0], Some(&region)).unwrap());
    assert_eq!(
        snapshot.read_across("név #1?", &[0, 1], None).unwrap(),
        local.read_across("név #1?", &[0, 1], None).unwrap()
    );
    check(&web, &[("a", 1), ("b", 2)]);
}

#[test]
fn every_catalog_variant_is_found() {
    for (meta_format, meta_compression) in
        [(MetaFormat::Json, MetaCompression::Zstd), (MetaFormat::Msgpack, MetaCompression::Lz4)]
    {
        let temp = tempfile::tempdir().unwrap();
        let options = CreateOptions { meta_format, meta_compression, ..CreateOptions::default() };
        let store = Store::create(temp.path().join("s").to_str().unwrap(), options).unwrap();
        add(&store, "a", 1);
        store.flush().unwrap();
        check(&Store::open(&Server::start(temp.path().into(), true).url("/s/")).unwrap(), &[("a", 1)]);
    }
}

#[test]
fn a_refresh_asks_whether_the_catalog_is_another() {
    for has_etags in [true, false] {
        let (_temp, store, server) = served(has_etags);
        let web = Store::open(&server.url("/fleet")).unwrap();
        server.take_log();
        assert!(!web.refresh().unwrap());
        let log = server.take_log();
        // Without an ETag the bytes tell.
        let (status, is_empty) = if has_etags { (" 304 ", true) } else { (" 200 ", false) };
        assert!(log.len() == 1 && log[0].contains(status) && log[0].ends_with(" 0") == is_empty, "{log:?}");
        store.delete_dataset("a").unwrap();
        add(&store, "c", 3);
        store.flush().unwrap();
        check(&web, &[("a", 1), ("b", 2)]);
        assert!(web.refresh().unwrap() && !web.refresh().unwrap());
        check(&web, &[("b", 2), ("c", 3)]);
    }
}

#[test]
fn a_verification_reads_everything_and_knows_no_orphans() {
    let (temp, store, server) = served(true);
    std::fs::write(temp.path().join("fleet/t/data.9.af"), b"left").unwrap();
    let web = Store::open(&server.url("/fleet")).unwrap();
    let (local, report) = (store.verify().unwrap(), web.verify().unwrap());
    assert_eq!(report.problems, []);
    assert_eq!((report.chunks, report.segments, report.bytes), (local.chunks, local.segments, local.bytes));
    assert_eq!((report.orphans, local.orphans), (None, Some(vec![("t/data.9.af".into(), 4)])));
    let path = temp.path().join("fleet/t/data.af");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[5000] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let report = Store::open(&server.url("/fleet")).unwrap().verify().unwrap();
    assert_eq!(report.problems.len(), 1);
    assert_eq!(report.problems[0].object, "t/data.af");
}

#[test]
fn writes_are_refused_before_any_request() {
    let (_temp, _store, server) = served(true);
    let storage = storage_at(&server.url("/fleet")).unwrap();
    let web = Store::open_on(storage.clone()).unwrap();
    server.take_log();
    let refusals = [
        web.create_dataset("x").unwrap_err(),
        web.compact(CompactOptions::default()).unwrap_err(),
        storage.create("x").map(drop).unwrap_err(),
        storage.delete("atlas.json").unwrap_err(),
    ];
    for error in refusals {
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains(&format!("{} is read-only", server.url("/fleet"))), "{error}");
    }
    assert!(!storage.can_list());
    let error = storage.list().unwrap_err();
    assert!(error.to_string().contains("does not list"), "{error}");
    assert_eq!(server.take_log(), [""; 0]);
    let error = Store::create(&server.url("/new"), CreateOptions::default()).unwrap_err();
    assert!(error.to_string().contains("/new is read-only"), "{error}");
    assert_eq!(Store::open(&server.url("/nowhere")).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_segment_that_is_missing_is_told() {
    let (temp, _store, server) = served(true);
    let web = Store::open(&server.url("/fleet")).unwrap();
    std::fs::remove_file(temp.path().join("fleet/t/data.af")).unwrap();
    let error = web.snapshot().read("a", "t", None).unwrap_err();
    assert!(matches!(&error, Error::Corrupt { object, .. } if object == "t/data.af"), "{error}");
}

/// Waits that are too short to notice.
fn retry(max_retries: usize) -> RetryConfig {
    let (init_backoff, max_backoff) = (Duration::from_millis(1), Duration::from_millis(2));
    let backoff = BackoffConfig { init_backoff, max_backoff, base: 2.0 };
    RetryConfig { backoff, max_retries, retry_timeout: Duration::from_secs(60) }
}

fn retrying(server: &Server, max_retries: usize) -> Arc<dyn Storage> {
    let options = ObjectOptions { retry: retry(max_retries), ..ObjectOptions::default() };
    storage_with(&server.url("/fleet"), &options).unwrap()
}

#[test]
fn server_errors_are_retried() {
    let (_temp, _store, server) = served(true);
    for status in [500, 502, 503, 429] {
        server.take_log();
        server.fail(&[Fault::Status(status); 2]);
        let web = Store::open_on(retrying(&server, 2)).unwrap();
        let log = server.take_log();
        assert!(log.len() == 3 && log[2].starts_with("GET /fleet/atlas.json 200"), "{log:?}");
        server.fail(&[Fault::Status(status); 2]);
        check(&web, &[("a", 1), ("b", 2)]);
    }
}

#[test]
fn a_server_that_only_fails_is_told_with_the_tries() {
    let (_temp, _store, server) = served(true);
    let web = Store::open_on(retrying(&server, 3)).unwrap();
    let snapshot = web.snapshot();
    snapshot.read("a", "t", Some(&Region::try_new(vec![0, 0], vec![1, 1]).unwrap())).unwrap();
    server.always(Some(Fault::Status(503)));
    server.take_log();
    let attempts: [(&dyn Fn() -> Result<()>, &str); 3] = [
        (&|| Store::open_on(retrying(&server, 3)).map(drop), "atlas.json"),
        (&|| web.refresh().map(drop), "atlas.json"),
        (&|| snapshot.read("b", "t", None).map(drop), "t/data.af"),
    ];
    for (attempt, object) in attempts {
        let error = attempt().unwrap_err();
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Storage, "{text}");
        for part in [object, "after 3 retries", "503", "as asked"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains('\n'), "{text}");
    }
    let log = server.take_log();
    assert_eq!(log.iter().filter(|line| line.starts_with("GET /fleet/atlas.json 503")).count(), 2 * 4, "{log:?}");
    server.always(None);
    check(&web, &[("a", 1), ("b", 2)]);
}

#[test]
fn what_is_forbidden_is_not_asked_for_again() {
    let (_temp, _store, server) = served(true);
    server.always(Some(Fault::Status(403)));
    let error = Store::open_on(retrying(&server, 3)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.to_string().contains("403"), "{error}");
    assert_eq!(server.take_log().len(), 1);
}

#[test]
fn a_request_that_takes_too_long_is_made_again() {
    let (_temp, _store, server) = served(true);
    let client = ClientOptions::new().with_allow_http(true).with_timeout(Duration::from_millis(300));
    let http = HttpBuilder::new().with_url(server.url("/fleet")).with_client_options(client).with_retry(retry(2));
    let storage: Arc<dyn Storage> = Arc::new(ObjectStorage::new(Arc::new(http.build().unwrap()), "").unwrap());
    server.fail(&[Fault::Stalls]);
    let store = Store::open_on(storage).unwrap();
    let log = server.take_log();
    assert!(log.len() == 2 && log[0].ends_with("stalled") && log[1].contains(" 200 "), "{log:?}");
    server.fail(&[Fault::Stalls]);
    check(&store, &[("a", 1), ("b", 2)]);
}

/// The rest of a body is asked for, if it is of the same object: its ETag tells.
#[test]
fn a_body_that_is_cut_off_is_completed() {
    let (_temp, _store, server) = served(true);
    let web = Store::open_on(retrying(&server, 2)).unwrap();
    for _ in 0..4 {
        server.fail(&[Fault::IsCut]);
        assert_eq!(Store::open_on(retrying(&server, 2)).unwrap().snapshot().dataset_count(), 2);
        server.fail(&[Fault::IsCut]);
        check(&web, &[("a", 1), ("b", 2)]);
    }
    let (_temp, _store, server) = served(false);
    server.fail(&[Fault::IsCut]);
    let error = Store::open_on(retrying(&server, 2)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
    assert!(Store::open_on(retrying(&server, 2)).is_ok());
}

/// A bucket of the server, by the protocol of S3.
fn bucket(server: &Server) -> Arc<dyn Storage> {
    let builder = AmazonS3Builder::new().with_endpoint(server.url("")).with_bucket_name("bucket").with_allow_http(true);
    let builder = builder.with_access_key_id("test").with_secret_access_key("test").with_retry(retry(2));
    Arc::new(ObjectStorage::new(Arc::new(builder.build().unwrap()), "fleet").unwrap())
}

/// Each request of a flush fails twice, or is done twice without an answer, and is made again: a replacement that went
/// through meets what it wrote itself, and is not taken for another writer's.
#[test]
fn a_flush_over_s3_survives_server_errors_and_lost_replies() {
    for fault in [Fault::Status(503), Fault::LosesReply] {
        for skipped in 0.. {
            let temp = tempfile::tempdir().unwrap();
            let server = Server::of_buckets(temp.path().into());
            let store = Store::create_on(bucket(&server), CreateOptions::default()).unwrap();
            add(&store, "a", 1);
            store.flush().unwrap();
            add(&store, "b", 2);
            server.take_log();
            server.fail_after(skipped, &[fault; 2]);
            store.flush().unwrap();
            let log = server.take_log();
            let failed = log.iter().filter(|line| line.contains(" 503 ") || line.contains(" 500 ")).count();
            check(&store, &[("a", 1), ("b", 2)]);
            check(&Store::open_on(bucket(&server)).unwrap(), &[("a", 1), ("b", 2)]);
            if failed == 0 {
                assert!(skipped >= 3, "a flush of {skipped} requests: {log:?}");
                break;
            }
            assert_eq!(failed, 2, "{log:?}");
        }
    }
}

#[test]
fn a_flush_over_s3_to_a_server_that_fails_is_repeated() {
    let temp = tempfile::tempdir().unwrap();
    let server = Server::of_buckets(temp.path().into());
    let store = Store::create_on(bucket(&server), CreateOptions::default()).unwrap();
    add(&store, "a", 1);
    server.always(Some(Fault::Status(503)));
    server.take_log();
    let error = store.flush().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
    assert!(error.to_string().contains("after 2 retries"), "{error}");
    server.always(None);
    store.flush().unwrap();
    check(&Store::open_on(bucket(&server)).unwrap(), &[("a", 1)]);
}

//! Stores whose bytes were changed, with checksums that match: the parsers behind the checksums must not panic, abort or
//! take memory that the bytes do not justify.
//!
//! Each target runs for half a second; `ATLAS_FUZZ_SECONDS` says otherwise, and `ATLAS_FUZZ_SEED` is the seed of the first
//! case. `scripts/fuzz` runs each for a minute.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

#[path = "fuzz/allocation.rs"]
mod allocation;
#[path = "fuzz/exercise.rs"]
mod exercise;
#[path = "fuzz/files.rs"]
mod files;
#[path = "fuzz/random.rs"]
mod random;

use allocation::{CAP, Counting, SEED, peak_of};
use atlas_store::{
    ArrayData, ArraySchema, Attribute, Cells, Codec, CreateOptions, DType, ErrorKind, Expected, MemoryStorage, Result,
    Scalar, Storage, Store,
};
use files::{Index, PAGE_CELLS, PAGE_RAW, Segment};
use random::Random;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The objects of a store.
type Objects = BTreeMap<String, Vec<u8>>;

/// A small store with several segments, pages and kinds of cells.
fn build(codec: Codec) -> Objects {
    let storage = MemoryStorage::new();
    let store =
        Store::create_on(Arc::new(storage.clone()), CreateOptions { codec, ..CreateOptions::default() }).unwrap();
    let shape = [30u64, 40];
    let numbers = |k: u64| (0..1200u64).map(move |cell| (cell * 7 + k) % 311);
    for k in 0..4u64 {
        let name = format!("d{k}");
        store.create_dataset(&name).unwrap();
        store.set_attribute(&name, "k", (k as i64).into()).unwrap();
        store.set_attribute(&name, "name", name.as_str().into()).unwrap();
        store.set_attribute(&name, "x", Attribute::Float64([0.5, f64::NAN, f64::INFINITY, -0.0][k as usize])).unwrap();
        let write = |array: &str, data: ArrayData, fill: Option<Scalar>| {
            let dims: Vec<&str> = ["y", "x"][..data.shape().len()].to_vec();
            let mut schema = ArraySchema::new(data.dtype(), &dims, data.shape()).with_fill_value(fill);
            if array != "whole" {
                schema.chunk_shape = data.shape().iter().map(|extent| extent.div_ceil(3).max(1)).collect();
            }
            store.define_array(&name, array, schema).unwrap();
            store.write_array(&name, array, &vec![0; data.shape().len()], &data).unwrap();
        };
        let floats: Vec<f32> = numbers(k).map(|cell| cell as f32 * 0.1).collect();
        write("f", ArrayData::from_numbers(shape.to_vec(), floats).unwrap(), Some(Scalar::Float32(f32::NAN)));
        let roots = numbers(k).map(|cell| (cell as f32).sqrt()).collect();
        write("roots", ArrayData::from_numbers(shape.to_vec(), roots).unwrap(), None);
        let doubles = numbers(k).map(|cell| (cell as f64).sqrt()).collect();
        write("whole", ArrayData::from_numbers(shape.to_vec(), doubles).unwrap(), None);
        let shorts = numbers(k).map(|cell| cell as i16).collect();
        write("i", ArrayData::from_numbers(shape.to_vec(), shorts).unwrap(), Some(Scalar::Int(-1)));
        // Encodings differ: equal steps, unequal steps, no steps at all.
        let times = Cells::I64((0..50i64).map(|hour| hour * 3_600_000_000_000).collect());
        write("t", ArrayData::try_new(DType::TimestampNanoseconds, vec![50], times).unwrap(), None);
        let walk = numbers(k).scan(0i64, |sum, cell| {
            *sum += (cell * 7919 % 65_536) as i64;
            Some(*sum)
        });
        write("walk", ArrayData::from_numbers(shape.to_vec(), walk.collect()).unwrap(), None);
        let mut random = Random(k);
        let readings = (0..1200).map(|_| random.below(5000) as u32).collect();
        write("r", ArrayData::from_numbers(shape.to_vec(), readings).unwrap(), None);
        let bools = Cells::U8(numbers(k).take(90).map(|cell| (cell & 1) as u8).collect());
        write("b", ArrayData::try_new(DType::Bool, vec![90], bools).unwrap(), None);
        let texts = numbers(k).take(60).map(|cell| format!("é{}", "x".repeat((cell % 90) as usize)));
        write("s", ArrayData::from_strings(vec![60], texts).unwrap(), Some(Scalar::String("é".into())));
        if k == 2 {
            store.flush().unwrap();
            // An overwritten chunk, a dead array.
            let row = ArrayData::from_numbers(vec![1, 40], vec![9i16; 40]).unwrap();
            store.write_array("d0", "i", &[3, 0], &row).unwrap();
            store.delete_array("d1", "f").unwrap();
        }
    }
    store.flush().unwrap();
    let storage: &dyn Storage = &storage;
    storage
        .list()
        .unwrap()
        .into_iter()
        .map(|info| {
            let bytes = storage.get(&info.object).unwrap().unwrap().0.to_vec();
            (info.object, bytes)
        })
        .collect()
}

fn storage_of(objects: &Objects) -> Arc<dyn Storage> {
    let storage = MemoryStorage::new();
    for (object, bytes) in objects {
        storage.replace(object, bytes, &Expected::Absent).unwrap();
    }
    Arc::new(storage)
}

/// The place and message of the last panic of a case.
static PANIC: Mutex<Option<String>> = Mutex::new(None);
/// One target at a time: the allocator counts for the whole process.
static RUNNING: Mutex<()> = Mutex::new(());

fn last_panic() -> std::sync::MutexGuard<'static, Option<String>> {
    PANIC.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs cases until the time is over; fails with one seed for each way in which cases failed.
fn fuzz(case: impl Fn(&mut Random)) {
    let _running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if RUNNING.try_lock().is_ok() {
                before(info);
                return;
            }
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            let message = info.payload_as_str().unwrap_or_default().chars().take(300).collect::<String>();
            last_panic().get_or_insert(format!("{place}: {message}"));
        }));
    });
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<f64>().ok());
    let end = Instant::now() + Duration::from_secs_f64(number("ATLAS_FUZZ_SECONDS").unwrap_or(0.5));
    let first = number("ATLAS_FUZZ_SEED").unwrap_or(0.0) as u64;
    let mut failures: BTreeMap<String, (u64, String)> = BTreeMap::new();
    let mut cases = 0;
    for seed in first.. {
        SEED.store(seed, Ordering::Relaxed);
        *last_panic() = None;
        let (result, peak) = peak_of(|| catch_unwind(AssertUnwindSafe(|| case(&mut Random(seed)))));
        let failure = match result {
            Err(_) => last_panic().take().or_else(|| Some("a panic".into())),
            Ok(()) => (peak > CAP).then(|| format!("allocation: {peak} bytes at once")),
        };
        if let Some(failure) = failure {
            let place = failure.split(": ").next().unwrap_or_default().to_string();
            failures.entry(place).or_insert((seed, failure));
        }
        cases += 1;
        if Instant::now() >= end {
            break;
        }
    }
    let failures: Vec<String> =
        failures.into_values().map(|(seed, failure)| format!("seed {seed}: {failure}")).collect();
    drop(_running);
    assert!(failures.is_empty(), "of {cases} cases:\n{}", failures.join("\n"));
}

const CODECS: [Codec; 4] = [Codec::Auto, Codec::Zstd, Codec::Lz4, Codec::None];

/// Fuzzes one segment of a store: `change` makes its bytes.
fn fuzz_segments(change: impl Fn(&mut Segment, &mut Random) -> Vec<u8>) {
    let stores = CODECS.map(build);
    fuzz(|random| {
        let mut objects = random.pick(&stores).clone();
        let names: Vec<String> = objects.keys().filter(|name| name.ends_with(".af")).cloned().collect();
        let name = random.pick(&names);
        let file = change(&mut Segment::parse(&objects[name]), random);
        let mut catalog = files::catalog_value(&objects["atlas.json"]);
        files::tie(&mut catalog, name, &file);
        objects.insert(name.clone(), file);
        let body = serde_json::to_vec(&catalog).unwrap();
        objects.insert("atlas.json".into(), files::catalog_file("atlas.json", &body));
        exercise::exercise(&storage_of(&objects));
    });
}

#[test]
fn the_fuzzed_stores_have_blocks_of_every_encoding() {
    let mut codes = std::collections::BTreeSet::new();
    for objects in CODECS.map(build) {
        for (_, bytes) in objects.iter().filter(|(name, _)| name.ends_with(".af")) {
            codes.extend(Index::parse(&Segment::parse(bytes).index).columns[0].iter().copied());
        }
    }
    assert_eq!(codes, (0..11).collect());
}

#[test]
fn segment_indexes() {
    fuzz_segments(|segment, random| {
        let mut index = Index::parse(&segment.index);
        for _ in 0..=random.below(2) {
            let column = random.below(index.columns.len());
            let at = random.below(index.columns[column].len());
            match random.below(6) {
                // A block, page or chunk more, or less.
                0 => Index::alike(column).for_each(|column| {
                    let cell = index.columns[column][at];
                    index.columns[column].insert(at, cell);
                }),
                1 if index.columns[column].len() > 1 => {
                    for column in Index::alike(column) {
                        index.columns[column].remove(at);
                    }
                }
                2 => {
                    let to = random.below(index.columns[column].len());
                    index.columns[column].swap(at, to);
                }
                _ => index.columns[column][at] = random.number(index.columns[column][at]),
            }
        }
        if random.below(2) == 0 {
            let width = [1, 1, 2, 4, 8, 1, 2, 4, 8, 4, 8, 8].get(segment.dtype as usize);
            for page in 0..index.columns[PAGE_RAW].len() {
                let cells = index.columns[PAGE_CELLS][page];
                index.columns[PAGE_RAW][page] =
                    width.map_or(index.columns[PAGE_RAW][page], |width| cells.wrapping_mul(*width));
            }
        }
        if random.below(4) > 0 {
            index.sign(&segment.blocks);
        }
        segment.index = index.encode();
        if random.below(6) == 0 {
            random.damage(&mut segment.index);
        }
        segment.build(|_| {})
    });
}

#[test]
fn blocks_and_pages() {
    fuzz_segments(|segment, random| {
        let mut index = Index::parse(&segment.index);
        random.overwrite(&mut segment.blocks[16..]);
        if random.below(4) == 0 {
            // Another encoding than the one the bytes are in.
            let at = random.below(index.columns[0].len());
            index.columns[0][at] = random.below(11) as u64;
        }
        index.sign(&segment.blocks);
        segment.index = index.encode();
        segment.build(|_| {})
    });
}

#[test]
fn zone_maps() {
    fuzz_segments(|segment, random| {
        if random.below(4) == 0 {
            random.damage(&mut segment.zones);
        }
        for _ in 0..=random.below(3) {
            let at = random.below(segment.zones.len() / 8) * 8;
            if let Some(word) = segment.zones[at..].first_chunk_mut() {
                *word = random.number(u64::from_le_bytes(*word)).to_le_bytes();
            }
        }
        segment.build(|_| {})
    });
}

#[test]
fn segment_headers_and_footers() {
    fuzz_segments(|segment, random| {
        if random.below(3) == 0 {
            random.overwrite(&mut segment.blocks[..16]);
            let crc = crc32c::crc32c(&segment.blocks[..12]);
            segment.blocks[12..16].copy_from_slice(&crc.to_le_bytes());
        }
        let mut file = segment.build(|footer| {
            let at = random.below(6) * 8;
            if let Some(word) = footer[at..].first_chunk_mut() {
                *word = random.number(u64::from_le_bytes(*word)).to_le_bytes();
            }
        });
        if random.below(8) == 0 {
            random.damage(&mut file);
        }
        file
    });
}

/// Fuzzes the catalog of a store: `change` makes the body of each variant.
fn fuzz_catalogs(names: &[&str], change: impl Fn(serde_json::Value, &str, &mut Random) -> Vec<u8>) {
    let objects = build(Codec::Auto);
    let catalog = files::catalog_value(&objects["atlas.json"]);
    fuzz(|random| {
        let mut objects = objects.clone();
        objects.remove("atlas.json");
        let name = random.pick(names);
        let body = change(catalog.clone(), name, random);
        objects.insert((*name).into(), files::catalog_file(name, &body));
        exercise::exercise(&storage_of(&objects));
    });
}

fn serialised(catalog: &serde_json::Value, name: &str) -> Vec<u8> {
    if name.contains("msgpack") { rmp_serde::to_vec(catalog).unwrap() } else { serde_json::to_vec(catalog).unwrap() }
}

const CATALOGS: [&str; 6] =
    ["atlas.json", "atlas.json.zst", "atlas.json.lz4", "atlas.msgpack", "atlas.msgpack.zst", "atlas.msgpack.lz4"];

#[test]
fn catalog_values() {
    fuzz_catalogs(&CATALOGS, |mut catalog, name, random| {
        for _ in 0..=random.below(3) {
            random.change(&mut catalog);
        }
        serialised(&catalog, name)
    });
}

#[test]
fn catalog_bytes() {
    fuzz_catalogs(&["atlas.json", "atlas.msgpack"], |catalog, name, random| {
        let mut body = serialised(&catalog, name);
        for _ in 0..=random.below(3) {
            random.damage(&mut body);
        }
        body
    });
}

/// Everything that a store says, as text: floats with their bits.
fn contents(storage: Arc<dyn Storage>) -> Result<String> {
    let snapshot = Store::open_on(storage)?.snapshot();
    let mut text = String::new();
    for (row, name) in (0u32..).zip(snapshot.dataset_names()) {
        text.push_str(&format!("{name:?} {:?}\n", snapshot.attributes(row)));
        for (family, entry) in snapshot.families().filter_map(|family| Some((family, family.entry(row)?))) {
            let data = snapshot.read(name, family.name(), None)?;
            text.push_str(&format!("{:?} {:?} {data:?}\n", family.name(), entry.statistics()));
        }
    }
    Ok(text)
}

#[test]
fn files_with_their_old_checksums() {
    let stores = CODECS.map(|codec| {
        let objects = build(codec);
        let catalog = serialised(&files::catalog_value(&objects["atlas.json"]), "msgpack");
        CATALOGS.map(|name| {
            let mut objects = objects.clone();
            let plain = objects.remove("atlas.json").unwrap();
            let file = if name.contains("msgpack") {
                files::catalog_file(name, &catalog)
            } else {
                files::catalog_file(name, plain.split_inclusive(|byte| *byte == b'\n').nth(1).unwrap_or(&plain))
            };
            objects.insert(name.into(), if name == "atlas.json" { plain } else { file });
            objects
        })
    });
    let expected = CODECS.map(|codec| contents(storage_of(&build(codec))).unwrap());
    fuzz(|random| {
        let codec = random.below(CODECS.len());
        let mut objects = random.pick(&stores[codec]).clone();
        let names: Vec<String> = objects.keys().cloned().collect();
        let name = random.pick(&names).clone();
        random.damage(objects.get_mut(&name).unwrap());
        match contents(storage_of(&objects)) {
            Ok(read) => assert_eq!(read, expected[codec], "{name}: other data without an error"),
            Err(error) => {
                let kinds = [ErrorKind::Corrupt, ErrorKind::UnsupportedVersion];
                assert!(kinds.contains(&error.kind()), "{name}: {error}");
            }
        }
    });
}

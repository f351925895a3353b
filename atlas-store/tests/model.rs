//! Random sequences of operations, with crashes, a second handle and compactions between them, compared after each step
//! with a plain model in memory.
//!
//! `PROPTEST_CASES` runs more sequences.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

#[path = "model/check.rs"]
mod check;
#[path = "model/plain.rs"]
mod plain;
#[path = "model/values.rs"]
mod values;

use atlas_store::{
    ArrayData, ArraySchema, Codec, CompactOptions, CreateOptions, DType, ErrorKind, LocalStorage, MemoryStorage,
    MetaCompression, MetaFormat, Region, Result, Scalar, Storage, Store,
};
use plain::Model;
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;
use values::Random;

const DATASETS: [&str; 5] = ["a", "b c", "é😀", "data.af", "..."];
const ARRAYS: [&str; 6] = ["t", "T", "sea temp °", "dot.", "%20", "e\u{301}"];
const KEYS: [&str; 4] = ["k", "K", "two words", "\"\n\0😀"];

/// One step; its seed decides which dataset, array and cells it is about.
#[derive(Debug, Clone, Copy)]
enum Step {
    CreateDataset,
    DeleteDataset,
    DefineArray,
    DeleteArray,
    RedefineArray,
    Write,
    SetAttribute,
    RemoveAttribute,
    Flush,
    Abandon,
    /// The handle goes without a flush; the store is opened again.
    Crash,
    Refresh,
    CompactAtOnce,
    CompactDefault,
    Verify,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::CreateDataset),
        1 => Just(Step::DeleteDataset),
        6 => Just(Step::DefineArray),
        1 => Just(Step::DeleteArray),
        1 => Just(Step::RedefineArray),
        8 => Just(Step::Write),
        3 => Just(Step::SetAttribute),
        1 => Just(Step::RemoveAttribute),
        4 => Just(Step::Flush),
        1 => Just(Step::Abandon),
        1 => Just(Step::Crash),
        1 => Just(Step::Refresh),
        1 => Just(Step::CompactAtOnce),
        1 => Just(Step::CompactDefault),
        1 => Just(Step::Verify),
    ]
}

/// Steps, with the handle that each goes through (mostly the first) and its seed.
fn steps(most: usize) -> impl Strategy<Value = Vec<(Step, bool, u64)>> {
    prop::collection::vec((step(), prop::bool::weighted(0.15), any::<u64>()), 1..most)
}

fn options(seed: u64) -> CreateOptions {
    let mut random = Random(seed);
    CreateOptions {
        codec: random.pick(&[Codec::Auto, Codec::Pco, Codec::Zstd, Codec::Lz4, Codec::None]),
        meta_format: random.pick(&[MetaFormat::Json, MetaFormat::Msgpack]),
        meta_compression: random.pick(&[MetaCompression::None, MetaCompression::Zstd, MetaCompression::Lz4]),
    }
}

struct Handle {
    store: Store,
    /// What its snapshot must hold.
    seen: Model,
    /// Whether the segments of its snapshot were promised to be there.
    is_whole: bool,
}

struct World {
    storage: Arc<dyn Storage>,
    handles: [Handle; 2],
    committed: Model,
    /// The handle that has unflushed mutations, and what it would flush.
    draft: Option<(usize, Model)>,
}

impl World {
    fn new(storage: Arc<dyn Storage>, options: CreateOptions) -> Self {
        Store::create_on(storage.clone(), options).unwrap();
        let open =
            || Handle { store: Store::open_on(storage.clone()).unwrap(), seen: Model::default(), is_whole: true };
        World { handles: [open(), open()], storage: storage.clone(), committed: Model::default(), draft: None }
    }

    /// What the next mutation of this handle would see.
    fn current(&self) -> &Model {
        self.draft.as_ref().map_or(&self.committed, |(_, model)| model)
    }

    fn caught_up(&mut self, at: usize) {
        self.handles[at].seen = self.committed.clone();
        self.handles[at].is_whole = true;
    }

    /// Does the same to store and model, which must agree on the outcome.
    fn mutate(
        &mut self,
        at: usize,
        what: &str,
        real: impl FnOnce(&Store) -> Result<()>,
        model: impl FnOnce(&mut Model) -> std::result::Result<(), ErrorKind>,
    ) -> bool {
        let outcome = real(&self.handles[at].store).map_err(|error| error.kind());
        if self.draft.as_ref().is_some_and(|(writer, _)| *writer != at) {
            assert_eq!(outcome, Err(ErrorKind::Conflict), "{what}: the other handle is writing");
            return false;
        }
        let mut next = self.current().clone();
        assert_eq!(outcome, model(&mut next), "{what}");
        if self.draft.is_none() {
            self.caught_up(at);
        }
        if outcome.is_ok() {
            self.draft = Some((at, next));
        }
        outcome.is_ok()
    }

    /// A dataset and an array: mostly ones that exist.
    fn pick_array(&self, random: &mut Random) -> (String, String) {
        let found: Vec<(&String, &String)> = self
            .current()
            .datasets
            .iter()
            .flat_map(|(name, dataset)| dataset.arrays.keys().map(move |array| (name, array)))
            .collect();
        if found.is_empty() || random.below(20) == 0 {
            return (random.pick(&DATASETS).into(), random.pick(&ARRAYS).into());
        }
        let (dataset, array) = random.pick(&found);
        (dataset.clone(), array.clone())
    }

    fn pick_dataset(&self, random: &mut Random) -> String {
        let names: Vec<&String> = self.current().datasets.iter().map(|(name, _)| name).collect();
        if names.is_empty() || random.below(20) == 0 {
            return random.pick(&DATASETS).into();
        }
        random.pick(&names).clone()
    }

    fn define(&mut self, at: usize, dataset: &str, array: &str, random: &mut Random) {
        let known = self.current().families.get(array).copied();
        let dtype = known.filter(|_| random.below(10) > 0).unwrap_or_else(|| random.pick(&DType::ALL));
        let like = self.current().datasets.iter().find_map(|(_, dataset)| dataset.arrays.get(array));
        let shape: Vec<u64> = match like {
            Some(like) if random.below(2) == 0 => like.schema.shape.clone(),
            _ => {
                let rank = random.below(5);
                let most = [1, 40, 9, 6, 4][rank as usize];
                (0..rank).map(|_| if random.below(12) == 0 { 0 } else { 1 + random.below(most) }).collect()
            }
        };
        let dims: Vec<String> = (0..shape.len()).map(|dim| format!("x{dim}")).collect();
        let dims: Vec<&str> = dims.iter().map(String::as_str).collect();
        let mut schema = ArraySchema::new(dtype, &dims, &shape);
        if random.below(4) > 0 {
            schema.chunk_shape = shape.iter().map(|extent| 1 + random.below(extent + 1)).collect();
        }
        if random.below(3) > 0 {
            schema.fill_value = Some(values::value(dtype, random));
        }
        let real = |store: &Store| store.define_array(dataset, array, schema.clone());
        self.mutate(at, "define", real, |model| model.define_array(dataset, array, &schema));
    }

    fn write(&mut self, at: usize, random: &mut Random) {
        let (dataset, array) = self.pick_array(random);
        let mut model = self.current().clone();
        let (dtype, shape) = match model.array(&dataset, &array) {
            Ok(found) => (found.schema.dtype, found.schema.shape.clone()),
            Err(_) => (DType::Int8, vec![]),
        };
        let (start, extent) = if random.below(3) == 0 { (vec![0; shape.len()], shape) } else { random.region(&shape) };
        let is_constant = random.below(4) == 0;
        let first = values::value(dtype, random);
        let cells: Vec<Scalar> = (0..extent.iter().product::<u64>())
            .map(|_| if is_constant { first.clone() } else { values::value(dtype, random) })
            .collect();
        let data = values::array(dtype, &extent, &cells);
        let real = |store: &Store| store.write_array(&dataset, &array, &start, &data);
        let is_written = self.mutate(at, "write", real, |model| {
            model.array(&dataset, &array)?.write(&start, &extent, &cells);
            Ok(())
        });
        if is_written {
            self.check_pending(&dataset, &array, random);
        }
    }

    /// Reads an array with its unflushed writes.
    fn check_pending(&mut self, dataset: &str, array: &str, random: &mut Random) {
        let Some((at, model)) = &mut self.draft else { return };
        let store = &self.handles[*at].store;
        let Ok(expected) = model.array(dataset, array) else {
            assert_eq!(store.read_array(dataset, array, None).unwrap_err().kind(), ErrorKind::NotFound);
            return;
        };
        let named = format!("unflushed {array:?} of {dataset:?}: {:?}", expected.schema);
        assert_eq!(check::scalars(&store.read_array(dataset, array, None).unwrap()), expected.cells, "{named}");
        let (start, extent) = random.region(&expected.schema.shape);
        let region = Region::try_new(start.clone(), extent.clone()).unwrap();
        let read = store.read_array(dataset, array, Some(&region)).unwrap();
        assert_eq!(read.shape(), extent, "{named}");
        assert_eq!(check::scalars(&read), expected.read(&start, &extent), "{named} {region:?}");
    }

    fn compact(&mut self, at: usize, options: CompactOptions) {
        let outcome = self.handles[at].store.compact(options);
        if self.draft.is_some() {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Conflict);
            return;
        }
        let report = outcome.unwrap();
        self.committed.compact();
        self.caught_up(at);
        let handle = &self.handles[at];
        assert_eq!(report.snapshot, handle.store.snapshot().number());
        assert_eq!(report.bytes_after, handle.store.snapshot().stored_bytes());
        if options.retention.is_zero() {
            assert_eq!(report.retained_bytes, 0);
            self.handles[1 - at].is_whole = false;
        }
    }

    fn verify(&self, at: usize) {
        let handle = &self.handles[at];
        if !handle.is_whole {
            return;
        }
        let report = handle.store.verify().unwrap();
        assert_eq!(report.problems, []);
        // Next to a writer, or to a newer snapshot, there are segments that this snapshot does not name.
        let newest = self.handles.iter().map(|handle| handle.store.snapshot().number()).max();
        if self.draft.is_none() && newest == Some(report.snapshot) {
            assert_eq!(report.orphans, Some(vec![]));
        }
    }

    fn run(&mut self, step: Step, at: usize, random: &mut Random) {
        match step {
            Step::CreateDataset => {
                let name = random.pick(&DATASETS);
                self.mutate(at, "create", |store| store.create_dataset(name), |model| model.create_dataset(name));
            }
            Step::DeleteDataset => {
                let name = self.pick_dataset(random);
                self.mutate(at, "delete", |store| store.delete_dataset(&name), |model| model.delete_dataset(&name));
            }
            Step::DefineArray => {
                let dataset = self.pick_dataset(random);
                self.define(at, &dataset, random.pick(&ARRAYS), random);
            }
            Step::DeleteArray | Step::RedefineArray => {
                let (dataset, array) = self.pick_array(random);
                let real = |store: &Store| store.delete_array(&dataset, &array);
                let deleted = self.mutate(at, "delete array", real, |model| model.delete_array(&dataset, &array));
                if deleted && matches!(step, Step::RedefineArray) {
                    self.define(at, &dataset, &array, random);
                }
            }
            Step::Write => self.write(at, random),
            Step::SetAttribute => {
                let (dataset, key, value) = (self.pick_dataset(random), random.pick(&KEYS), values::attribute(random));
                let real = |store: &Store| store.set_attribute(&dataset, key, value.clone());
                self.mutate(at, "set attribute", real, |model| {
                    model.dataset(&dataset)?.attributes.insert(key.into(), value.clone());
                    Ok(())
                });
            }
            Step::RemoveAttribute => {
                let (dataset, key) = (self.pick_dataset(random), random.pick(&KEYS));
                let was_clean = self.draft.is_none();
                let mut removed = false;
                let real = |store: &Store| store.remove_attribute(&dataset, key).map(|found| removed = found);
                let is_done = self.mutate(at, "remove attribute", real, |model| {
                    model.dataset(&dataset)?.attributes.remove(key);
                    Ok(())
                });
                if is_done && !removed && was_clean {
                    self.draft = None;
                }
            }
            Step::Flush => {
                let report = self.handles[at].store.flush().unwrap();
                assert_eq!(report.snapshot, self.handles[at].store.snapshot().number());
                if let Some((_, model)) = self.draft.take_if(|(writer, _)| *writer == at) {
                    self.committed = model;
                    self.caught_up(at);
                }
            }
            Step::Abandon => {
                self.handles[at].store.abandon();
                self.draft.take_if(|(writer, _)| *writer == at);
            }
            Step::Crash => {
                // Opened before the old handle goes: a reader next to a writer.
                self.handles[at].store = Store::open_on(self.storage.clone()).unwrap();
                self.draft.take_if(|(writer, _)| *writer == at);
                self.caught_up(at);
            }
            Step::Refresh => {
                let outcome = self.handles[at].store.refresh();
                if self.draft.as_ref().is_some_and(|(writer, _)| *writer == at) {
                    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Conflict);
                } else {
                    outcome.unwrap();
                    self.caught_up(at);
                }
            }
            Step::CompactAtOnce => self.compact(at, CompactOptions { retention: Duration::ZERO }),
            Step::CompactDefault => self.compact(at, CompactOptions::default()),
            Step::Verify => self.verify(at),
        }
    }

    fn check(&mut self, random: &mut Random) {
        for handle in &self.handles {
            let snapshot = handle.store.snapshot();
            check::metadata(&snapshot, &handle.seen);
            if handle.is_whole {
                check::arrays(&snapshot, &handle.seen, random);
            }
        }
        if let Some((at, model)) = &self.draft {
            for name in DATASETS {
                let is_there = model.datasets.iter().any(|(other, _)| other == name);
                assert_eq!(self.handles[*at].store.dataset_exists(name), is_there, "{name}");
            }
            let (dataset, array) = self.pick_array(random);
            self.check_pending(&dataset, &array, random);
        }
    }
}

fn run(storage: Arc<dyn Storage>, seed: u64, steps: &[(Step, bool, u64)]) {
    let mut world = World::new(storage.clone(), options(seed));
    for &(step, is_other, seed) in steps {
        let mut random = Random(seed);
        world.run(step, usize::from(is_other), &mut random);
        world.check(&mut random);
    }
    let mut random = Random(seed);
    for step in [Step::Flush, Step::Refresh, Step::Verify, Step::CompactAtOnce, Step::Verify] {
        let at = world.draft.as_ref().map_or(0, |(writer, _)| *writer);
        world.run(step, at, &mut random);
        world.check(&mut random);
    }
    let reopened = Store::open_on(storage).unwrap().snapshot();
    check::metadata(&reopened, &world.committed);
    check::arrays(&reopened, &world.committed, &mut random);
}

fn cases(default: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(default);
    ProptestConfig { cases, failure_persistence: None, max_shrink_time: 60_000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn a_store_in_memory_matches_the_model(seed in any::<u64>(), steps in steps(60)) {
        run(Arc::new(MemoryStorage::new()), seed, &steps);
    }
}

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn a_store_on_disk_matches_the_model(seed in any::<u64>(), steps in steps(40)) {
        let temp = tempfile::tempdir().unwrap();
        run(Arc::new(LocalStorage::new(temp.path().join("s"))), seed, &steps);
    }
}

proptest! {
    #![proptest_config(cases(6))]

    /// More bytes than are held in memory: chunks are encoded, spilled, and read back while they are overwritten.
    #[test]
    fn a_large_array_matches_a_vector(
        seed in any::<u64>(),
        chunk in 20_000u64..200_000,
        writes in prop::collection::vec((0u64..500_000, 0u64..300_000, any::<bool>()), 1..10),
    ) {
        const CELLS: u64 = 500_000;
        let store = Store::create_on(Arc::new(MemoryStorage::new()), options(seed)).unwrap();
        store.create_dataset("d").unwrap();
        let schema = ArraySchema::new(DType::Int32, &["x"], &[CELLS]).with_chunk_shape(&[chunk]);
        store.define_array("d", "v", schema.with_fill_value(Scalar::Int(-1))).unwrap();
        let mut expected = vec![-1i32; CELLS as usize];
        let mut random = Random(seed);
        for (start, count, is_flushed) in writes {
            let count = count.min(CELLS - start);
            let cells: Vec<i32> = (0..count).map(|_| random.next() as i32).collect();
            expected[start as usize..(start + count) as usize].copy_from_slice(&cells);
            store.write_array("d", "v", &[start], ArrayData::from_numbers(vec![count], cells).unwrap()).unwrap();
            prop_assert!(store.read_array("d", "v", None).unwrap().as_numbers::<i32>() == Some(&expected));
            if is_flushed {
                store.flush().unwrap();
                prop_assert!(store.snapshot().read("d", "v", None).unwrap().as_numbers::<i32>() == Some(&expected));
            }
        }
        store.flush().unwrap();
        store.compact(CompactOptions { retention: Duration::ZERO }).unwrap();
        prop_assert_eq!(store.verify().unwrap().problems, []);
        prop_assert!(store.snapshot().read("d", "v", None).unwrap().as_numbers::<i32>() == Some(&expected));
    }
}

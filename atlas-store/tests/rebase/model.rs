//! Random interleavings of writers, against a model that makes the changes of each again, one by one, in what was
//! committed meanwhile.

use super::{check, read, remote, schema};
use atlas_store::{ArrayData, Attribute, CreateOptions, DType, ErrorKind, Result, Storage, Store};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const DATASETS: [&str; 5] = ["a", "b", "c", "d", "e"];
const ARRAYS: [&str; 2] = ["t", "u"];
const KEYS: [&str; 2] = ["k", "l"];

#[derive(Debug, Clone, PartialEq)]
struct Array {
    /// Which declaration, and which write to it, made it what it is.
    declared: u64,
    written: u64,
    cells: Vec<i32>,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct Dataset {
    name: &'static str,
    attributes: BTreeMap<&'static str, i64>,
    arrays: BTreeMap<&'static str, Array>,
}

type Model = Vec<Dataset>;

/// A dataset, an array or key, a place, and a number that no other change has.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Change {
    Create(&'static str),
    Delete(&'static str),
    Define(&'static str, &'static str, u64),
    DeleteArray(&'static str, &'static str),
    Write(&'static str, &'static str, usize, u64),
    Set(&'static str, &'static str, u64),
    Remove(&'static str, &'static str),
}

use Change::{Create, Define, Delete, DeleteArray, Remove, Set, Write};

impl Change {
    fn dataset(self) -> &'static str {
        match self {
            Create(name) | Delete(name) | Define(name, ..) | DeleteArray(name, _) => name,
            Write(name, ..) | Set(name, ..) | Remove(name, _) => name,
        }
    }

    fn array(self) -> Option<&'static str> {
        match self {
            Define(_, array, _) | DeleteArray(_, array) | Write(_, array, ..) => Some(array),
            _ => None,
        }
    }

    /// Tells whether the model can be changed so; it is then.
    fn apply(self, model: &mut Model) -> bool {
        let found = model.iter().position(|dataset| dataset.name == self.dataset());
        let (Some(at), false) = (found, matches!(self, Create(_))) else {
            if let (Create(name), None) = (self, found) {
                model.push(Dataset { name, ..Dataset::default() });
            }
            return found.is_none() && matches!(self, Create(_));
        };
        let dataset = &mut model[at];
        match self {
            Create(_) => false,
            Delete(_) => {
                model.remove(at);
                true
            }
            Define(_, array, declared) => {
                let is_new = !dataset.arrays.contains_key(array);
                dataset.arrays.entry(array).or_insert(Array { declared, written: 0, cells: vec![0; 6] });
                is_new
            }
            DeleteArray(_, array) => dataset.arrays.remove(array).is_some(),
            Write(_, array, place, number) => dataset.arrays.get_mut(array).is_some_and(|array| {
                array.written = number;
                array.cells[place..].fill(number as i32);
                true
            }),
            Set(_, key, number) => {
                dataset.attributes.insert(key, number as i64);
                true
            }
            Remove(_, key) => dataset.attributes.remove(key).is_some(),
        }
    }

    fn make(self, store: &Store) -> Result<bool> {
        match self {
            Create(name) => store.create_dataset(name)?,
            Delete(name) => store.delete_dataset(name)?,
            Define(name, array, _) => store.define_array(name, array, schema(DType::Int32))?,
            DeleteArray(name, array) => store.delete_array(name, array)?,
            Write(name, array, place, number) => {
                let cells = vec![number as i32; 6 - place];
                let data = ArrayData::from_numbers(vec![cells.len() as u64], cells)?;
                store.write_array(name, array, &[place as u64], &data)?;
            }
            Set(name, key, number) => store.set_attribute(name, key, (number as i64).into())?,
            Remove(name, key) => return store.remove_attribute(name, key),
        }
        Ok(true)
    }
}

fn find<'m>(model: &'m Model, name: &str) -> Option<&'m Dataset> {
    model.iter().find(|dataset| dataset.name == name)
}

#[derive(Debug, Clone)]
struct Draft {
    base: Model,
    model: Model,
    changes: Vec<Change>,
}

impl Draft {
    fn push(&mut self, change: Change) {
        // What is deleted takes with it what was done to it before; and leaves nothing, if it came in this draft.
        let name = change.dataset();
        match change {
            Delete(_) => {
                let is_own = self.changes.contains(&Create(name));
                let was_deleted = self.changes.contains(&Delete(name));
                self.changes.retain(|other| other.dataset() != name);
                if !is_own || was_deleted {
                    self.changes.push(change);
                }
            }
            DeleteArray(_, array) => {
                let is = |other: &Change| other.dataset() == name && other.array() == Some(array);
                let is_own = self.changes.iter().any(|other| is(other) && matches!(other, Define(..)));
                let was_deleted = self.changes.contains(&change);
                self.changes.retain(|other| !is(other));
                if !is_own || was_deleted {
                    self.changes.push(change);
                }
            }
            _ => self.changes.push(change),
        }
    }

    /// The changes made again in `newest`; `None` where one of them cannot be.
    fn rebased(&self, newest: &Model) -> Option<Model> {
        let mut model = newest.clone();
        let (mut own, mut own_arrays) = (BTreeSet::new(), BTreeSet::new());
        for change in &self.changes {
            let name = change.dataset();
            let is_own = own.contains(name);
            if !is_own && !matches!(change, Create(_)) {
                let (then, now) = (find(&self.base, name)?, find(newest, name)?);
                match (change, change.array()) {
                    (Write(..) | DeleteArray(..), Some(array)) if !own_arrays.contains(&(name, array)) => {
                        let (then, now) = (then.arrays.get(array)?, now.arrays.get(array)?);
                        let is_written = matches!(change, Write(..)) && then.written != now.written;
                        if then.declared != now.declared || is_written {
                            return None;
                        }
                    }
                    _ => {
                        let mut arrays = then.arrays.iter();
                        let is_kept = |(array, then): (&&str, &Array)| {
                            now.arrays.get(*array).is_some_and(|now| now.declared == then.declared)
                        };
                        if !then.arrays.is_empty() && !arrays.any(is_kept) {
                            return None;
                        }
                    }
                }
            }
            match change {
                Create(name) => {
                    own.insert(*name);
                }
                Define(name, array, _) => {
                    own_arrays.insert((*name, *array));
                }
                _ => {}
            }
            // An attribute that somebody else removed too is removed.
            if !change.apply(&mut model) && !matches!(change, Remove(..)) {
                return None;
            }
        }
        Some(model)
    }
}

fn compare(store: &Store, model: &Model) {
    let snapshot = store.snapshot();
    assert_eq!(snapshot.dataset_names().collect::<Vec<_>>(), model.iter().map(|d| d.name).collect::<Vec<_>>());
    for (row, dataset) in (0u32..).zip(model) {
        for key in KEYS {
            let expected = dataset.attributes.get(key).copied().map(Attribute::Int64);
            assert_eq!(snapshot.attribute(row, key), expected, "{key} of {}", dataset.name);
        }
        for array in ARRAYS {
            let expected = dataset.arrays.get(array).map(|array| array.cells.clone());
            let found = snapshot.array(dataset.name, array).ok().map(|_| read(store, dataset.name, array));
            assert_eq!(found, expected, "{array} of {}", dataset.name);
        }
    }
}

/// The cells of a draft.
fn compare_draft(store: &Store, model: &Model) {
    for dataset in model {
        for (array, expected) in &dataset.arrays {
            let cells = store.read_array(dataset.name, array, None).unwrap();
            assert_eq!(cells.as_numbers::<i32>().unwrap(), expected.cells, "{array} of {}", dataset.name);
        }
    }
}

struct Writer {
    store: Store,
    draft: Option<Draft>,
}

struct World {
    storage: Arc<dyn Storage>,
    writers: Vec<Writer>,
    committed: Model,
    merges: usize,
    refusals: usize,
}

impl World {
    fn new() -> Self {
        let storage = remote();
        Store::create_on(storage.clone(), CreateOptions::default()).unwrap();
        let writer = || Writer { store: Store::open_on(storage.clone()).unwrap(), draft: None };
        let writers = (0..3).map(|_| writer()).collect();
        World { storage: storage.clone(), writers, committed: Model::new(), merges: 0, refusals: 0 }
    }

    fn change(&mut self, at: usize, change: Change) {
        let writer = &mut self.writers[at];
        let mut draft = writer.draft.clone().unwrap_or_else(|| Draft {
            base: self.committed.clone(),
            model: self.committed.clone(),
            changes: Vec::new(),
        });
        let is_possible = change.apply(&mut draft.model);
        assert_eq!(change.make(&writer.store).unwrap_or(false), is_possible, "{change:?}");
        if is_possible {
            draft.push(change);
            writer.draft = Some(draft);
        }
    }

    fn flush(&mut self, at: usize) {
        let writer = &mut self.writers[at];
        let Some(draft) = &mut writer.draft else { return };
        match writer.store.flush() {
            Ok(_) => {
                // Another writer may have committed the very same catalog, without cells: then this was that commit.
                if draft.base == self.committed {
                    self.committed = draft.model.clone();
                }
                writer.draft = None;
                compare(&writer.store, &self.committed);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Conflict);
                self.rebase(at);
            }
        }
    }

    fn rebase(&mut self, at: usize) {
        let writer = &mut self.writers[at];
        let Some(draft) = &mut writer.draft else { return };
        match (writer.store.rebase(), draft.rebased(&self.committed)) {
            (Ok(_), Some(model)) => {
                draft.base = self.committed.clone();
                draft.model = model;
                self.merges += 1;
                compare_draft(&writer.store, &draft.model);
            }
            (Err(error), None) => {
                let kinds = [ErrorKind::Conflict, ErrorKind::NotFound, ErrorKind::AlreadyExists];
                assert!(kinds.contains(&error.kind()), "{error}");
                assert!(DATASETS.iter().any(|name| error.to_string().contains(name)), "{error}");
                self.refusals += 1;
                compare_draft(&writer.store, &draft.model);
                writer.store.abandon();
                writer.draft = None;
            }
            (real, model) => panic!("{real:?}, but {model:?}\n{draft:?}\n{:?}", self.committed),
        }
    }
}

fn play(steps: &[(usize, u8, usize, usize, usize)]) -> World {
    let mut world = World::new();
    for (number, (at, what, dataset, which, place)) in (1u64..).zip(steps) {
        let (name, array, key) = (DATASETS[*dataset], ARRAYS[*which], KEYS[*which]);
        let change = match what {
            0..4 => Create(name),
            4 => Delete(name),
            5..9 => Define(name, array, number),
            9 => DeleteArray(name, array),
            10..14 => Write(name, array, *place, number),
            14..16 => Set(name, key, number),
            16 => Remove(name, key),
            17 => {
                world.rebase(*at);
                continue;
            }
            _ => {
                world.flush(*at);
                continue;
            }
        };
        world.change(*at, change);
    }
    for at in [0, 1, 2, 0, 1, 2] {
        world.flush(at);
    }
    let names: Vec<&str> = world.committed.iter().map(|dataset| dataset.name).collect();
    compare(&check(&world.storage, &names), &world.committed);
    world
}

fn steps() -> impl Strategy<Value = Vec<(usize, u8, usize, usize, usize)>> {
    prop::collection::vec((0..3usize, 0..23u8, 0..5usize, 0..2usize, 0..6usize), 1..120)
}

/// `PROPTEST_CASES` runs more sequences.
fn cases(default: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(default);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn random_interleavings_are_as_if_one_after_the_other(steps in steps()) {
        play(&steps);
    }
}

/// What the random sequences are worth: merges and refusals are both common.
#[test]
fn random_interleavings_merge_and_refuse() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut merges, mut refusals) = (0, 0);
    for _ in 0..50 {
        let world = play(&steps().new_tree(&mut runner).unwrap().current());
        merges += world.merges;
        refusals += world.refusals;
    }
    assert!(merges > 100 && refusals > 50, "{merges} merges, {refusals} refusals");
}

/// Writers that only add different datasets always go on, whatever the order.
#[test]
fn writers_that_add_different_datasets_never_fail() {
    let storage = remote();
    Store::create_on(storage.clone(), CreateOptions::default()).unwrap();
    let write = |writer: usize| {
        let store = Store::open_on(storage.clone()).unwrap();
        for number in 0..8 {
            super::add(&store, &format!("{writer}-{number}"), "t", [writer as i32; 6]).unwrap();
            loop {
                match store.flush() {
                    Err(error) if error.kind() == ErrorKind::Conflict => store.rebase().unwrap(),
                    flushed => break assert!(flushed.is_ok(), "{flushed:?}"),
                };
            }
        }
    };
    std::thread::scope(|scope| {
        for writer in 0..4 {
            scope.spawn(move || write(writer));
        }
    });
    let store = Store::open_on(storage.clone()).unwrap();
    assert_eq!(store.verify().unwrap().problems, []);
    for writer in 0..4 {
        for number in 0..8 {
            assert_eq!(read(&store, &format!("{writer}-{number}"), "t"), [writer; 6]);
        }
    }
}

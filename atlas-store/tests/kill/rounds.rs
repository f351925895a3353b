//! What round `n` of a writer changes, so that a reader can tell from the number of rounds what a store must hold.

use atlas_store::{ArrayData, ArraySchema, Attribute, DType, ErrorKind, Result, Scalar, Snapshot, Store};

/// Rows of the large array, 1.2 MiB: more than a writer holds in memory before it begins a segment's file.
const ROWS: u64 = 300;
const COLUMNS: u64 = 1024;
/// Every round rewrites a cell of this dataset, and counts itself there.
const COMMON: &str = "common";
/// Each round deletes the dataset that is this many rounds old.
const KEPT: u32 = 3;

/// Noise that no codec makes smaller.
fn noise(round: u32, cell: u64) -> i32 {
    let mut bits = (u64::from(round) << 40 | cell).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (bits >> 32) as i32
}

fn name(round: u32) -> String {
    format!("round {round}")
}

fn large(round: u32) -> ArrayData {
    // Every third round is large, so that kills hit segments at every size.
    let rows = if round.is_multiple_of(3) { ROWS } else { 2 };
    let cells = (0..rows * COLUMNS).map(|cell| noise(round, cell)).collect();
    ArrayData::from_numbers(vec![rows, COLUMNS], cells).unwrap()
}

/// The mutations of one round, unflushed.
pub(crate) fn apply(store: &Store, round: u32) -> Result<()> {
    if round == 0 {
        store.create_dataset(COMMON)?;
        let schema =
            ArraySchema::new(DType::Int64, &["slot"], &[8]).with_chunk_shape(&[3]).with_fill_value(Scalar::Int(-1));
        store.define_array(COMMON, "log", schema)?;
    }
    let name = name(round);
    store.create_dataset(&name)?;
    let data = large(round);
    let schema = ArraySchema::new(DType::Int32, &["row", "column"], data.shape()).with_chunk_shape(&[64, COLUMNS]);
    store.define_array(&name, "noise", schema)?;
    store.write_array(&name, "noise", &[0, 0], &data)?;
    store.define_array(&name, "text", ArraySchema::new(DType::String, &[], &[]))?;
    store.write_array(&name, "text", &[], &ArrayData::from_strings(vec![], [&name])?)?;
    store.set_attribute(&name, "round", i64::from(round).into())?;
    let cell = ArrayData::from_numbers(vec![1], vec![i64::from(round)])?;
    store.write_array(COMMON, "log", &[u64::from(round % 8)], &cell)?;
    store.set_attribute(COMMON, "rounds", (i64::from(round) + 1).into())?;
    if let Some(old) = round.checked_sub(KEPT) {
        store.delete_dataset(&self::name(old))?;
    }
    Ok(())
}

/// How many rounds a store holds.
pub(crate) fn committed(snapshot: &Snapshot) -> u32 {
    let rounds = snapshot.find_dataset(COMMON).and_then(|row| snapshot.attribute(row, "rounds"));
    match rounds {
        Some(Attribute::Int64(rounds)) => rounds as u32,
        None => 0,
        other => panic!("{other:?}"),
    }
}

/// Checks that a store holds exactly this many rounds.
pub(crate) fn check(snapshot: &Snapshot, rounds: u32) {
    let Some(last) = rounds.checked_sub(1) else {
        assert_eq!(snapshot.dataset_count(), 0);
        return;
    };
    let alive: Vec<u32> = (rounds.saturating_sub(KEPT)..rounds).collect();
    let names: Vec<String> =
        std::iter::once(COMMON.to_string()).chain(alive.iter().map(|round| name(*round))).collect();
    assert_eq!(snapshot.dataset_names().collect::<Vec<_>>(), names);
    for (round, name) in alive.into_iter().zip(&names[1..]) {
        assert_eq!(snapshot.read(name, "noise", None).unwrap(), large(round), "{name}");
        assert_eq!(snapshot.read(name, "text", None).unwrap(), ArrayData::from_strings(vec![], [name]).unwrap());
        let row = snapshot.find_dataset(name).unwrap();
        assert_eq!(snapshot.attributes(row), [("round".to_string(), Attribute::Int64(round.into()))]);
    }
    // The last round that wrote each slot of the log.
    let log = (0..8).map(|slot| i64::from(last) - (i64::from(last) - slot).rem_euclid(8)).map(|round| round.max(-1));
    let expected = ArrayData::from_numbers(vec![8], log.collect()).unwrap();
    assert_eq!(snapshot.read(COMMON, "log", None).unwrap(), expected);
    let gone = rounds.checked_sub(KEPT + 1).map(name);
    if let Some(gone) = gone {
        assert_eq!(snapshot.read(&gone, "noise", None).unwrap_err().kind(), ErrorKind::NotFound);
    }
}

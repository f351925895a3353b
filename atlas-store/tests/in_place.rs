//! Pages of codec `none` that storage reads into their place of the output: the same cells as ever, and checked as ever.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    dead_code,
    unreachable_pub,
    reason = "tests"
)]

#[path = "backend/counting.rs"]
mod counting;
#[path = "model/values.rs"]
mod values;

use atlas_store::{
    ArrayData, ArraySchema, Cells, Codec, CreateOptions, DType, Error, ErrorKind, LocalStorage, OpenOptions, ReadHooks,
    Region, Scalar, Snapshot, SpareMemory, Store,
};
use counting::{Counting, Counts};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use values::Random;

/// A store in a directory of its own, which is opened without a cache.
struct Fleet {
    directory: tempfile::TempDir,
    counts: Arc<Counts>,
    snapshot: Snapshot,
}

impl Fleet {
    fn new(codec: Codec, fill: impl Fn(&Store)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (storage, counts) = Counting::around(Arc::new(LocalStorage::new(directory.path())));
        let store = Store::create_on(storage.clone(), CreateOptions { codec, ..CreateOptions::default() }).unwrap();
        fill(&store);
        store.flush().unwrap();
        let snapshot = OpenOptions { cache_bytes: 0 }.open_on(storage).unwrap().snapshot();
        Fleet { directory, counts, snapshot }
    }

    fn segment(&self) -> PathBuf {
        self.directory.path().join("v/data.af")
    }

    /// A stacked read into memory that holds other cells, checked against reads of each dataset.
    fn check(&self, rows: &[u32], region: Option<&Region>) -> (u64, u64) {
        let plan = self.snapshot.plan_stacked("v", rows, region).unwrap();
        let spare = SpareMemory::new(usize::MAX);
        let output = plan.outputs().next().unwrap();
        spare.put(ones(output.dtype, output.cell_count()));
        self.counts.take();
        self.counts.take_placed_in(&[]);
        let stacked = plan.execute(ReadHooks::new().reusing(&spare)).unwrap();
        let (read, placed) = (self.counts.take().1, self.counts.take_placed_in(stacked[0].cells().as_bytes()));
        let mut expected = Vec::new();
        for row in rows {
            let data = self.snapshot.read(self.snapshot.dataset_name(*row), "v", None).unwrap();
            expected.extend(cut(&data, region));
        }
        assert!(stacked[0].cells().as_bytes() == expected, "{rows:?}, {region:?}");
        (read, placed)
    }
}

fn ones(dtype: DType, count: usize) -> Cells {
    match dtype {
        DType::Float32 => Cells::F32(vec![1.0; count]),
        DType::Int16 => Cells::I16(vec![1; count]),
        DType::Bool | DType::UInt8 => Cells::U8(vec![1; count]),
        _ => Cells::F64(vec![1.0; count]),
    }
}

/// The bytes of a region, cell by cell.
fn cut(data: &ArrayData, region: Option<&Region>) -> Vec<u8> {
    let (bytes, width) = (data.cells().as_bytes(), data.dtype().cell_bytes().unwrap());
    let Some(region) = region else { return bytes.to_vec() };
    let mut cut = Vec::new();
    for cell in 0..region.shape().iter().product::<u64>() {
        let (mut rest, mut place, mut stride) = (cell, 0, 1);
        for dim in (0..region.rank()).rev() {
            place += (region.start()[dim] + rest % region.shape()[dim]) * stride;
            rest /= region.shape()[dim];
            stride *= data.shape()[dim];
        }
        cut.extend_from_slice(&bytes[place as usize * width..][..width]);
    }
    cut
}

fn region(start: &[u64], shape: &[u64]) -> Region {
    Region::try_new(start.to_vec(), shape.to_vec()).unwrap()
}

/// Noise, which no codec makes smaller.
fn noise(shape: &[u64], seed: u64) -> ArrayData {
    let mut random = Random(seed);
    let cell = |_| f32::from_bits(random.below(1 << 32) as u32);
    ArrayData::from_numbers(shape.to_vec(), (0..shape.iter().product()).map(cell).collect()).unwrap()
}

fn add(store: &Store, row: u64, schema: &ArraySchema, data: &ArrayData) {
    let name = format!("d{row}");
    store.create_dataset(&name).unwrap();
    store.define_array(&name, "v", schema.clone()).unwrap();
    store.write_array(&name, "v", &vec![0; data.shape().len()], data).unwrap();
}

fn profiles(store: &Store, count: u64) {
    let schema = ArraySchema::new(DType::Float32, &["z", "t"], &[50, 168]);
    (0..count).for_each(|row| add(store, row, &schema, &noise(&[50, 168], row)));
}

#[test]
fn whole_pages_are_read_into_their_place_by_the_planned_requests() {
    let fleet = Fleet::new(Codec::None, |store| profiles(store, 90));
    let rows: Vec<u32> = (0..90).collect();
    let plan = fleet.snapshot.plan_stacked("v", &rows, None).unwrap();
    let (read, placed) = fleet.check(&rows, None);
    assert_eq!((read, placed), (plan.bytes(), plan.output_bytes()), "nothing is read twice, or beside it");
    assert!(plan.bytes() - plan.output_bytes() < 64 * 90, "but what lies between blocks");
    // Rows of a dataset are cells of a page; a page has twelve of them.
    let (_, placed) = fleet.check(&rows, Some(&region(&[12, 0], &[24, 168])));
    assert_eq!(placed, 90 * 24 * 168 * 4);
    let (_, placed) = fleet.check(&rows, Some(&region(&[5, 0], &[31, 168])));
    assert_eq!(placed, 90 * 24 * 168 * 4, "the page of rows 0 to 11 is wanted in part");
    let (_, placed) = fleet.check(&rows, Some(&region(&[0, 0], &[50, 167])));
    assert_eq!(placed, 0, "there are gaps between the cells");
    let mut shuffled = rows.clone();
    (0..90).for_each(|at| shuffled.swap(at, at * 37 % 90));
    assert_eq!(fleet.check(&shuffled, None), (plan.bytes(), plan.output_bytes()));
    fleet.check(&[7, 3, 7, 7], None);
    assert_eq!(fleet.check(&[0; 5], None).1, 0, "one page has one place");
}

#[test]
fn other_pages_are_decoded_beside_them() {
    let schema = ArraySchema::new(DType::Float32, &["z"], &[280_000]).with_chunk_shape(&[70_000]);
    let steps = ArrayData::from_numbers(vec![70_000], (0..70_000).map(|k| (k / 100) as f32).collect()).unwrap();
    for codec in [Codec::Zstd, Codec::Lz4] {
        // Noise is stored as it is, steps are compressed.
        let fleet = Fleet::new(codec, |store| {
            for row in 0..8 {
                add(store, row, &schema, &noise(&[280_000], row));
                store.write_array(&format!("d{row}"), "v", &[70_000 * (row % 4)], &steps).unwrap();
                if row % 3 == 0 {
                    store.flush().unwrap();
                }
            }
        });
        let rows: Vec<u32> = (0..8).rev().collect();
        let (_, placed) = fleet.check(&rows, None);
        assert_eq!(placed, 8 * 210_000 * 4, "{codec}");
        fleet.check(&rows, Some(&region(&[60_000], &[100_000])));
    }
}

#[test]
fn chunks_that_were_never_written_hold_fill_values() {
    let fleet = Fleet::new(Codec::None, |store| {
        for row in 0..20u64 {
            let schema = ArraySchema::new(DType::Float32, &["z"], &[12_000]).with_chunk_shape(&[4000]);
            let schema = schema.with_fill_value(Scalar::Float32(-9.0));
            add(store, row, &schema, &noise(&[4000 * (row % 4)], row));
        }
    });
    let rows: Vec<u32> = (0..20).collect();
    let (_, placed) = fleet.check(&rows, None);
    assert_eq!(placed, 5 * 12_000 * 4, "of the datasets that have all chunks");
}

#[test]
fn small_chunks_share_pages_and_are_copied() {
    let schema = ArraySchema::new(DType::Int16, &["z"], &[50]);
    let fleet = Fleet::new(Codec::None, |store| {
        for row in 0..500u64 {
            let cells = (0..50).map(|k| (row * 50 + k) as i16).collect();
            add(store, row, &schema, &ArrayData::from_numbers(vec![50], cells).unwrap());
        }
    });
    let rows: Vec<u32> = (0..500).collect();
    let plan = fleet.snapshot.plan_stacked("v", &rows, None).unwrap();
    assert_eq!(fleet.check(&rows, None), (plan.bytes(), 0));
}

#[test]
fn random_regions_of_random_arrays_are_right() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let shape: Vec<u64> = (0..random.below(3) + 1).map(|_| random.below(40) + 4).collect();
        let shape = if shape.len() == 1 { vec![shape[0] * 900] } else { shape };
        let chunk: Vec<u64> = match seed % 2 {
            0 => shape.clone(),
            _ => shape.iter().map(|extent| random.below(*extent) + 1).collect(),
        };
        let dims: Vec<&str> = ["x", "y", "z"][..shape.len()].to_vec();
        let schema = ArraySchema::new(DType::Float32, &dims, &shape).with_chunk_shape(&chunk);
        let fleet = Fleet::new(Codec::None, |store| {
            for row in 0..12 {
                add(store, row, &schema, &noise(&shape, row));
                if row % 5 == 4 {
                    store.flush().unwrap();
                }
            }
        });
        for _ in 0..6 {
            let rows: Vec<u32> = (0..random.below(12) + 1).map(|_| random.below(12) as u32).collect();
            fleet.check(&rows, None);
            let (start, extent) = random.region(&shape);
            fleet.check(&rows, Some(&region(&start, &extent)));
        }
    }
}

#[test]
fn text_and_bools_are_checked_as_ever() {
    let fleet = Fleet::new(Codec::None, |store| {
        store.create_dataset("d").unwrap();
        store.define_array("d", "v", ArraySchema::new(DType::String, &["z"], &[4000])).unwrap();
        let texts = ArrayData::from_strings(vec![4000], (0..4000).map(|k| format!("text {k}"))).unwrap();
        store.write_array("d", "v", &[0], &texts).unwrap();
        store.define_array("d", "b", ArraySchema::new(DType::Bool, &["z"], &[40_000])).unwrap();
        let bools = Cells::U8((0..40_000u32).map(|k| (k.wrapping_mul(2_654_435_761) >> 31) as u8).collect());
        store.write_array("d", "b", &[0], ArrayData::try_new(DType::Bool, vec![40_000], bools).unwrap()).unwrap();
    });
    let read = |array: &str| fleet.snapshot.read("d", array, None);
    assert_eq!(read("v").unwrap().scalar(3999), Some(Scalar::String("text 3999".into())));
    let bools = read("b").unwrap();
    assert_eq!(fleet.counts.take_placed_in(bools.cells().as_bytes()), 40_000);
    // A bool that is none, under a checksum that is right, in a file that says so.
    let file = fleet.directory.path().join("b/data.af");
    damage(&file, |bytes| bytes[100] = 2);
    assert_eq!(read("b").unwrap_err().kind(), ErrorKind::Corrupt);
}

/// Changes a file in place: who has it open sees that.
fn damage(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    change(&mut bytes);
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_damaged_byte_is_an_error_that_names_its_page_and_gives_no_cells() {
    let fleet = Fleet::new(Codec::None, |store| profiles(store, 20));
    let rows: Vec<u32> = (0..20).collect();
    let end = fleet.snapshot.plan_stacked("v", &rows, None).unwrap().bytes() as usize;
    let wanted = [None, Some(region(&[5, 0], &[45, 168]))];
    for at in (64..end).step_by(9973) {
        damage(&fleet.segment(), |bytes| bytes[at] ^= 4);
        match fleet.snapshot.read_stacked("v", &rows, None) {
            Err(Error::Corrupt { object, offset, .. }) => {
                assert!(
                    object == "v/data.af" && (offset..offset + (12 << 10)).contains(&(at as u64)),
                    "{at}: {offset}"
                );
            }
            other => panic!("{at}: {:?}", other.map(|data| data.shape().to_vec())),
        }
        damage(&fleet.segment(), |bytes| bytes[at] ^= 4);
        wanted.iter().for_each(|wanted| drop(fleet.snapshot.read_stacked("v", &rows, wanted.as_ref()).unwrap()));
    }
    fleet.check(&rows, None);
}

#[test]
fn a_file_that_was_cut_while_it_was_open_is_an_error() {
    let fleet = Fleet::new(Codec::None, |store| profiles(store, 20));
    let rows: Vec<u32> = (0..20).collect();
    fleet.check(&rows, None);
    let whole = fs::metadata(fleet.segment()).unwrap().len();
    // Ever shorter: what is cut off comes back as zeros.
    for len in [whole / 2 + 1, whole / 2, 5000, 20, 0] {
        fs::File::options().write(true).open(fleet.segment()).unwrap().set_len(len).unwrap();
        let error = fleet.snapshot.read_stacked("v", &rows, None).unwrap_err();
        assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains("truncated"), "{error}");
    }
}

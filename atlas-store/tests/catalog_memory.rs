//! What an open catalog costs in memory: a ceiling that holds in future.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

#[path = "fuzz/allocation.rs"]
#[allow(dead_code, reason = "shared with the fuzz tests, which need more of it")]
mod allocation;

use allocation::{Counting, held, peak_of};
use atlas_store::{
    ArrayData, ArraySchema, Attribute, Codec, CreateOptions, DType, MemoryStorage, MetaCompression, MetaFormat, Scalar,
    Store,
};
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const DATASETS: u32 = 20_000;
/// Ten attributes and five arrays with statistics that all differ: the bytes themselves are about 270 a dataset.
const MOST_HELD: usize = 400;
/// While the file, its unpacked form and what was parsed of it are held.
const MOST_AT_ONCE: usize = 1100;

fn fill(store: &Store) {
    for number in 0..DATASETS {
        let name = format!("cast{number:08}");
        store.create_dataset(&name).unwrap();
        for key in 0..4 {
            store.set_attribute(&name, &format!("int{key}"), i64::from(number * 31 + key).into()).unwrap();
            let float = f64::from(number * 17 + key).sqrt();
            store.set_attribute(&name, &format!("float{key}"), Attribute::Float64(float)).unwrap();
        }
        store.set_attribute(&name, "cruise", format!("AT{:03}", number / 1000).as_str().into()).unwrap();
        store.set_attribute(&name, "station", format!("station {number}").as_str().into()).unwrap();
        for array in 1..=5u16 {
            let name_of_array = format!("array{array}");
            let schema = ArraySchema::new(DType::Float32, &["z"], &[3]).with_fill_value(Scalar::Float32(f32::NAN));
            store.define_array(&name, &name_of_array, schema).unwrap();
            let first = if number % 3 == 0 { f32::NAN } else { 1.5 };
            let base = f64::from(number * u32::from(array)).sqrt() as f32;
            let cells = vec![first, base, base + f32::from(array)];
            store.write_array(&name, &name_of_array, &[0], ArrayData::from_numbers(vec![3], cells).unwrap()).unwrap();
        }
    }
    store.flush().unwrap();
}

#[test]
fn a_dataset_takes_a_few_hundred_bytes() {
    for (meta_format, meta_compression) in
        [(MetaFormat::Json, MetaCompression::None), (MetaFormat::Msgpack, MetaCompression::Zstd)]
    {
        let storage = MemoryStorage::new();
        let options = CreateOptions { codec: Codec::None, meta_format, meta_compression };
        fill(&Store::create_on(Arc::new(storage.clone()), options).unwrap());

        let before = held();
        let (store, peak) = peak_of(|| Store::open_on(Arc::new(storage)).unwrap());
        let held = held() - before;
        let snapshot = store.snapshot();
        assert_eq!(snapshot.dataset_count(), DATASETS as usize);
        let statistics = snapshot.array("cast00000007", "array2").unwrap().0.statistics().unwrap();
        assert_eq!((statistics.row_count, statistics.null_count), (3, 0));

        let each = |bytes: usize| bytes / DATASETS as usize;
        assert!(each(held) <= MOST_HELD, "{meta_format}+{meta_compression}: {} bytes a dataset", each(held));
        assert!(each(peak) <= MOST_AT_ONCE, "{meta_format}+{meta_compression}: {} bytes at once", each(peak));
    }
}

//! What a store gives back, through every kind of write.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

use atlas_store::{
    ArrayData, ArraySchema, Attribute, Cells, Codec, CreateOptions, DType, ErrorKind, MemoryStorage, MetaCompression,
    MetaFormat, Region, Scalar, Storage, Store, Sum, VarCells,
};
use std::sync::Arc;

fn memory() -> (Arc<dyn Storage>, Store) {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let store = Store::create_on(storage.clone(), CreateOptions::default()).unwrap();
    (storage, store)
}

fn region(start: &[u64], shape: &[u64]) -> Region {
    Region::try_new(start.to_vec(), shape.to_vec()).unwrap()
}

/// Cells of any dtype, different for each `seed`.
fn sample(dtype: DType, shape: &[u64], seed: u64) -> ArrayData {
    let count = shape.iter().product::<u64>();
    let noise = |k: u64| (k + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(seed) >> 20;
    let cells = match dtype {
        DType::Bool => Cells::U8((0..count).map(|k| (noise(k) & 1) as u8).collect()),
        DType::Int8 => Cells::I8((0..count).map(|k| noise(k) as i8).collect()),
        DType::Int16 => Cells::I16((0..count).map(|k| noise(k) as i16).collect()),
        DType::Int32 => Cells::I32((0..count).map(|k| noise(k) as i32).collect()),
        DType::Int64 | DType::TimestampNanoseconds => Cells::I64((0..count).map(|k| noise(k) as i64).collect()),
        DType::UInt8 => Cells::U8((0..count).map(|k| noise(k) as u8).collect()),
        DType::UInt16 => Cells::U16((0..count).map(|k| noise(k) as u16).collect()),
        DType::UInt32 => Cells::U32((0..count).map(|k| noise(k) as u32).collect()),
        DType::UInt64 => Cells::U64((0..count).map(noise).collect()),
        DType::Float32 => Cells::F32((0..count).map(|k| (noise(k) % 1000) as f32 / 8.0).collect()),
        DType::Float64 => Cells::F64((0..count).map(|k| (noise(k) % 1000) as f64 / 8.0).collect()),
        DType::String => Cells::Var((0..count).map(|k| format!("é{}", noise(k) % 50)).collect::<VarCells>()),
        DType::Binary => Cells::Var((0..count).map(|k| noise(k).to_le_bytes()[..(k % 8) as usize].to_vec()).collect()),
    };
    ArrayData::try_new(dtype, shape.to_vec(), cells).unwrap()
}

#[test]
fn every_dtype_rank_and_codec_round_trips() {
    let shapes: [&[u64]; 8] =
        [&[], &[7], &[0], &[5, 9], &[3, 0, 2], &[4, 3, 5], &[2, 2, 2, 2, 3], &[2, 1, 2, 1, 2, 1, 2, 3]];
    for codec in [Codec::Auto, Codec::Pco, Codec::Zstd, Codec::Lz4, Codec::None] {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        let store = Store::create_on(storage.clone(), CreateOptions { codec, ..CreateOptions::default() }).unwrap();
        let chunked = |shape: &[u64]| shape.iter().map(|extent| extent.div_ceil(2).max(1)).collect::<Vec<_>>();
        for (at, shape) in shapes.iter().enumerate() {
            let dataset = format!("d{at}");
            store.create_dataset(&dataset).unwrap();
            for dtype in DType::ALL {
                let dims: Vec<String> = (0..shape.len()).map(|dim| format!("x{dim}")).collect();
                let dims: Vec<&str> = dims.iter().map(String::as_str).collect();
                for (suffix, chunk) in
                    [("whole", shape.iter().map(|extent| (*extent).max(1)).collect()), ("cut", chunked(shape))]
                {
                    let array = format!("{dtype}-{suffix}");
                    store
                        .define_array(&dataset, &array, ArraySchema::new(dtype, &dims, shape).with_chunk_shape(&chunk))
                        .unwrap();
                    let start = vec![0; shape.len()];
                    store.write_array(&dataset, &array, &start, sample(dtype, shape, at as u64)).unwrap();
                }
            }
        }
        store.flush().unwrap();
        let snapshot = Store::open_on(storage).unwrap().snapshot();
        for (at, shape) in shapes.iter().enumerate() {
            for dtype in DType::ALL {
                for suffix in ["whole", "cut"] {
                    let array = format!("{dtype}-{suffix}");
                    let dataset = format!("d{at}");
                    let expected = sample(dtype, shape, at as u64);
                    let read = snapshot.read(&dataset, &array, None).unwrap();
                    assert_eq!(read, expected, "{codec} {array} {shape:?}");
                    let (entry, _) = snapshot.array(&dataset, &array).unwrap();
                    let stats = entry.statistics().unwrap();
                    assert_eq!(stats.row_count, shape.iter().product::<u64>());
                }
            }
        }
    }
}

#[test]
fn any_region_equals_the_same_region_of_the_whole() {
    let (storage, store) = memory();
    let shape = [7u64, 5, 6];
    store.create_dataset("d").unwrap();
    for dtype in [DType::Float32, DType::String] {
        let schema = ArraySchema::new(dtype, &["a", "b", "c"], &shape).with_chunk_shape(&[3, 2, 4]);
        store.define_array("d", dtype.name(), schema).unwrap();
        store.write_array("d", dtype.name(), &[0, 0, 0], sample(dtype, &shape, 1)).unwrap();
    }
    store.flush().unwrap();
    let snapshot = Store::open_on(storage).unwrap().snapshot();
    for dtype in [DType::Float32, DType::String] {
        let whole = sample(dtype, &shape, 1);
        for (start, extent) in [
            ([0, 0, 0], [7, 5, 6]),
            ([2, 1, 3], [3, 3, 2]),
            ([6, 4, 5], [1, 1, 1]),
            ([0, 2, 0], [7, 1, 6]),
            ([3, 0, 0], [3, 5, 6]),
            ([1, 1, 1], [0, 2, 2]),
        ] {
            let read = snapshot.read("d", dtype.name(), Some(&region(&start, &extent))).unwrap();
            assert_eq!(read.shape(), extent);
            let mut at = 0;
            for a in start[0]..start[0] + extent[0] {
                for b in start[1]..start[1] + extent[1] {
                    for c in start[2]..start[2] + extent[2] {
                        assert_eq!(read.scalar(at), whole.scalar((a * 30 + b * 6 + c) as usize));
                        at += 1;
                    }
                }
            }
        }
    }
}

#[test]
fn a_stacked_read_is_every_dataset_in_the_order_asked() {
    for codec in [Codec::Auto, Codec::Zstd, Codec::Lz4, Codec::None] {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        let store = Store::create_on(storage, CreateOptions { codec, ..CreateOptions::default() }).unwrap();
        let shape = [20u64, 30];
        for k in 0..300u64 {
            let name = format!("d{k}");
            store.create_dataset(&name).unwrap();
            store.define_array(&name, "t", ArraySchema::new(DType::Float32, &["z", "t"], &shape)).unwrap();
            store.write_array(&name, "t", &[0, 0], sample(DType::Float32, &shape, k)).unwrap();
        }
        store.flush().unwrap();
        let snapshot = store.snapshot();
        let rows: Vec<u32> = (0..300u32).map(|k| (k * 7) % 300).collect();
        let slice = region(&[3, 0], &[4, 30]);
        let stacked = snapshot.read_stacked("t", &rows, Some(&slice)).unwrap();
        assert_eq!(stacked.shape(), [300, 4, 30]);
        let cells = stacked.as_numbers::<f32>().unwrap();
        for (at, row) in rows.iter().enumerate() {
            let whole = sample(DType::Float32, &shape, u64::from(*row));
            assert_eq!(cells[at * 120..(at + 1) * 120], whole.as_numbers::<f32>().unwrap()[90..210], "{codec} {row}");
        }
        let plan = snapshot.plan_stacked("t", &[5], Some(&slice)).unwrap();
        assert_eq!(plan.chunks(), 1);
        assert!(plan.bytes() <= snapshot.stored_bytes() / 4 || codec != Codec::Auto, "{}", plan.bytes());
    }
}

#[test]
fn partial_writes_cross_chunks_and_later_ones_win() {
    let (storage, store) = memory();
    let schema = ArraySchema::new(DType::Int32, &["x"], &[10]).with_chunk_shape(&[4]).with_fill_value(Scalar::Int(-1));
    store.create_dataset("d").unwrap();
    store.define_array("d", "v", schema).unwrap();
    let numbers = |cells: Vec<i32>| ArrayData::from_numbers(vec![cells.len() as u64], cells).unwrap();
    store.write_array("d", "v", &[2], numbers(vec![1, 2, 3])).unwrap();
    assert_eq!(store.read_array("d", "v", None).unwrap(), numbers(vec![-1, -1, 1, 2, 3, -1, -1, -1, -1, -1]));
    store.flush().unwrap();
    store.write_array("d", "v", &[4], numbers(vec![9, 8])).unwrap();
    store.write_array("d", "v", &[5], numbers(vec![7])).unwrap();
    let expected = numbers(vec![-1, -1, 1, 2, 9, 7, -1, -1, -1, -1]);
    assert_eq!(store.read_array("d", "v", None).unwrap(), expected);
    store.flush().unwrap();
    let snapshot = Store::open_on(storage).unwrap().snapshot();
    assert_eq!(snapshot.read("d", "v", None).unwrap(), expected);
    let stats = snapshot.array("d", "v").unwrap().0.statistics().unwrap();
    assert_eq!((stats.row_count, stats.null_count), (10, 6));
    assert_eq!((&stats.min, &stats.max), (&Some(Scalar::Int(1)), &Some(Scalar::Int(9))));
    assert_eq!(stats.sum, Some(Sum::Int(19)));
}

#[test]
fn nothing_is_visible_before_a_flush_and_all_of_it_after() {
    let (storage, store) = memory();
    store.create_dataset("a").unwrap();
    store.set_attribute("a", "k", Attribute::Int64(1)).unwrap();
    assert_eq!(Store::open_on(storage.clone()).unwrap().snapshot().dataset_count(), 0);
    assert_eq!(store.snapshot().dataset_count(), 0);
    store.abandon();
    assert!(!store.dataset_exists("a"));
    store.create_dataset("b").unwrap();
    store.flush().unwrap();
    let reader = Store::open_on(storage).unwrap();
    let before = reader.snapshot();
    assert_eq!(before.dataset_names().collect::<Vec<_>>(), ["b"]);
    store.create_dataset("c").unwrap();
    store.flush().unwrap();
    assert_eq!(before.dataset_count(), 1);
    assert!(reader.refresh().unwrap());
    assert_eq!(reader.snapshot().dataset_count(), 2);
    assert!(!reader.refresh().unwrap());
}

#[test]
fn a_second_writer_is_told_and_the_first_loses_nothing() {
    let (storage, first) = memory();
    let second = Store::open_on(storage).unwrap();
    first.create_dataset("a").unwrap();
    assert_eq!(second.create_dataset("b").unwrap_err().kind(), ErrorKind::Conflict);
    first.flush().unwrap();
    second.create_dataset("b").unwrap();
    second.flush().unwrap();
    assert_eq!(second.snapshot().dataset_names().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn attributes_keep_their_types_in_every_catalog_variant() {
    let values = [
        ("bool", Attribute::Bool(true)),
        ("int", Attribute::Int64(i64::MIN)),
        ("one", Attribute::Float64(1.0)),
        ("nan", Attribute::Float64(f64::NAN)),
        ("inf", Attribute::Float64(f64::NEG_INFINITY)),
        ("tiny", Attribute::Float64(5e-324)),
        ("like a time", Attribute::String("2023-11-14T22:13:20Z".into())),
        ("time", Attribute::Timestamp(1_700_000_000_000_000_000)),
        ("emoji 😀 \"\\\n", Attribute::String("\u{0}\u{1F600}\"".into())),
    ];
    for meta_format in [MetaFormat::Json, MetaFormat::Msgpack] {
        for meta_compression in [MetaCompression::None, MetaCompression::Zstd, MetaCompression::Lz4] {
            let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
            let options = CreateOptions { meta_format, meta_compression, ..CreateOptions::default() };
            let store = Store::create_on(storage.clone(), options).unwrap();
            store.create_dataset("other").unwrap();
            store.create_dataset("d").unwrap();
            for (key, value) in &values {
                store.set_attribute("d", key, Attribute::Int64(0)).unwrap();
                store.set_attribute("d", key, value.clone()).unwrap();
            }
            store.set_attribute("other", "int", Attribute::String("mixed".into())).unwrap();
            let fill = Scalar::Float32(f32::from_bits(f32::NAN.to_bits() | 5));
            let schema = ArraySchema::new(DType::Float32, &["x"], &[2]).with_fill_value(fill.clone());
            store.define_array("d", "v", schema).unwrap();
            store.flush().unwrap();
            let reopened = Store::open_on(storage).unwrap();
            assert_eq!(reopened.options(), options);
            let snapshot = reopened.snapshot();
            for (key, value) in &values {
                assert_eq!(snapshot.attribute(1, key).as_ref(), Some(value), "{key}");
            }
            assert_eq!(snapshot.attribute(0, "int"), Some(Attribute::String("mixed".into())));
            assert_eq!(snapshot.attribute(0, "bool"), None);
            let (entry, schema) = snapshot.array("d", "v").unwrap();
            assert_eq!(schema.fill_value, Some(fill));
            assert_eq!(entry.statistics().unwrap().null_count, 2);
        }
    }
}

#[test]
fn deleting_and_declaring_again_forgets_the_old_cells() {
    let (storage, store) = memory();
    for name in ["a", "b", "c"] {
        store.create_dataset(name).unwrap();
        store.define_array(name, "v", ArraySchema::new(DType::Int16, &["x"], &[2])).unwrap();
        store.write_array(name, "v", &[0], ArrayData::from_numbers(vec![2], vec![1i16, 2]).unwrap()).unwrap();
        store.set_attribute(name, "name", name.into()).unwrap();
    }
    store.flush().unwrap();
    store.delete_array("c", "v").unwrap();
    store.define_array("c", "v", ArraySchema::new(DType::Int16, &["x"], &[3])).unwrap();
    store.delete_dataset("a").unwrap();
    store.create_dataset("a").unwrap();
    store.set_attribute("a", "again", true.into()).unwrap();
    store.flush().unwrap();
    let snapshot = Store::open_on(storage).unwrap().snapshot();
    assert_eq!(snapshot.dataset_names().collect::<Vec<_>>(), ["b", "c", "a"]);
    assert_eq!(snapshot.read("c", "v", None).unwrap(), ArrayData::from_numbers(vec![3], vec![0i16; 3]).unwrap());
    assert_eq!(snapshot.read("b", "v", None).unwrap(), ArrayData::from_numbers(vec![2], vec![1i16, 2]).unwrap());
    assert_eq!(snapshot.attributes(2), [("again".to_string(), Attribute::Bool(true))]);
    assert_eq!(snapshot.read("a", "v", None).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn bad_requests_name_the_thing_and_the_numbers() {
    let (_, store) = memory();
    store.create_dataset("d").unwrap();
    store.define_array("d", "v", ArraySchema::new(DType::Float32, &["x", "y"], &[2, 3])).unwrap();
    let floats = |shape: &[u64]| {
        ArrayData::from_numbers(shape.to_vec(), vec![0f32; shape.iter().product::<u64>() as usize]).unwrap()
    };
    let check = |result: atlas_store::Result<()>, kind: ErrorKind, words: &[&str]| {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let text = error.to_string();
        assert!(words.iter().all(|word| text.contains(word)) && !text.contains('\n'), "{text}");
    };
    check(store.create_dataset("d"), ErrorKind::AlreadyExists, &["dataset", "d"]);
    check(store.create_dataset("a/b"), ErrorKind::InvalidArgument, &["a/b"]);
    check(store.write_array("x", "v", &[0, 0], floats(&[1, 1])), ErrorKind::NotFound, &["dataset", "x"]);
    check(store.write_array("d", "w", &[0, 0], floats(&[1, 1])), ErrorKind::NotFound, &["array", "w", "d"]);
    check(store.write_array("d", "v", &[1, 1], floats(&[1, 3])), ErrorKind::OutOfBounds, &["v", "d", "4", "3"]);
    check(store.write_array("d", "v", &[0], floats(&[1])), ErrorKind::OutOfBounds, &["rank 1", "rank 2"]);
    let doubles = ArrayData::from_numbers(vec![1, 1], vec![0f64]).unwrap();
    check(store.write_array("d", "v", &[0, 0], &doubles), ErrorKind::DtypeMismatch, &["float32", "float64"]);
    store.create_dataset("e").unwrap();
    let other = ArraySchema::new(DType::Int8, &["x"], &[1]);
    check(store.define_array("e", "v", other), ErrorKind::DtypeMismatch, &["v", "float32", "int8"]);
    let bad_fill = ArraySchema::new(DType::Int8, &["x"], &[1]).with_fill_value(Scalar::Int(1000));
    check(store.define_array("e", "w", bad_fill), ErrorKind::InvalidArgument, &["w", "1000", "int8"]);
    store.flush().unwrap();
    let snapshot = store.snapshot();
    let far = region(&[0, 2], &[1, 2]);
    check(snapshot.read("d", "v", Some(&far)).map(drop), ErrorKind::OutOfBounds, &["v", "d", "dimension 1", "4", "3"]);
    check(snapshot.read_stacked("v", &[0, 1], None).map(drop), ErrorKind::NotFound, &["v", "e"]);
}

#[test]
fn ragged_shapes_do_not_stack_but_read_across() {
    let (_, store) = memory();
    for (name, extent) in [("a", 2u64), ("b", 3)] {
        store.create_dataset(name).unwrap();
        store.define_array(name, "v", ArraySchema::new(DType::UInt8, &["x"], &[extent])).unwrap();
    }
    store.create_dataset("c").unwrap();
    store.flush().unwrap();
    let snapshot = store.snapshot();
    let error = snapshot.read_stacked("v", &[0, 1], None).unwrap_err().to_string();
    assert!(error.contains("[3]") && error.contains("[2]") && error.contains('b'), "{error}");
    let across = snapshot.read_across("v", &[0, 1, 2], None).unwrap();
    assert_eq!(
        across.iter().map(|array| array.as_ref().map(|array| array.shape()[0])).collect::<Vec<_>>(),
        [Some(2), Some(3), None]
    );
    assert_eq!(snapshot.read_stacked("v", &[1, 0], Some(&region(&[0], &[2]))).unwrap().shape(), [2, 2]);
}

#[test]
fn an_array_that_was_deleted_before_the_flush_leaves_nothing() {
    let (storage, store) = memory();
    store.create_dataset("a").unwrap();
    store.define_array("a", "v", ArraySchema::new(DType::Int16, &["x"], &[2])).unwrap();
    store.write_array("a", "v", &[0], ArrayData::from_numbers(vec![2], vec![1i16, 2]).unwrap()).unwrap();
    store.delete_dataset("a").unwrap();
    store.create_dataset("b").unwrap();
    store.define_array("b", "v", ArraySchema::new(DType::Float64, &["x"], &[1])).unwrap();
    store.write_array("b", "v", &[0], ArrayData::from_numbers(vec![1], vec![0.5f64]).unwrap()).unwrap();
    store.define_array("b", "w", ArraySchema::new(DType::Float64, &["x"], &[1])).unwrap();
    store.delete_array("b", "w").unwrap();
    store.flush().unwrap();
    let snapshot = Store::open_on(storage).unwrap().snapshot();
    assert_eq!(snapshot.families().map(|family| family.name().to_string()).collect::<Vec<_>>(), ["v"]);
    assert_eq!(snapshot.read("b", "v", None).unwrap(), ArrayData::from_numbers(vec![1], vec![0.5f64]).unwrap());
}

#[test]
fn chunks_are_told_with_their_places_and_zone_maps() {
    let (_, store) = memory();
    let schema = ArraySchema::new(DType::Int32, &["x", "y"], &[5, 6]).with_chunk_shape(&[2, 4]);
    store.create_dataset("d").unwrap();
    store.define_array("d", "v", schema).unwrap();
    let numbers = |from: i32, shape: &[u64]| {
        let count = shape.iter().product::<u64>() as i32;
        ArrayData::from_numbers(shape.to_vec(), (from..from + count).collect()).unwrap()
    };
    store.write_array("d", "v", &[0, 0], numbers(0, &[4, 6])).unwrap();
    store.flush().unwrap();
    store.write_array("d", "v", &[2, 4], numbers(100, &[2, 2])).unwrap();
    store.flush().unwrap();
    let snapshot = store.snapshot();
    let chunks = snapshot.chunks(0, "v").unwrap();
    let told: Vec<_> = chunks
        .iter()
        .map(|chunk| (chunk.index, chunk.region.start(), chunk.region.shape(), chunk.statistics.max.clone()))
        .collect();
    let max = |max: i64| Some(Scalar::Int(max));
    // The last two, of row 4, were never written.
    assert_eq!(
        told,
        [
            (0, &[0, 0][..], &[2, 4][..], max(9)),
            (1, &[0, 4], &[2, 2], max(11)),
            (2, &[2, 0], &[2, 4], max(21)),
            (3, &[2, 4], &[2, 2], max(103)),
        ]
    );
    assert!(chunks[0].segment == chunks[2].segment && chunks[2].segment != chunks[3].segment);
    assert!(chunks.iter().all(|chunk| chunk.offset >= 16 && chunk.stored_bytes > 0 && !chunk.codec.is_empty()));
    assert_eq!(snapshot.chunk_totals("v", &[0]).unwrap().0, 4);
    assert_eq!(snapshot.chunks(0, "w").unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn declarations_of_a_family_are_listed_once() {
    let (_, store) = memory();
    let declarations = |store: &Store| -> Vec<Vec<u64>> {
        let snapshot = store.snapshot();
        let family = snapshot.family("v").unwrap();
        snapshot.declarations(family).into_iter().map(|schema| schema.shape.clone()).collect()
    };
    let define = |dataset: &str, shape: &[u64]| {
        store.create_dataset(dataset).unwrap();
        store.define_array(dataset, "v", ArraySchema::new(DType::Int8, &["z"], shape)).unwrap();
    };
    define("a", &[3]);
    define("b", &[3]);
    store.flush().unwrap();
    assert_eq!(declarations(&store), [[3]]);
    for (dataset, shape) in [("c", [5]), ("d", [3]), ("e", [5])] {
        define(dataset, &shape);
    }
    store.flush().unwrap();
    assert_eq!(declarations(&store), [[3], [5]]);
    for dataset in ["a", "b", "d"] {
        store.delete_dataset(dataset).unwrap();
    }
    store.flush().unwrap();
    assert_eq!(declarations(&store), [[5]]);
    for dataset in ["c", "e"] {
        store.delete_dataset(dataset).unwrap();
    }
    store.flush().unwrap();
    assert!(store.snapshot().find_family("v").is_none_or(|family| store.snapshot().declarations(family).is_empty()));
}

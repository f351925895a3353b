//! Damaged files: an error that names the object, or the right data; never other data, never a panic.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

use atlas_store::{
    ArrayData, ArraySchema, Codec, CreateOptions, Error, ErrorKind, MetaCompression, MetaFormat, Result, Scalar,
    Snapshot, Statistics, Store,
};
use atlas_store::{Attribute, DType};
use std::fs;
use std::path::{Path, PathBuf};

/// Everything that a store holds, as values.
type Contents = Vec<(String, Vec<(String, Attribute)>, Vec<(String, ArrayData, Option<Statistics>)>)>;

fn contents(snapshot: &Snapshot) -> Result<Contents> {
    let mut all = Vec::new();
    for (row, name) in snapshot.dataset_names().enumerate() {
        let mut arrays = Vec::new();
        for family in snapshot.families() {
            if let Some(entry) = family.entry(row as u32) {
                let data = snapshot.read(name, family.name(), None)?;
                arrays.push((family.name().to_string(), data, entry.statistics()));
            }
        }
        all.push((name.to_string(), snapshot.attributes(row as u32), arrays));
    }
    Ok(all)
}

fn build(directory: &Path, options: CreateOptions) -> Contents {
    let store = Store::create(directory.to_str().unwrap(), options).unwrap();
    for k in 0..3u32 {
        let name = format!("d{k}");
        store.create_dataset(&name).unwrap();
        store.set_attribute(&name, "k", i64::from(k).into()).unwrap();
        let schema = ArraySchema::new(DType::Float32, &["z", "t"], &[6, 5])
            .with_chunk_shape(&[4, 5])
            .with_fill_value(Scalar::Float32(f32::NAN));
        store.define_array(&name, "t", schema).unwrap();
        let cells = (0..30).map(|cell| (cell as f32 * 0.7 + k as f32).sin()).collect();
        store.write_array(&name, "t", &[0, 0], ArrayData::from_numbers(vec![6, 5], cells).unwrap()).unwrap();
        store.define_array(&name, "h", ArraySchema::new(DType::Int64, &["h"], &[24])).unwrap();
        let hours = (0..24i64).map(|hour| (i64::from(k) * 24 + hour) * 3_600_000_000_000).collect();
        store.write_array(&name, "h", &[0], ArrayData::from_numbers(vec![24], hours).unwrap()).unwrap();
        store.define_array(&name, "s", ArraySchema::new(DType::String, &["z"], &[2])).unwrap();
        store.write_array(&name, "s", &[0], ArrayData::from_strings(vec![2], ["ab", "é"]).unwrap()).unwrap();
    }
    store.flush().unwrap();
    contents(&store.snapshot()).unwrap()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().is_some_and(|name| name != "atlas.lock") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read_all(directory: &Path) -> Result<Contents> {
    contents(&Store::open(directory.to_str().unwrap())?.snapshot())
}

fn check(directory: &Path, expected: &Contents, what: &str, may_be_right: bool) {
    match read_all(directory) {
        Ok(read) => assert!(may_be_right && read == *expected, "{what}: read without an error"),
        Err(error) => {
            let kinds = [ErrorKind::Corrupt, ErrorKind::UnsupportedVersion, ErrorKind::NotFound];
            assert!(kinds.contains(&error.kind()), "{what}: {error}");
            assert!(!error.to_string().contains('\n'), "{what}: {error}");
        }
    }
}

#[test]
fn every_flipped_byte_of_a_segment_is_an_error() {
    for codec in [Codec::Auto, Codec::Zstd, Codec::Lz4, Codec::None] {
        let temp = tempfile::tempdir().unwrap();
        let directory = temp.path().join("s");
        let expected = build(&directory, CreateOptions { codec, ..CreateOptions::default() });
        for file in files(&directory).into_iter().filter(|file| file.extension().is_some_and(|name| name == "af")) {
            let bytes = fs::read(&file).unwrap();
            for at in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << (at % 8);
                fs::write(&file, &damaged).unwrap();
                check(&directory, &expected, &format!("{codec} {} byte {at}", file.display()), false);
            }
            fs::write(&file, &bytes).unwrap();
        }
        assert_eq!(read_all(&directory).unwrap(), expected);
    }
}

#[test]
fn every_flipped_byte_of_a_catalog_is_an_error_or_harmless() {
    for meta_format in [MetaFormat::Json, MetaFormat::Msgpack] {
        for meta_compression in [MetaCompression::None, MetaCompression::Zstd, MetaCompression::Lz4] {
            let temp = tempfile::tempdir().unwrap();
            let directory = temp.path().join("s");
            let expected =
                build(&directory, CreateOptions { meta_format, meta_compression, ..CreateOptions::default() });
            let catalog = files(&directory).into_iter().find(|file| file.parent() == Some(&directory)).unwrap();
            let bytes = fs::read(&catalog).unwrap();
            let is_plain = meta_compression == MetaCompression::None;
            for at in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << (at % 8);
                fs::write(&catalog, &damaged).unwrap();
                check(&directory, &expected, &format!("{} byte {at}", catalog.display()), !is_plain);
            }
        }
    }
}

#[test]
fn every_truncated_file_is_an_error() {
    let temp = tempfile::tempdir().unwrap();
    let directory = temp.path().join("s");
    let expected = build(&directory, CreateOptions::default());
    for file in files(&directory) {
        let bytes = fs::read(&file).unwrap();
        for end in 0..bytes.len() {
            fs::write(&file, &bytes[..end]).unwrap();
            check(&directory, &expected, &format!("{} cut to {end}", file.display()), false);
        }
        fs::write(&file, [&bytes[..], b"x"].concat()).unwrap();
        check(&directory, &expected, &format!("{} with one byte more", file.display()), false);
        fs::remove_file(&file).unwrap();
        check(&directory, &expected, &format!("{} removed", file.display()), false);
        fs::write(&file, &bytes).unwrap();
    }
}

#[test]
fn a_corrupt_segment_names_its_file_and_offset() {
    let temp = tempfile::tempdir().unwrap();
    let directory = temp.path().join("s");
    build(&directory, CreateOptions::default());
    let file = directory.join("t/data.af");
    let mut bytes = fs::read(&file).unwrap();
    bytes[40] ^= 1;
    fs::write(&file, &bytes).unwrap();
    match read_all(&directory) {
        Err(Error::Corrupt { object, offset, .. }) => assert!(object == "t/data.af" && (16..=40).contains(&offset)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn segments_of_another_store_are_refused() {
    let temp = tempfile::tempdir().unwrap();
    let (one, two) = (temp.path().join("one"), temp.path().join("two"));
    build(&one, CreateOptions::default());
    let store = Store::create(two.to_str().unwrap(), CreateOptions::default()).unwrap();
    store.create_dataset("d0").unwrap();
    store.define_array("d0", "t", ArraySchema::new(DType::Float32, &["z"], &[3])).unwrap();
    store.write_array("d0", "t", &[0], ArrayData::from_numbers(vec![3], vec![1f32, 2.0, 3.0]).unwrap()).unwrap();
    store.flush().unwrap();
    fs::copy(one.join("t/data.af"), two.join("t/data.af")).unwrap();
    assert_eq!(read_all(&two).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn segments_of_the_same_store_that_were_swapped_are_refused() {
    let temp = tempfile::tempdir().unwrap();
    let directory = temp.path().join("s");
    let store = Store::create(directory.to_str().unwrap(), CreateOptions::default()).unwrap();
    for number in 0..12u8 {
        let name = format!("d{number}");
        store.create_dataset(&name).unwrap();
        store.define_array(&name, "t", ArraySchema::new(DType::Float32, &["z"], &[3])).unwrap();
        let cells = ArrayData::from_numbers(vec![3], vec![f32::from(number); 3]).unwrap();
        store.write_array(&name, "t", &[0], &cells).unwrap();
        store.flush().unwrap();
    }
    let mut segments = files(&directory.join("t"));
    segments.sort_by_key(|file| fs::metadata(file).unwrap().len());
    let same_size = |pair: &&[PathBuf]| fs::metadata(&pair[0]).unwrap().len() == fs::metadata(&pair[1]).unwrap().len();
    let pair = segments.windows(2).find(same_size).unwrap();
    let (first, second) = (fs::read(&pair[0]).unwrap(), fs::read(&pair[1]).unwrap());
    fs::write(&pair[0], second).unwrap();
    fs::write(&pair[1], first).unwrap();
    assert_eq!(read_all(&directory).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_catalog_cannot_name_files_outside_the_store() {
    let temp = tempfile::tempdir().unwrap();
    let directory = temp.path().join("s");
    build(&directory, CreateOptions::default());
    let catalog = directory.join("atlas.json");
    let text = fs::read_to_string(&catalog).unwrap();
    for object in ["../t/data.af", "/t/data.af", "t/../../x.af", ""] {
        let (head, body) = text.split_once('\n').unwrap();
        let body = body.strip_suffix("\n}\n").unwrap().replace("t/data.af", object);
        let crc = format!("{:08x}", crc32c::crc32c(body.as_bytes()));
        let at = head.find("\"crc32c\":\"").unwrap() + 10;
        fs::write(&catalog, format!("{}{crc}{}\n{body}\n}}\n", &head[..at], &head[at + 8..])).unwrap();
        let message = read_all(&directory).unwrap_err().to_string();
        assert!(message.contains("in the store"), "{message}");
    }
}

#[test]
fn newer_formats_foreign_stores_and_plain_directories_are_named() {
    let temp = tempfile::tempdir().unwrap();
    let directory = temp.path().join("s");
    build(&directory, CreateOptions::default());
    let catalog = directory.join("atlas.json");
    let text = fs::read_to_string(&catalog).unwrap();
    fs::write(&catalog, text.replacen("\"version\":1", "\"version\":7", 1)).unwrap();
    let message = |directory: &Path| Store::open(directory.to_str().unwrap()).unwrap_err().to_string();
    assert!(message(&directory).contains("format version 7"), "{}", message(&directory));
    let foreign = "{\n  \"version\": 1,\n  \"codec\": \"Zstd\",\n  \"datasets\": {}\n}";
    fs::write(&catalog, foreign).unwrap();
    assert!(message(&directory).contains("atlas-python"), "{}", message(&directory));
    fs::remove_file(&catalog).unwrap();
    let block = lz4_flex::block::compress_prepend_size(foreign.as_bytes());
    fs::write(directory.join("atlas.json.lz4"), block).unwrap();
    assert!(message(&directory).contains("atlas-python"), "{}", message(&directory));
    fs::remove_file(directory.join("atlas.json.lz4")).unwrap();
    assert!(message(&directory).contains("no such store") && message(&directory).contains("atlas.json"));
    assert!(message(&temp.path().join("absent")).contains("no such store"));
    let error = Store::create(directory.to_str().unwrap(), CreateOptions::default());
    assert!(error.is_ok(), "a directory without a catalog can become a store");
}

//! The contract of `Storage`.

use super::Fresh;
use atlas_store::{ConditionalGet, ErrorKind, Expected, Storage, Version};
use std::io::IoSliceMut;
use std::sync::Arc;

fn put(storage: &Arc<dyn Storage>, object: &str, bytes: &[u8]) {
    let mut writer = storage.create(object).unwrap();
    writer.write(bytes).unwrap();
    writer.finish().unwrap();
}

fn names(storage: &Arc<dyn Storage>) -> Vec<(String, u64)> {
    let listed = storage.list().unwrap().into_iter().filter(|info| info.object != "atlas.lock");
    let mut names: Vec<_> = listed.map(|info| (info.object, info.bytes)).collect();
    names.sort();
    names
}

/// Bytes that tell where they are.
fn noise(count: usize) -> Vec<u8> {
    (0..count.div_ceil(8))
        .flat_map(|k| (k as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes())
        .take(count)
        .collect()
}

pub fn an_object_is_whole_or_absent(fresh: Fresh<'_>) {
    let storage = fresh();
    storage.prepare().unwrap();
    assert_eq!(names(&storage), []);
    let mut writer = storage.create("t/a").unwrap();
    for part in noise(3 << 20).chunks(100_000) {
        writer.write(part).unwrap();
        assert!(storage.get("t/a").unwrap().is_none());
    }
    assert_eq!(writer.read_back(5..2_000_005).unwrap(), noise(3 << 20)[5..2_000_005]);
    writer.write(b"end").unwrap();
    assert_eq!(writer.read_back(3 << 20..(3 << 20) + 3).unwrap(), b"end"[..]);
    writer.finish().unwrap();
    let (bytes, _) = storage.get("t/a").unwrap().unwrap();
    assert_eq!(bytes, [noise(3 << 20), b"end".to_vec()].concat());
    let mut abandoned = storage.create("t/b").unwrap();
    abandoned.write(&noise(2 << 20)).unwrap();
    drop(abandoned);
    assert_eq!(names(&storage), [("t/a".into(), (3 << 20) + 3)]);
    put(&storage, "t/a", b"again");
    assert_eq!(storage.get("t/a").unwrap().unwrap().0, b"again"[..]);
    put(&storage, "empty", b"");
    assert_eq!(storage.get("empty").unwrap().unwrap().0, b""[..]);
    assert_eq!(storage.open("empty").unwrap().len(), 0);
    assert_eq!(names(&storage), [("empty".into(), 0), ("t/a".into(), 5)]);
}

pub fn any_range_is_read(fresh: Fresh<'_>) {
    let storage = fresh();
    storage.prepare().unwrap();
    for count in [1, 1000, 32 << 10, 200_000] {
        let bytes = noise(count);
        put(&storage, "x", &bytes);
        let reader = storage.open("x").unwrap();
        let count = count as u64;
        assert_eq!(reader.len(), count);
        let mut ranges = vec![0..0, 0..1, 0..count, count / 2..count, count - 1..count, count..count];
        ranges.extend((0..40).map(|k| k * count / 50..(k + 1) * count / 50));
        for (range, read) in ranges.iter().zip(reader.read_many(&ranges).unwrap()) {
            let expected = &bytes[range.start as usize..range.end as usize];
            assert_eq!(read, *expected, "{range:?} of {count}");
            assert_eq!(reader.read(range.clone()).unwrap(), *expected);
        }
        assert!(reader.read_many(&[]).unwrap().is_empty());
        for beyond in [0..count + 1, count..count + 1, count + 5..count + 9] {
            assert_eq!(reader.read(beyond).unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }
}

/// More places than one call to a system takes, of all sizes, some of none.
pub fn bytes_are_read_into_places(fresh: Fresh<'_>) {
    let storage = fresh();
    storage.prepare().unwrap();
    let bytes = noise(1 << 20);
    put(&storage, "x", &bytes);
    let reader = storage.open("x").unwrap();
    for (offset, sizes) in
        [(7usize, (0..3000).map(|k| k * 37 % 600).collect::<Vec<usize>>()), (5, vec![]), (9, vec![0, 0])]
    {
        let total = sizes.iter().sum::<usize>();
        let mut memory = vec![0; total];
        let mut rest = &mut memory[..];
        let mut places = Vec::new();
        for size in sizes {
            let (place, after) = rest.split_at_mut(size);
            places.push(IoSliceMut::new(place));
            rest = after;
        }
        reader.read_into(offset as u64, &mut places).unwrap();
        assert!(memory == bytes[offset..offset + total], "{total} bytes from {offset} on");
    }
    let mut place = [0; 10];
    let beyond = reader.read_into(bytes.len() as u64 - 9, &mut [IoSliceMut::new(&mut place)]);
    assert_eq!(beyond.unwrap_err().kind(), ErrorKind::Corrupt);
}

/// Larger than one part of an upload, and than one request of a read.
pub fn a_large_object_is_read_and_written(fresh: Fresh<'_>) {
    let storage = fresh();
    storage.prepare().unwrap();
    let bytes = noise((17 << 20) + 77);
    put(&storage, "large", &bytes);
    let reader = storage.open("large").unwrap();
    let len = bytes.len() as u64;
    assert_eq!(reader.len(), len);
    let ranges = [0..len, 100..(9 << 20) + 1, len - 100..len];
    for (range, read) in ranges.iter().zip(reader.read_many(&ranges).unwrap()) {
        assert!(read == bytes[range.start as usize..range.end as usize], "{range:?}");
    }
    assert_eq!(names(&storage), [("large".into(), len)]);
}

pub fn what_is_missing_is_told(fresh: Fresh<'_>) {
    let storage = fresh();
    storage.prepare().unwrap();
    assert!(storage.get("atlas.json").unwrap().is_none());
    assert!(storage.get("not/there").unwrap().is_none());
    let error = storage.open("t/data.af").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("t/data.af"), "{error}");
    put(&storage, "t/data.af", b"x");
    storage.delete("t/data.af").unwrap();
    storage.delete("t/data.af").unwrap();
    assert!(storage.get("t/data.af").unwrap().is_none());
    assert_eq!(names(&storage), []);
    assert!(!storage.location().is_empty());
}

pub fn names_may_be_any(fresh: Fresh<'_>) {
    let storage = fresh();
    storage.prepare().unwrap();
    let objects = ["sea temp/data.af", "50%25 é~😀/data.1.af", "a+b#c?d&e=f/data.af", "[x]{y}^z'/data.af"];
    for object in objects {
        put(&storage, object, object.as_bytes());
    }
    let mut expected: Vec<_> = objects.iter().map(|object| (object.to_string(), object.len() as u64)).collect();
    expected.sort();
    assert_eq!(names(&storage), expected);
    for object in objects {
        let len = object.len() as u64;
        assert_eq!(storage.open(object).unwrap().read(0..len).unwrap(), *object.as_bytes());
        storage.delete(object).unwrap();
    }
    assert_eq!(names(&storage), []);
}

pub fn a_replacement_needs_the_expected_version(fresh: Fresh<'_>) {
    let storage = fresh();
    storage.prepare().unwrap();
    let conflicts = |bytes: &[u8], expected: &Expected| {
        let error = storage.replace("atlas.json", bytes, expected).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    };
    let first = storage.replace("atlas.json", b"1", &Expected::Absent).unwrap();
    conflicts(b"x", &Expected::Absent);
    assert_eq!(storage.get("atlas.json").unwrap().unwrap().1, first);
    let second = storage.replace("atlas.json", b"2", &Expected::Version(first.clone())).unwrap();
    assert_ne!(first, second);
    conflicts(b"x", &Expected::Version(first));
    let (bytes, version) = storage.get("atlas.json").unwrap().unwrap();
    assert_eq!((&bytes[..], &version), (&b"2"[..], &second));
    storage.replace("atlas.json", b"3", &Expected::Version(version)).unwrap();
    assert_eq!(storage.get("atlas.json").unwrap().unwrap().0, b"3"[..]);
    storage.delete("atlas.json").unwrap();
    conflicts(b"x", &Expected::Version(second));
    storage.replace("atlas.json", b"4", &Expected::Absent).unwrap();
}

pub fn a_conditional_get_tells_what_has_changed(fresh: Fresh<'_>) {
    let storage = fresh();
    storage.prepare().unwrap();
    let first = storage.replace("atlas.json", b"1", &Expected::Absent).unwrap();
    let get = |known: &Version| storage.get_unless("atlas.json", known).unwrap();
    assert_eq!(get(&first), ConditionalGet::NotModified);
    let second = storage.replace("atlas.json", b"2", &Expected::Version(first.clone())).unwrap();
    assert_eq!(get(&first), ConditionalGet::Modified(b"2"[..].into(), second.clone()));
    assert_eq!(get(&second), ConditionalGet::NotModified);
    let never = Version::of_bytes(b"never");
    assert_eq!(get(&never), ConditionalGet::Modified(b"2"[..].into(), second.clone()));
    storage.delete("atlas.json").unwrap();
    assert_eq!(get(&second), ConditionalGet::Absent);
}

/// Where there is a lock instead, one of those that race holds it.
pub fn one_of_those_that_race_replaces(fresh: Fresh<'_>) {
    let storage = fresh();
    storage.prepare().unwrap();
    if !storage.is_shared() {
        let lock = storage.lock().unwrap();
        assert_eq!(storage.lock().unwrap_err().kind(), ErrorKind::Conflict);
        drop(lock);
        storage.lock().unwrap();
        return;
    }
    let mut expected = Expected::Absent;
    for round in 0..5 {
        let race = |writer: usize| -> Option<(usize, Version)> {
            let bytes = format!("round {round} writer {writer}");
            match storage.replace("atlas.json", bytes.as_bytes(), &expected) {
                Ok(version) => Some((writer, version)),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
                    None
                }
            }
        };
        let winners: Vec<(usize, Version)> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|writer| scope.spawn(move || race(writer))).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        let [(winner, version)] = &winners[..] else { panic!("{winners:?} won") };
        let (bytes, stored) = storage.get("atlas.json").unwrap().unwrap();
        assert_eq!(bytes, format!("round {round} writer {winner}").into_bytes());
        assert_eq!(stored, *version);
        expected = Expected::Version(stored);
    }
}

//! `atlas read`: stacked reads as numpy files and as summaries.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod cli_support;

use cli_support::{at, atlas, home, small_store};

/// The header's dictionary and the bytes of the cells.
fn npy(path: &str) -> (String, Vec<u8>) {
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    assert_eq!((10 + header) % 64, 0);
    (String::from_utf8(bytes[10..10 + header].to_vec()).unwrap(), bytes[10 + header..].to_vec())
}

fn floats(cells: &[u8]) -> Vec<f32> {
    cells.chunks_exact(4).map(|cell| f32::from_le_bytes(cell.try_into().unwrap())).collect()
}

#[test]
fn every_dataset_that_has_the_array_is_stacked() {
    let home = home();
    let (store, path) = (small_store(&home), at(&home, "t.npy"));
    let line = atlas(&["read", &store, "t", "-o", &path]).ok();
    assert!(line.contains("float32 (2, 2, 3)"), "{line}");
    let (header, cells) = npy(&path);
    assert!(header.contains("'descr': '<f4', 'fortran_order': False, 'shape': (2, 2, 3)"), "{header}");
    let cells = floats(&cells);
    assert_eq!((&cells[..5], &cells[6..11]), (&[0.0, 1.0, 2.0, 3.0, 4.0][..], &[10.0, 11.0, 12.0, 13.0, 14.0][..]));
    assert!(cells[5].is_nan() && cells[11].is_nan());
}

#[test]
fn datasets_come_in_the_order_asked_for_and_regions_are_cut() {
    let home = home();
    let (store, path) = (small_store(&home), at(&home, "t.npy"));
    atlas(&["read", &store, "t", "--datasets", "b,a", "--start", "1,0", "--shape", "1,2", "-o", &path]).ok();
    assert_eq!(floats(&npy(&path).1), [13.0, 14.0, 3.0, 4.0]);
    atlas(&["read", &store, "t", "--where", "ship = 'Meteor'", "--start", "0,1", "-o", &path]).ok();
    let (header, cells) = npy(&path);
    assert!(header.contains("(1, 2, 2)"), "{header}");
    assert_eq!(floats(&cells)[..3], [11.0, 12.0, 14.0]);
    atlas(&["read", &store, "t", "--datasets", "a", "--shape", "1,1", "-o", &path]).ok();
    assert_eq!(floats(&npy(&path).1), [0.0]);
}

#[test]
fn a_condition_leaves_out_datasets_without_the_array_and_says_so() {
    let home = home();
    let (store, path) = (small_store(&home), at(&home, "t.npy"));
    let run = atlas(&["read", &store, "t", "--where", "month > 1", "-o", &path]);
    assert_eq!((run.code, run.stderr.as_str()), (0, "atlas: left out 1 dataset without array t\n"));
    assert_eq!(floats(&npy(&path).1)[..2], [10.0, 11.0]);
    atlas(&["read", &store, "t", "--where", "month = 3"]).fails(1, &["no dataset satisfies", "t"]);
    atlas(&["read", &store, "t", "--datasets", "a,c"]).fails(1, &["c", "t"]);
}

#[test]
fn times_and_texts_have_numpy_types() {
    let home = home();
    let (store, path) = (small_store(&home), at(&home, "x.npy"));
    atlas(&["read", &store, "when", "-o", &path]).ok();
    let (header, cells) = npy(&path);
    assert!(header.contains("'descr': '<M8[ns]', 'fortran_order': False, 'shape': (3,)"), "{header}");
    assert_eq!(i64::from_le_bytes(cells[..8].try_into().unwrap()), 1_700_000_000_000_000_000);
    atlas(&["read", &store, "label", "-o", &path]).ok();
    let (header, cells) = npy(&path);
    assert!(header.contains("'<U6'") && header.contains("(3, 2)"), "{header}");
    let characters: Vec<u32> = cells.chunks_exact(4).map(|cell| u32::from_le_bytes(cell.try_into().unwrap())).collect();
    let text = |characters: &[u32]| characters.iter().filter_map(|c| char::from_u32(*c)).collect::<String>();
    assert_eq!((text(&characters[..6]), text(&characters[6..12])), ("top\0\0\0".into(), "größer".into()));
}

#[test]
fn without_a_file_there_is_a_summary() {
    let home = home();
    let store = small_store(&home);
    let text = atlas(&["read", &store, "t"]).ok();
    for part in ["t float32 (2, 2, 3)", "2: a, b", "12, 2 null", "0  14", "0, 1, 2, 3, …"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

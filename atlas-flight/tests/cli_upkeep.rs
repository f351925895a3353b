//! `atlas rm`, `compact` and `verify`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod cli_support;

use cli_support::{at, atlas, home, small_store};

#[test]
fn rm_deletes_all_of_them_or_none() {
    let home = home();
    let store = small_store(&home);
    atlas(&["rm", &store, "a", "nobody"]).fails(1, &["no such dataset", "nobody"]);
    assert_eq!(atlas(&["ls", &store, "--json"]).json().as_array().unwrap().len(), 3);
    atlas(&["rm", &store, "c", "--array", "t"]).fails(1, &["no such array", "t", "c"]);
    assert!(atlas(&["rm", &store, "b", "--array", "t"]).ok().contains("snapshot 2"));
    assert!(atlas(&["rm", &store, "a", "c"]).ok().contains("2 datasets"));
    let left = atlas(&["ls", &store, "--json"]).json();
    assert_eq!(left.as_array().unwrap().len(), 1);
    assert_eq!(left[0]["dataset"], "b");
    atlas(&["rm", &store]).fails(2, &["DATASET"]);
}

#[test]
fn compact_gives_back_what_was_deleted() {
    let home = home();
    let store = small_store(&home);
    atlas(&["rm", &store, "a"]).ok();
    let report = atlas(&["compact", &store, "--json"]).json();
    assert!(report["families"].as_u64().unwrap() >= 1, "{report}");
    assert!(report["retained_bytes"].as_u64().unwrap() > 0, "{report}");
    let report = atlas(&["compact", &store, "--retention", "0", "--json"]).json();
    assert!(report["deleted_bytes"].as_u64().unwrap() > 0 && report["retained_bytes"] == 0, "{report}");
    assert!(atlas(&["compact", &store]).ok().contains("rewrote 0 array families"));
    assert!(atlas(&["verify", &store]).ok().contains("no problems"));
    let cells =
        atlas(&["query", &store, "SELECT element(t, 0, 0) AS v FROM datasets WHERE dataset = 'b'", "--format", "csv"]);
    assert_eq!(cells.ok(), "v\n10.0\n");
}

#[test]
fn verify_lists_what_does_not_hold() {
    let home = home();
    let store = small_store(&home);
    assert!(atlas(&["verify", &store]).ok().contains("no problems"));
    std::fs::write(home.path().join("small/t/data.9.af"), b"left").unwrap();
    let segment = home.path().join("small/t/data.af");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    let run = atlas(&["verify", &store, "--json"]);
    assert_eq!(run.code, 1);
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["problems"][0]["object"], "t/data.af");
    assert!(report["problems"][0]["offset"].as_u64().unwrap() <= 20);
    assert_eq!(report["orphans"][0]["object"], "t/data.9.af");
    let text = atlas(&["verify", &store]);
    assert!(text.code == 1 && text.stdout.contains("problem: t/data.af at byte"), "{}", text.stdout);
    atlas(&["verify", &at(&home, "nowhere")]).fails(1, &["no such store"]);
}

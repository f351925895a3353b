//! A writing process that is killed loses nothing that it acknowledged.
//!
//! The child is this test binary again: it creates and flushes datasets and prints a line after each flush. The parent
//! kills it at a moment that the store's own bytes and the lines read so far decide, never a clock.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::cast_possible_truncation, reason = "tests")]

#[path = "kill/rounds.rs"]
mod rounds;

use atlas_store::{CompactOptions, Store};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Where the child writes; its presence makes this process the child.
const LOCATION: &str = "ATLAS_KILL_STORE";
const KILLS: u32 = 30;

/// Not a test of its own: what the child runs.
#[test]
fn child() {
    let Ok(location) = std::env::var(LOCATION) else { return };
    let store = Store::open(&location).unwrap();
    let first = rounds::committed(&store.snapshot());
    let mut out = std::io::stdout();
    for round in first.. {
        rounds::apply(&store, round).unwrap();
        store.flush().unwrap();
        // Once this line is out, the flush is a promise.
        writeln!(out, "\nflushed {round}").unwrap();
        if round % 7 == 3 {
            store.compact(CompactOptions { retention: Duration::ZERO }).unwrap();
            writeln!(out, "\ncompacted {round}").unwrap();
        }
        out.flush().unwrap();
    }
}

/// A child that is killed when the test ends, however it ends.
struct Writer {
    child: Child,
    lines: BufReader<ChildStdout>,
    acknowledged: Option<u32>,
}

impl Writer {
    fn start(location: &str) -> Writer {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture", "--test-threads=1"])
            .env(LOCATION, location)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Writer { child, lines, acknowledged: None }
    }

    /// Takes the next acknowledgment; `false` at the end of the output.
    fn next_line(&mut self) -> bool {
        let mut line = String::new();
        loop {
            line.clear();
            // A line without its end was cut off by the kill and promises nothing.
            if self.lines.read_line(&mut line).unwrap() == 0 || !line.ends_with('\n') {
                return false;
            }
            if let Some(round) = line.trim_end().strip_prefix("flushed ") {
                self.acknowledged = Some(round.parse().unwrap());
                return true;
            }
            if line.starts_with("compacted ") {
                return true;
            }
        }
    }

    /// Kills (SIGKILL), and gives the last round that was acknowledged before the process was gone.
    fn kill(mut self) -> Option<u32> {
        self.child.kill().unwrap();
        while self.next_line() {}
        let status = self.child.wait().unwrap();
        assert!(!status.success(), "the child ended by itself");
        self.acknowledged
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes of all files, unfinished ones included.
fn bytes_of(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_of(&entry.path()),
            Ok(metadata) => metadata.len(),
            // Renamed or deleted meanwhile.
            Err(_) => 0,
        })
        .sum()
}

fn has_unfinished(directory: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(directory) else { return false };
    entries.flatten().any(|entry| {
        entry.file_name().to_string_lossy().ends_with(".tmp")
            || (entry.file_type().is_ok_and(|kind| kind.is_dir()) && has_unfinished(&entry.path()))
    })
}

/// Waits for the moment of this kill: after some lines, then at once, at so many bytes more, or while a file is unfinished.
fn wait_for_moment(writer: &mut Writer, directory: &Path, kill: u32) {
    for _ in 0..kill % 4 {
        assert!(writer.next_line(), "the child ended by itself");
    }
    match kill % 5 {
        0 => {}
        1 | 2 => {
            let before = bytes_of(directory);
            let growth = u64::from(kill) * 9_973 % 200_000;
            while bytes_of(directory) < before + growth && writer.child.try_wait().unwrap().is_none() {}
        }
        3 => while !has_unfinished(directory) && writer.child.try_wait().unwrap().is_none() {},
        _ => {
            // One that was there and is gone: between the rename and whatever follows it.
            while !has_unfinished(directory) && writer.child.try_wait().unwrap().is_none() {}
            while has_unfinished(directory) && writer.child.try_wait().unwrap().is_none() {}
        }
    }
}

#[test]
fn a_killed_writer_loses_nothing_that_it_acknowledged() {
    let temp = tempfile::tempdir().unwrap();
    let directory = temp.path().join("store");
    let location = directory.to_str().unwrap();
    Store::create(location, atlas_store::CreateOptions::default()).unwrap();
    let (mut promised, mut unacknowledged, mut leftovers) = (0, 0, 0);
    for kill in 0..KILLS {
        let mut writer = Writer::start(location);
        wait_for_moment(&mut writer, &directory, kill);
        if let Some(round) = writer.kill() {
            promised = round + 1;
        }
        let store = Store::open(location).unwrap();
        let found = rounds::committed(&store.snapshot());
        // The last flush may have gone through although nobody was told.
        assert!(found == promised || found == promised + 1, "kill {kill}: {found} rounds, {promised} acknowledged");
        unacknowledged += found - promised;
        promised = found;
        rounds::check(&store.snapshot(), found);
        let report = store.verify().unwrap();
        assert_eq!(report.problems, [], "kill {kill}");
        leftovers += report.orphans.unwrap().len();
        // The dead process holds no lock.
        rounds::apply(&store, found).unwrap();
        store.flush().unwrap();
        promised += 1;
        rounds::check(&store.snapshot(), promised);
    }
    println!("{promised} rounds, {unacknowledged} flushed without an acknowledgment, {leftovers} leftover files");
    assert!(promised > KILLS, "the children wrote nothing");
    let store = Store::open(location).unwrap();
    store.compact(CompactOptions { retention: Duration::ZERO }).unwrap();
    let report = store.verify().unwrap();
    assert!(report.problems.is_empty() && report.orphans == Some(vec![]), "{report:?}");
    rounds::check(&store.snapshot(), promised);
}

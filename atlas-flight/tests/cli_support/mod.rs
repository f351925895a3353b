//! The `atlas` command as a process, and small stores and NetCDF files to point it at.

#![allow(dead_code, reason = "each test file uses a part of this")]

use atlas_store::{ArrayData, ArraySchema, Cells, CreateOptions, DType, Scalar, Store};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// What a run of the command left behind.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) bytes: Vec<u8>,
}

/// Runs `atlas` with these arguments.
pub(crate) fn atlas<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Run {
    run(command().args(arguments))
}

/// Runs a command that [`command`] began.
pub(crate) fn run(command: &mut Command) -> Run {
    let output: Output = command.stdin(Stdio::null()).output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        bytes: output.stdout,
    }
}

/// The command, to be started by the test itself.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atlas"));
    command.env_remove("RUST_BACKTRACE").env_remove("RUST_LOG");
    for credential in ["ATLAS_TOKEN", "ATLAS_USER", "ATLAS_PASSWORD"] {
        command.env_remove(credential);
    }
    command
}

/// `atlas serve` as a process, which is killed when it is dropped.
pub(crate) struct Served {
    child: Child,
    /// `grpc://host:port`, or with TLS.
    pub(crate) uri: String,
}

/// Starts `atlas serve` with these options (on a free port, if they name none), and waits until it listens.
pub(crate) fn serve(options: &[&str]) -> Served {
    let mut command = command();
    command.arg("serve").args(options).stdout(Stdio::piped());
    if !options.contains(&"--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let uri = lines.by_ref().find_map(|line| {
        line.unwrap().strip_prefix("serving on ").map(|rest| rest.split_whitespace().next().unwrap().to_owned())
    });
    std::thread::spawn(move || lines.for_each(drop));
    Served { child, uri: uri.expect("it serves") }
}

impl Served {
    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        self.uri.split_once("://").unwrap().1
    }

    /// Kills it, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Run {
    /// Standard output of a run that succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "stderr: {}", self.stderr);
        self.stdout
    }

    /// Standard output of a run that succeeded, as JSON.
    #[track_caller]
    pub(crate) fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    /// Checks that the run failed with this code, nothing on stdout, and one line on stderr that holds `parts`.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, code, "stderr: {}", self.stderr);
        assert_eq!(self.stdout, "");
        assert!(self.stderr.starts_with("atlas: "), "{:?}", self.stderr);
        assert!(self.stderr.ends_with('\n') && self.stderr.lines().count() == 1, "not one line: {:?}", self.stderr);
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} is not in {:?}", self.stderr);
        }
    }
}

/// A place for a test's files.
pub(crate) fn home() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A path below `home` as text.
pub(crate) fn at(home: &tempfile::TempDir, name: &str) -> String {
    home.path().join(name).to_str().unwrap().to_owned()
}

/// A store of three casts. `a`, `b` and `c` have `depth`, `when` and `label`; `a` and `b` have `t` (2 × 3), which for
/// dataset number n (from 0) holds 10 n + 0 … 5, its last cell missing; attributes `month` (n + 1) and `ship`.
pub(crate) fn small_store(home: &tempfile::TempDir) -> String {
    let location = at(home, "small");
    let store = Store::create(&location, CreateOptions::default()).unwrap();
    for (number, name) in ["a", "b", "c"].into_iter().enumerate() {
        store.create_dataset(name).unwrap();
        let write = |array: &str, schema: ArraySchema, data: ArrayData| {
            let start = vec![0; schema.shape.len()];
            store.define_array(name, array, schema).unwrap();
            store.write_array(name, array, &start, &data).unwrap();
        };
        if name != "c" {
            let schema = ArraySchema::new(DType::Float32, &["depth", "hour"], &[2, 3]);
            let first = 10.0 * number as f32;
            let cells = vec![first, first + 1.0, first + 2.0, first + 3.0, first + 4.0, f32::NAN];
            let data = ArrayData::from_numbers(vec![2, 3], cells).unwrap();
            write("t", schema.with_fill_value(Scalar::Float32(f32::NAN)), data);
        }
        let schema = ArraySchema::new(DType::Float64, &["depth"], &[2]);
        write("depth", schema, ArrayData::from_numbers(vec![2], vec![0.0, 10.5]).unwrap());
        let schema = ArraySchema::new(DType::TimestampNanoseconds, &[], &[]);
        let when = Cells::I64(vec![1_700_000_000_000_000_000]);
        write("when", schema, ArrayData::try_new(DType::TimestampNanoseconds, vec![], when).unwrap());
        let schema = ArraySchema::new(DType::String, &["depth"], &[2]);
        write("label", schema, ArrayData::from_strings(vec![2], ["top", "größer"]).unwrap());
        store.set_attribute(name, "month", (number as i64 + 1).into()).unwrap();
        store.set_attribute(name, "ship", if name == "b" { "Meteor" } else { "Sonne" }.into()).unwrap();
    }
    store.flush().unwrap();
    location
}

/// Every file below `directory` with its bytes, to see that nothing was touched.
pub(crate) fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in directory.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { pending.push(path) } else { files.push((path.clone(), std::fs::read(path).unwrap())) }
        }
    }
    files.sort();
    files
}

/// Writes a NetCDF classic file with `depth` (float32, its own coordinate) and `temp` (float32 on depth, `_FillValue`
/// -9, its second cell missing, the others `first`, `first` + 2, …), and the global attribute `ship`.
///
/// # Source
/// "The NetCDF Classic Format Specification": CDF-1.
pub(crate) fn write_netcdf(path: &Path, first: f32) {
    const CHAR: u32 = 2;
    const FLOAT: u32 = 5;
    const CELLS: u32 = 4;
    fn text(file: &mut Vec<u8>, text: &str) {
        file.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        file.extend(text.as_bytes());
        file.resize(file.len().next_multiple_of(4), 0);
    }
    fn numbers(file: &mut Vec<u8>, numbers: &[u32]) {
        numbers.iter().for_each(|number| file.extend(number.to_be_bytes()));
    }
    let header = |begins: [u32; 2]| {
        let mut file = b"CDF\x01\0\0\0\0".to_vec();
        numbers(&mut file, &[10, 1]);
        text(&mut file, "depth");
        numbers(&mut file, &[CELLS, 12, 1]);
        text(&mut file, "ship");
        numbers(&mut file, &[CHAR]);
        text(&mut file, "Sonne");
        numbers(&mut file, &[11, 2]);
        for (name, begin) in ["depth", "temp"].into_iter().zip(begins) {
            text(&mut file, name);
            numbers(&mut file, &[1, 0]);
            if name == "temp" {
                numbers(&mut file, &[12, 1]);
                text(&mut file, "_FillValue");
                numbers(&mut file, &[FLOAT, 1]);
                file.extend((-9f32).to_be_bytes());
            } else {
                numbers(&mut file, &[0, 0]);
            }
            numbers(&mut file, &[FLOAT, CELLS * 4, begin]);
        }
        file
    };
    let begin = u32::try_from(header([0, 0]).len()).unwrap();
    let mut file = header([begin, begin + CELLS * 4]);
    let cells = [0.0, 10.0, 20.0, 30.0, first, -9.0, first + 2.0, first + 3.0];
    cells.iter().for_each(|cell: &f32| file.extend(cell.to_be_bytes()));
    std::fs::write(path, file).unwrap();
}

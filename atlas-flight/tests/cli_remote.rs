//! `atlas query` and `atlas read` of a store on a server: they answer as over the store itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod cli_support;

use cli_support::{Run, Served, at, atlas, command, home, run, serve, small_store};
use std::io::Write;
use std::process::Stdio;

/// A store by its path, and on a server.
struct Both {
    home: tempfile::TempDir,
    path: String,
    served: Served,
}

impl Both {
    fn start() -> Both {
        let home = home();
        let path = small_store(&home);
        let served = serve(&["--store", &format!("small={path}")]);
        Both { home, path, served }
    }

    /// The store's address on the server.
    fn uri(&self) -> String {
        format!("{}/small", self.served.uri)
    }

    /// Runs a command over the path and over the server; the first argument after the command's name is the store.
    fn runs(&self, name: &str, rest: &[&str]) -> [Run; 2] {
        [&self.path, &self.uri()].map(|store| {
            let mut arguments = vec![name, store];
            arguments.extend(rest);
            atlas(&arguments)
        })
    }

    /// Checks that a command does the same over the path and over the server.
    #[track_caller]
    fn same(&self, name: &str, rest: &[&str]) -> Run {
        let [local, remote] = self.runs(name, rest);
        assert_eq!(remote.stderr, local.stderr, "{rest:?}");
        assert_eq!(remote.code, local.code, "{rest:?}");
        assert_eq!(remote.stdout, local.stdout, "{rest:?}");
        assert!(remote.bytes == local.bytes, "{rest:?}");
        remote
    }

    /// Checks that a command writes the same file over the path and over the server.
    #[track_caller]
    fn same_file(&self, name: &str, rest: &[&str], file: &str) -> Vec<u8> {
        let file = at(&self.home, file);
        let [local, remote] = [&self.path, &self.uri()].map(|store| {
            let mut arguments = vec![name, store];
            arguments.extend(rest);
            arguments.extend(["-o", &file]);
            let said = atlas(&arguments).ok();
            let bytes = std::fs::read(&file).unwrap();
            std::fs::remove_file(&file).unwrap();
            (said, bytes)
        });
        assert_eq!(remote.0, local.0, "{rest:?}");
        assert!(remote.1 == local.1, "{rest:?}: {} and {} bytes differ", local.1.len(), remote.1.len());
        remote.1
    }
}

/// Queries of every kind of column: texts, numbers, times, tensors of one shape and of several, nulls, nothing.
const QUERIES: [&str; 12] = [
    "SELECT * FROM datasets ORDER BY dataset",
    "SELECT dataset, t, slice(t, [0,0], [1,2]) AS top, stat_max(t) AS most FROM datasets ORDER BY dataset",
    "SELECT dataset, \"when\", label, depth FROM datasets ORDER BY dataset DESC",
    "SELECT * FROM catalog ORDER BY dataset",
    "SELECT * FROM arrays ORDER BY dataset, array",
    "SELECT * FROM attributes ORDER BY dataset, key",
    "SELECT dataset, depth, hour, t FROM cells_depth_hour ORDER BY dataset, depth, hour",
    "SELECT ship, count(*) AS casts, avg(month) AS month FROM datasets GROUP BY ship ORDER BY ship",
    "SELECT dataset FROM datasets WHERE month > 99",
    "SELECT 1 AS one, 'text' AS two, NULL AS three, CAST(1.5 AS DECIMAL(5,2)) AS four, INTERVAL '1' DAY AS five",
    "EXPLAIN SELECT dataset FROM datasets WHERE stat_max(t) > 5",
    "DESCRIBE catalog",
];

#[test]
fn statements_give_the_same_bytes_in_every_format() {
    let both = Both::start();
    for sql in QUERIES {
        for format in ["table", "csv", "json", "arrow", "parquet"] {
            if sql.contains("INTERVAL") && format == "parquet" {
                // Parquet has no such intervals, here and there.
                let [local, remote] = both.runs("query", &[sql, "--format", format, "-o", "/dev/null"]);
                assert_eq!((local.code, remote.code), (1, 1));
                continue;
            }
            let bytes = both.same_file("query", &[sql, "--format", format], "answer");
            assert!(!bytes.is_empty());
        }
    }
    both.same("query", &[QUERIES[0]]).ok();
    both.same("query", &[QUERIES[0], "--format", "arrow"]);
    for ending in ["csv", "json", "arrow", "parquet", "txt"] {
        both.same_file("query", &["SELECT dataset, t FROM datasets ORDER BY dataset"], &format!("answer.{ending}"));
    }
}

#[test]
fn several_statements_limits_and_pipes_work_as_over_a_path() {
    let both = Both::start();
    both.same("query", &["SELECT 1 AS one; -- first\n SELECT ';' AS two;"]);
    both.same("query", &["SELECT 1; SELECT 2", "--format", "json"]).fails(2, &["one result"]);
    both.same("query", &[" ; "]).fails(2, &["no statement"]);
    both.same("query", &["SELEC 1"]).fails(1, &["SELEC"]);
    both.same("query", &["SELECT dataset FROM datasets ORDER BY dataset", "--max-rows", "2", "--format", "csv"]).ok();
    let timed = atlas(&["query", &both.uri(), "SELECT 1; SELECT 2", "--timing"]);
    assert_eq!(timed.stderr.lines().filter(|line| line.starts_with("1 row in ")).count(), 2, "{}", timed.stderr);
    let mut child = command()
        .args(["query", &both.uri(), "--format", "csv"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all("SELECT count(*) AS größe FROM small.datasets;".as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "größe\n3\n");
    // Without a name, the server's default store answers.
    let bare = atlas(&["query", &both.served.uri, "SELECT count(*) AS n FROM datasets", "--format", "csv"]);
    assert_eq!(bare.ok(), "n\n3\n");
}

#[test]
fn what_a_server_does_not_do_is_one_clear_line() {
    let both = Both::start();
    let file = at(&both.home, "side.csv");
    std::fs::write(&file, "dataset\na\n").unwrap();
    for (sql, parts) in [
        (format!("SELECT * FROM '{file}'"), ["side.csv", "not found"]),
        (format!("COPY (SELECT 1) TO '{file}'"), ["only reads", "COPY"]),
        (format!("CREATE EXTERNAL TABLE side STORED AS CSV LOCATION '{file}'"), ["only reads", "CREATE"]),
        ("CREATE VIEW mine AS SELECT 1".into(), ["only reads", "CREATE"]),
        ("DELETE FROM datasets".into(), ["only reads", "DELETE"]),
        ("TRUNCATE TABLE datasets".into(), ["only reads", "TRUNCATE"]),
        ("SET datafusion.execution.batch_size = 1".into(), ["only reads", "SET"]),
        ("SELECT nothing FROM datasets".into(), ["nothing", "no such column: nothing"]),
    ] {
        atlas(&["query", &both.uri(), &sql]).fails(1, &parts);
    }
    atlas(&["query", &format!("{}/nowhere", both.served.uri), "SELECT 1"])
        .fails(1, &["no such store: nowhere", "small"]);
    atlas(&["read", &format!("{}/nowhere", both.served.uri), "t"]).fails(1, &["no such store: nowhere", "small"]);
    for uri in ["grpc://127.0.0.1", "grpc://127.0.0.1:1/a/b", "grpc+tls://:5"] {
        atlas(&["query", uri, "SELECT 1"]).fails(2, &["grpc"]);
    }
    let error = atlas(&["query", "grpc://ann:secret@127.0.0.1:1", "SELECT 1"]);
    assert!(!error.stderr.contains("secret"), "{}", error.stderr);
    error.fails(2, &["neither user nor password"]);
    atlas(&["query", &both.path, "SELECT 1", "--user", "ann"]).fails(2, &["--user", "grpc://"]);
}

#[test]
fn a_server_that_is_gone_is_named() {
    let mut both = Both::start();
    let uri = both.uri();
    both.served.kill();
    let address = both.served.uri.clone();
    atlas(&["query", &uri, "SELECT 1"]).fails(1, &["cannot connect to", &address, "refused"]);
    atlas(&["read", &uri, "t"]).fails(1, &["cannot connect to", &address, "refused"]);
}

#[test]
fn stacked_reads_give_the_same_numpy_files() {
    let both = Both::start();
    for rest in [
        &["t"][..],
        &["depth"],
        &["when"],
        &["label"],
        &["t", "--datasets", "b,a", "--start", "1,0", "--shape", "1,2"],
        &["t", "--datasets", "a", "--shape", "2,1"],
        &["t", "--start", "0,1"],
        &["t", "--where", "ship = 'Meteor'", "--start", "0,1"],
        &["label", "--where", "month > 1", "--start", "1"],
    ] {
        let bytes = both.same_file("read", rest, "x.npy");
        assert_eq!(&bytes[..6], b"\x93NUMPY");
    }
    let [local, remote] = both.runs("read", &["t", "--where", "month > 1", "-o", &at(&both.home, "x.npy")]);
    assert_eq!(remote.stderr, "atlas: left out 1 dataset without array t\n");
    assert_eq!((remote.stdout, remote.stderr), (local.stdout, local.stderr));
}

#[test]
fn summaries_differ_in_what_was_read_alone() {
    let both = Both::start();
    for rest in [&["t"][..], &["depth", "--shape", "1"], &["when"], &["label"], &["t", "--where", "month = 2"]] {
        let [local, remote] = both.runs("read", rest).map(Run::ok);
        let (mut local, mut remote): (Vec<_>, Vec<_>) = (local.lines().collect(), remote.lines().collect());
        assert!(local.remove(2).starts_with("read ") && local.len() == 5);
        let read = remote.remove(2);
        assert!(read.starts_with("read ") && read.ends_with(" received"), "{read}");
        assert_eq!(remote, local, "{rest:?}");
    }
}

#[test]
fn stacked_reads_fail_alike() {
    let both = Both::start();
    for rest in [
        &["nothing"][..],
        &["t", "--datasets", "nobody"],
        &["t", "--shape", "3,3"],
        &["t", "--shape", "1"],
        &["t", "--start", "5,0"],
        &["t", "--start", "0,0", "--shape", "1"],
        &["t", "--where", "month = 3"],
        &["t", "--where", "month = 99"],
    ] {
        let failed = both.same("read", rest);
        assert!(matches!(failed.code, 1 | 2), "{rest:?}");
    }
    atlas(&["read", &both.uri(), "t", "--datasets", "a,c"]).fails(1, &["dataset c", "array t"]);
    atlas(&["read", &both.uri(), "t", "--where", "month =="]).fails(1, &["sql parser error"]);
}

#[test]
fn a_result_that_is_not_wanted_whole_ends() {
    let home = home();
    let path = small_store(&home);
    // The second query gets to run where the first one has ended.
    let served = serve(&["--store", &format!("small={path}"), "--max-queries", "1"]);
    let sql = "SELECT value FROM generate_series(1, 1000000000000)";
    for _ in 0..2 {
        let csv = atlas(&["query", &served.uri, sql, "--max-rows", "3", "--format", "csv"]).ok();
        assert_eq!(csv, "value\n1\n2\n3\n");
    }
}

#[test]
fn tables_of_the_store_in_the_address_need_no_prefix() {
    let home = home();
    let path = small_store(&home);
    let served = serve(&["--store", &format!("first={path}"), "--store", &format!("second={path}")]);
    let second = format!("{}/second", served.uri);
    let shows = "SELECT count(*) AS n FROM second.datasets";
    let all = "SELECT table_schema FROM information_schema.tables WHERE table_name = 'datasets' ORDER BY 1";
    let first = atlas(&["query", &served.uri, all, "--format", "csv"]).ok();
    assert_eq!(first, "table_schema\nfirst\nsecond\n");
    assert_eq!(atlas(&["query", &served.uri, shows, "--format", "csv"]).ok(), "n\n3\n");
    let show = "SHOW datafusion.catalog.default_schema";
    assert!(atlas(&["query", &second, show, "--format", "csv"]).ok().contains("second"));
    assert!(atlas(&["query", &served.uri, show, "--format", "csv"]).ok().contains("first"), "a session of its own");
    assert_eq!(atlas(&["query", &second, "SELECT count(*) AS n FROM datasets", "--format", "csv"]).ok(), "n\n3\n");
    let text = atlas(&["read", &second, "t"]).ok();
    assert!(text.contains("t float32 (2, 2, 3)"), "stacked reads name their store: {text}");
}

#[test]
fn a_server_that_takes_changes_tells_how_many_rows_they_are() {
    let home = home();
    let path = small_store(&home);
    let served = serve(&["--writable", "--store", &format!("small={path}")]);
    let query = |sql: &str| atlas(&["query", &served.uri, sql, "--format", "csv"]).ok();
    assert_eq!(query("INSERT INTO datasets (dataset, month) VALUES ('d', 4), ('e', 5)"), "count\n2\n");
    assert_eq!(query("UPDATE datasets SET ship = 'Polarstern' WHERE month > 3"), "count\n2\n");
    assert_eq!(query("DELETE FROM datasets WHERE ship = 'Polarstern'"), "count\n2\n");
    assert_eq!(query("SELECT count(*) AS n FROM datasets"), "n\n3\n");
    atlas(&["query", &served.uri, "DELETE FROM nowhere.datasets"]).fails(1, &["nowhere"]);
}

/// A server with TLS and a user, and the files that its clients need.
struct Secured {
    home: tempfile::TempDir,
    served: Served,
    token: String,
}

impl Secured {
    fn start() -> Secured {
        let home = home();
        let path = small_store(&home);
        let pair = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
        let file = |name: &str, content: &str| {
            std::fs::write(at(&home, name), content).unwrap();
            at(&home, name)
        };
        let (cert, key) = (file("ca.pem", &pair.cert.pem()), file("key.pem", &pair.signing_key.serialize_pem()));
        let made = atlas(&["token"]).ok();
        let (token, tokens) = made.split_once('\n').unwrap();
        let password = atlas_flight::auth::hash_password("correct horse").unwrap();
        let users = file(
            "users.toml",
            &format!("[users.ann]\npassword = {password:?}\n{tokens}stores = {{ \"*\" = \"read\" }}\n"),
        );
        file("token", &format!("{token}\n"));
        file("password", "correct horse\n");
        let served =
            serve(&["--store", &format!("small={path}"), "--tls-cert", &cert, "--tls-key", &key, "--users", &users]);
        Secured { served, token: token.to_owned(), home }
    }

    /// Runs a query over TLS with these flags and environment variables.
    fn query(&self, flags: &[&str], environment: &[(&str, &str)]) -> Run {
        let uri = self.served.uri.replace("127.0.0.1", "localhost");
        let ca = at(&self.home, "ca.pem");
        let mut command = command();
        command.args(["query", &format!("{uri}/small"), "SELECT count(*) AS n FROM datasets", "--format", "csv"]);
        command.args(["--tls-ca", &ca]).args(flags).envs(environment.iter().copied());
        run(&mut command)
    }
}

#[test]
fn credentials_come_from_files_and_the_environment() {
    let secured = Secured::start();
    let file = |name: &str| at(&secured.home, name);
    let (token, password) = (file("token"), file("password"));
    for (flags, environment) in [
        (&["--token-file", &token][..], &[][..]),
        (&[], &[("ATLAS_TOKEN", secured.token.as_str())]),
        (&[], &[("ATLAS_USER", "ann"), ("ATLAS_PASSWORD", "correct horse")]),
        (&["--user", "ann"], &[("ATLAS_PASSWORD", "correct horse"), ("ATLAS_TOKEN", "not asked")]),
        (&["--user", "ann", "--password-file", &password], &[("ATLAS_PASSWORD", "not asked")]),
        (&["--password-file", &password], &[("ATLAS_USER", "ann")]),
    ] {
        assert_eq!(secured.query(flags, environment).ok(), "n\n3\n", "{flags:?} {environment:?}");
    }
    for (flags, environment, parts) in [
        (&[][..], &[][..], &["log in"][..]),
        (&["--user", "ann"], &[("ATLAS_PASSWORD", "wrong horse")], &["user name or the password is wrong"]),
        (&[], &[("ATLAS_TOKEN", "atlas_wrong")], &["token"]),
        (&["--password-file", &password], &[], &["--user"]),
        (&["--token-file", "/nowhere/token"], &[], &["/nowhere/token", "No such file"]),
    ] {
        let refused = secured.query(flags, environment);
        for secret in ["wrong horse", "atlas_wrong", "correct horse"] {
            assert!(!refused.stderr.contains(secret), "{}", refused.stderr);
        }
        let code = refused.code;
        assert!(code == 1 || code == 2, "{flags:?}: {}", refused.stdout);
        refused.fails(code, parts);
    }
    let uri = secured.served.uri.replace("127.0.0.1", "localhost");
    atlas(&["query", &uri, "SELECT 1"]).fails(2, &["--tls-ca"]);
    let ca = file("ca.pem");
    atlas(&["query", &secured.served.uri, "SELECT 1", "--tls-ca", &ca]).fails(1, &["cannot connect", "127.0.0.1"]);
    let npy = at(&secured.home, "t.npy");
    atlas(&["read", &uri, "t", "--tls-ca", &ca, "--token-file", &token, "-o", &npy]).ok();
    assert!(std::fs::metadata(npy).unwrap().len() > 128);
}

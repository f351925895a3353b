#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::file::full_key;
use super::*;
use clap::Parser;
use std::collections::HashMap;

/// A command with a flag of each kind.
#[derive(Debug, Parser)]
struct Example {
    #[arg(long = "store", required = true)]
    stores: Vec<String>,
    #[arg(long, default_value = "127.0.0.1:1")]
    listen: String,
    #[arg(long)]
    config: Option<PathBuf>,
    #[arg(long, default_value_t = 3)]
    cache: u32,
    #[arg(long)]
    insecure: bool,
    #[arg(long, requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    #[arg(long)]
    tls_key: Option<PathBuf>,
    #[arg(long, help_heading = "Limits of SQL queries", default_value_t = 0)]
    max_read: u64,
}

/// The settings that come of a file, variables and typed flags.
fn settings(file: &str, variables: &[(&str, &str)], typed: &[&str]) -> Result<Example, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("atlas.toml");
    std::fs::write(&path, file).unwrap();
    let variables: HashMap<&str, OsString> = variables.iter().map(|(name, value)| (*name, value.into())).collect();
    let command = <Example as clap::CommandFactory>::command();
    let mut arguments: Vec<OsString> = vec!["atlas".into(), "--config".into(), path.clone().into()];
    arguments.extend(typed.iter().map(OsString::from));
    let completed = complete_from(&command, arguments, |name| variables.get(name).cloned());
    let completed = completed.map_err(|failure| match failure {
        Failure::Usage(message) => message.replace(path.to_str().unwrap(), "atlas.toml"),
        other => panic!("{other:?}"),
    })?;
    Example::try_parse_from(completed).map_err(|error| error.to_string())
}

#[test]
fn flags_go_before_the_environment_and_that_before_the_file() {
    let file = "listen = \"h:1\"\ncache = 1\ninsecure = true\n[limits]\nmax_read = 1\n[stores]\nz = \"/file\"\na = \"/file\"\n";
    let of_file = settings(file, &[], &[]).unwrap();
    assert_eq!((of_file.listen.as_str(), of_file.cache, of_file.insecure, of_file.max_read), ("h:1", 1, true, 1));
    assert_eq!(of_file.stores, ["z=/file", "a=/file"], "in the order of the file");
    let variables =
        [("ATLAS_LISTEN", "h:2"), ("ATLAS_CACHE", "2"), ("ATLAS_INSECURE", "false"), ("ATLAS_MAX_READ", "")];
    let of_both = settings(file, &variables, &[]).unwrap();
    assert_eq!((of_both.listen.as_str(), of_both.cache, of_both.insecure, of_both.max_read), ("h:2", 2, false, 1));
    let of_all = settings(file, &variables, &["--listen", "h:3", "--store", "b=/typed"]).unwrap();
    assert_eq!((of_all.listen.as_str(), of_all.cache, of_all.stores), ("h:3", 2, vec!["b=/typed".to_owned()]));
    let of_variables = settings("", &[("ATLAS_STORE", "a=/x, b=/y")], &[]).unwrap();
    assert_eq!((of_variables.stores, of_variables.cache), (vec!["a=/x".to_owned(), "b=/y".to_owned()], 3));
}

#[test]
fn flags_that_need_one_another_may_stand_in_different_places() {
    let stores = ("ATLAS_STORE", "a=/x");
    let both = settings("[tls]\ncert = \"c\"\n", &[stores, ("ATLAS_TLS_KEY", "k")], &[]).unwrap();
    assert_eq!((both.tls_cert, both.tls_key), (Some("c".into()), Some("k".into())));
    assert!(settings("[tls]\ncert = \"c\"\n", &[stores], &[]).unwrap_err().contains("--tls-key"));
    assert!(settings("", &[], &[]).unwrap_err().contains("--store"));
}

#[test]
fn what_is_wrong_in_a_file_is_said_in_a_line() {
    for (file, line) in [
        ("cache = \"big\"", "atlas.toml: cache = \"big\": expected a whole number, without quotes"),
        ("cache = -1", "atlas.toml: cache = -1: -1 is not in 0..=4294967295"),
        ("listen = 5", "atlas.toml: listen = 5: expected a text in quotes"),
        ("insecure = \"yes\"", "atlas.toml: insecure = \"yes\": expected true or false"),
        ("tls = true", "atlas.toml: unknown key tls: there are listen, cache, insecure"),
        ("[limits]\nmax_raed = 1", "atlas.toml: unknown key limits.max_raed: there are max_read"),
        ("[limit]\nmax_read = 1", "atlas.toml: unknown table [limit]: there are [stores], [limits] and [tls]"),
        ("[stores]\na = 1", "atlas.toml: stores.a = 1: expected a path or URL in quotes"),
        ("config = \"x\"", "atlas.toml: unknown key config: there are listen, cache, insecure"),
    ] {
        assert_eq!(settings(file, &[], &[]).unwrap_err(), line);
    }
    assert!(settings("cache = 1\ncache = 2", &[], &[]).unwrap_err().starts_with("atlas.toml: line 2: "));
}

#[test]
fn what_is_wrong_in_a_variable_is_said_in_a_line() {
    for (name, value, line) in [
        ("ATLAS_CACHE", "big", "ATLAS_CACHE=big: invalid digit found in string"),
        ("ATLAS_INSECURE", "yes", "ATLAS_INSECURE=yes: expected true or false"),
    ] {
        assert_eq!(settings("", &[(name, value)], &[]).unwrap_err(), line);
    }
}

/// The rows of the table in docs/operations.md: flag, variable, key and default.
fn documented() -> Vec<[String; 4]> {
    let text = include_str!("../../../../docs/operations.md");
    let rows = text.lines().filter(|line| line.starts_with("| `--"));
    let cells = |line: &str| line.split('|').skip(1).map(|cell| cell.trim().replace('`', "")).collect::<Vec<_>>();
    rows.map(|line| cells(line)[..4].to_vec().try_into().unwrap()).collect()
}

#[test]
fn every_setting_is_documented_as_it_is() {
    let serve = crate::cli::command::serve_command();
    let shown = |default: &OsStr| default.to_str().unwrap().to_owned();
    let known = Setting::of(&serve).map(|setting| {
        let default = setting.arg.get_default_values().first().map(|value| shown(value)).unwrap_or_default();
        let default = if setting.is_switch() { "false".to_owned() } else { default };
        [format!("--{}", setting.long), setting.variable(), full_key(&setting), default]
    });
    let known: Vec<_> = known.collect();
    let documented = documented();
    for setting in &known {
        assert!(documented.contains(setting), "docs/operations.md needs a row | {} | … |", setting.join(" | "));
    }
    assert_eq!(documented.len(), known.len(), "docs/operations.md has settings that there are not: {documented:?}");
}

#[test]
fn the_example_is_a_settings_file() {
    let serve = crate::cli::command::serve_command();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/atlas.toml");
    SettingsFile::read(Path::new(path), &serve).unwrap();
    // With what is commented out, too.
    let text = std::fs::read_to_string(path).unwrap();
    let uncommented: Vec<&str> = text.lines().map(|line| line.strip_prefix("#").unwrap_or(line)).collect();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("atlas.toml");
    let settings = |line: &&&str| line.is_empty() || line.starts_with('[') || line.contains(" = ");
    std::fs::write(&path, uncommented.iter().filter(settings).copied().collect::<Vec<_>>().join("\n")).unwrap();
    SettingsFile::read(&path, &serve).unwrap();
}

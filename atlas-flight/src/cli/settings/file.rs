//! The settings file: TOML, with a key for each flag.

use super::Setting;
use crate::cli::Failure;
use clap::Command;
use std::ffi::OsString;
use std::path::Path;
use toml::{Table, Value};

/// A settings file whose keys and values are all good.
#[derive(Debug)]
pub(super) struct SettingsFile {
    settings: Vec<(String, Vec<OsString>)>,
}

impl SettingsFile {
    /// Reads the settings of a command.
    ///
    /// # Errors
    /// Usage errors that name the file, the key and the value; a failure where the file cannot be read.
    pub(super) fn read(path: &Path, command: &Command) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
        Self::parse(&text, command).map_err(|what| Failure::usage(format!("{}: {what}", path.display())))
    }

    fn parse(text: &str, command: &Command) -> Result<Self, String> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| at_line(text, &error))?;
        let mut settings = Vec::new();
        for (name, value) in &table {
            match value {
                Value::Table(inner) if name == "stores" => {
                    let store =
                        setting_at(command, Some("stores"), "NAME").ok_or_else(|| unknown(command, None, name))?;
                    let mut arguments = Vec::new();
                    for (name, location) in inner {
                        let full_name = format!("stores.{name}");
                        let Value::String(location) = location else {
                            return Err(wrong(&full_name, location, "expected a path or URL in quotes"));
                        };
                        let argument = store.argument(&format!("{name}={location}"));
                        Setting::check(command, &argument)
                            .map_err(|what| wrong(&full_name, &Value::String(location.clone()), &what))?;
                        arguments.push(argument);
                    }
                    settings.push((full_key(&store), arguments));
                }
                Value::Table(inner) => {
                    for (key, value) in inner {
                        settings.push(read_setting(command, Some(name), key, value)?);
                    }
                }
                value => settings.push(read_setting(command, None, name, value)?),
            }
        }
        Ok(SettingsFile { settings })
    }

    /// What the file says of a setting, as arguments.
    pub(super) fn arguments(&self, setting: &Setting<'_>) -> Vec<OsString> {
        let key = full_key(setting);
        self.settings.iter().filter(|(name, _)| *name == key).flat_map(|(_, arguments)| arguments.clone()).collect()
    }
}

/// The key with its table before it.
pub(super) fn full_key(setting: &Setting<'_>) -> String {
    match setting.key() {
        (Some(table), key) => format!("{table}.{key}"),
        (None, key) => key,
    }
}

fn setting_at<'a>(command: &'a Command, table: Option<&str>, key: &str) -> Option<Setting<'a>> {
    Setting::of(command).find(|setting| setting.key() == (table, key.to_owned()))
}

fn read_setting(
    command: &Command,
    table: Option<&str>,
    key: &str,
    value: &Value,
) -> Result<(String, Vec<OsString>), String> {
    let setting = setting_at(command, table, key).ok_or_else(|| unknown(command, table, key))?;
    let name = full_key(&setting);
    let values = match value {
        Value::Boolean(on) if setting.is_switch() => on.then(String::new).into_iter().collect(),
        Value::Integer(number) if setting.is_number() => vec![number.to_string()],
        Value::String(text) if !setting.is_switch() && !setting.is_number() => vec![text.clone()],
        Value::Array(values) if setting.takes_many() => {
            let texts = values.iter().map(|value| value.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
            texts.ok_or_else(|| wrong(&name, value, "expected a list of texts in quotes"))?
        }
        _ => return Err(wrong(&name, value, expected(&setting))),
    };
    let arguments: Vec<OsString> = values.iter().map(|value| setting.argument(value)).collect();
    arguments
        .iter()
        .try_for_each(|argument| Setting::check(command, argument))
        .map_err(|what| wrong(&name, value, &what))?;
    Ok((name, arguments))
}

fn expected(setting: &Setting<'_>) -> &'static str {
    match (setting.is_switch(), setting.is_number(), setting.takes_many()) {
        (true, _, _) => "expected true or false",
        (_, true, _) => "expected a whole number, without quotes",
        (_, _, true) => "expected a list of texts in quotes",
        _ => "expected a text in quotes",
    }
}

fn wrong(key: &str, value: &Value, what: &str) -> String {
    format!("{key} = {}: {what}", shown(value))
}

/// A value as it may stand in the file.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(on) => on.to_string(),
        Value::Datetime(time) => time.to_string(),
        Value::Array(_) => "[…]".to_owned(),
        Value::Table(_) => "{…}".to_owned(),
    }
}

/// That there is no such key, with those that there are.
fn unknown(command: &Command, table: Option<&str>, key: &str) -> String {
    let tables: Vec<_> = Setting::of(command).map(|setting| setting.key()).collect();
    let keys: Vec<&str> = tables.iter().filter(|(of, _)| of.as_deref() == table).map(|(_, key)| key.as_str()).collect();
    match table {
        Some(table) if keys.is_empty() => format!("unknown table [{table}]: there are [stores], [limits] and [tls]"),
        Some(table) => format!("unknown key {table}.{key}: there are {}", keys.join(", ")),
        None => format!("unknown key {key}: there are {}", keys.join(", ")),
    }
}

/// A syntax error with its line.
fn at_line(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
    match error.span().and_then(|span| text.get(..span.start)) {
        Some(before) => format!("line {}: {message}", before.matches('\n').count() + 1),
        None => message,
    }
}

//! Settings that were not typed: from the environment, else from the settings file.
//!
//! Each flag of a command is a setting, by the rules in [`Setting`]: declaring the flag is all there is to it. What the
//! environment or the file say takes the place of flags that were not typed, and is parsed as these are.

mod file;

use crate::cli::Failure;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, Command};
use file::SettingsFile;
use std::any::TypeId;
use std::env;
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The flag that names the settings file.
const CONFIG: &str = "config";

/// Flags that are said on the command line alone.
const TYPED_ONLY: [&str; 3] = [CONFIG, "check", "help"];

/// One flag of a command, as it is named elsewhere.
#[derive(Debug)]
pub(crate) struct Setting<'a> {
    arg: &'a Arg,
    long: &'a str,
}

impl<'a> Setting<'a> {
    /// The settings of a command, in the order of its flags.
    pub(crate) fn of(command: &'a Command) -> impl Iterator<Item = Setting<'a>> {
        let flags = command.get_arguments().filter_map(|arg| Some(Setting { arg, long: arg.get_long()? }));
        flags.filter(|setting| !TYPED_ONLY.contains(&setting.long))
    }

    /// The environment variable: `ATLAS_` and the flag in capitals.
    pub(crate) fn variable(&self) -> String {
        variable(self.long)
    }

    /// The table of the file that it stands in, and its key there: the flag with `_`. Limits and TLS have a table each; of
    /// the stores, a table's keys are the names.
    pub(crate) fn key(&self) -> (Option<&'static str>, String) {
        let key = |flag: &str| flag.replace('-', "_");
        let limits = self.arg.get_help_heading().is_some_and(|heading| heading.starts_with("Limits"));
        match self.long.strip_prefix("tls-") {
            Some(rest) => (Some("tls"), key(rest)),
            None if self.long == "store" => (Some("stores"), "NAME".to_owned()),
            None if limits => (Some("limits"), key(self.long)),
            None => (None, key(self.long)),
        }
    }

    fn is_switch(&self) -> bool {
        matches!(self.arg.get_action(), ArgAction::SetTrue)
    }

    fn takes_many(&self) -> bool {
        matches!(self.arg.get_action(), ArgAction::Append)
    }

    fn is_number(&self) -> bool {
        let parsed = self.arg.get_value_parser();
        let numbers = [TypeId::of::<u16>(), TypeId::of::<u32>(), TypeId::of::<u64>(), TypeId::of::<usize>()];
        numbers.iter().any(|number| parsed.type_id() == *number)
    }

    /// The argument that gives it this value.
    fn argument(&self, value: &str) -> OsString {
        if self.is_switch() { format!("--{}", self.long).into() } else { format!("--{}={value}", self.long).into() }
    }

    /// The arguments that a variable's text stands for: several values are separated by commas.
    fn arguments_of(&self, text: &str) -> Result<Vec<OsString>, String> {
        if self.is_switch() {
            return match text {
                "1" | "true" => Ok(vec![self.argument("")]),
                "0" | "false" => Ok(Vec::new()),
                _ => Err("expected true or false".to_owned()),
            };
        }
        if self.takes_many() {
            let values = text.split(',').map(str::trim).filter(|value| !value.is_empty());
            return Ok(values.map(|value| self.argument(value)).collect());
        }
        Ok(vec![self.argument(text)])
    }

    /// Whether the command takes this argument, apart from others that may be missing.
    fn check(command: &Command, argument: &OsStr) -> Result<(), String> {
        let Err(error) = command.clone().try_get_matches_from([OsStr::new("atlas"), argument]) else { return Ok(()) };
        match (error.kind(), error.source(), error.get(ContextKind::ValidValue)) {
            (ErrorKind::MissingRequiredArgument, ..) => Ok(()),
            // What the value's own parser says, if it says something.
            (_, Some(source), _) => Err(source.to_string()),
            (_, None, Some(ContextValue::Strings(values))) => Err(format!("expected {}", values.join(" or "))),
            _ => Err("it is not a value of this setting".to_owned()),
        }
    }
}

fn variable(flag: &str) -> String {
    format!("ATLAS_{}", flag.replace('-', "_").to_uppercase())
}

/// The arguments of `command`, and after them those that the environment and the settings file stand for. The flag
/// `--config` or the variable `ATLAS_CONFIG` names the file. An empty variable is none.
///
/// # Errors
/// Usage errors that name the variable, or the file and its key, and the value; a file that cannot be read.
pub(crate) fn complete(command: &Command, typed: Vec<OsString>) -> Result<Vec<OsString>, Failure> {
    complete_from(command, typed, |name| env::var_os(name))
}

fn complete_from(
    command: &Command,
    mut arguments: Vec<OsString>,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Vec<OsString>, Failure> {
    let environment = |name: &str| environment(name).filter(|value| !value.is_empty());
    // What is wrong is found again where the whole is parsed; help is an error, too.
    let Ok(matches) = command.clone().ignore_errors(true).try_get_matches_from(&arguments) else {
        return Ok(arguments);
    };
    let path =
        matches.get_one::<PathBuf>(CONFIG).cloned().or_else(|| environment(&variable(CONFIG)).map(PathBuf::from));
    let file = path.as_deref().map(|path: &Path| SettingsFile::read(path, command)).transpose()?;
    for setting in Setting::of(command) {
        if matches.value_source(setting.arg.get_id().as_str()) == Some(ValueSource::CommandLine) {
            continue;
        }
        let variable = setting.variable();
        let more = match environment(&variable) {
            Some(value) => {
                let wrong = |what: String| Failure::usage(format!("{variable}={}: {what}", value.display()));
                let text = value.to_str().ok_or_else(|| wrong("it is not UTF-8".to_owned()))?;
                let more = setting.arguments_of(text).map_err(wrong)?;
                more.iter().try_for_each(|argument| Setting::check(command, argument)).map_err(wrong)?;
                more
            }
            None => file.as_ref().map_or_else(Vec::new, |file| file.arguments(&setting)),
        };
        arguments.extend(more);
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests;

//! What can be typed, and the exit code that follows: 0 done, 1 failed, 2 usage.

use crate::cli::failure::say;
use crate::cli::{Failure, compact, create, import, info, ls, passwd, query, read, rm, serve, settings, show, verify};
use crate::demo;
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  atlas demo                                        see it work, in ten seconds
  atlas import argo profiles/                       NetCDF files become a store
  atlas info argo                                   what is in it
  atlas query argo 'SELECT * FROM catalog LIMIT 5'  ask it
  atlas serve --store argo=argo                     let others ask, over Arrow Flight";

/// Query service for fleets of similar N-dimensional datasets.
///
/// A store holds many datasets (one per station, cast, run or day), each a bundle of named arrays and attributes. SQL
/// finds datasets without reading an array; a stacked read gives the same region of all of them as one array.
#[derive(Debug, Parser)]
#[command(name = "atlas", version, verbatim_doc_comment, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Create(create::Create),
    Import(import::Import),
    Ls(ls::Ls),
    Info(info::Info),
    Show(show::Show),
    Query(query::Query),
    Read(read::Read),
    Serve(Box<serve::Serve>),
    Passwd(passwd::Passwd),
    Token(passwd::Token),
    Rm(rm::Rm),
    Compact(compact::Compact),
    Verify(verify::Verify),
    Demo(demo::Demo),
}

/// Does what the process's arguments say, and gives its exit code.
pub(crate) fn run() -> ExitCode {
    match arguments(std::env::args_os().collect()) {
        Ok(arguments) => run_with(arguments),
        Err(failure) => exit_code(Err(failure)),
    }
}

/// The arguments, with the settings of the command that has some where they were not typed.
fn arguments(mut typed: Vec<OsString>) -> Result<Vec<OsString>, Failure> {
    if typed.get(1).is_some_and(|typed| typed == "serve") {
        let of_command = typed.split_off(1);
        typed.extend(settings::complete(&serve_command(), of_command)?);
    }
    Ok(typed)
}

/// `atlas serve` by itself, with its flags.
pub(crate) fn serve_command() -> clap::Command {
    serve::Serve::augment_args(clap::Command::new("serve"))
}

fn run_with(arguments: Vec<OsString>) -> ExitCode {
    let outcome = match Cli::try_parse_from(arguments) {
        Ok(cli) => dispatch(cli.command),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                // A reader that has gone away has no use for the rest of the help.
                let _ = error.print();
                return ExitCode::SUCCESS;
            }
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                let _ = error.print();
                return ExitCode::from(2);
            }
            _ => Err(Failure::Usage(usage_line(&error.to_string()))),
        },
    };
    exit_code(outcome)
}

fn exit_code(outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) | Err(Failure::BrokenPipe) => ExitCode::SUCCESS,
        Err(Failure::Failed(message)) => {
            say(message);
            ExitCode::from(1)
        }
        Err(Failure::Usage(message)) => {
            say(message);
            ExitCode::from(2)
        }
    }
}

fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Create(create) => create.run(),
        Command::Import(import) => import.run(),
        Command::Ls(ls) => ls.run(),
        Command::Info(info) => info.run(),
        Command::Show(show) => show.run(),
        Command::Query(query) => query.run(),
        Command::Read(read) => read.run(),
        Command::Serve(serve) => serve.run(),
        Command::Passwd(passwd) => passwd.run(),
        Command::Token(token) => token.run(),
        Command::Rm(rm) => rm.run(),
        Command::Compact(compact) => compact.run(),
        Command::Verify(verify) => verify.run(),
        Command::Demo(demo) => demo.run(),
    }
}

/// clap's report without its label and without the usage and tips that follow.
fn usage_line(report: &str) -> String {
    let what = report.split("\n\n").next().unwrap_or(report);
    let what = what.strip_prefix("error: ").unwrap_or(what);
    let usage = report.split("Usage: ").nth(1).and_then(|usage| usage.lines().next());
    match usage {
        Some(usage) => format!("{what} (usage: {usage})"),
        None => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::failure::one_line;
    use clap::CommandFactory;

    #[test]
    fn the_declaration_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        for command in Cli::command().get_subcommands() {
            let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(examples.contains("atlas "), "{}", command.get_name());
        }
    }

    #[test]
    fn usage_errors_keep_what_was_wrong() {
        let report = "error: the following required arguments were not provided:\n  <STORE>\n\nUsage: atlas ls <STORE>\n\nFor more";
        let line = one_line(&usage_line(report));
        assert_eq!(line, "the following required arguments were not provided: <STORE> (usage: atlas ls <STORE>)");
    }
}

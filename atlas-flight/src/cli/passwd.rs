//! `atlas passwd` and `atlas token`: what stands in a users file.

use crate::cli::{Failure, Output};
use atlas_flight::auth::{StaticToken, hash_password};
use clap::Args;
use std::io::{BufRead, IsTerminal, Write, stdin};

/// The longest line that is read as a password.
const MAX_PASSWORD_BYTES: usize = 1024;

/// Hash a password for the users file of `atlas serve`.
///
/// Asks for the password twice on a terminal; elsewhere it is the first line of standard input. It is never an argument:
/// those are seen by everybody on the machine.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atlas passwd
  pass show atlas/ann | atlas passwd >> users.toml

The line goes under [users.NAME] in the users file; docs/security.md shows one.")]
pub(crate) struct Passwd {}

impl Passwd {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let password = if stdin().is_terminal() { ask()? } else { first_line()? };
        if password.is_empty() {
            return Err(Failure::failed("the password is empty"));
        }
        let hash = hash_password(&password).map_err(Failure::failed)?;
        let mut out = Output::stdout();
        writeln!(out, "password = \"{hash}\"")?;
        out.finish()
    }
}

fn ask() -> Result<String, Failure> {
    let password = rpassword::prompt_password("Password: ")?;
    if rpassword::prompt_password("Again: ")? != password {
        return Err(Failure::failed("the passwords differ"));
    }
    Ok(password)
}

fn first_line() -> Result<String, Failure> {
    let mut line = Vec::new();
    let limit = MAX_PASSWORD_BYTES as u64 + 2;
    std::io::Read::take(stdin().lock(), limit).read_until(b'\n', &mut line)?;
    let line = String::from_utf8(line).map_err(|_| Failure::failed("the password is not UTF-8 text"))?;
    let password = line.strip_suffix('\n').unwrap_or(&line);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.len() > MAX_PASSWORD_BYTES {
        return Err(Failure::failed(format!("the password has more than {MAX_PASSWORD_BYTES} bytes")));
    }
    Ok(password.to_owned())
}

/// Make a token for a program that cannot log in.
///
/// Prints the token, which is kept nowhere, and the line with its hash for the users file of `atlas serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atlas token

The second line goes under [users.NAME] in the users file; docs/security.md shows one.")]
pub(crate) struct Token {}

impl Token {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let token = StaticToken::random().map_err(Failure::failed)?;
        let mut out = Output::stdout();
        writeln!(out, "{}", token.secret())?;
        writeln!(out, "tokens = [\"{}\"]", token.hash())?;
        out.finish()
    }
}

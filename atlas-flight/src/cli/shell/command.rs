//! The shell's own commands: lines that begin with a dot.

/// What a line asks the shell itself to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Help,
    /// The tables of the store and the user's own.
    Tables,
    /// The columns of a table.
    Schema(String),
    /// Whether the time of each statement is told.
    Timing(bool),
    /// How many rows of a result are shown; all, if `None`.
    Rows(Option<usize>),
    Quit,
}

pub(super) const HELP: &str = "\
.tables           the tables there are
.schema TABLE     the columns of a table
.rows N | all     how many rows of a result are shown
.timing on | off  whether the time of each statement is told
.help             this text
.quit             leave, as Ctrl-D
SQL ends with a semicolon and may span lines. Ctrl-C stops a query that runs; where it does not stop, a second one ends the shell.";

/// The command that a line is; `None` where it is SQL.
///
/// # Errors
/// One line that tells what was expected.
pub(super) fn parse(line: &str) -> Option<Result<Command, String>> {
    let line = line.trim().trim_end_matches(';').trim_end();
    let words: Vec<&str> = line.strip_prefix('.')?.split_whitespace().collect();
    Some(match words.as_slice() {
        ["help"] => Ok(Command::Help),
        ["tables"] => Ok(Command::Tables),
        ["schema", table] => Ok(Command::Schema((*table).to_owned())),
        ["timing", "on"] => Ok(Command::Timing(true)),
        ["timing", "off"] => Ok(Command::Timing(false)),
        ["rows", "all"] => Ok(Command::Rows(None)),
        ["rows", count] => match count.parse() {
            Ok(count) => Ok(Command::Rows(Some(count))),
            Err(_) => Err(format!(".rows {count}: expected a number or all")),
        },
        ["quit" | "exit"] => Ok(Command::Quit),
        _ => Err(format!("{line}: there is no such command (.help lists them)")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_a_dot_is_a_command() {
        assert_eq!(parse("SELECT .5"), None);
        assert_eq!(parse(" .tables ;"), Some(Ok(Command::Tables)));
        assert_eq!(parse(".schema datasets"), Some(Ok(Command::Schema("datasets".into()))));
        assert_eq!(parse(".rows 7"), Some(Ok(Command::Rows(Some(7)))));
        assert_eq!(parse(".rows all"), Some(Ok(Command::Rows(None))));
        assert_eq!(parse(".timing off"), Some(Ok(Command::Timing(false))));
        assert_eq!(parse(".quit"), Some(Ok(Command::Quit)));
        assert!(parse(".rows many").is_some_and(|parsed| parsed.is_err()));
        assert!(parse(".drop").is_some_and(|parsed| parsed.is_err_and(|text| text.contains(".help"))));
    }
}

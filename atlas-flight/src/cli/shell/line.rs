//! When what was typed is whole.

use super::command;
use rustyline::Helper;
use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};

/// Reads on until a statement ends with a semicolon.
pub(super) struct Lines;

impl Helper for Lines {}

impl Completer for Lines {
    type Candidate = String;
}

impl Hinter for Lines {
    type Hint = String;
}

impl Highlighter for Lines {}

impl Validator for Lines {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if is_whole(context.input()) { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

/// Whether a text is nothing, a command, or SQL that ends with a semicolon outside quotes and comments.
pub(super) fn is_whole(text: &str) -> bool {
    text.trim().is_empty() || command::parse(text).is_some() || ends_statement(text)
}

fn ends_statement(text: &str) -> bool {
    let mut characters = text.chars().peekable();
    let mut ended = false;
    while let Some(character) = characters.next() {
        match character {
            '\'' | '"' => {
                // A doubled quote ends the text and begins it anew, which comes to the same.
                if !characters.any(|other| other == character) {
                    return false;
                }
                ended = false;
            }
            '-' if characters.peek() == Some(&'-') => drop(characters.find(|other| *other == '\n')),
            '/' if characters.peek() == Some(&'*') => {
                characters.next();
                let mut last = ' ';
                if !characters.any(|other| std::mem::replace(&mut last, other) == '*' && other == '/') {
                    return false;
                }
            }
            ';' => ended = true,
            other if other.is_whitespace() => {}
            _ => ended = false,
        }
    }
    ended
}

#[cfg(test)]
mod tests {
    use super::is_whole;

    #[test]
    fn a_statement_ends_with_a_semicolon_of_its_own() {
        for whole in [
            "",
            " ",
            ".tables",
            "SELECT 1;",
            "SELECT ';';",
            "SELECT 1; -- done",
            "SELECT 1 /* ; */ ;",
            "SELECT 'it''s';",
        ] {
            assert!(is_whole(whole), "{whole}");
        }
        for part in [
            "SELECT 1",
            "SELECT ';'",
            "SELECT ';",
            "SELECT 1 -- ;",
            "SELECT 1 /* ; */",
            "SELECT \"a;",
            "SELECT 1; SELECT 2",
            "/* ;",
        ] {
            assert!(!is_whole(part), "{part}");
        }
    }
}

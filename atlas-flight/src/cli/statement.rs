//! SQL statements: parsed from text, executed one by one.

use crate::cli::results::{self, Format};
use crate::cli::session::Session;
use crate::cli::{Failure, Output};
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What a statement gave.
pub(crate) struct Ran {
    /// Rows that were written.
    pub(crate) rows: usize,
    /// Whether there were more than were to be written.
    pub(crate) has_more: bool,
    pub(crate) time: Duration,
}

impl Ran {
    /// One line for people: `12 rows in 0.034 s`.
    pub(crate) fn summary(&self) -> String {
        let (more, rows) = (if self.has_more { "the first " } else { "" }, self.rows);
        let noun = if rows == 1 { "row" } else { "rows" };
        format!("{more}{rows} {noun} in {:.3} s", self.time.as_secs_f64())
    }
}

/// A statement, and the text that it was read from.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    pub(crate) statement: Statement,
    pub(crate) text: String,
}

/// The statements of a text.
///
/// # Errors
/// `Failed` where it is not SQL.
pub(crate) fn parse(sql: &str) -> Result<VecDeque<Parsed>, Failure> {
    let statements = DFParser::parse_sql(sql)?;
    let texts = split(sql);
    // The parser knows best: where it sees other statements than semicolons say, its own words are sent.
    let agree = texts.len() == statements.len();
    let text = |(place, statement): (usize, &Statement)| match texts.get(place) {
        Some(text) if agree => (*text).to_owned(),
        _ => statement.to_string(),
    };
    let texts: Vec<String> = statements.iter().enumerate().map(text).collect();
    Ok(statements.into_iter().zip(texts).map(|(statement, text)| Parsed { statement, text }).collect())
}

/// The parts of a text between semicolons that are not inside quotes or comments, without the empty ones.
fn split(sql: &str) -> Vec<&str> {
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location() else { return Vec::new() };
    let mut offsets = Offsets::new(sql);
    let mut parts = Vec::new();
    let mut begin = None;
    for TokenWithSpan { token, span } in &tokens {
        match token {
            Token::Whitespace(_) | Token::EOF => {}
            Token::SemiColon => {
                let end = offsets.of(span.start);
                parts.extend(begin.take().map(|begin| &sql[begin..end]));
            }
            _ if begin.is_none() => begin = Some(offsets.of(span.start)),
            _ => {}
        }
    }
    parts.extend(begin.map(|begin| &sql[begin..]));
    parts.into_iter().map(str::trim_end).collect()
}

/// Where lines and columns, which come in order, are in a text.
struct Offsets<'a> {
    characters: std::str::CharIndices<'a>,
    at: Location,
}

impl<'a> Offsets<'a> {
    fn new(text: &'a str) -> Self {
        Offsets { characters: text.char_indices(), at: Location::new(1, 1) }
    }

    fn of(&mut self, location: Location) -> usize {
        while self.at < location {
            match self.characters.next() {
                Some((_, '\n')) => self.at = Location::new(self.at.line + 1, 1),
                Some(_) => self.at.column += 1,
                None => break,
            }
        }
        self.characters.offset()
    }
}

/// Executes a statement and writes at most `most_rows` rows of its result; then it is stopped.
pub(crate) async fn run(
    session: &Session,
    statement: Parsed,
    format: Format,
    most_rows: Option<usize>,
    out: &mut Output,
) -> Result<Ran, Failure> {
    let began = Instant::now();
    let stream = session.run(statement).await?;
    let (rows, has_more) = results::write(stream, format, most_rows, out).await?;
    Ok(Ran { rows, has_more, time: began.elapsed() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn statements_keep_their_text() {
        let sql = " SELECT 'a;b', \"é;\" -- ; \n FROM t ; ;/* ; */ SELECT\n  2 AS \"zwei\";\n\nEXPLAIN SELECT 3  ";
        let texts: Vec<String> = parse(sql).unwrap().into_iter().map(|parsed| parsed.text).collect();
        let expected = ["SELECT 'a;b', \"é;\" -- ; \n FROM t", "SELECT\n  2 AS \"zwei\"", "EXPLAIN SELECT 3"];
        assert_eq!(texts, expected);
        assert!(parse(" ; -- nothing\n;").unwrap().is_empty());
        assert!(parse("SELEC 1").is_err());
    }
}

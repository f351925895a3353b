//! `?` parameters as the `$1`, `$2`, … that the planner tells apart.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use tonic::{Code, Status};

use crate::status;

/// A query with numbered parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Numbered {
    /// The text, without `?` parameters.
    pub(crate) sql: String,
    /// How many values it wants: the highest number.
    pub(crate) count: usize,
}

/// Numbers the `?` of `sql` from the left; those in literals, quoted names and comments are text.
///
/// # Errors
/// `INVALID_ARGUMENT` for text that cannot be tokenized, for named parameters, for `$0`, and where `?` and `$1` are mixed.
pub(crate) fn number(sql: &str) -> Result<Numbered, Status> {
    let invalid = |message: &str| status::status(Code::InvalidArgument, message);
    // The planner's own dialect and tokenizer: both see the same literals and comments.
    let tokens = Tokenizer::new(&GenericDialect {}, sql)
        .tokenize_with_location()
        .map_err(|error| invalid(&error.to_string()))?;
    let (mut questions, mut highest) = (Vec::new(), 0usize);
    for token in &tokens {
        let Token::Placeholder(text) = &token.token else { continue };
        if text == "?" {
            questions.push((token.span.start.line, token.span.start.column));
        } else {
            let position = text.strip_prefix('$').and_then(|number| number.parse().ok()).filter(|number| *number > 0);
            let position = position
                .ok_or_else(|| invalid(&format!("parameter {text} has a name: parameters are ? or $1, $2, ...")))?;
            highest = highest.max(position);
        }
    }
    if questions.is_empty() {
        return Ok(Numbered { sql: sql.to_string(), count: highest });
    }
    if highest > 0 {
        return Err(invalid("the query mixes ? and $1 parameters: use one of them"));
    }
    Ok(Numbered { sql: replace(sql, &questions), count: questions.len() })
}

/// Replaces the `?` at these lines and columns, which count characters from 1.
fn replace(sql: &str, questions: &[(u64, u64)]) -> String {
    let mut out = String::with_capacity(sql.len() + 2 * questions.len());
    let (mut line, mut column, mut next) = (1u64, 1u64, 0usize);
    for character in sql.chars() {
        if questions.get(next) == Some(&(line, column)) {
            next += 1;
            out.push('$');
            out.push_str(&next.to_string());
        } else {
            out.push(character);
        }
        if character == '\n' {
            (line, column) = (line + 1, 1);
        } else {
            column += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;

    fn numbered(sql: &str, count: usize) -> Numbered {
        Numbered { sql: sql.into(), count }
    }

    #[test]
    fn questions_are_numbered_from_the_left() {
        assert_eq!(number("a = ? AND b\n IN (?,?)").unwrap(), numbered("a = $1 AND b\n IN ($2,$3)", 3));
        let many = ["?"; 11].join(", ");
        assert!(number(&many).unwrap().sql.ends_with("$9, $10, $11"));
    }

    #[test]
    fn literals_names_and_comments_are_left_alone() {
        let sql = "SELECT '?', 'it''s ?', \"a?b\", 'é?\n?' -- ?\n /* ? /* ? */ ? */ FROM t WHERE x = ?";
        let expected = sql.strip_suffix('?').unwrap().to_string() + "$1";
        assert_eq!(number(sql).unwrap(), numbered(&expected, 1));
    }

    #[test]
    fn numbered_parameters_are_kept() {
        assert_eq!(number("x = $2 OR y = $1").unwrap(), numbered("x = $2 OR y = $1", 2));
        assert_eq!(number("SELECT 1").unwrap(), numbered("SELECT 1", 0));
    }

    #[test]
    fn named_and_mixed_parameters_are_refused() {
        for sql in ["x = $name", "x = $0", "x = ? AND y = $1", "'unterminated"] {
            let result = number(sql);
            assert!(result.is_err(), "{sql}: {result:?}");
        }
    }
}

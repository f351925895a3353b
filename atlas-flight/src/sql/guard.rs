//! Queries that are too much to plan.
//!
//! The parser limits how deep brackets nest, and still a short text can be too much:
//!
//! - `a + a + a …` and `… UNION ALL …` nest to the left without a bracket, and what walks such a tree, down to the code that
//!   frees it, takes stack for each level. The number of operators is limited.
//! - Where the parser fails inside `CAST(`, `CASE` or `(SELECT`, it reads the same text again as something else, and once more
//!   for each level around it: the time doubles from level to level. The more text there is, the fewer levels are allowed.

use super::nesting;
use crate::status;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use tonic::{Code, Status};

/// The longest query, in bytes. Long lists of values belong into parameters.
pub(super) const MAX_SQL_BYTES: usize = 1 << 20;

/// The most operators, joins, set operations and subqueries.
const MAX_OPERATORS: usize = 1_000;

/// The most brackets within each other; the parser gives up at about fifty.
const MAX_BRACKETS: usize = 64;

/// The longest name, in bytes: of one that does not exist, the planner looks for the likes of among all columns.
const MAX_NAME_BYTES: usize = 1024;

/// How many words the parser may read in all, the ones that it reads again included.
const MAX_READ_TOKENS: usize = 1 << 22;

/// Checks that a query, or a predicate, is not too much to plan.
///
/// # Errors
/// `RESOURCE_EXHAUSTED` that names the limit. Text that is no SQL passes: the parser says what is wrong with it.
pub(crate) fn check(sql: &str) -> Result<(), Status> {
    let exceeded = |message: String| Err(status::status(Code::ResourceExhausted, &message));
    if sql.len() > MAX_SQL_BYTES {
        return exceeded(format!("the query has {} bytes, the limit is {MAX_SQL_BYTES}", sql.len()));
    }
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize() else { return Ok(()) };
    let tokens: Vec<Token> = tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
    let longest = tokens.iter().filter_map(|token| match token {
        Token::Word(word) => Some(word.value.len()),
        _ => None,
    });
    if let Some(bytes) = longest.max().filter(|bytes| *bytes > MAX_NAME_BYTES) {
        return exceeded(format!("the query has a name of {bytes} bytes, the limit is {MAX_NAME_BYTES}"));
    }
    let sampled = |token: &Token| matches!(token, Token::Word(word) if word.keyword == Keyword::TABLESAMPLE);
    if tokens.iter().any(sampled) {
        // The planner would answer as if it were not there.
        return Err(status::status(Code::Unimplemented, "TABLESAMPLE is not supported"));
    }
    let nesting = nesting::measure(&tokens);
    let operators = tokens.iter().filter(|token| nests(token)).count() + nesting.queries;
    if operators > MAX_OPERATORS {
        return exceeded(format!(
            "the query has {operators} operators, joins and subqueries, the limit is {MAX_OPERATORS}"
        ));
    }
    if nesting.brackets > MAX_BRACKETS {
        let brackets = nesting.brackets;
        return exceeded(format!("the query nests {brackets} brackets deep, the limit is {MAX_BRACKETS}"));
    }
    let (words, retries) = (tokens.len(), nesting.retries);
    let allowed = (MAX_READ_TOKENS / words.max(1)).max(1).ilog2();
    if retries > allowed {
        let message = format!("the query nests {retries} levels deep, the limit for its {words} words is {allowed}");
        return exceeded(message);
    }
    Ok(())
}

/// Whether a token makes the tree one level deeper: everything but names, literals and what separates them.
fn nests(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::XOR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::IN
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::RLIKE
                | Keyword::REGEXP
                | Keyword::SIMILAR
                | Keyword::BETWEEN
                | Keyword::OVERLAPS
                | Keyword::COLLATE
                | Keyword::AT
                | Keyword::DIV
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::MINUS
                | Keyword::INTERSECT
                | Keyword::JOIN
                | Keyword::APPLY
                | Keyword::EXPLAIN
                | Keyword::DESCRIBE
                | Keyword::DESC
                | Keyword::NOTNULL
                | Keyword::PIVOT
                | Keyword::PRIOR
                | Keyword::UNPIVOT
                | Keyword::MATCH_RECOGNIZE
                | Keyword::INTERVAL
        ),
        Token::EOF
        | Token::Number(..)
        | Token::Char(_)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::NationalStringLiteral(_)
        | Token::HexStringLiteral(_)
        | Token::Whitespace(_)
        | Token::Comma
        | Token::SemiColon
        | Token::RParen
        | Token::LParen
        | Token::RBracket
        | Token::RBrace
        | Token::Placeholder(_) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;

    #[test]
    fn queries_that_people_and_tools_write_pass() {
        let ids = (0..50_000).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
        let or_chain = vec!["(station = 's1' AND month = 3)"; 240].join(" OR ");
        let not_chain = vec!["NOT (a = 1)"; 300].join(" AND ");
        let unions = vec!["SELECT dataset FROM datasets"; 200].join(" UNION ALL ");
        let columns =
            (0..2000).map(|n| format!("CAST(stat_max(\"A{n}\") AS DOUBLE) AS a{n}")).collect::<Vec<_>>().join(", ");
        let cases =
            (0..500).map(|n| format!("CASE WHEN x IS NULL THEN {n} ELSE NOT y END")).collect::<Vec<_>>().join(", ");
        for sql in [
            "",
            "SELECT '",
            &format!("SELECT * FROM datasets WHERE id IN ({ids})"),
            &format!("SELECT * FROM datasets WHERE {or_chain}"),
            &format!("SELECT * FROM datasets WHERE {not_chain}"),
            &unions,
            &format!("SELECT {columns} FROM datasets"),
            &format!("SELECT {cases} FROM t"),
            "SELECT a FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT CAST(CAST(x AS INT) AS TEXT) a FROM t))))",
            "SELECT ((((((((((a + 1) * 2) + 3) * 4) + 5) * 6) + 7) * 8) + 9) * 10)",
        ] {
            let shown: String = sql.chars().take(60).collect();
            check(sql).unwrap_or_else(|status| panic!("{shown}: {}", status.message()));
        }
    }

    #[test]
    fn what_takes_too_much_names_its_limit() {
        let long = "x".repeat(MAX_SQL_BYTES + 1);
        let operators = "1".to_string() + &" + 1".repeat(MAX_OPERATORS + 1);
        let brackets = "f(".repeat(65);
        let nested = "CAST(".repeat(40);
        let name = format!("SELECT {}", "n".repeat(1025));
        for (sql, part) in [
            (&long, "the limit is 1048576"),
            (&operators, "the limit is 1000"),
            (&name, "a name of 1025 bytes, the limit is 1024"),
            (&brackets, "65 brackets deep, the limit is 64"),
            (&nested, "nests 40 levels deep, the limit for its 80 words is 15"),
        ] {
            let status = check(sql).unwrap_err();
            assert_eq!(status.code(), Code::ResourceExhausted);
            assert!(status.message().contains(part), "{}", status.message());
        }
    }
}

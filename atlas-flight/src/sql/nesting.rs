//! How deep a query nests, seen from its tokens.
//!
//! sqlparser reads a keyword such as CAST or CASE as what it begins, and where that fails anywhere within, as a name. It does
//! the same for brackets that may hold a query. Each such level within another doubles the time.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::Token;

/// How deep a query nests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Nesting {
    /// The most brackets of any kind within each other.
    pub(super) brackets: usize,
    /// The most levels within each other at which the parser has a second way to read on. It may be too many.
    pub(super) retries: u32,
    /// Subqueries, common table expressions, and tables that a comma joins: each is a level of the plan.
    pub(super) queries: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bracket,
    Case,
    Type,
}

/// What is open at a token.
struct Scope {
    kind: Kind,
    /// The levels that its end ends.
    levels: u32,
    /// Those of them that begin with a word such as NOT, and end with its operand.
    prefixes: u32,
    /// A BETWEEN came: the next AND may be its own, and end nothing.
    has_between: bool,
    /// The last clause is FROM.
    in_from: bool,
}

impl Scope {
    fn new(kind: Kind, levels: u32) -> Self {
        Scope { kind, levels, prefixes: 0, has_between: false, in_from: false }
    }

    fn prefix(&mut self) -> u32 {
        self.prefixes += 1;
        self.levels += 1;
        1
    }

    fn end_prefixes(&mut self) -> u32 {
        self.levels -= self.prefixes;
        std::mem::take(&mut self.prefixes)
    }
}

/// Measures a query whose white space is left out.
pub(super) fn measure(tokens: &[Token]) -> Nesting {
    let keyword = |at: Option<usize>| match at.and_then(|at| tokens.get(at)) {
        Some(Token::Word(word)) => Some(word.keyword),
        _ => None,
    };
    let before_query = before_query(tokens);
    let mut found = Nesting::default();
    let mut scopes = vec![Scope::new(Kind::Bracket, 0)];
    let mut depth = 0u32;
    for (at, token) in tokens.iter().enumerate() {
        let Some(scope) = scopes.last_mut() else { break };
        let (before, after) = (keyword(at.checked_sub(1)), keyword(Some(at + 1)));
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                let after_dot = at.checked_sub(2).and_then(|at| tokens.get(at)) == Some(&Token::Period);
                let levels = u32::from(
                    before_query[at] || before.is_some_and(reads_on_otherwise) || (before.is_some() && after_dot),
                );
                found.queries += usize::from(after.is_some_and(begins_query));
                depth += levels;
                scopes.push(Scope::new(Kind::Bracket, levels));
            }
            Token::RParen | Token::RBracket | Token::RBrace => {
                // What is still open within the bracket was no CASE and no type.
                while scopes.len() > 1 {
                    let Some(closed) = scopes.pop() else { break };
                    depth -= closed.levels;
                    if closed.kind == Kind::Bracket {
                        break;
                    }
                }
            }
            Token::Lt if before.is_some_and(reads_on_otherwise) => {
                depth += 1;
                scopes.push(Scope::new(Kind::Type, 1));
            }
            Token::Gt | Token::ShiftRight => {
                for _ in 0..if *token == Token::Gt { 1 } else { 2 } {
                    if let Some(closed) = scopes.pop_if(|scope| scope.kind == Kind::Type) {
                        depth -= closed.levels;
                    }
                }
            }
            Token::Comma => {
                depth -= scope.end_prefixes();
                found.queries += usize::from(scope.in_from);
            }
            Token::Arrow => depth += scope.prefix(),
            Token::Word(word) => match word.keyword {
                Keyword::CASE => {
                    depth += 1;
                    scopes.push(Scope::new(Kind::Case, 1));
                }
                Keyword::END if scope.kind == Kind::Case => {
                    depth -= scope.levels;
                    scopes.pop();
                }
                Keyword::INTERVAL | Keyword::PRIOR | Keyword::LAMBDA => depth += scope.prefix(),
                Keyword::NOT if !after.is_some_and(takes_not) => depth += scope.prefix(),
                Keyword::BETWEEN => scope.has_between = true,
                Keyword::AND | Keyword::OR if !scope.has_between => depth -= scope.end_prefixes(),
                Keyword::FROM => scope.in_from = true,
                Keyword::SELECT | Keyword::WHERE | Keyword::GROUP | Keyword::ORDER | Keyword::HAVING => {
                    scope.in_from = false;
                }
                _ => {}
            },
            _ => {}
        }
        found.retries = found.retries.max(depth);
        found.brackets = found.brackets.max(scopes.len() - 1);
    }
    found
}

/// Whether each token is a bracket that a query follows, with or without more brackets between.
fn before_query(tokens: &[Token]) -> Vec<bool> {
    let mut before = vec![false; tokens.len()];
    for at in (0..tokens.len().saturating_sub(1)).rev() {
        before[at] = tokens[at] == Token::LParen
            && match &tokens[at + 1] {
                Token::Word(word) => begins_query(word.keyword),
                Token::LParen => before[at + 1],
                _ => false,
            };
    }
    before
}

fn begins_query(word: Keyword) -> bool {
    matches!(word, Keyword::SELECT | Keyword::WITH | Keyword::VALUES | Keyword::FROM | Keyword::TABLE)
}

/// Whether what stands in the brackets of a word is read again as something else where reading it fails; and types, for
/// whose depth the parser has no limit.
fn reads_on_otherwise(word: Keyword) -> bool {
    matches!(
        word,
        Keyword::ARRAY
            | Keyword::CAST
            | Keyword::CEIL
            | Keyword::CONVERT
            | Keyword::EXISTS
            | Keyword::EXTRACT
            | Keyword::FLOOR
            | Keyword::LAMBDA
            | Keyword::LOWCARDINALITY
            | Keyword::MAP
            | Keyword::MATCH
            | Keyword::NESTED
            | Keyword::NULLABLE
            | Keyword::OVERLAY
            | Keyword::POSITION
            | Keyword::SAFE_CAST
            | Keyword::STRUCT
            | Keyword::SUBSTR
            | Keyword::SUBSTRING
            | Keyword::TRIM
            | Keyword::TRY_CAST
            | Keyword::TRY_CONVERT
            | Keyword::TUPLE
            | Keyword::UNION
    )
}

/// Whether a NOT before a word belongs to it (`x NOT IN`, `IS NOT NULL`): the parser does not read on from there twice.
fn takes_not(word: Keyword) -> bool {
    use Keyword::{BETWEEN, ILIKE, IN, LIKE, NULL, SIMILAR};
    matches!(word, BETWEEN | ILIKE | IN | LIKE | NULL | SIMILAR)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::tokenizer::Tokenizer;

    fn of(sql: &str) -> Nesting {
        let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().unwrap();
        measure(&tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect::<Vec<_>>())
    }

    #[test]
    fn levels_within_each_other_are_counted_and_others_are_not() {
        for (sql, expected) in [
            ("", 0),
            ("f(g(h(1)), g((1)))", 0),
            ("((((a + 1) * 2) + 3) * 4)", 0),
            ("CAST(a AS INT), CAST(b AS INT)", 1),
            ("CAST(CAST(a AS INT) AS INT)", 2),
            ("CAST(CAST(CAST(", 3),
            ("CASE WHEN a THEN CASE WHEN b THEN 1 END END, CASE WHEN c THEN 1 END", 2),
            ("f(CASE), f(CASE), f(CASE)", 1),
            ("NOT a AND NOT b OR NOT c, NOT d", 1),
            ("NOT a = NOT b = NOT c", 3),
            ("NOT 1 BETWEEN 2 AND NOT 1 BETWEEN 2 AND NOT c", 3),
            ("a NOT IN (1) AND b IS NOT NULL", 0),
            ("(SELECT 1 FROM (SELECT 2 FROM ((SELECT 3))))", 4),
            ("a.f(a.f(a.f(1)))", 3),
            ("(a) -> (b) -> (c) -> 1", 3),
            ("x::ARRAY<STRUCT<a INT, b ARRAY<INT>>>, y::ARRAY<INT>", 3),
            (")))>>>", 0),
        ] {
            assert_eq!(of(sql).retries, expected, "{sql}");
        }
    }

    #[test]
    fn brackets_and_queries_are_counted() {
        assert_eq!(of("f([{a: (1)}], (2))").brackets, 4);
        let nesting =
            of("WITH a AS (SELECT 1), b AS (SELECT f(1, 2) FROM a, c, d WHERE x IN (1, 2, 3)) SELECT 1, 2 FROM b, e");
        assert_eq!(nesting.queries, 5);
    }
}

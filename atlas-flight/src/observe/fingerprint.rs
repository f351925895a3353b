//! Which statements are the same but for their values.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use ring::digest;

/// What stands for a value, and for several that follow one another.
const VALUE: &str = "?";

/// Hexadecimal digits of a fingerprint, two a byte.
const BYTES: usize = 8;

/// A hash of a statement without its values, comments, spacing and capitals: 16 hexadecimal digits that stay the same from
/// version to version. What is no SQL has none.
pub(super) fn fingerprint(sql: &str) -> Option<String> {
    let normalised = normalised(sql)?;
    let hash = digest::digest(&digest::SHA256, normalised.as_bytes());
    Some(hash.as_ref()[..BYTES].iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The words of a statement, with `?` in place of values.
fn normalised(sql: &str) -> Option<String> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().ok()?;
    let mut words: Vec<String> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let word = match token {
            Token::Whitespace(_) | Token::SemiColon | Token::EOF => continue,
            Token::Word(word) if word.quote_style.is_none() => word.value.to_lowercase(),
            Token::Word(word) => word.to_string(),
            token if is_value(&token) => {
                // Lists of different lengths are the same.
                if let [.., value, comma] = words.as_slice()
                    && (value, comma.as_str()) == (&VALUE.to_owned(), ",")
                {
                    words.pop();
                    continue;
                }
                VALUE.to_owned()
            }
            token => token.to_string(),
        };
        words.push(word);
    }
    Some(words.join(" "))
}

fn is_value(token: &Token) -> bool {
    // Every kind of text has its quotes; words in quotes are names, and are not asked about here.
    let text = token.to_string();
    matches!(token, Token::Number(..) | Token::Char(_) | Token::Placeholder(_))
        || text.starts_with('$')
        || text.contains(['\'', '"', '?'])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;

    #[test]
    fn values_spacing_and_capitals_do_not_count() {
        let of = |sql| fingerprint(sql).unwrap();
        let one = of("SELECT a FROM t WHERE b = 'secret' AND c IN (1, 2, 3)");
        assert_eq!(one.len(), 16);
        for same in [
            "select a\n  from T -- a comment\n where B = 'other''s' and c in (4)",
            "SELECT a FROM t WHERE b = $1 AND c IN (?, ?);",
            "SELECT a FROM t WHERE b = E'x' AND c IN (1.5, 2e3)",
        ] {
            assert_eq!(of(same), one, "{same}");
        }
        for other in ["SELECT b FROM t WHERE b = 'secret' AND c IN (1, 2, 3)", "SELECT \"A\" FROM t", "SELECT a FROM t"]
        {
            assert_ne!(of(other), one, "{other}");
        }
        assert_ne!(of("SELECT \"A\""), of("SELECT \"a\""), "names in quotes are told apart");
    }

    #[test]
    fn no_value_is_left() {
        let sql = "SELECT 'secret', N'secret', E'secret', X'5ec7e7', $$secret$$, 5678, 'a' || 'secret' FROM t WHERE x = $1 -- secret";
        let normalised = normalised(sql).unwrap();
        assert!(
            !normalised.contains("secret") && !normalised.contains("5ec7e7") && !normalised.contains("5678"),
            "{normalised}"
        );
    }

    #[test]
    fn what_is_no_sql_has_no_fingerprint() {
        assert_eq!(fingerprint("SELECT 'unfinished"), None);
    }

    #[test]
    fn fingerprints_stay_as_they_are() {
        assert_eq!(normalised("SELECT  A, 1").unwrap(), "select a , ?");
        assert_eq!(fingerprint("SELECT 1").unwrap(), fingerprint("select 2").unwrap());
    }
}

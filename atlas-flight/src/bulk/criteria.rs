//! What a client asks ListFlights for.

use crate::status;
use serde::{Deserialize, Serialize};
use tonic::{Code, Status};

/// The expression of ListFlights: JSON, each field of which leaves out flights. An empty one lists every array family.
///
/// ```
/// use atlas_flight::bulk::criteria::ListRequest;
///
/// let expression = br#"{"store": "fleet", "array": "temp*", "datasets": true, "where": "month = 1"}"#;
/// let request = ListRequest::from_expression(expression).unwrap();
/// assert!(request.datasets && request.accepts("temperature") && !request.accepts("salinity"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    /// The expression's version: 1.
    #[serde(default = "first_version")]
    pub version: u32,
    /// The store; all of them where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// The array families: a name, in which `*` stands for any text and `?` for one character.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub array: Option<String>,
    /// A flight for each dataset's array, in place of one for the family.
    #[serde(default)]
    pub datasets: bool,
    /// A predicate over the datasets, as in a stacked read. It needs a store: others may lack the columns.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub where_: Option<String>,
}

/// The expression's version, for the day that another is needed.
const VERSION: u32 = 1;

fn first_version() -> u32 {
    VERSION
}

impl Default for ListRequest {
    /// Every array family.
    fn default() -> Self {
        ListRequest { version: VERSION, store: None, array: None, datasets: false, where_: None }
    }
}

impl ListRequest {
    /// The request that an expression holds.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` that says what is wrong.
    pub fn from_expression(expression: &[u8]) -> Result<Self, Status> {
        if expression.is_empty() {
            return Ok(Self::default());
        }
        let invalid = |message: String| status::status(Code::InvalidArgument, &message);
        let request: ListRequest = serde_json::from_slice(expression)
            .map_err(|error| invalid(format!("the criteria's expression is not readable: {error}")))?;
        if request.version != VERSION {
            let version = request.version;
            return Err(invalid(format!("the expression has version {version}, this server reads version {VERSION}")));
        }
        if request.where_.is_some() && request.store.is_none() {
            return Err(invalid("the expression has \"where\" without \"store\"".into()));
        }
        Ok(request)
    }

    /// The expression that asks for this.
    pub fn to_expression(&self) -> Vec<u8> {
        serde_json::json!(self).to_string().into_bytes()
    }

    /// Whether an array family is asked for.
    pub fn accepts(&self, array: &str) -> bool {
        self.array.as_deref().is_none_or(|pattern| matches(pattern, array))
    }
}

/// Whether `text` is as `pattern` says, in time that grows with their product at most.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut in_text) = (0, 0);
    // The last star, and how far the text was when it stood for nothing.
    let mut star: Option<(usize, usize)> = None;
    while in_text < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, in_text));
                at += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == text[in_text] => {
                at += 1;
                in_text += 1;
            }
            _ => {
                // The star stands for one character more.
                let Some((star_at, begun)) = star else { return false };
                star = Some((star_at, begun + 1));
                at = star_at + 1;
                in_text = begun + 1;
            }
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;

    #[test]
    fn stars_and_question_marks_match() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("temp*", "temperature", true),
            ("temp*", "tem", false),
            ("*ure", "temperature", true),
            ("t*e*e", "temperature", true),
            ("t*x*e", "temperature", false),
            ("?emp", "temp", true),
            ("?emp", "emp", false),
            ("a**b", "ab", true),
            ("é?", "éa", true),
            ("[a]", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
        assert!(!matches(&"*a".repeat(500), &"b".repeat(5000)));
    }

    #[test]
    fn unreadable_expressions_say_what_is_wrong() {
        for (expression, word) in [
            (r#"{"store": "s", "arrays": "t"}"#, "arrays"),
            (r#"{"datasets": 1}"#, "boolean"),
            (r#"{"where": "month = 1"}"#, "without"),
            (r#"{"version": 2}"#, "version 2"),
            ("fleet", "not readable"),
        ] {
            let status = ListRequest::from_expression(expression.as_bytes()).unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument);
            assert!(status.message().contains(word), "{expression}: {}", status.message());
        }
        let request = ListRequest { array: Some("t*".into()), datasets: true, ..ListRequest::default() };
        assert_eq!(ListRequest::from_expression(&request.to_expression()).unwrap(), request);
        assert_eq!(ListRequest::from_expression(b"").unwrap(), ListRequest::default());
    }
}

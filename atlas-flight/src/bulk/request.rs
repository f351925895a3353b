//! The stacked command: what a client asks for, and its JSON.

use crate::status;
use serde::{Deserialize, Serialize};
use tonic::{Code, Status};

/// The same region of some arrays from many datasets.
///
/// As a Flight command it is the JSON object `{"stacked": {…}}` of these fields; only `store` and `arrays` must be there.
///
/// ```
/// let command = r#"{"stacked": {"store": "fleet", "arrays": ["temperature"], "where": "month = 1",
///                   "start": [0, 0], "shape": [12, 42], "missing": "skip", "partitions": 4}}"#;
/// let request = atlas_flight::bulk::request::StackedRequest::from_command(command.as_bytes())?;
/// assert_eq!(request.where_.as_deref(), Some("month = 1"));
/// # Ok::<(), tonic::Status>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StackedRequest {
    /// The store's name on the server.
    pub store: String,
    /// The arrays to read: one column each.
    pub arrays: Vec<String>,
    /// The datasets to read, in this order; all of the store's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datasets: Option<Vec<String>>,
    /// A SQL predicate that the datasets satisfy: what stands behind WHERE in a query of `datasets`, without subqueries.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub where_: Option<String>,
    /// The first cell of each dimension; zeros where only `shape` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Vec<u64>>,
    /// The number of cells of each dimension; whole arrays where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Vec<u64>>,
    /// What becomes of a dataset that lacks one of the arrays.
    #[serde(default)]
    pub missing: Missing,
    /// Into how many endpoints of about equal numbers of datasets to cut the read.
    #[serde(default = "one")]
    pub partitions: u32,
}

/// What becomes of a dataset that lacks one of the arrays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// The read fails and names the dataset.
    #[default]
    Error,
    /// The dataset is left out.
    Skip,
    /// The dataset's row has a null in that column.
    Null,
}

/// The most endpoints that one read is cut into.
const MAX_PARTITIONS: u32 = 4096;

/// The command's version, for the day that another is needed.
const VERSION: u32 = 1;

fn one() -> u32 {
    1
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    #[serde(default = "one")]
    version: u32,
    stacked: StackedRequest,
}

impl Default for StackedRequest {
    /// A request of one endpoint that still lacks its store and arrays.
    fn default() -> Self {
        StackedRequest {
            store: String::new(),
            arrays: Vec::new(),
            datasets: None,
            where_: None,
            start: None,
            shape: None,
            missing: Missing::Error,
            partitions: 1,
        }
    }
}

impl StackedRequest {
    /// The request that a Flight command holds.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` that says where the JSON is not such a request.
    pub fn from_command(command: &[u8]) -> Result<Self, Status> {
        let invalid = |message: String| status::status(Code::InvalidArgument, &message);
        let command: Command =
            serde_json::from_slice(command).map_err(|error| invalid(format!("command is not readable: {error}")))?;
        if command.version != VERSION {
            return Err(invalid(format!(
                "command has version {}, this server reads version {VERSION}",
                command.version
            )));
        }
        Ok(command.stacked)
    }

    /// The Flight command that asks for this.
    pub fn to_command(&self) -> Vec<u8> {
        serde_json::json!({ "stacked": self }).to_string().into_bytes()
    }

    /// The request that a path names: `[store, array]` is the whole family, `[store, array, dataset]` one array.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a path of another length.
    pub fn from_path(path: &[String]) -> Result<Self, Status> {
        let (store, array, datasets) = match path {
            [store, array] => (store, array, None),
            [store, array, dataset] => (store, array, Some(vec![dataset.clone()])),
            _ => {
                let message = format!("path {path:?} is neither [store, array] nor [store, array, dataset]");
                return Err(status::status(Code::InvalidArgument, &message));
            }
        };
        let missing = if datasets.is_none() { Missing::Skip } else { Missing::Error };
        let (store, arrays) = (store.clone(), vec![array.clone()]);
        Ok(StackedRequest { store, arrays, datasets, missing, ..StackedRequest::default() })
    }

    /// Checks what needs no store to be seen wrong.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` that names the field.
    pub(crate) fn check(&self) -> Result<(), Status> {
        let problem = if self.arrays.is_empty() {
            "arrays is empty: name at least one".to_string()
        } else if let Some(array) = first_repeated(&self.arrays) {
            format!("arrays names {array} twice")
        } else if let Some(dataset) = self.datasets.as_deref().and_then(first_repeated) {
            format!("datasets names {dataset} twice")
        } else if self.start.is_some() && self.shape.is_none() {
            "start is given without shape".to_string()
        } else if self.partitions == 0 || self.partitions > MAX_PARTITIONS {
            format!("partitions is {}, it must be 1 to {MAX_PARTITIONS}", self.partitions)
        } else {
            return Ok(());
        };
        Err(status::status(Code::InvalidArgument, &problem))
    }
}

fn first_repeated(names: &[String]) -> Option<&str> {
    let mut seen = std::collections::HashSet::new();
    names.iter().map(String::as_str).find(|name| !seen.insert(*name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;

    #[test]
    fn commands_survive_their_json() {
        let request = StackedRequest {
            store: "fleet".into(),
            arrays: vec!["t".into(), "s".into()],
            datasets: Some(vec!["a".into()]),
            where_: Some("month = 1".into()),
            start: Some(vec![0, 1]),
            shape: Some(vec![2, 3]),
            missing: Missing::Null,
            partitions: 3,
        };
        assert_eq!(StackedRequest::from_command(&request.to_command()).unwrap(), request);
        let short = StackedRequest::from_command(br#"{"stacked": {"store": "s", "arrays": ["t"], "datasets": null}}"#);
        let expected = StackedRequest { store: "s".into(), arrays: vec!["t".into()], ..StackedRequest::default() };
        assert_eq!(short.unwrap(), expected);
    }

    #[test]
    fn unreadable_commands_say_what_is_wrong() {
        for (command, word) in [
            (r#"{"stacked": {"store": "s", "arrays": ["t"], "whre": "x"}}"#, "whre"),
            (r#"{"stacked": {"arrays": ["t"]}}"#, "store"),
            (r#"{"stacked": {"store": "s", "arrays": ["t"], "start": [-1]}}"#, "-1"),
            (r#"{"stacked": {"store": "s", "arrays": ["t"], "missing": "maybe"}}"#, "maybe"),
            (r#"{"version": 2, "stacked": {"store": "s", "arrays": ["t"]}}"#, "version 2"),
            (r#"{"other": 1}"#, "other"),
            ("{", "EOF"),
        ] {
            let status = StackedRequest::from_command(command.as_bytes()).unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument);
            assert!(status.message().contains(word), "{command}: {}", status.message());
        }
    }

    #[test]
    fn requests_that_cannot_be_right_are_refused() {
        let base = StackedRequest { store: "s".into(), arrays: vec!["t".into()], ..StackedRequest::default() };
        base.check().unwrap();
        let twice = vec!["a".to_string(), "a".to_string()];
        for request in [
            StackedRequest { arrays: vec![], ..base.clone() },
            StackedRequest { arrays: twice.clone(), ..base.clone() },
            StackedRequest { datasets: Some(twice), ..base.clone() },
            StackedRequest { start: Some(vec![0]), ..base.clone() },
            StackedRequest { partitions: 0, ..base.clone() },
        ] {
            assert!(request.check().is_err(), "{request:?}");
        }
        assert!(StackedRequest::from_path(&["s".into()]).is_err());
    }
}

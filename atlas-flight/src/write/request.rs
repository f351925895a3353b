//! The put command: what a client uploads, and its JSON.

use crate::status;
use serde::{Deserialize, Serialize};
use tonic::{Code, Status};

/// Where the batches of a DoPut go.
///
/// As a Flight command it is the JSON object `{"put": {…}}` of these fields; only `store` must be there. The paths `[store]`
/// and `[store, dataset]` are short for it.
///
/// - Without `dataset`, a row is a dataset: the column `dataset` names it, columns of tensors and lists are its arrays, all
///   others its attributes.
/// - With `dataset`, the stream is that one dataset: each column is an array whose leading dimension runs over the rows of all
///   batches.
///
/// ```
/// let command = r#"{"put": {"store": "fleet", "mode": "overwrite"}}"#;
/// let request = atlas_flight::write::request::PutRequest::from_command(command.as_bytes())?;
/// assert_eq!(request.store, "fleet");
/// # Ok::<(), tonic::Status>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutRequest {
    /// The store's name on the server.
    pub store: String,
    /// The one dataset that the stream is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// What becomes of what is there already.
    #[serde(default)]
    pub mode: Mode,
    /// The name of the leading dimension, with `dataset`, of columns that do not name it; `row` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dim: Option<String>,
    /// How many rows the stream has: one that ends before is refused. Some clients end a stream as if it were whole where their
    /// program fails in the middle of it; nothing else tells that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Without `dataset`: writes into arrays that are there, the first cell of each value at this place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Vec<u64>>,
}

/// What becomes of datasets and arrays that are there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Datasets get the arrays and attributes that they lack; an array that is there is an error. Attributes are set anew.
    #[default]
    Extend,
    /// A dataset that is there is an error.
    Create,
    /// Arrays that are there are replaced; the other arrays of their datasets stay.
    Overwrite,
    /// All datasets of the store are deleted, in the same commit.
    Replace,
}

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
    put: PutRequest,
}

impl PutRequest {
    /// The request that a Flight command holds.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` that says where the JSON is not such a request.
    pub fn from_command(command: &[u8]) -> Result<Self, Status> {
        let invalid = |message: String| status::status(Code::InvalidArgument, &message);
        let Command { version, put } =
            serde_json::from_slice(command).map_err(|error| invalid(format!("command is not readable: {error}")))?;
        if version != VERSION {
            return Err(invalid(format!("command has version {version}, this server reads version {VERSION}")));
        }
        let problem = match (&put.dataset, &put.dim, &put.start) {
            (None, Some(_), _) => "dim is given without dataset",
            (Some(_), _, Some(_)) => "start is for uploads without dataset",
            (Some(_), ..) if put.mode == Mode::Replace => "mode replace is for uploads without dataset",
            (None, _, Some(_)) if put.mode != Mode::Extend => "with start, arrays are written into: there is no mode",
            _ => return Ok(put),
        };
        Err(invalid(problem.into()))
    }

    /// The Flight command that asks for this.
    pub fn to_command(&self) -> Vec<u8> {
        serde_json::json!({ "put": self }).to_string().into_bytes()
    }

    /// The request that a path names: `[store]` or `[store, dataset]`.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a path of another length.
    pub fn from_path(path: &[String]) -> Result<Self, Status> {
        let (store, dataset) = match path {
            [store] => (store, None),
            [store, dataset] => (store, Some(dataset.clone())),
            _ => {
                let message = format!("path {path:?} is neither [store] nor [store, dataset]");
                return Err(status::status(Code::InvalidArgument, &message));
            }
        };
        Ok(PutRequest { store: store.clone(), dataset, ..PutRequest::default() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;

    #[test]
    fn commands_survive_their_json() {
        let request = PutRequest {
            store: "fleet".into(),
            dataset: Some("a".into()),
            mode: Mode::Overwrite,
            dim: Some("time".into()),
            rows: Some(3),
            start: None,
        };
        assert_eq!(PutRequest::from_command(&request.to_command()).unwrap(), request);
        let short = PutRequest::from_command(br#"{"put": {"store": "s"}}"#).unwrap();
        assert_eq!(short, PutRequest::from_path(&["s".into()]).unwrap());
        assert!(PutRequest::from_path(&["s".into(), "a".into(), "t".into()]).is_err());
    }

    #[test]
    fn unreadable_commands_say_what_is_wrong() {
        for (command, word) in [
            (r#"{"put": {"store": "s", "mod": "create"}}"#, "mod"),
            (r#"{"put": {}}"#, "store"),
            (r#"{"put": {"store": "s", "mode": "append"}}"#, "append"),
            (r#"{"put": {"store": "s", "dim": "x"}}"#, "without dataset"),
            (r#"{"put": {"store": "s", "dataset": "a", "start": [0]}}"#, "start"),
            (r#"{"put": {"store": "s", "start": [0], "mode": "create"}}"#, "no mode"),
            (r#"{"put": {"store": "s", "dataset": "a", "mode": "replace"}}"#, "replace"),
            (r#"{"version": 7, "put": {"store": "s"}}"#, "version 7"),
        ] {
            let status = PutRequest::from_command(command.as_bytes()).unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument);
            assert!(status.message().contains(word), "{command}: {}", status.message());
        }
    }
}

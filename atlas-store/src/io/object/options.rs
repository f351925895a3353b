//! How remote storage is asked.

use crate::error::{Error, Result};
use object_store::RetryConfig;

/// How many requests run at a time, and how often one that failed is made again.
#[derive(Debug, Clone)]
pub struct ObjectOptions {
    /// Requests in flight at a time, over everything that one storage does.
    pub requests: usize,
    /// When a failed request is made again: server errors, throttling, lost connections and timeouts are. Of storage
    /// opened by a URL; a handle of your own brings its own.
    pub retry: RetryConfig,
}

impl Default for ObjectOptions {
    /// 16 requests; up to 10 retries within 3 minutes, with waits from 0.1 s that double up to 15 s, and jitter.
    fn default() -> Self {
        ObjectOptions { requests: 16, retry: RetryConfig::default() }
    }
}

impl ObjectOptions {
    /// The defaults, with as many requests as the environment variable `ATLAS_REQUESTS` says.
    ///
    /// # Errors
    /// `InvalidArgument` where that is not a number from 1 up.
    pub fn from_env() -> Result<Self> {
        match std::env::var("ATLAS_REQUESTS") {
            Err(_) => Ok(Self::default()),
            Ok(text) => Ok(ObjectOptions { requests: parse_requests(&text)?, ..Self::default() }),
        }
    }
}

fn parse_requests(text: &str) -> Result<usize> {
    match text.parse() {
        Ok(requests @ 1..=1024) => Ok(requests),
        _ => Err(Error::invalid(format!("ATLAS_REQUESTS is {text:?}: expected a number from 1 to 1024"))),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_requests;

    #[test]
    fn requests_are_a_number_from_1_to_1024() {
        assert_eq!(parse_requests("64").ok(), Some(64));
        for bad in ["", "0", "-1", "1025", "many"] {
            assert!(parse_requests(bad).is_err(), "{bad}");
        }
    }
}

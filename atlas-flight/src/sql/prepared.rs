//! The values that are bound to prepared statements.
//!
//! A statement's handle says what it is (`ticket`), and binding gives a new handle that says the values, too. But JDBC and
//! flightsql-dbapi ignore that and go on with the first: for them the values are kept here, under the statement's id. So are
//! the ids of statements that were closed last, which are of no more use.

use super::parameters::Parameters;
use crate::recent::Recent;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tonic::{Code, Status};

use crate::status;

/// The most statements whose values are kept: beyond it, those that were not used for longest are forgotten.
const MAX_STATEMENTS: usize = 10_000;

/// The most bytes that the values of all statements take, as a ticket holds them; the same happens beyond it.
const MAX_BYTES: usize = 64 << 20;

/// The most closed statements that are known to be so.
const MAX_CLOSED: usize = 1 << 16;

/// The values bound last to each statement that has some, and the statements that were closed.
#[derive(Debug, Default)]
pub(crate) struct BoundValues {
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    by_statement: HashMap<Bytes, Values>,
    bytes: usize,
    clock: u64,
    closed: Recent<Bytes>,
}

impl Default for Kept {
    fn default() -> Self {
        Kept { by_statement: HashMap::new(), bytes: 0, clock: 0, closed: Recent::new(MAX_CLOSED) }
    }
}

#[derive(Debug)]
struct Values {
    parameters: Bytes,
    used: u64,
}

impl BoundValues {
    /// Keeps the values of a statement, in place of those bound before. They are as [`Parameters::to_bytes`] writes them.
    pub(crate) fn bind(&self, id: &Bytes, parameters: Bytes) {
        let mut kept = self.lock();
        kept.forget(id);
        if parameters.is_empty() || parameters.len() > MAX_BYTES {
            return;
        }
        while kept.by_statement.len() >= MAX_STATEMENTS || kept.bytes + parameters.len() > MAX_BYTES {
            let oldest = kept.by_statement.iter().min_by_key(|(_, values)| values.used).map(|(id, _)| id.clone());
            let Some(oldest) = oldest else { break };
            kept.forget(&oldest);
        }
        let used = kept.tick();
        kept.bytes += parameters.len();
        kept.by_statement.insert(Bytes::copy_from_slice(id), Values { parameters, used });
    }

    /// The values bound last to a statement; empty where there are none, or they are forgotten.
    pub(crate) fn of(&self, id: &Bytes) -> Bytes {
        let mut kept = self.lock();
        let now = kept.tick();
        let Some(values) = kept.by_statement.get_mut(id) else { return Bytes::new() };
        values.used = now;
        values.parameters.clone()
    }

    /// Forgets the values of a statement, which is of no more use; doing it twice is fine.
    pub(crate) fn close(&self, id: &Bytes) {
        let mut kept = self.lock();
        kept.forget(id);
        // The bytes of a decoded id hold on to its whole handle.
        kept.closed.insert(Bytes::copy_from_slice(id));
    }

    /// Checks that a statement is not closed.
    ///
    /// # Errors
    /// `NOT_FOUND` where it is, and was closed as one of the last 65536, on this server.
    pub(crate) fn check_open(&self, id: &Bytes) -> Result<(), Status> {
        if self.lock().closed.contains(id) {
            return Err(status::status(Code::NotFound, "the prepared statement is closed: prepare it again"));
        }
        Ok(())
    }

    /// What is kept is only ever a shortcut: a panic elsewhere leaves at worst a wrong count of bytes.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn forget(&mut self, id: &Bytes) {
        if let Some(values) = self.by_statement.remove(id) {
            self.bytes = self.bytes.saturating_sub(values.parameters.len());
        }
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

/// Checks that as many values are bound as the statement has parameters.
///
/// # Errors
/// `INVALID_ARGUMENT` that says both.
pub(crate) fn check_count(parameters: &Parameters, wanted: u64) -> Result<(), Status> {
    if parameters.len() as u64 == wanted {
        return Ok(());
    }
    let message = format!("the query has {wanted} parameters, {} are bound", parameters.len());
    Err(status::status(Code::InvalidArgument, &message))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;

    fn id(number: usize) -> Bytes {
        number.to_string().into()
    }

    #[test]
    fn values_are_kept_until_others_are_bound_or_the_statement_is_closed() {
        let bound = BoundValues::default();
        bound.bind(&id(1), "a".into());
        bound.bind(&id(2), "b".into());
        bound.bind(&id(1), "c".into());
        assert_eq!((bound.of(&id(1)), bound.of(&id(2)), bound.of(&id(3))), ("c".into(), "b".into(), "".into()));
        bound.check_open(&id(1)).unwrap();
        bound.close(&id(1));
        bound.close(&id(1));
        assert!(bound.of(&id(1)).is_empty());
        assert_eq!(bound.check_open(&id(1)).unwrap_err().code(), Code::NotFound);
        bound.bind(&id(2), Bytes::new());
        assert!(bound.of(&id(2)).is_empty());
        assert_eq!(bound.lock().bytes, 0);
    }

    #[test]
    fn statements_that_nobody_closes_are_forgotten_in_the_end() {
        let bound = BoundValues::default();
        for number in 0..MAX_STATEMENTS {
            bound.bind(&id(number), "x".into());
        }
        assert!(!bound.of(&id(0)).is_empty());
        bound.bind(&id(MAX_STATEMENTS), "x".into());
        assert!(!bound.of(&id(0)).is_empty(), "it was used");
        assert!(bound.of(&id(1)).is_empty());
    }

    #[test]
    fn large_values_make_room_for_each_other() {
        let bound = BoundValues::default();
        for number in 0..20 {
            bound.bind(&id(number), vec![0; MAX_BYTES / 4].into());
            assert!(bound.lock().bytes <= MAX_BYTES);
        }
        assert_eq!(bound.lock().by_statement.len(), 4);
        bound.bind(&id(99), vec![0; MAX_BYTES + 1].into());
        assert!(bound.of(&id(99)).is_empty() && !bound.of(&id(19)).is_empty());
    }

    #[test]
    fn too_few_values_are_said() {
        let error = check_count(&Parameters::default(), 2).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(error.message().contains("2 parameters, 0"), "{}", error.message());
    }
}

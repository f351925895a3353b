//! Prepared statements that clients hold handles of.

use super::parameters::Parameters;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tonic::{Code, Status};

use crate::status;

/// The most statements kept: beyond it, the one that was not used for longest is forgotten.
const MAX_STATEMENTS: usize = 10_000;

/// A prepared statement.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    /// The query, its parameters numbered.
    pub(crate) sql: String,
    /// How many parameters it has.
    pub(crate) parameter_count: usize,
    /// The values bound last. They stay under the statement's own handle: clients ignore the one that binding returns.
    pub(crate) bound: Option<Parameters>,
}

impl Prepared {
    /// The values to run with.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` where as many as the query has are not bound.
    pub(crate) fn parameters(&self) -> Result<Parameters, Status> {
        let bound = self.bound.clone().unwrap_or_default();
        if bound.len() != self.parameter_count {
            let message = format!("the query has {} parameters, {} are bound", self.parameter_count, bound.len());
            return Err(status::status(Code::InvalidArgument, &message));
        }
        Ok(bound)
    }
}

/// The statements that are open, by handle.
#[derive(Debug, Default)]
pub(crate) struct PreparedStatements {
    open: Mutex<HashMap<Bytes, (u64, Prepared)>>,
    clock: AtomicU64,
}

impl PreparedStatements {
    /// Keeps a statement and gives its handle.
    pub(crate) fn create(&self, statement: Prepared) -> Bytes {
        let now = self.tick();
        let handle = Bytes::from(format!("statement-{now}"));
        let mut open = self.lock();
        if open.len() >= MAX_STATEMENTS {
            let oldest = open.iter().min_by_key(|(_, (used, _))| *used).map(|(handle, _)| handle.clone());
            oldest.and_then(|handle| open.remove(&handle));
        }
        open.insert(handle.clone(), (now, statement));
        handle
    }

    /// The statement of a handle.
    ///
    /// # Errors
    /// `NOT_FOUND` where it is closed or forgotten.
    pub(crate) fn get(&self, handle: &Bytes) -> Result<Prepared, Status> {
        let now = self.tick();
        let mut open = self.lock();
        let (used, statement) = open.get_mut(handle).ok_or_else(unknown_handle)?;
        *used = now;
        Ok(statement.clone())
    }

    /// Binds values, in place of those bound before.
    ///
    /// # Errors
    /// `NOT_FOUND` where the statement is closed or forgotten, `INVALID_ARGUMENT` where it has another number of
    /// parameters.
    pub(crate) fn bind(&self, handle: &Bytes, parameters: Parameters) -> Result<(), Status> {
        let now = self.tick();
        let mut open = self.lock();
        let (used, statement) = open.get_mut(handle).ok_or_else(unknown_handle)?;
        *used = now;
        let bound = Prepared { bound: Some(parameters), ..statement.clone() };
        bound.parameters()?;
        *statement = bound;
        Ok(())
    }

    /// Forgets a statement; closing one twice is fine.
    pub(crate) fn close(&self, handle: &Bytes) {
        self.lock().remove(handle);
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    /// Every change is one insert, assignment or removal: a panic elsewhere leaves the map whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<Bytes, (u64, Prepared)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unknown_handle() -> Status {
    Status::not_found("the prepared statement is closed or was never made here: prepare it again")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;

    fn statement(sql: &str) -> Prepared {
        Prepared { sql: sql.into(), parameter_count: 0, bound: None }
    }

    #[test]
    fn closed_statements_are_not_found() {
        let statements = PreparedStatements::default();
        let (a, b) = (statements.create(statement("a")), statements.create(statement("b")));
        statements.close(&a);
        statements.close(&a);
        assert_eq!(statements.get(&a).unwrap_err().code(), Code::NotFound);
        assert_eq!(statements.get(&b).unwrap().sql, "b");
    }

    #[test]
    fn statements_that_nobody_closes_are_forgotten_in_the_end() {
        let statements = PreparedStatements::default();
        let first = statements.create(statement("first"));
        let used = statements.create(statement("used"));
        statements.get(&used).unwrap();
        for _ in 0..MAX_STATEMENTS - 1 {
            statements.create(statement("x"));
        }
        assert!(statements.get(&first).is_err());
        assert!(statements.get(&used).is_ok());
    }

    #[test]
    fn binding_checks_the_number_of_values() {
        let statements = PreparedStatements::default();
        let handle = statements.create(Prepared { parameter_count: 2, ..statement("x = $1 OR x = $2") });
        assert!(statements.get(&handle).unwrap().parameters().is_err());
        let error = statements.bind(&handle, Parameters::default()).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(error.message().contains("2 parameters, 0"), "{}", error.message());
    }
}

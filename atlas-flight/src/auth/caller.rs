//! Whose call it is, and what that user may do.

use crate::status;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use tonic::{Code, Request, Status};

/// What a user may do with a store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Nothing: for this user the store does not exist.
    #[default]
    None,
    /// Query and read it.
    Read,
    /// Change it, too.
    Write,
}

/// A user's role for each store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Roles {
    /// The role for stores that are named.
    pub(crate) by_store: BTreeMap<String, Role>,
    /// The role for all others.
    pub(crate) others: Role,
}

impl Roles {
    /// The role for a store.
    pub(crate) fn of(&self, store: &str) -> Role {
        self.by_store.get(store).copied().unwrap_or(self.others)
    }
}

/// Who makes a call. It travels with the request, from the one place where credentials are checked.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The user's name; empty where the server has no users.
    pub(crate) user: Arc<str>,
    roles: Arc<Roles>,
    login: Option<[u8; 32]>,
}

impl Caller {
    /// A user of the users file.
    pub(crate) fn new(user: &str, roles: Arc<Roles>) -> Self {
        Caller { user: user.into(), roles, login: None }
    }

    /// Whoever calls a server without users.
    pub(crate) fn anybody() -> Self {
        let roles = Roles { by_store: BTreeMap::new(), others: Role::Write };
        Caller { user: "".into(), roles: Arc::new(roles), login: None }
    }

    /// The same, by a login: `token` is the hash of the token that it gave.
    pub(crate) fn with_login(self, token: [u8; 32]) -> Self {
        Caller { login: Some(token), ..self }
    }

    /// What tells one login from another; none where the call brings no token of a login.
    pub(crate) fn login(&self) -> Option<[u8; 32]> {
        self.login
    }

    /// The caller of a request.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` where the request did not pass the check of credentials.
    pub(crate) fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let caller = request.extensions().get::<Caller>().cloned();
        caller.ok_or_else(|| Status::unauthenticated("the call has no credentials"))
    }

    /// Whether the caller may read a store; if not, it does not exist for the caller.
    pub(crate) fn may_read(&self, store: &str) -> bool {
        self.roles.of(store) >= Role::Read
    }

    /// Checks that the caller may change a store that it may read.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` that names the store.
    pub(crate) fn check_write(&self, store: &str) -> Result<(), Status> {
        if self.roles.of(store) >= Role::Write {
            return Ok(());
        }
        let message = format!("user {} may not write to store {store}", self.user);
        Err(status::status(Code::PermissionDenied, &message))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;

    #[test]
    fn a_named_store_goes_before_the_default() {
        let by_store = [("fleet".to_string(), Role::Write), ("secret".to_string(), Role::None)].into();
        let caller = Caller::new("ann", Arc::new(Roles { by_store, others: Role::Read }));
        assert!(caller.may_read("fleet") && caller.may_read("other") && !caller.may_read("secret"));
        assert!(caller.check_write("fleet").is_ok());
        assert_eq!(caller.check_write("other").unwrap_err().code(), Code::PermissionDenied);
        let nothing = Caller::new("bob", Arc::default());
        assert!(!nothing.may_read("fleet"));
    }

    #[test]
    fn a_request_that_was_not_checked_has_no_caller() {
        assert_eq!(Caller::of(&Request::new(())).unwrap_err().code(), Code::Unauthenticated);
    }
}

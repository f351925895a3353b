//! Passwords: hashed slowly on purpose, and therefore away from the threads that serve, few at a time, and not twice.

use super::key::fill_random;
use crate::server::ServeError;
use crate::status;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use ring::hmac;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tonic::{Code, Status};

/// How many passwords are compared at a time. Each takes a core for a moment, and 19 MiB.
const AT_ONCE: usize = 2;

/// How many may wait for that; the next is turned away.
const MAX_WAITING: usize = 64;

/// For how long a password that was right is known to be so without being hashed again.
const REMEMBERED: Duration = Duration::from_secs(600);

/// The most passwords that are known to be right.
const MAX_REMEMBERED: usize = 1024;

/// The hash of a password for the users file: Argon2id with the parameters that OWASP recommends (19 MiB, 2 passes).
///
/// # Errors
/// Where the system gives no random bytes for the salt.
pub fn hash_password(password: &str) -> Result<String, ServeError> {
    hash_with(&Argon2::default(), password.as_bytes())
}

fn hash_with(argon2: &Argon2<'_>, password: &[u8]) -> Result<String, ServeError> {
    let mut salt = [0; 16];
    fill_random(&mut salt)?;
    let hash: PasswordHash = argon2
        .hash_password_with_salt(password, &salt)
        .map_err(|error| ServeError::new(format!("the password cannot be hashed: {error}")))?;
    Ok(hash.to_string())
}

/// What it costs to compare with a hash: memory times passes, and the parameters of both.
pub(super) type Cost = (u64, u32, u32, u32);

/// The cost of a hash; `None` where it is none.
pub(super) fn cost_of(hash: &str) -> Option<Cost> {
    let hash = PasswordHash::new(hash).ok()?;
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
    hash.hash.as_ref()?;
    hash.salt.as_ref()?;
    let params = Params::try_from(&hash).ok().filter(|_| algorithm == Algorithm::Argon2id)?;
    let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
    Some((u64::from(memory) * u64::from(passes), memory, passes, lanes))
}

/// A hash of this cost (the usual one where there is none) that no password has.
pub(super) fn decoy(cost: Option<Cost>) -> Result<String, ServeError> {
    let params = cost.and_then(|(_, memory, passes, lanes)| Params::new(memory, passes, lanes, None).ok());
    let mut password = [0; 32];
    fill_random(&mut password)?;
    hash_with(&Argon2::new(Algorithm::Argon2id, Version::V0x13, params.unwrap_or_default()), &password)
}

/// Compares passwords with hashes.
pub(super) struct Passwords {
    slots: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// Until when a password is known to be right, by a keyed hash of it and of what it was compared with.
    right: Mutex<HashMap<[u8; 32], Instant>>,
    /// So that nobody who sees a hash can try passwords against it.
    remembering: hmac::Key,
}

impl Passwords {
    /// No password is known.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub(super) fn new() -> Result<Self, ServeError> {
        let mut key = [0; 32];
        fill_random(&mut key)?;
        Ok(Passwords {
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: AtomicUsize::new(0),
            right: Mutex::default(),
            remembering: hmac::Key::new(hmac::HMAC_SHA256, &key),
        })
    }

    /// Whether `password` is known to have the hash `hash`, which costs nothing to see.
    pub(super) fn is_known(&self, password: &str, hash: &str) -> bool {
        self.is_remembered(&self.name(password, hash))
    }

    /// Whether `password` has the hash `hash`.
    ///
    /// # Cost
    /// Some ten milliseconds on another thread; nothing where it was right within the last ten minutes.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` where too many wait.
    pub(super) async fn are_equal(&self, password: &str, hash: &str) -> Result<bool, Status> {
        let name = self.name(password, hash);
        if self.is_remembered(&name) {
            return Ok(true);
        }
        let slot = {
            let _waiting = Waiting::enter(&self.waiting)?;
            Arc::clone(&self.slots).acquire_owned().await.map_err(|error| status::internal(&error))?
        };
        // Meanwhile another call may have brought the same.
        if self.is_remembered(&name) {
            return Ok(true);
        }
        let (password, hash) = (password.to_owned(), hash.to_owned());
        // The slot goes along: a client that hangs up frees it no earlier than the thread is free.
        let equal = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            Argon2::default().verify_password(password.as_bytes(), hash.as_str()).is_ok()
        });
        let equal = equal.await.map_err(|error| status::from_join(&error))?;
        if equal {
            self.remember(name);
        }
        Ok(equal)
    }

    fn name(&self, password: &str, hash: &str) -> [u8; 32] {
        let mut signing = hmac::Context::with_key(&self.remembering);
        signing.update(hash.as_bytes());
        signing.update(b"\0");
        signing.update(password.as_bytes());
        let mut name = [0; 32];
        name.copy_from_slice(signing.sign().as_ref());
        name
    }

    fn is_remembered(&self, name: &[u8; 32]) -> bool {
        self.lock().get(name).is_some_and(|until| Instant::now() < *until)
    }

    fn remember(&self, name: [u8; 32]) {
        let now = Instant::now();
        let mut right = self.lock();
        if right.len() >= MAX_REMEMBERED {
            right.retain(|_, until| now < *until);
            let oldest = right.iter().min_by_key(|(_, until)| **until).map(|(name, _)| *name);
            if let Some(oldest) = oldest.filter(|_| right.len() >= MAX_REMEMBERED) {
                right.remove(&oldest);
            }
        }
        right.insert(name, now + REMEMBERED);
    }

    /// Every change is whole, whatever panics elsewhere.
    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Instant>> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of those that wait.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(waiting: &'a AtomicUsize) -> Result<Self, Status> {
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let entered = Waiting(waiting);
        if before < MAX_WAITING {
            return Ok(entered);
        }
        let message = format!("{MAX_WAITING} logins wait already: try again, or log in once and use the token");
        Err(status::status(Code::ResourceExhausted, &message))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;
    use futures::future::join_all;

    fn cheap(password: &str) -> String {
        hash_with(&Argon2::from(Params::new(8, 1, 1, None).unwrap()), password.as_bytes()).unwrap()
    }

    #[test]
    fn hashes_are_salted_and_of_the_recommended_cost() {
        let (a, b) = (hash_password("secret").unwrap(), hash_password("secret").unwrap());
        assert_ne!(a, b);
        assert!(a.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{a}");
        assert_eq!(cost_of(&a), Some((2 * 19456, 19456, 2, 1)));
        assert_eq!(cost_of(&decoy(cost_of(&a)).unwrap()), cost_of(&a));
        for text in ["", "secret", "$argon2id$", "$argon2id$v=19$m=19456,t=2,p=1", "$2b$12$abcdefghijklmnopqrstuv"] {
            assert_eq!(cost_of(text), None, "{text}");
        }
        let weak = a.replace("argon2id", "argon2d");
        assert_eq!(cost_of(&weak), None, "another kind of Argon2 is not what we make");
    }

    #[tokio::test]
    async fn only_the_password_has_its_hash_and_only_right_ones_are_remembered() {
        let passwords = Passwords::new().unwrap();
        let hash = cheap("secret");
        for _ in 0..2 {
            assert!(passwords.are_equal("secret", &hash).await.unwrap());
            for wrong in ["", "Secret", "secret ", "secret\0"] {
                assert!(!passwords.are_equal(wrong, &hash).await.unwrap(), "{wrong:?}");
            }
            assert_eq!(passwords.lock().len(), 1);
        }
        assert!(!passwords.are_equal("secret", &cheap("other")).await.unwrap(), "remembered for its own hash only");
        assert!(!passwords.are_equal("secret", "no hash").await.unwrap());
    }

    #[tokio::test]
    async fn what_is_remembered_is_bounded() {
        let passwords = Passwords::new().unwrap();
        for number in 0..MAX_REMEMBERED + 10 {
            passwords.remember(passwords.name(&number.to_string(), ""));
        }
        assert_eq!(passwords.lock().len(), MAX_REMEMBERED);
        assert!(passwords.is_remembered(&passwords.name(&(MAX_REMEMBERED + 9).to_string(), "")));
        assert!(!passwords.is_remembered(&passwords.name("0", "")));
    }

    #[tokio::test]
    async fn too_many_that_wait_are_turned_away() {
        let passwords = Passwords::new().unwrap();
        let hash = cheap("secret");
        let all: Vec<String> = (0..MAX_WAITING + AT_ONCE + 20).map(|number| number.to_string()).collect();
        let results = join_all(all.iter().map(|password| passwords.are_equal(password, &hash))).await;
        let refused: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
        assert!(!refused.is_empty() && refused.len() <= 20, "{}", refused.len());
        assert!(refused.iter().all(|status| status.code() == Code::ResourceExhausted));
        assert_eq!(passwords.waiting.load(Ordering::Relaxed), 0);
        assert!(passwords.are_equal("secret", &hash).await.unwrap());
    }
}

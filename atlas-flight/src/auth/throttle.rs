//! Wrong passwords: who brought too many within a minute has to wait.

use crate::status;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tonic::{Code, Status};

/// For how long a wrong password counts, and how long the wait is at most.
const WINDOW: Duration = Duration::from_secs(60);

/// How many times as many wrong passwords an address may bring for all users together.
const USERS_OF_ADDRESS: u32 = 10;

/// The most users and addresses that are counted: beyond it, those whose count is over or oldest are forgotten.
const MAX_COUNTED: usize = 10_000;

/// What is counted: a user at an address, and all users at an address.
type Place = (Option<Arc<str>>, Option<IpAddr>);

/// Counts wrong passwords.
#[derive(Debug)]
pub(super) struct Throttle {
    most: Option<u32>,
    counts: Mutex<HashMap<Place, Count>>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    failures: u32,
    last: Instant,
}

impl Throttle {
    /// Lets so many wrong passwords pass for one user from one address within a minute; any number, if `None`.
    pub(super) fn new(most: Option<u32>) -> Self {
        Throttle { most, counts: Mutex::default() }
    }

    /// Checks that a password may be tried.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` that says how long to wait.
    pub(super) fn check(&self, user: &str, address: Option<IpAddr>, now: Instant) -> Result<(), Status> {
        let Some(most) = self.most else { return Ok(()) };
        let counts = self.lock();
        for (place, most) in places(user, address, most) {
            let Some(count) = counts.get(&place).filter(|count| count.failures >= most) else { continue };
            let wait = (count.last + WINDOW).saturating_duration_since(now);
            if !wait.is_zero() {
                let failures = count.failures;
                let wait = wait.as_secs().max(1);
                let message =
                    format!("{failures} wrong passwords within a minute, the limit is {most}: try again in {wait} s");
                return Err(status::status(Code::ResourceExhausted, &message));
            }
        }
        Ok(())
    }

    /// Counts a wrong password.
    pub(super) fn failed(&self, user: &str, address: Option<IpAddr>, now: Instant) {
        let Some(most) = self.most else { return };
        let mut counts = self.lock();
        for (place, _) in places(user, address, most) {
            if counts.len() >= MAX_COUNTED && !counts.contains_key(&place) {
                counts.retain(|_, count| !is_over(count, now));
                let oldest = counts.iter().min_by_key(|(_, count)| count.last).map(|(place, _)| place.clone());
                if let Some(oldest) = oldest.filter(|_| counts.len() >= MAX_COUNTED) {
                    counts.remove(&oldest);
                }
            }
            let count = counts.entry(place).or_insert(Count { failures: 0, last: now });
            if is_over(count, now) {
                count.failures = 0;
            }
            count.failures = count.failures.saturating_add(1);
            count.last = now;
        }
    }

    /// Forgets the wrong passwords of a user who then brought the right one.
    pub(super) fn succeeded(&self, user: &str, address: Option<IpAddr>) {
        if self.most.is_some() {
            self.lock().remove(&(Some(user.into()), address.map(network)));
        }
    }

    /// Every change is whole, whatever panics elsewhere.
    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_over(count: &Count, now: Instant) -> bool {
    now.saturating_duration_since(count.last) >= WINDOW
}

/// What a password of `user` from `address` counts for, and how many may be wrong.
fn places(user: &str, address: Option<IpAddr>, most: u32) -> [(Place, u32); 2] {
    let address = address.map(network);
    [((Some(user.into()), address), most), ((None, address), most.saturating_mul(USERS_OF_ADDRESS))]
}

/// An address, or the network that one machine has all addresses of.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn too_many_wrong_passwords_wait_for_a_minute() {
        let (throttle, start) = (Throttle::new(Some(3)), Instant::now());
        let second = Duration::from_secs(1);
        for number in 0..3 {
            throttle.check("ann", ip("10.0.0.1"), start + second * number).unwrap();
            throttle.failed("ann", ip("10.0.0.1"), start + second * number);
        }
        let status = throttle.check("ann", ip("10.0.0.1"), start + second * 12).unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(status.message().contains("3 wrong passwords") && status.message().contains("in 50 s"), "{status}");
        throttle.check("bob", ip("10.0.0.1"), start + second * 12).unwrap();
        throttle.check("ann", ip("10.0.0.2"), start + second * 12).unwrap();
        throttle.check("ann", ip("10.0.0.1"), start + second * 62).unwrap();
        throttle.failed("ann", ip("10.0.0.1"), start + second * 62);
        throttle.check("ann", ip("10.0.0.1"), start + second * 63).unwrap();
    }

    #[test]
    fn a_right_password_makes_up_for_wrong_ones() {
        let (throttle, now) = (Throttle::new(Some(2)), Instant::now());
        for _ in 0..5 {
            throttle.failed("ann", None, now);
            throttle.check("ann", None, now).unwrap();
            throttle.succeeded("ann", None);
        }
        let unlimited = Throttle::new(None);
        unlimited.failed("ann", None, now);
        unlimited.check("ann", None, now).unwrap();
        assert!(unlimited.lock().is_empty());
    }

    #[test]
    fn an_address_cannot_try_every_user() {
        let (throttle, now) = (Throttle::new(Some(2)), Instant::now());
        for number in 0..20 {
            let address = ip(&format!("2001:db8::{number:x}"));
            throttle.check(&number.to_string(), address, now).unwrap();
            throttle.failed(&number.to_string(), address, now);
        }
        assert!(throttle.check("ann", ip("2001:db8::ffff"), now).unwrap_err().message().contains("limit is 20"));
        throttle.check("ann", ip("2001:db8:0:1::1"), now).unwrap();
        for number in 0..2 * MAX_COUNTED {
            throttle.failed(&format!("user {number}"), None, now);
        }
        assert!(throttle.lock().len() <= MAX_COUNTED);
    }
}

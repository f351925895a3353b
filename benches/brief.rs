//! How the benches measure: briefly, since there are many, and where asked on one core.
//!
//! A module of each bench instead of the library's: what the library depends on is built with the `atlas` command too.
#![allow(dead_code, reason = "no bench needs all of it")]

use criterion::Criterion;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::time::Duration;

/// Ten samples in under a second. What takes longer than that runs ten times.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .configure_from_args()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(300))
        .nresamples(1000)
}

/// A pool in which reads are done by one thread, as the bare decoder is.
pub(crate) fn one_core() -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(1).build().unwrap()
}

/// Numbers from a variable of the environment, with commas between them.
pub(crate) fn numbers(variable: &str, otherwise: &[u64]) -> Vec<u64> {
    match std::env::var(variable) {
        Ok(text) => text.split(',').map(|number| number.trim().parse().unwrap()).collect(),
        Err(_) => otherwise.to_vec(),
    }
}

//! A set of bounded size that forgets what was added first.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;

/// The last `most` different things that were added.
#[derive(Debug)]
pub(crate) struct Recent<K> {
    most: usize,
    known: HashSet<K>,
    oldest_first: VecDeque<K>,
}

impl<K: Clone + Eq + Hash> Recent<K> {
    /// Nothing yet, and room for `most`.
    pub(crate) fn new(most: usize) -> Self {
        Recent { most, known: HashSet::new(), oldest_first: VecDeque::new() }
    }

    /// Adds `key`; forgets the oldest where there are too many.
    pub(crate) fn insert(&mut self, key: K) {
        if !self.known.insert(key.clone()) {
            return;
        }
        self.oldest_first.push_back(key);
        while self.oldest_first.len() > self.most {
            if let Some(oldest) = self.oldest_first.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }

    /// Whether `key` was added and is not forgotten.
    pub(crate) fn contains(&self, key: &K) -> bool {
        self.known.contains(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten() {
        let mut recent = Recent::new(2);
        for key in [1, 2, 1, 3] {
            recent.insert(key);
        }
        assert!(!recent.contains(&1) && recent.contains(&2) && recent.contains(&3));
        assert_eq!(recent.known.len(), recent.oldest_first.len());
    }
}

//! Memory that ranges of files are read into, used again: fresh memory has to be cleared, by us or by the kernel, a page at a
//! time, which costs more than reading a file that is in the page cache.

use bytes::Bytes;
use std::sync::{Mutex, PoisonError};

/// The smallest read that this is for: small ones get their memory from the allocator, which has some at hand.
const LEAST_BYTES: usize = 64 << 10;

/// What is kept for later reads, at most.
const KEPT_BYTES: usize = 32 << 20;

static KEPT: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// Memory of a length, which goes back when it is dropped.
pub(super) struct ReadBuffer {
    /// As long as it ever was: what is beyond the length was cleared once, or read.
    memory: Vec<u8>,
    len: usize,
}

impl ReadBuffer {
    /// Memory for `len` bytes. What is in it is of no meaning.
    pub(super) fn of(len: usize) -> Self {
        if len < LEAST_BYTES {
            return ReadBuffer { memory: vec![0; len], len };
        }
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        // The smallest that is large enough, so that large ones are left for large reads.
        let fitting = kept.iter().enumerate().filter(|(_, memory)| memory.len() >= len);
        let smallest = fitting.min_by_key(|(_, memory)| memory.len()).map(|(at, _)| at);
        let memory = smallest.map(|at| kept.swap_remove(at));
        drop(kept);
        ReadBuffer { memory: memory.unwrap_or_else(|| vec![0; len]), len }
    }

    /// The memory, to be filled.
    pub(super) fn as_mut(&mut self) -> &mut [u8] {
        &mut self.memory[..self.len]
    }

    /// The bytes; the memory goes back when the last of them is dropped.
    pub(super) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for ReadBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory[..self.len]
    }
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        if memory.len() < LEAST_BYTES {
            return;
        }
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        let held: usize = kept.iter().map(Vec::len).sum();
        if held + memory.len() <= KEPT_BYTES {
            kept.push(memory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_once_nobody_reads_it() {
        // No other test of this process reads so much at once.
        let len = (9 << 20) + 123;
        let mut first = ReadBuffer::of(len);
        first.as_mut().fill(7);
        let place = first.as_ref().as_ptr();
        let bytes = first.into_bytes();
        let part = bytes.slice(5..10);
        drop(bytes);
        let second = ReadBuffer::of(len);
        assert_ne!(second.as_ref().as_ptr(), place, "a part of it is still read");
        assert_eq!(&part[..], [7; 5]);
        drop(part);
        let third = ReadBuffer::of(len - 1000);
        assert_eq!((third.as_ref().as_ptr(), third.as_ref().len()), (place, len - 1000));
        drop((second, third));
        let held: usize = KEPT.lock().unwrap_or_else(PoisonError::into_inner).iter().map(Vec::len).sum();
        assert!(held <= KEPT_BYTES);
    }
}

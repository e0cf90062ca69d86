//! Numbers that one worker writes and anyone may read.
//!
//! Each is an `AtomicU64` used with a relaxed load and a relaxed store, never with a read-modify-write: the single
//! writer needs no lock prefix, and a reader sees some recent value and never half of one. Were two threads to write
//! one counter, increments would be lost; nothing else would break. So every block belongs to one worker, and a scrape
//! adds the blocks up.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    #[inline]
    pub fn increment(&self) {
        self.add(1);
    }

    /// `count` more. Only the owning worker calls this.
    #[inline]
    pub fn add(&self, count: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(count), Relaxed);
    }

    /// The present value.
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that grows and shrinks, never below 0.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// One more. Only the owning worker calls this.
    #[inline]
    pub fn increment(&self) {
        self.set(self.value().saturating_add(1));
    }

    /// One less. Only the owning worker calls this.
    #[inline]
    pub fn decrement(&self) {
        debug_assert!(self.value() > 0, "a gauge fell below zero: something ended that never began");
        self.set(self.value().saturating_sub(1));
    }

    /// Replaces the value. Only the owner calls this.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// The present value.
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Keeps what one worker writes off the cache lines of another. 128 and not 64: processors fetch lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Padded<T>(pub T);

impl<T> std::ops::Deref for Padded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

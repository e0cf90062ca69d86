//! The list that a cipher string works on, step by step, with OpenSSL's effects (openssl-ciphers(1)).
//!
//! Every suite is in it from the start, switched off. A step moves all suites that a predicate holds for, in the
//! order they stand in, and never just one of them:
//!
//! ```text
//!   word     those that are off go to the end, on
//!   +word    those that are on go to the end
//!   -word    those that are on go to the front, off, so that a later word finds them first
//!   !word    leave for good
//! ```

use super::suites::{Row, SUITES};

#[derive(Debug)]
pub(super) struct List(Vec<Entry>);

#[derive(Clone, Copy, Debug)]
struct Entry {
    row: &'static Row,
    is_on: bool,
}

impl List {
    pub(super) fn new() -> Self {
        Self(SUITES.iter().map(|row| Entry { row, is_on: false }).collect())
    }

    /// What is on.
    pub(super) fn suites(&self) -> impl Iterator<Item = &'static Row> {
        self.0.iter().filter(|entry| entry.is_on).map(|entry| entry.row)
    }

    pub(super) fn add(&mut self, holds: impl Fn(&Row) -> bool) {
        let taken = self.take(|entry| !entry.is_on && holds(entry.row));
        self.0.extend(taken.into_iter().map(|entry| Entry { is_on: true, ..entry }));
    }

    pub(super) fn move_last(&mut self, holds: impl Fn(&Row) -> bool) {
        let taken = self.take(|entry| entry.is_on && holds(entry.row));
        self.0.extend(taken);
    }

    pub(super) fn remove(&mut self, holds: impl Fn(&Row) -> bool) {
        let taken = self.take(|entry| entry.is_on && holds(entry.row));
        self.0.splice(..0, taken.into_iter().map(|entry| Entry { is_on: false, ..entry }));
    }

    pub(super) fn forbid(&mut self, holds: impl Fn(&Row) -> bool) {
        self.0.retain(|entry| !holds(entry.row));
    }

    /// `@STRENGTH`: the longest keys first, otherwise as they stand.
    pub(super) fn sort_by_strength(&mut self) {
        let mut taken = self.take(|entry| entry.is_on);
        taken.sort_by_key(|entry| std::cmp::Reverse(entry.row.bits()));
        self.0.extend(taken);
    }

    fn take(&mut self, holds: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        self.0.extract_if(.., |entry| holds(entry)).collect()
    }
}

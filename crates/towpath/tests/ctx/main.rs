//! Work that runs in contexts: scopes, tasks, shields, detached work, and what peers say in headers.
//!
//! A test is named after the rule of the design that it shows. The clock stands still unless a test says otherwise.

#![expect(clippy::unwrap_used, reason = "in a test a failed step is a failed test, in helpers too")]

mod detach;
mod many;
mod scope;
mod wire;

use std::sync::Arc;
use std::time::Duration;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Says whether the value that it made is still held.
struct Alive(Arc<()>);

impl Alive {
    fn new() -> Self {
        Self(Arc::new(()))
    }

    fn hold(&self) -> Arc<()> {
        Arc::clone(&self.0)
    }

    fn held(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }
}

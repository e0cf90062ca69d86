//! The system: sockets, listeners, timers, pinned threads. It knows no HTTP, no routes, no policies.
//!
//! ```text
//!  Binding ── one SO_REUSEPORT socket per worker ──> Acceptor ──> Stream ──> Reader + Writer
//!  Address ── connect ───────────────────────────────────────────> Stream
//!  Timers: one wheel per worker; a deadline is a number in a slot, moving it later costs a store
//! ```
//!
//! One file per system interface. Nothing here reads configuration.

pub mod address;
pub mod listen;
pub mod memory;
pub mod sendfile;
pub mod stream;
pub mod thread;
pub mod timer;

pub use address::Address;
pub use listen::{Acceptor, Binding};
pub use stream::{Reader, Stream, Writer};

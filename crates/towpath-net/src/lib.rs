//! The system: sockets, listeners, timers, pinned threads. It knows no HTTP, no routes, no policies.
//!
//! ```text
//!  Binding ── one SO_REUSEPORT socket per worker ──> Acceptor ──> Stream ──> Reader + Writer
//!  Address ── connect ───────────────────────────────────────────> Stream
//!  tls: a Stream over a Stream, as server or client
//!  Relay ── moves bytes both ways between two Streams: copied while they are few, spliced when they are many
//!  handover ── a listening socket from the process that owns it to the process that serves on it
//!  UdpBinding ── one SO_REUSEPORT socket per worker ──> UdpSocket ──> Batch of datagrams
//!  Alarm: waits without tokio's timers; sleep_until, timeout
//!  Timers: one wheel per worker; a deadline is a number in a slot, moving it later costs a store
//! ```
//!
//! One file per system interface. Nothing here reads configuration.

pub mod address;
pub mod buffer;
pub mod handover;
pub mod listen;
pub mod memory;
pub mod relay;
pub mod sendfile;
pub mod stream;
pub mod thread;
pub mod time;
pub mod timer;
pub mod tls;
pub mod udp;
pub mod unix;

pub use address::Address;
pub use listen::{Accepted, Acceptor, Binding};
pub use relay::Relay;
pub use stream::{Other, Reader, Stream, Substream, Writer};
pub use udp::{UdpBinding, UdpSocket};

//! HTTP/2 connections without a meaning: what engines for it are built from, such as this kit's server and the gateway.
//! Programs use [`crate::http`] instead.
//!
//! ```text
//!              a driver, one task per connection            whoever exchanges messages
//!  socket <──> Wire ──bytes──> Mux: codec, output ──> Lane <── reads and writes ───────┘
//! ```
//!
//! A [`Lane`] is one stream as bytes. What comes in is framed as HTTP/1.1 frames it, so that one path counts, bounds and
//! forwards the bodies of all versions; what goes out is a head, data and an end. Streams wait for each other nowhere but
//! at the connection's own window and output, which are bounded.

mod carry;
mod lane;
mod mux;
mod window;
mod wire;

pub use self::carry::carry;
pub use self::lane::{Lane, lines_of};
pub use self::mux::Mux;
pub(crate) use self::mux::{OUTPUT_BYTES_KEPT, OUTPUT_BYTES_MAX};
pub(crate) use self::window::{STREAM_WINDOW_BYTES_MAX, Window};
pub use self::wire::{Wire, take_in};

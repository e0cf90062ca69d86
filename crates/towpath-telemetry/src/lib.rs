//! What a gateway counts and writes down, and the bytes these become.
//!
//! A leaf: it opens nothing, starts nothing and holds no global. Recording is a plain store into memory that belongs
//! to one worker; everything slower happens when somebody reads.
//!
//! ```text
//!   worker 0 --+  store   +----------------+   sum    +------------+  bytes
//!   worker 1 --+--------> | blocks, one    | -------> | prometheus | ------> admin
//!   worker n --+          | set per worker |  scrape  +------------+
//!              |          +----------------+
//!              +-- accesslog::Format::write --> line --> ring of the worker --> writer thread (gateway)
//! ```
//!
//! Not here: sending any of it (`towpath-control`), and deciding what is worth counting (`towpath-gateway`).

pub mod accesslog;
pub mod counter;
pub mod histogram;
pub mod label;
pub mod metrics;
mod number;
pub mod prometheus;
pub mod time;

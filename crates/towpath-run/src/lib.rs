//! Programs in Rust: `towpath run FILE.rs`, and folders with a `Cargo.toml`.
//!
//! ```text
//!  source ──read──▶ Program ──┬─ key ──▶ cache ──found──▶ exec
//!             (head, code)    │            │
//!                             │          missed
//!                             ▼            │
//!                          Package ──▶ caller's cargo ──▶ cache
//! ```
//!
//! A program that was built before starts without cargo and without a compiler. Nothing is ever written into the folder
//! of the source. Pure are `frontmatter`, `manifest` and what `inputs` and `key` make of bytes; everything else looks at
//! files or starts processes. Not here: what a program may use (the crate `towpath`), and files that are no programs
//! (`towpath-control`).

mod cache;
mod cargo;
mod frontmatter;
mod inputs;
mod key;
mod manifest;
mod package;
mod source;
mod start;
mod store;
mod supervisor;
mod toolchain;

pub use cargo::BuildOptions;
pub use source::Source;
pub use start::{CacheOrder, ProgramOrder, cache, check, run, test};
pub use supervisor::watch;

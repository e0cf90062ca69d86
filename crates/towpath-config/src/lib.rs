//! The configuration file as written.
//!
//! One TOML file becomes [`Options`], in which every value knows its place, and a list of [`Diagnostic`]s, in which
//! every fault of the file is told at once. Nothing is decided here: what the options *mean* together is the work of
//! whoever compiles them, who points at places with the same diagnostics.
//!
//! ```text
//!  file ──load──▶ text ──toml──▶ tree ──Reader──▶ Options ──check──▶ faults
//!                                          │
//!              options! { … }  one definition of every key
//!                                          │
//!                                   schema(), reference_markdown()
//! ```
//!
//! Not here: defaults (the crate that enforces a limit owns its default; the docs of the keys only tell it), names that
//! refer to each other, and anything that binds, dials or runs.

mod check;
mod diagnostic;
mod expand;
mod load;
mod nearest;
pub mod options;
mod reader;
mod reference;
mod schema;
mod shape;
mod source;
mod table;
pub mod value;

pub use diagnostic::{Diagnostic, FAULTS_SHOWN_MAX, Severity, render, sort};
pub use load::{FILE_BYTES_MAX, Parsed, Unreadable, load, parse, read_text, syntax_faults};
pub use nearest::nearest;
pub use options::Options;
pub use reader::Environment;
pub use reference::reference_markdown;
pub use schema::schema;
pub use source::{Position, SourceFile, Sources, Span, Spanned};

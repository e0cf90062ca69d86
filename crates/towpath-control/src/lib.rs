//! Everything beside the data path: compile, reload, watch, health, the admin API, and the life of the process.
//!
//! ```text
//!   Source --load--> Options --compile--> Plan --apply--> engine (workers)
//!     ^                                     |
//!     +-- SIGHUP, POST /reload, --watch     +--> prober, log writer, admin listener
//! ```
//!
//! Control runs on one small runtime of its own and on no worker. It never touches a client's bytes, and when it is
//! gone the workers go on with the plan they have. Not here: what a request meets on its way (`towpath-gateway`), what
//! a key means as text (`towpath-config`), what is decided about traffic (`towpath-traffic`).

mod admin;
mod certificate;
pub mod compile;
mod console;
mod control;
mod date;
mod demo;
pub mod explain;
mod file_limit;
mod http;
mod log_writer;
pub mod plan_json;
mod port_holder;
mod prober;
mod reasons;
mod run;
mod source;
mod tls_policy;
mod tls_trace;
mod watch;

pub use certificate::{CertificateOrder, generate_certificates};
pub use console::{Console, Level, LogStyle};
pub use reasons::reasons_markdown;
pub use run::{Exit, RunOptions, check, explain, run};
pub use source::Source;
pub use tls_policy::{explain_ciphers, read_ciphers, read_protocols};
pub use tls_trace::{TraceOrder, TraceVersions, trace_tls};
pub use watch::Watch;

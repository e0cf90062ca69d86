//! Which route answers a request.
//!
//! A [`RouteTable`] is built once per plan from [`RouteRule`]s and then only read. The order in which rules were
//! written never matters. They are ranked, and the best-ranked rule that matches wins:
//!
//! ```text
//!   1. host      exact  >  longest wildcard  >  shorter wildcard  >  any
//!   2. path      exact  >  longest prefix    >  shorter prefix    >  pattern  >  any path ("/*")
//!   3. matchers  more (methods count as one, each header and each query parameter as one)  >  fewer
//!   4. priority  higher  >  lower
//! ```
//!
//! Two rules that are still equal and can match the same request are refused by [`RouteTable::build`], by name.
//!
//! [`RouteTable::find`] uses an index and allocates nothing. [`RouteTable::find_slow`] looks at every rule, and
//! [`RouteTable::explain`] says of every rule why it won or lost; tests hold the three equal (threat T41).

mod clash;
mod explain;
mod host;
mod index;
mod path;
mod query;
mod rule;
mod table;
mod template;
mod trie;

pub use clash::Fault;
pub use explain::{Candidate, Step, Verdict};
pub use host::{HOST_BYTES_MAX, HostFault, HostRule};
pub use path::{Captures, PATH_BYTES_MAX, PATTERN_SEGMENTS_MAX, PathFault, PathRule};
pub use rule::{RequestView, RouteRule, ValueRule};
pub use table::{Miss, RouteTable};
pub use template::{Template, TemplateFault};

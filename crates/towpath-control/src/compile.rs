//! Compiles the options of a file into a plan, or into every fault at once.
//!
//! ```text
//!  Options ─┐                                        ┌─ faults, each with its places
//!  previous ├─> compile ─> Compiled { wanted, … } ───┤
//!  env     ─┘                  │                     └─ nothing was bound, started or changed
//!                              │ WantedBinding::bind for each of `wanted`, by whoever owns the process
//!                              v
//!                        Compiled::finish(bindings) ─> Plan
//! ```
//!
//! `check` stops after [`compile`]. A start or a reload goes on: it turns each [`WantedBinding`] into a binding, in
//! order, and hands them to [`Compiled::finish`]. Until then the running plan is untouched, so a reload whose bind
//! fails is simply dropped.
//!
//! **Carry-over.** An object whose definition equals that of the previous plan is the same `Arc` in the new one:
//! upstreams, endpoints, routes, routers, listeners and bindings. Places in the file do not count, values do. What
//! cannot stay the same object still keeps what it owns: an endpoint with the same address keeps its pool and its
//! health, counters stay with their name, a binding stays with its address.

mod action;
mod binding;
mod changes;
mod coding;
mod edits;
mod later;
mod layer4;
mod listener;
mod name;
mod pool;
mod process;
mod resolve;
mod route;
mod router;
mod rule;
pub(crate) mod tls;
mod upstream;
mod uses;
mod websocket;

use std::sync::Arc;

use towpath::pool::Budget;
use towpath_config::{Diagnostic, Options, Parsed, Span};
use towpath_gateway::plan::{Listener, Plan, Protocol, Route, Shutdown, Upstream};
use towpath_net::tls::TicketKeys;
use towpath_telemetry::accesslog;
use towpath_telemetry::metrics::Registry;

use router::Routers;

pub use binding::{BindAddress, Bound, WantedBinding};
pub use changes::{Change, Changes};
pub use resolve::{Resolve, SystemResolver};

/// Faults found so far. Everything here adds to one list and goes on, so that all of them are told at once.
type Faults = Vec<Diagnostic>;

/// What compiling needs to know besides the file.
pub struct CompileEnv<'e> {
    /// How many workers will serve the plan; pools and balancers are made for that many.
    pub workers: usize,
    /// Hands out counters, and keeps them over reloads by name.
    pub registry: &'e Registry,
    /// Where the choices of balancers and the jitter of pools begin; any number.
    pub seed: u64,
    /// Turns host names of endpoints into addresses. May block, so compile where blocking is allowed.
    pub resolver: &'e dyn Resolve,
    /// The bound on upstream connections that all pools with `max_total = "auto"` share: one per process, the same
    /// at every reload. `None` means no bound.
    pub connections_total: Option<Arc<Budget>>,
    /// What seals session tickets: one object per process, the same at every reload, so that sessions outlive it.
    pub ticket_keys: Arc<TicketKeys>,
}

/// A file without faults: a plan that lacks only its sockets.
#[derive(Debug)]
#[must_use]
pub struct Compiled {
    /// The sockets the plan needs, in the order [`Compiled::finish`] takes them.
    pub wanted: Vec<WantedBinding>,
    /// Doubts that do not stop the file.
    pub warnings: Vec<Diagnostic>,
    /// What is new, gone, different and kept.
    pub changes: Changes,
    version: u64,
    listeners: Vec<ListenerDraft>,
    upstreams: Vec<Arc<Upstream>>,
    routes: Vec<Arc<Route>>,
    access_log: Option<Arc<accesslog::Format>>,
    shutdown: Shutdown,
    /// Pools that stay although their settings changed; told so by `finish`, when nothing can fail any more.
    resized: Vec<upstream::Resized>,
}

/// A listener that waits for its sockets.
#[derive(Debug)]
enum ListenerDraft {
    /// Nothing about it changed.
    Kept(Arc<Listener>),
    /// New, or different from the one of its name.
    New(Box<NewListener>),
}

#[derive(Debug)]
struct NewListener {
    /// How many of `wanted` are its own.
    bindings_count: usize,
    /// The listener without them.
    listener: Listener,
}

/// Compiles what was read from a file, and tells the faults of reading together with those of compiling. `previous` is
/// the plan that serves now, if one does.
///
/// Host names are resolved and folders looked at; nothing else outside of the arguments is touched.
///
/// # Errors
/// Every fault found, sorted by place, warnings among them. At least one is an error.
pub fn compile_parsed(
    parsed: &Parsed,
    previous: Option<&Plan>,
    env: &CompileEnv<'_>,
) -> Result<Compiled, Vec<Diagnostic>> {
    compile_with(&parsed.options, parsed.faults.clone(), previous, env)
}

/// Compiles options that were made in Rust. The same as [`compile_parsed`], with [`Options::check`] in the place of
/// the faults of reading.
///
/// # Errors
/// Those of [`compile_parsed`].
pub fn compile(
    options: &Options,
    previous: Option<&Plan>,
    env: &CompileEnv<'_>,
) -> Result<Compiled, Vec<Diagnostic>> {
    compile_with(options, options.check(), previous, env)
}

fn compile_with(
    options: &Options,
    known: Faults,
    previous: Option<&Plan>,
    env: &CompileEnv<'_>,
) -> Result<Compiled, Vec<Diagnostic>> {
    let mut faults = Faults::new();
    later::refuse(options, &mut faults);
    process::check(options, &mut faults);
    let access_log = process::access_log(options, previous, &mut faults);
    let upstreams = upstream::compile(options, previous, env, &mut faults);
    let routes = route::compile(options, &upstreams, env, &mut faults);
    let policies = tls::compile(options, previous, env, &mut faults);
    let scope = layer4::Scope { options, upstreams: &upstreams, policies: &policies, env };
    let listeners = listener::compile(&scope, &known, &mut faults);
    upstream::warn_unused(options, &mut faults);
    tls::warn_unused(options, &mut faults);
    let tables = router::tables(&listeners, &routes, options, &mut faults);

    let mut faults = merge(known, faults);
    towpath_config::sort(&mut faults);
    if faults.iter().any(Diagnostic::is_error) {
        return Err(faults);
    }
    let linked = tables.and_then(|tables| router::link(&listeners, tables, routes, previous, env));
    let Some(Routers { routes, routers }) = linked else { return Err(vec![incomplete()]) };
    let (resized, upstreams) = upstream::used(upstreams, &routes, &listeners);
    let drafts = listener::draft(listeners, routers, previous, env);
    let Some((wanted, listeners)) = drafts else { return Err(vec![incomplete()]) };
    let mut compiled = Compiled {
        wanted,
        warnings: faults,
        changes: Changes::default(),
        version: previous.map_or(0, |plan| plan.version) + 1,
        listeners,
        upstreams,
        routes,
        access_log,
        shutdown: process::shutdown(options),
        resized,
    };
    compiled.changes = changes::between(previous, &compiled);
    Ok(compiled)
}

/// One fault for one place: what reading has said about a value need not be said again.
fn merge(known: Faults, found: Faults) -> Faults {
    let is_told = |fault: &Diagnostic| {
        fault.span.is_some() && known.iter().any(|known| known.is_error() && known.span == fault.span)
    };
    // A doubt about a file that could not be read as a whole, such as a route nobody has, is only its consequence.
    let is_whole = !known.iter().any(is_of_the_whole);
    let is_news = |fault: &Diagnostic| !is_told(fault) && (is_whole || fault.is_error());
    let news: Faults = found.into_iter().filter(is_news).collect();
    known.into_iter().chain(news).collect()
}

/// A fault that may hide any part of the file, such as a header that is not closed or a table that is none.
fn is_of_the_whole(fault: &Diagnostic) -> bool {
    fault.is_error() && fault.table.is_empty()
}

/// An object is missing and nobody has said why: refused all the same, for nothing runs without a part of its file.
fn incomplete() -> Diagnostic {
    Diagnostic::error(Span::NONE, "the file could not be compiled, and no fault was found in it")
        .hint("this is a fault of Towpath; please report it with the file")
}

impl Compiled {
    /// The plan. `bindings` are those of [`Compiled::wanted`], in its order.
    ///
    /// Pools and Unix sockets that stay with other settings get them here, so call it when the plan is going to serve.
    ///
    /// # Panics
    /// When there are not as many bindings as wanted, which is a mistake of the caller.
    #[must_use]
    pub fn finish(self, bindings: Vec<Bound>) -> Plan {
        assert_eq!(bindings.len(), self.wanted.len(), "one binding for each wanted address, in order");
        self.resized.iter().for_each(upstream::Resized::apply);
        self.wanted.iter().for_each(WantedBinding::apply_mode);
        self.into_plan(bindings)
    }

    /// The plan without any socket, for `explain` and `check`. Must never serve.
    #[must_use]
    pub fn unbound(self) -> Plan {
        self.into_plan(Vec::new())
    }

    /// Where each listener will be, for a plan without sockets.
    #[must_use]
    pub fn places(&self) -> Vec<(Arc<str>, BindAddress)> {
        self.wanted.iter().map(|wanted| (wanted.listener.clone(), wanted.address.clone())).collect()
    }

    fn into_plan(self, bindings: Vec<Bound>) -> Plan {
        let mut bindings = bindings.into_iter();
        let listeners = self.listeners.into_iter().map(|draft| draft.finish(&mut bindings)).collect();
        Plan {
            version: self.version,
            listeners,
            upstreams: self.upstreams,
            routes: self.routes,
            access_log: self.access_log,
            shutdown: self.shutdown,
        }
    }
}

impl ListenerDraft {
    fn finish(self, bindings: &mut impl Iterator<Item = Bound>) -> Arc<Listener> {
        match self {
            Self::Kept(listener) => {
                // Its bindings stand in `wanted` like all others and are the ones it holds.
                bindings.by_ref().take(Bound::of(&listener).len()).for_each(drop);
                listener
            }
            Self::New(new) => Arc::new(new.finish(bindings)),
        }
    }
}

impl NewListener {
    fn finish(self, bindings: &mut impl Iterator<Item = Bound>) -> Listener {
        let mut listener = self.listener;
        for bound in bindings.by_ref().take(self.bindings_count) {
            match (bound, &mut listener.protocol) {
                (Bound::Stream(binding), _) => listener.bindings.push(binding),
                (Bound::Datagram(binding), Protocol::Udp(udp)) => udp.bindings.push(binding),
                // Only a udp listener wants such an address.
                (Bound::Datagram(_), _) => {}
            }
        }
        listener
    }
}

impl std::fmt::Debug for CompileEnv<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompileEnv").field("workers", &self.workers).finish_non_exhaustive()
    }
}

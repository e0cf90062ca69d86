//! What one table can say against itself: keys that are missing, contradict each other or could never act.
//!
//! Nothing here looks at another object or knows a default. Faults that need more, such as a route naming an unknown
//! upstream, are found by whoever compiles the options.

mod edge;
mod protocol;
mod route;
mod server_name;
mod upstream;

use std::time::Duration;

use crate::diagnostic::{Diagnostic, Severity};
use crate::options::{Admin, Options, Shutdown};
use crate::reader::bare_or_quoted;
use crate::source::{Span, Spanned};
use crate::value::{Map, Opt, Value};

impl Options {
    /// Every fault that shows within a single table. [`load`](crate::load) and [`parse`](crate::parse) have already
    /// done this; it is for options made in Rust.
    #[must_use]
    pub fn check(&self) -> Vec<Diagnostic> {
        let mut checks = Checks::default();
        checks.each("listener", &self.listener, edge::listener);
        edge::addresses_are_distinct(&mut checks, &self.listener);
        checks.each("tls", &self.tls, edge::tls);
        checks.each("route", &self.route, route::route);
        checks.each("upstream", &self.upstream, upstream::upstream);
        checks.each("policy", &self.policy, route::policy);
        checks.inner("admin", &self.admin, admin);
        checks.inner("shutdown", &self.shutdown, shutdown);
        checks.faults
    }
}

/// Gathers faults, and knows the table they belong to.
#[derive(Default)]
struct Checks {
    faults: Vec<Diagnostic>,
    table: String,
    /// Where a fault of the table as a whole points.
    span: Option<Span>,
}

impl Checks {
    fn each<T>(&mut self, kind: &str, objects: &Map<T>, check: fn(&mut Self, &T)) {
        for (name, object) in objects {
            if name.is_empty() {
                self.push(Diagnostic::error(name.span, format!("a {kind} needs a name")));
            }
            let table = format!("{kind}.{}", bare_or_quoted(name));
            self.within(&table, name.span, |checks| check(checks, object));
        }
    }

    /// Checks a table inside of the current one, if it is there.
    fn inner<T>(&mut self, key: &str, table: &Opt<T>, check: fn(&mut Self, &T)) {
        let Some(table) = table else { return };
        let path = if self.table.is_empty() { key.to_owned() } else { format!("{}.{key}", self.table) };
        self.within(&path, table.span, |checks| check(checks, table));
    }

    fn within(&mut self, table: &str, span: Span, check: impl FnOnce(&mut Self)) {
        let outer = (std::mem::replace(&mut self.table, table.to_owned()), self.span.replace(span));
        check(self);
        (self.table, self.span) = outer;
    }

    fn push(&mut self, fault: Diagnostic) {
        self.faults.push(fault.within(self.table.clone()));
    }

    /// The place of the current table.
    fn here(&self) -> Span {
        self.span.unwrap_or(Span::NONE)
    }

    /// The current table lacks something.
    fn missing(&mut self, what: &str, hint: &str) {
        let mut fault = Diagnostic::error(self.here(), format!("[{}] {what}", self.table)).hint(hint);
        fault.is_missing = true;
        self.push(fault);
    }

    fn error<T>(&mut self, value: &Spanned<T>, message: impl Into<String>, hint: &str) {
        self.push(Diagnostic::error(value.span, message).hint(hint));
    }

    /// Times that would fail everything if they were zero.
    fn not_zero(&mut self, times: &[(&str, &Opt<Duration>)]) {
        for (key, time) in times {
            if let Some(time) = time.as_ref().filter(|time| time.is_zero()) {
                self.error(
                    time,
                    format!("{key} is zero, so nothing could ever pass"),
                    "write a longer time such as \"30s\"",
                );
            }
        }
    }

    /// Exactly one of several keys may stand here; each is given with its place if it does.
    fn exactly_one(&mut self, what: &str, choices: &[(&str, Option<Span>)]) {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        let mut present = choices.iter().filter_map(|(name, span)| Some((*name, (*span)?)));
        let Some((first, first_span)) = present.next() else {
            self.missing(&format!("has no {what}"), &format!("write one of {}", names.join(", ")));
            return;
        };
        for (second, span) in present {
            let message = format!("[{}] has two {what}s: \"{first}\" and \"{second}\"", self.table);
            let fault = Diagnostic::error(span, message).also(first_span, format!("\"{first}\" stands here"));
            self.push(fault.hint(format!("write exactly one of {}", names.join(", "))));
        }
    }

    /// `small` must not exceed `large`; both are shown with their lines.
    fn at_most<T: Value + Ord>(
        &mut self,
        small: (&str, &Opt<T>),
        relation: Relation,
        large: (&str, &Opt<T>),
    ) {
        let ((small_key, Some(small)), (large_key, Some(large))) = (small, large) else { return };
        if small.value > large.value {
            let (is, bound, Relation { exceeds, why, severity }) =
                (small.to_json(), large.to_json(), relation);
            let message = format!("{small_key} = {is} is {exceeds} {large_key} = {bound}: {why}");
            let fault = Diagnostic { severity, ..Diagnostic::error(small.span, message) };
            let fault = fault.also(large.span, format!("{large_key} stands here"));
            self.push(fault.hint(format!("lower {small_key} or raise {large_key}")));
        }
    }
}

/// What it means that one value exceeds another.
struct Relation {
    exceeds: &'static str,
    why: &'static str,
    severity: Severity,
}

impl Relation {
    const fn error(exceeds: &'static str, why: &'static str) -> Self {
        Self { exceeds, why, severity: Severity::Error }
    }

    const fn warning(exceeds: &'static str, why: &'static str) -> Self {
        Self { exceeds, why, severity: Severity::Warning }
    }
}

/// Where a key stands, if it does.
fn place<T>(key: &Opt<T>) -> Option<Span> {
    key.as_ref().map(|value| value.span)
}

fn admin(checks: &mut Checks, admin: &Admin) {
    match &admin.listen {
        None => checks.missing("lacks the key \"listen\"", "for example listen = \"127.0.0.1:9900\""),
        // Whoever reaches the admin address commands the gateway (T55).
        Some(listen) if !listen.is_local() && admin.token.is_none() => checks.error(
            listen,
            format!(
                "the admin address \"{}\" can be reached from other machines and has no token",
                listen.value
            ),
            "listen at 127.0.0.1 or a Unix socket, or add token = \"${file:/run/secrets/admin}\"",
        ),
        Some(_) => {}
    }
}

fn shutdown(checks: &mut Checks, shutdown: &Shutdown) {
    let relation = Relation::warning("longer than", "the last clients would be told after the end");
    checks.at_most(("spread", &shutdown.spread), relation, ("grace", &shutdown.grace));
}

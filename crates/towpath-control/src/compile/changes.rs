//! What a reload changes, by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use towpath_gateway::plan::{Endpoint, Plan, Upstream};

use super::{Compiled, ListenerDraft};

/// What is new, gone, different and kept, for each kind of object. *Kept* means the same object: what holds something
/// that changed is itself changed, as a route whose upstream got another endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// `[listener.NAME]`.
    pub listeners: Change,
    /// `[route.NAME]`.
    pub routes: Change,
    /// `[upstream.NAME]`, those that routes and listeners use.
    pub upstreams: Change,
    /// Endpoints, as `users/127.0.0.1:9001`.
    pub endpoints: Change,
    /// Whether the access log's format or the shutdown's times are different.
    pub settings_changed: bool,
}

/// What became of the objects of one kind, by name and in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Not there before.
    pub added: Vec<String>,
    /// No longer there.
    pub removed: Vec<String>,
    /// There before and now, and different.
    pub changed: Vec<String>,
    /// The same objects as before.
    pub kept: Vec<String>,
}

/// Compares what was compiled with the plan it was compiled against.
pub(super) fn between(previous: Option<&Plan>, compiled: &Compiled) -> Changes {
    let empty = Plan::empty();
    let old = previous.unwrap_or(&empty);
    let listeners = compiled.listeners.iter().map(|draft| match draft {
        ListenerDraft::Kept(listener) => (listener.name.to_string(), Some(Arc::as_ptr(listener).cast())),
        ListenerDraft::New(new) => (new.listener.name.to_string(), None),
    });
    Changes {
        listeners: compare(
            old.listeners.iter().map(|listener| (listener.name.to_string(), identity(listener))),
            listeners,
        ),
        routes: compare(
            old.routes.iter().map(|route| (route.name.to_string(), identity(route))),
            compiled.routes.iter().map(|route| (route.name.to_string(), identity(route))),
        ),
        upstreams: compare(
            old.upstreams.iter().map(|upstream| (upstream.name.to_string(), identity(upstream))),
            compiled.upstreams.iter().map(|upstream| (upstream.name.to_string(), identity(upstream))),
        ),
        endpoints: compare(
            old.upstreams.iter().flat_map(|upstream| endpoints(upstream)),
            compiled.upstreams.iter().flat_map(|upstream| endpoints(upstream)),
        ),
        settings_changed: previous
            .is_some_and(|old| old.shutdown != compiled.shutdown || old.access_log != compiled.access_log),
    }
}

/// Where an object lives, which is what makes it the same. `None` for one that cannot be the same.
type Identity = Option<*const ()>;

fn identity<T>(object: &Arc<T>) -> Identity {
    Some(Arc::as_ptr(object).cast())
}

/// An address listed twice is told apart by a count.
fn endpoints(upstream: &Upstream) -> Vec<(String, Identity)> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let label = |endpoint: &'_ Arc<Endpoint>, name: String, count: usize| match count {
        1 => (name, identity(endpoint)),
        count => (format!("{name} ({count})"), identity(endpoint)),
    };
    let mut list = Vec::new();
    for endpoint in &upstream.endpoints {
        let count = seen.entry(&endpoint.name).or_default();
        *count += 1;
        list.push(label(endpoint, format!("{}/{}", upstream.name, endpoint.name), *count));
    }
    list
}

fn compare(
    old: impl Iterator<Item = (String, Identity)>,
    new: impl Iterator<Item = (String, Identity)>,
) -> Change {
    let mut old: BTreeMap<String, Identity> = old.collect();
    let mut change = Change::default();
    for (name, object) in new {
        match old.remove(&name) {
            None => change.added.push(name),
            Some(before) if before.is_some() && before == object => change.kept.push(name),
            Some(_) => change.changed.push(name),
        }
    }
    change.removed = old.into_keys().collect();
    change
}

impl Changes {
    /// Whether the new plan is the old one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.settings_changed && self.kinds().iter().all(|(_, change)| change.is_empty())
    }

    /// For the answer of `POST /reload`: names of what is different, and how many objects were kept.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut document: serde_json::Map<String, Json> =
            self.kinds().iter().map(|(kind, change)| ((*kind).to_owned(), change.to_json())).collect();
        document.insert("settings_changed".to_owned(), self.settings_changed.into());
        document.into()
    }

    fn kinds(&self) -> [(&'static str, &Change); 4] {
        [
            ("listeners", &self.listeners),
            ("routes", &self.routes),
            ("upstreams", &self.upstreams),
            ("endpoints", &self.endpoints),
        ]
    }
}

impl Change {
    /// Whether nothing is different.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }

    fn to_json(&self) -> Json {
        json!({
            "added": self.added,
            "removed": self.removed,
            "changed": self.changed,
            "kept": self.kept.len(),
        })
    }
}

/// `listeners +a; routes +b -c ~d; 12 objects kept`, for one line of a log.
impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, change) in self.kinds().iter().filter(|(_, change)| !change.is_empty()) {
            write!(f, "{kind}")?;
            let marked = [('+', &change.added), ('-', &change.removed), ('~', &change.changed)];
            for (mark, names) in marked {
                names.iter().try_for_each(|name| write!(f, " {mark}{name}"))?;
            }
            write!(f, "; ")?;
        }
        if self.settings_changed {
            write!(f, "settings; ")?;
        }
        let kept: usize = self.kinds().iter().map(|(_, change)| change.kept.len()).sum();
        write!(f, "{kept} objects kept")
    }
}

//! Patterns as a tree of segments.

use std::collections::BTreeSet;
use std::sync::Arc;

use ::http::Method;

use super::pattern::{Pattern, Rest, Segment};
use crate::http::handler::BoxHandler;
use crate::http::request::{Params, Request};

/// Handlers by host, and those for any.
#[derive(Default)]
pub(super) struct Tree {
    hosts: Vec<(Box<str>, Node)>,
    any: Node,
}

#[derive(Default)]
struct Node {
    literals: Vec<(Box<str>, Self)>,
    name: Option<Box<Self>>,
    /// What ends here.
    here: Vec<Leaf>,
    /// What ends here with a `/`.
    slash: Vec<Leaf>,
    /// What ends with a `/` and anything behind it.
    below: Vec<Leaf>,
}

pub(super) struct Leaf {
    method: Option<Method>,
    pub(super) pattern: Arc<str>,
    /// The names of the segments.
    names: Vec<Arc<str>>,
    /// The name of all that is left.
    rest: Option<Arc<str>>,
    pub(super) handler: BoxHandler,
}

pub(super) enum Found<'t> {
    Handler(&'t Leaf, Params),
    /// Only the last `/` is missing.
    Slash,
    /// Only the method does not fit; these would.
    Methods(Vec<Method>),
    Nothing,
}

impl Tree {
    pub(super) fn add(&mut self, pattern: &Pattern, handler: BoxHandler) {
        let mut names = Vec::new();
        let node =
            pattern.segments.iter().fold(self.root(pattern.host.as_deref()), |node, segment| match segment {
                Segment::Literal(text) => node.child(text),
                Segment::Name(name) => {
                    names.push(Arc::clone(name));
                    node.name.get_or_insert_default()
                }
            });
        let (leaves, rest) = match &pattern.rest {
            Rest::Nothing => (&mut node.here, None),
            Rest::Slash => (&mut node.slash, None),
            Rest::Anything(rest) => (&mut node.below, rest.clone()),
        };
        let (method, pattern) = (pattern.method.clone(), Arc::clone(pattern.text()));
        leaves.push(Leaf { method, pattern, names, rest, handler });
        // The narrowest first.
        leaves.sort_by_key(|leaf| match &leaf.method {
            Some(method) if *method == Method::HEAD => 0,
            Some(_) => 1,
            None => 2,
        });
    }

    fn root(&mut self, host: Option<&str>) -> &mut Node {
        let Some(host) = host else { return &mut self.any };
        let place = self.hosts.iter().position(|(known, _)| **known == *host).unwrap_or_else(|| {
            self.hosts.push((host.into(), Node::default()));
            self.hosts.len() - 1
        });
        &mut self.hosts[place].1
    }

    /// The handler for a request and what the names stand for, or why there is none.
    pub(super) fn find(&self, request: &Request) -> Found<'_> {
        let path = request.path();
        let mut values = Vec::new();
        if let Some((leaf, rest)) = self.leaf(request, path, Some(request.method()), &mut values) {
            let mut params = Params::default();
            leaf.names.iter().zip(values).for_each(|(name, value)| params.push(name, decoded(value)));
            leaf.rest.iter().for_each(|name| params.push(name, decoded(rest)));
            return Found::Handler(leaf, params);
        }
        if !path.ends_with('/')
            && self.leaf(request, &format!("{path}/"), Some(request.method()), &mut Vec::new()).is_some()
        {
            return Found::Slash;
        }
        match self.methods(request, path) {
            methods if methods.is_empty() => Found::Nothing,
            methods => Found::Methods(methods),
        }
    }

    /// The methods that the path has handlers for.
    fn methods(&self, request: &Request, path: &str) -> Vec<Method> {
        let known = self.methods_of_all();
        known
            .into_iter()
            .filter(|method| self.leaf(request, path, Some(method), &mut Vec::new()).is_some())
            .collect()
    }

    fn methods_of_all(&self) -> Vec<Method> {
        let mut names = BTreeSet::new();
        self.hosts
            .iter()
            .map(|(_, root)| root)
            .chain([&self.any])
            .for_each(|root| root.gather_methods(&mut names));
        names.into_iter().filter_map(|name| Method::from_bytes(name.as_bytes()).ok()).collect()
    }

    /// The leaf for a path, and what is left of the path there.
    fn leaf<'r>(
        &self,
        request: &Request,
        path: &'r str,
        method: Option<&Method>,
        values: &mut Vec<&'r str>,
    ) -> Option<(&Leaf, &'r str)> {
        let path = path.strip_prefix('/')?;
        let host = request.host().map(without_port);
        let hosts =
            self.hosts.iter().filter(|(known, _)| host.is_some_and(|host| known.eq_ignore_ascii_case(host)));
        hosts.map(|(_, root)| root).chain([&self.any]).find_map(|root| {
            values.clear();
            root.find(Some(path), method, values)
        })
    }
}

impl Node {
    fn child(&mut self, text: &str) -> &mut Self {
        let place = self.literals.iter().position(|(known, _)| **known == *text).unwrap_or_else(|| {
            self.literals.push((text.into(), Self::default()));
            self.literals.len() - 1
        });
        &mut self.literals[place].1
    }

    /// What fits `path`, the segments that are left: `None` behind the last of them, and an empty one behind a last `/`.
    /// A text goes before a name and that before anything, so the narrowest is found first.
    fn find<'r>(
        &self,
        path: Option<&'r str>,
        method: Option<&Method>,
        values: &mut Vec<&'r str>,
    ) -> Option<(&Leaf, &'r str)> {
        let Some(path) = path else { return fitting(&self.here, method).map(|leaf| (leaf, "")) };
        if path.is_empty()
            && let Some(leaf) = fitting(&self.slash, method)
        {
            return Some((leaf, ""));
        }
        let (segment, rest) = match path.split_once('/') {
            Some((segment, rest)) => (segment, Some(rest)),
            None => (path, None),
        };
        let literal = self.literals.iter().find(|(text, _)| **text == *segment);
        if let Some(found) = literal.and_then(|(_, node)| node.find(rest, method, values)) {
            return Some(found);
        }
        if let Some(node) = self.name.as_ref().filter(|_| !segment.is_empty()) {
            values.push(segment);
            if let Some(found) = node.find(rest, method, values) {
                return Some(found);
            }
            values.pop();
        }
        fitting(&self.below, method).map(|leaf| (leaf, path))
    }

    fn gather_methods<'n>(&'n self, names: &mut BTreeSet<&'n str>) {
        let leaves = self.here.iter().chain(&self.slash).chain(&self.below);
        for method in leaves.filter_map(|leaf| leaf.method.as_ref()) {
            names.insert(method.as_str());
            if *method == Method::GET {
                names.insert(Method::HEAD.as_str());
            }
        }
        self.literals
            .iter()
            .map(|(_, node)| node)
            .chain(self.name.as_deref())
            .for_each(|node| node.gather_methods(names));
    }
}

fn fitting<'n>(leaves: &'n [Leaf], method: Option<&Method>) -> Option<&'n Leaf> {
    leaves.iter().find(|leaf| match (&leaf.method, method) {
        (None, _) | (_, None) => true,
        (Some(own), Some(method)) => own == method || (*own == Method::GET && *method == Method::HEAD),
    })
}

/// The host of an authority. Colons inside brackets are an address's.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    }
}

/// A part of a path with its escapes replaced. What is no UTF-8 then has its bytes replaced.
fn decoded(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escape = (*first == b'%').then(|| tail.get(..2)).flatten();
        let byte = escape.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

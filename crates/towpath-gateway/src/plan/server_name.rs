//! A table of server names.

use std::collections::HashMap;
use std::fmt;

use towpath_proto::limits::{SERVER_NAME_BYTES_MAX, SERVER_NAME_LABEL_BYTES_MAX};

/// Values by server name: names of their own before wildcards, and of these the longest.
///
/// `*.example.com` stands for one label or more, `a.example.com` as well as `a.b.example.com`, and not for
/// `example.com`. That is how this gateway reads the hosts of routes, and nginx and HAProxy read theirs; a certificate's
/// wildcard is one label (RFC 9525 §6.3), but nothing is authenticated here: who sends a client to the wrong origin for
/// want of a rule would fail at the origin's certificate.
#[derive(Clone, Debug)]
pub struct NameTable<T> {
    names: HashMap<Box<str>, T>,
    /// By what follows the star, `.example.com`.
    wildcards: HashMap<Box<str>, T>,
}

/// Why a name cannot be added to a [`NameTable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameFault {
    /// Not a DNS name in ASCII, with or without `*.` before it.
    Name,
    /// It stands in the table already.
    Repeated,
}

impl<T> NameTable<T> {
    /// A table without names.
    pub fn new() -> Self {
        Self { names: HashMap::new(), wildcards: HashMap::new() }
    }

    /// Adds a name such as `a.example.com` or `*.example.com`. Case and one dot at the end are ignored.
    ///
    /// # Errors
    /// When it is no name, or a second time the same one.
    pub fn insert(&mut self, name: &str, value: T) -> Result<(), NameFault> {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let (map, key) = match name.strip_prefix('*') {
            Some(suffix) => (&mut self.wildcards, suffix),
            None => (&mut self.names, &*name),
        };
        let host = if name.starts_with('*') { key.strip_prefix('.').ok_or(NameFault::Name)? } else { key };
        if !is_name(host) {
            return Err(NameFault::Name);
        }
        match map.contains_key(key) {
            true => Err(NameFault::Repeated),
            false => {
                map.insert(key.into(), value);
                Ok(())
            }
        }
    }

    /// The value for `name`, which is in lower case and without a dot at its end. Costs a look-up for each label.
    pub fn find(&self, name: &str) -> Option<&T> {
        if let Some(value) = self.names.get(name) {
            return Some(value);
        }
        if self.wildcards.is_empty() {
            return None;
        }
        let dots = name.match_indices('.').map(|(at, _)| at).filter(|&at| at > 0);
        dots.filter_map(|at| name.get(at..)).find_map(|suffix| self.wildcards.get(suffix))
    }

    /// Every value, in no order.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.names.values().chain(self.wildcards.values())
    }

    /// Every name with its value, in no order; a wildcard without its star, as `.example.com`.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.names.iter().chain(&self.wildcards).map(|(name, value)| (&**name, value))
    }

    /// Whether it has no names.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.wildcards.is_empty()
    }
}

impl<T> Default for NameTable<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// What [`towpath_proto::client_hello::ServerName`] may hold: a name that no client can ask for is a mistake.
fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=SERVER_NAME_LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name.len() <= SERVER_NAME_BYTES_MAX && name.split('.').all(is_label)
}

impl fmt::Display for NameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "not a server name; write \"a.example.com\" or \"*.example.com\", in ASCII",
            Self::Repeated => "the same server name stands here twice",
        })
    }
}

impl std::error::Error for NameFault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(names: &[&str], wanted: &[(&str, Option<&str>)]) {
        let mut table = NameTable::new();
        names.iter().for_each(|name| table.insert(name, (*name).to_owned()).unwrap());
        for (name, expected) in wanted {
            assert_eq!(table.find(name).map(String::as_str), *expected, "{name} among {names:?}");
        }
    }

    #[test]
    fn a_name_goes_before_wildcards_and_the_longest_of_these_wins_t32() {
        check(
            &["a.example.com", "*.example.com", "*.b.example.com", "*.com"],
            &[
                ("a.example.com", Some("a.example.com")),
                ("c.example.com", Some("*.example.com")),
                ("c.b.example.com", Some("*.b.example.com")),
                ("d.c.b.example.com", Some("*.b.example.com")),
                ("b.example.com", Some("*.example.com")),
                ("x.a.example.com", Some("*.example.com")),
                ("example.com", Some("*.com")),
                ("com", None),
                ("example.org", None),
                ("xexample.com", Some("*.com")),
            ],
        );
    }

    #[test]
    fn case_and_a_last_dot_are_ignored() {
        check(&["A.Example.COM."], &[("a.example.com", Some("A.Example.COM."))]);
    }

    #[test]
    fn what_no_client_can_ask_for_is_refused() {
        for name in [
            "",
            ".",
            "*",
            "*.",
            "a..b",
            "a b",
            "*a.example.com",
            "a.*.com",
            "é.com",
            "a.com:443",
            "a..",
            ".a",
        ] {
            assert_eq!(NameTable::new().insert(name, ()), Err(NameFault::Name), "{name}");
        }
        let mut table = NameTable::new();
        assert_eq!(table.insert("a.com", ()), Ok(()));
        assert_eq!(table.insert("A.com.", ()), Err(NameFault::Repeated));
        assert_eq!(table.insert("*.com", ()), Ok(()));
    }
}

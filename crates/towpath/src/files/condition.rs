//! Conditional requests (RFC 9110 §13) against a file's validators.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use towpath_proto::coding::Coding;

use super::open::Entry;

/// What identifies the state of a representation (RFC 9110 §8.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Validators {
    /// A strong entity tag with its quotes.
    pub etag: String,
    /// The value of `Last-Modified`, in seconds since 1970.
    pub modified: u64,
    /// Whether the second of `modified` is over, so that the date alone can stand for the bytes.
    pub modified_is_strong: bool,
}

/// The values of the conditional fields as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Conditions {
    /// `If-Match`
    pub if_match: Option<Vec<u8>>,
    /// `If-Unmodified-Since`
    pub if_unmodified_since: Option<Vec<u8>>,
    /// `If-None-Match`
    pub if_none_match: Option<Vec<u8>>,
    /// `If-Modified-Since`
    pub if_modified_since: Option<Vec<u8>>,
    /// `If-Range`
    pub if_range: Option<Vec<u8>>,
}

/// What the conditions say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As if there were none.
    Proceed,
    /// 304: the client has it.
    NotModified,
    /// 412: the client meant another state.
    Failed,
}

impl Validators {
    /// The validators of a file at `now`.
    ///
    /// The tag changes when the file is written (time), replaced (inode) or has another length, and every coding
    /// has its own (§8.8.3.3). The inode makes tags differ between machines; without it, trees whose times were all
    /// set to one moment, as some packagers do, would give two releases the same tag.
    pub(super) fn of(entry: &Entry, coding: Option<Coding>, now: SystemTime) -> Self {
        let mut etag = format!("\"{:x}", entry.modified_seconds);
        // Writing to a String cannot fail.
        let _ = write!(etag, ".{:x}-{:x}-{:x}", entry.modified_nanos, entry.len, entry.inode);
        if let Some(coding) = coding {
            etag.push('-');
            etag.push_str(coding.token());
        }
        etag.push('"');
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        // §8.8.2.1: a time in the future is replaced by that of the message. Before 1970 no HTTP-date exists.
        let modified = u64::try_from(entry.modified_seconds).unwrap_or(0).min(now);
        Self { etag, modified, modified_is_strong: modified < now }
    }

    /// The value of `Last-Modified`.
    pub(super) fn last_modified(&self) -> httpdate::HttpDate {
        httpdate::HttpDate::from(UNIX_EPOCH + Duration::from_secs(self.modified))
    }
}

impl Conditions {
    /// Judges in the order of §13.2.2, for GET and HEAD of a file that exists.
    pub(super) fn judge(&self, current: &Validators) -> Verdict {
        // Steps 1 and 2: If-Unmodified-Since counts only without If-Match (§13.1.4).
        let is_expected_state = match (&self.if_match, &self.if_unmodified_since) {
            (Some(tags), _) => lists_tag(tags, &current.etag, Compare::Strong),
            // A value that is no date is ignored (§13.1.4).
            (None, Some(date)) => parse_date(date).is_none_or(|date| current.modified <= date),
            (None, None) => true,
        };
        if !is_expected_state {
            return Verdict::Failed;
        }
        // Steps 3 and 4: If-Modified-Since counts only without If-None-Match (§13.1.3).
        let is_known = match (&self.if_none_match, &self.if_modified_since) {
            (Some(tags), _) => lists_tag(tags, &current.etag, Compare::Weak),
            (None, Some(date)) => parse_date(date).is_some_and(|date| current.modified <= date),
            (None, None) => false,
        };
        if is_known { Verdict::NotModified } else { Verdict::Proceed }
    }

    /// Step 5: whether `Range` counts. With `If-Range` only if the client's part is of this very state (§13.1.5).
    pub(super) fn allows_range(&self, current: &Validators) -> bool {
        match self.if_range.as_deref() {
            None => true,
            Some(tag @ ([b'"', ..] | [b'W', b'/', ..])) => tag == current.etag.as_bytes(),
            // The date must be exactly the one that was sent, and strong.
            Some(date) => current.modified_is_strong && parse_date(date) == Some(current.modified),
        }
    }
}

/// How two entity tags are compared (RFC 9110 §8.8.3.2).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Compare {
    /// A weak tag equals nothing.
    Strong,
    /// `W/` does not count.
    Weak,
}

/// Whether a list of tags, or `*`, covers `tag`, which is strong. What follows a malformed tag is not read.
fn lists_tag(list: &[u8], tag: &str, compare: Compare) -> bool {
    if list == b"*" {
        return true;
    }
    let mut rest = list;
    loop {
        rest = rest.trim_ascii_start();
        if let [b',', tail @ ..] = rest {
            // Empty elements of a list are skipped (§5.6.1.2).
            rest = tail;
            continue;
        }
        let Some((is_weak, listed, tail)) = split_tag(rest) else { return false };
        if listed == tag.as_bytes() && (compare == Compare::Weak || !is_weak) {
            return true;
        }
        match tail.trim_ascii_start() {
            [b',', tail @ ..] => rest = tail,
            _ => return false,
        }
    }
}

/// Splits `[W/]"…"` off the front (RFC 9110 §8.8.3): whether it is weak, the tag with its quotes, and what follows.
fn split_tag(list: &[u8]) -> Option<(bool, &[u8], &[u8])> {
    let (is_weak, list) = match list.strip_prefix(b"W/") {
        Some(strong) => (true, strong),
        None => (false, list),
    };
    let inner = list.strip_prefix(b"\"")?;
    let end = inner.iter().position(|&byte| byte == b'"')? + 2;
    let (tag, tail) = list.split_at_checked(end)?;
    Some((is_weak, tag, tail))
}

/// An HTTP-date in any of its three forms (RFC 9110 §5.6.7), in seconds since 1970.
fn parse_date(value: &[u8]) -> Option<u64> {
    let date = httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()?;
    date.duration_since(UNIX_EPOCH).ok().map(|age| age.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 784111777 s.
    const CURRENT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn current() -> Validators {
        Validators { etag: "\"a\"".to_string(), modified: 784_111_777, modified_is_strong: true }
    }

    fn conditions(lines: &[(&str, &str)]) -> Conditions {
        let value = |name: &str| {
            let line = lines.iter().find(|(line, _)| *line == name);
            line.map(|(_, value)| value.as_bytes().to_vec())
        };
        Conditions {
            if_match: value("im"),
            if_unmodified_since: value("ius"),
            if_none_match: value("inm"),
            if_modified_since: value("ims"),
            if_range: value("ir"),
        }
    }

    #[track_caller]
    fn check(lines: &[(&str, &str)], expected: Verdict) {
        assert_eq!(conditions(lines).judge(&current()), expected, "{lines:?}");
    }

    #[test]
    fn if_match_compares_strongly_rfc9110_13_1_1() {
        check(&[("im", "*")], Verdict::Proceed);
        check(&[("im", "\"a\"")], Verdict::Proceed);
        check(&[("im", "\"x\", , \"a\"")], Verdict::Proceed);
        check(&[("im", "\"x,\\\",\"a\"")], Verdict::Proceed);
        check(&[("im", "W/\"a\"")], Verdict::Failed);
        check(&[("im", "\"b\"")], Verdict::Failed);
        check(&[("im", "a")], Verdict::Failed);
        check(&[("im", "")], Verdict::Failed);
    }

    #[test]
    fn if_none_match_compares_weakly_rfc9110_13_1_2() {
        check(&[("inm", "*")], Verdict::NotModified);
        check(&[("inm", "\"a\"")], Verdict::NotModified);
        check(&[("inm", "W/\"a\"")], Verdict::NotModified);
        check(&[("inm", "W/\"x\",\"y\" , \"a\"")], Verdict::NotModified);
        check(&[("inm", "\"b\"")], Verdict::Proceed);
        check(&[("inm", "\"a")], Verdict::Proceed);
        check(&[("inm", "\"x\" \"a\"")], Verdict::Proceed);
        check(&[("inm", "w/\"a\"")], Verdict::Proceed);
    }

    #[test]
    fn dates_compare_by_the_second_rfc9110_13_1_3() {
        check(&[("ims", CURRENT)], Verdict::NotModified);
        check(&[("ims", AFTER)], Verdict::NotModified);
        check(&[("ims", BEFORE)], Verdict::Proceed);
        check(&[("ims", "yesterday")], Verdict::Proceed);
        check(&[("ims", "Sunday, 06-Nov-94 08:49:37 GMT")], Verdict::NotModified);
        check(&[("ims", "Sun Nov  6 08:49:37 1994")], Verdict::NotModified);
        check(&[("ims", "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT")], Verdict::Proceed);
        check(&[("ius", CURRENT)], Verdict::Proceed);
        check(&[("ius", AFTER)], Verdict::Proceed);
        check(&[("ius", BEFORE)], Verdict::Failed);
        check(&[("ius", "yesterday")], Verdict::Proceed);
    }

    #[test]
    fn tags_come_before_dates_rfc9110_13_2_2() {
        check(&[("im", "\"a\""), ("ius", BEFORE)], Verdict::Proceed);
        check(&[("im", "\"b\""), ("inm", "\"a\"")], Verdict::Failed);
        check(&[("ius", BEFORE), ("inm", "\"a\"")], Verdict::Failed);
        check(&[("inm", "\"b\""), ("ims", CURRENT)], Verdict::Proceed);
        check(&[("inm", "\"a\""), ("ims", BEFORE)], Verdict::NotModified);
        check(&[("im", "*"), ("inm", "*")], Verdict::NotModified);
    }

    #[test]
    fn if_range_wants_the_same_state_rfc9110_13_1_5() {
        for (value, expected) in [
            ("\"a\"", true),
            ("W/\"a\"", false),
            ("\"b\"", false),
            ("\"a\", \"b\"", false),
            (CURRENT, true),
            (BEFORE, false),
            (AFTER, false),
            ("", false),
            ("x", false),
        ] {
            assert_eq!(conditions(&[("ir", value)]).allows_range(&current()), expected, "{value}");
        }
        let fresh = Validators { modified_is_strong: false, ..current() };
        assert!(!conditions(&[("ir", CURRENT)]).allows_range(&fresh));
        assert!(conditions(&[("ir", "\"a\"")]).allows_range(&fresh));
    }
}

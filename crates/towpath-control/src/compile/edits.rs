//! Header fields that a file sets, adds or removes.

use towpath_config::value::Map;
use towpath_config::{Diagnostic, Spanned, options};
use towpath_gateway::plan::HeaderEdits;
use towpath_proto::connection::is_hop_by_hop;
use towpath_proto::field;
use towpath_proto::message::Known;

use super::Faults;

/// A name and a value, both valid, the name in lower case.
pub(super) type Field = (Box<[u8]>, Box<[u8]>);

/// The edits of a `request_headers` or `response_headers` table.
pub(super) fn read(edits: &options::HeaderEdits, faults: &mut Faults) -> HeaderEdits {
    let set = fields(&edits.set, faults);
    let mut remove: Vec<Box<[u8]>> = edits
        .remove
        .iter()
        .flat_map(|names| names.iter())
        .filter_map(|name| read_name(name, faults))
        .collect();
    // So that one look-up decides whether a field stays.
    remove.extend(set.iter().map(|(name, _)| name.clone()));
    remove.sort_unstable();
    remove.dedup();
    HeaderEdits { remove, set, add: fields(&edits.add, faults) }
}

/// The fields of a table of names and values, in the order of the names.
pub(super) fn fields(map: &Map<String>, faults: &mut Faults) -> Vec<Field> {
    let mut fields: Vec<(Field, &Spanned<String>)> = Vec::new();
    for (name, value) in map {
        let (Some(read), Some(value)) = (read_name(name, faults), read_value(name, value, faults)) else {
            continue;
        };
        match fields.iter().find(|((known, _), _)| *known == read) {
            Some((_, first)) => faults.push(same_name(name, first)),
            None => fields.push(((read, value), name)),
        }
    }
    fields.into_iter().map(|(field, _)| field).collect()
}

/// The one check for values from a file (T43).
pub(super) fn read_value(name: &str, value: &Spanned<String>, faults: &mut Faults) -> Option<Box<[u8]>> {
    if field::is_value(value.as_bytes()) {
        return Some(value.as_bytes().into());
    }
    let fault = Diagnostic::error(value.span, format!("the value of \"{name}\" cannot be sent in a header"));
    faults.push(
        fault.hint("a value has no control characters and no space at its ends (RFC 9110 section 5.5)"),
    );
    None
}

fn read_name(name: &Spanned<String>, faults: &mut Faults) -> Option<Box<[u8]>> {
    if !field::is_name(name.as_bytes()) {
        let fault = Diagnostic::error(name.span, format!("\"{name}\" is not a header name"));
        faults
            .push(fault.hint("a name has letters, digits and any of !#$%&'*+-.^_`|~ (RFC 9110 section 5.1)"));
        return None;
    }
    if let Some((reason, hint)) = owner(Known::of(name.as_bytes())) {
        let fault = Diagnostic::error(name.span, format!("\"{name}\" cannot be edited: {reason}"));
        faults.push(fault.hint(hint));
        return None;
    }
    Some(name.to_ascii_lowercase().into_bytes().into())
}

/// Why the gateway alone decides about a field, and what to write instead.
fn owner(known: Known) -> Option<(&'static str, &'static str)> {
    match known {
        Known::ContentLength | Known::TransferEncoding | Known::Trailer => {
            Some(("framing is always written anew from what was read", "take it out"))
        }
        Known::Host => Some((
            "the request's host is decided by the route's \"host\"",
            "write host = \"…\" beside \"upstream\"",
        )),
        Known::Expect => Some(("the gateway answers or forwards an expectation itself", "take it out")),
        Known::Upgrade => {
            Some(("it concerns one connection only", "list the protocols in the route's \"upgrades\""))
        }
        known if is_hop_by_hop(known) => {
            Some(("it concerns one connection only (RFC 9110 section 7.6.1)", "take it out"))
        }
        _ => None,
    }
}

fn same_name(second: &Spanned<String>, first: &Spanned<String>) -> Diagnostic {
    Diagnostic::error(second.span, format!("\"{second}\" and \"{first}\" are the same header"))
        .also(first.span, "the other one")
        .hint("names are compared without case; keep one of them")
}

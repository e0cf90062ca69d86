//! Cipher strings and protocol lists from outside: words in, lists out.

use std::fmt::Display;

use towpath_proto::tls_policy::{CipherList, Suite};

mod openssl;
mod protocols;
mod strings;

/// The names of suites, as OpenSSL writes a list.
pub(crate) fn names(suites: &[Suite]) -> String {
    suites.iter().map(|suite| suite.name()).collect::<Vec<_>>().join(":")
}

/// What a string comes to, in one line: `tls13 | tls12 | number dropped`, or the fault.
pub(crate) fn outcome(text: &str) -> String {
    match CipherList::parse(text) {
        Ok(list) => {
            format!("{} | {} | {}", names(list.tls13()), names(list.tls12()), list.dropped().len())
        }
        Err(fault) => fault_text(&fault),
    }
}

pub(crate) fn fault_text(fault: &dyn Display) -> String {
    format!("fault: {fault}")
}

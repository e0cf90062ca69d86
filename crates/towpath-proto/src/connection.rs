//! Fields that belong to one connection and are never passed on (RFC 9110 §7.6.1).

use crate::field;
use crate::message::{Known, Version};

/// What the `Connection` fields of a message ask for, collected over all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionOptions {
    /// `close`: no further message on this connection (RFC 9112 §9.6).
    pub close: bool,
    /// `keep-alive`: what HTTP/1.0 says to keep the connection (RFC 9112 §9.3).
    pub keep_alive: bool,
    /// `upgrade`: the `Upgrade` field is meant for the next hop (RFC 9110 §7.8).
    pub upgrade: bool,
    /// Any other name: a field that has to be removed before the message is passed on.
    pub nominates: bool,
}

impl ConnectionOptions {
    /// Adds the options of one `Connection` value.
    pub fn collect(&mut self, value: &[u8]) {
        for option in options(value) {
            if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade = true;
            } else {
                self.nominates = true;
            }
        }
    }

    /// Whether the sender allows another message on the connection (RFC 9112 §9.3).
    pub fn is_persistent(self, version: Version) -> bool {
        match version {
            Version::Http11 | Version::Http2 => !self.close,
            Version::Http10 => self.keep_alive && !self.close,
        }
    }
}

/// The options of one `Connection` value, in order and as spelt.
pub fn options(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    field::list_elements(value)
}

/// Whether one of the options in a `Connection` value is `name`, compared without case.
pub fn nominates(value: &[u8], name: &[u8]) -> bool {
    options(value).any(|option| option.eq_ignore_ascii_case(name))
}

/// Whether this field concerns one connection only and is removed by every intermediary, nominated or not
/// (RFC 9110 §7.6.1). `Proxy-Authenticate` and `Proxy-Authorization` are meant for the nearest proxy, which
/// is us.
pub const fn is_hop_by_hop(known: Known) -> bool {
    matches!(
        known,
        Known::Connection
            | Known::KeepAlive
            | Known::ProxyAuthenticate
            | Known::ProxyAuthorization
            | Known::ProxyConnection
            | Known::Te
            | Known::Trailer
            | Known::TransferEncoding
            | Known::Upgrade
    )
}

/// The seconds of `timeout=` in a `Keep-Alive` value, if it has a readable one: how long an origin promises
/// to keep an idle connection.
pub fn keep_alive_timeout(value: &[u8]) -> Option<u64> {
    field::list_elements(value).find_map(|parameter| {
        let (name, seconds) = split_once(parameter, b'=')?;
        if !name.trim_ascii_end().eq_ignore_ascii_case(b"timeout") {
            return None;
        }
        field::parse_decimal(seconds.trim_ascii_start())
    })
}

fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|&byte| byte == separator)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_options_are_collected_over_all_fields_rfc9110_7_6_1() {
        let mut all = ConnectionOptions::default();
        all.collect(b" Keep-Alive ,, UPGRADE");
        all.collect(b"x-secret");
        assert_eq!(all, ConnectionOptions { close: false, keep_alive: true, upgrade: true, nominates: true });
    }

    #[test]
    fn an_option_is_a_whole_element() {
        let mut options = ConnectionOptions::default();
        options.collect(b"closed, not-close");
        assert_eq!(options, ConnectionOptions { nominates: true, ..ConnectionOptions::default() });
        assert!(nominates(b"a, X-Real-Ip", b"x-real-ip"));
        assert!(!nominates(b"x-real-ip-2", b"x-real-ip"));
    }

    #[test]
    fn keep_alive_timeout_is_read_or_ignored() {
        #[track_caller]
        fn check(value: &str, expected: Option<u64>) {
            assert_eq!(keep_alive_timeout(value.as_bytes()), expected, "{value}");
        }
        check("timeout=5, max=100", Some(5));
        check("max=100 , Timeout = 75", Some(75));
        check("timeout=", None);
        check("timeout=-5", None);
        check("timeout=5s", None);
        check("timeout=99999999999999999999", None);
        check("5", None);
        check("", None);
    }
}

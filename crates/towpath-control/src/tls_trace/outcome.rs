//! How the handshake ended.

use std::io;
use std::time::Duration;

use rustls::{CertificateError, ClientConnection, Error, HandshakeKind};
use towpath_proto::tls_messages::{group_name, suite_name, version_name};

use super::story::{Story, Traffic, plain};
use super::verifier::Verifier;
use super::{TraceOrder, line};

/// Of what is no TLS, as much is shown.
const NOT_TLS_CHARS_MAX: usize = 60;

/// What both sides agreed on, and what went wrong.
pub(super) struct Outcome {
    version: Option<u16>,
    suite: Option<u16>,
    group: Option<u16>,
    alpn: Option<Vec<u8>>,
    kind: Option<HandshakeKind>,
    fault: Option<String>,
}

impl Outcome {
    /// Before anything was sent.
    pub(super) fn unstarted(fault: &Error) -> Self {
        Self {
            version: None,
            suite: None,
            group: None,
            alpn: None,
            kind: None,
            fault: Some(fault.to_string()),
        }
    }

    pub(super) fn of(connection: &ClientConnection, fault: Option<String>) -> Self {
        let group = connection.negotiated_key_exchange_group();
        Self {
            version: connection.protocol_version().map(u16::from),
            suite: connection.negotiated_cipher_suite().map(|suite| suite.suite().into()),
            group: group.map(|group| group.name().into()),
            alpn: connection.alpn_protocol().map(<[u8]>::to_vec),
            kind: connection.handshake_kind(),
            fault,
        }
    }

    /// The handshake in a few lines; nothing if there was none.
    pub(super) fn summary(&self, story: &Story, verifier: &Verifier, order: &TraceOrder) -> String {
        let mut text = String::new();
        if story.received.records == 0 {
            return text;
        }
        text.push('\n');
        line(&mut text, "version", &named(self.version, version_name));
        line(&mut text, "suite", &named(self.suite, suite_name));
        line(&mut text, "group", &named(self.group, group_name));
        line(&mut text, "certificate", &certificate(verifier, order));
        let alpn = self.alpn.as_ref().map(|name| plain(&String::from_utf8_lossy(name)));
        line(&mut text, "ALPN", &alpn.unwrap_or_else(|| "none".to_owned()));
        line(&mut text, "resumed", if self.kind == Some(HandshakeKind::Resumed) { "yes" } else { "no" });
        if self.fault.is_none() {
            line(&mut text, "round trips", &format!("{} before a request can be sent", story.round_trips));
        }
        line(&mut text, "sent", &traffic(story.sent));
        line(&mut text, "received", &traffic(story.received));
        text
    }

    /// Whether it was done, or why not.
    pub(super) fn verdict(self, story: &Story) -> Result<(), String> {
        match (&story.not_tls, self.fault) {
            (_, None) => Ok(()),
            (Some(bytes), Some(_)) => Err(not_tls(bytes)),
            (None, Some(fault)) => Err(format!("the handshake failed: {fault}")),
        }
    }
}

/// What a fault of the socket or of rustls means to somebody.
pub(super) fn fault_text(fault: &io::Error, timeout: Duration) -> String {
    match fault.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::AlertReceived(alert)) => {
            let number = u8::from(*alert);
            let name = towpath_proto::tls_messages::alert_name(number);
            format!(
                "the server refused it with the alert {}",
                name.map_or_else(|| number.to_string(), str::to_owned)
            )
        }
        Some(Error::InvalidCertificate(why)) => {
            format!("the certificate is refused: {}", certificate_text(why))
        }
        Some(other) => plain(&other.to_string()),
        None => io_text(fault, timeout),
    }
}

pub(super) fn io_text(fault: &io::Error, timeout: Duration) -> String {
    match fault.kind() {
        io::ErrorKind::TimedOut => format!("no answer within {timeout:?}; --timeout waits longer"),
        io::ErrorKind::UnexpectedEof => "the server closed the connection in the middle".to_owned(),
        io::ErrorKind::ConnectionReset => "the server reset the connection".to_owned(),
        io::ErrorKind::ConnectionRefused => "refused; nothing listens there".to_owned(),
        _ => fault.to_string(),
    }
}

fn not_tls(bytes: &[u8]) -> String {
    let first =
        String::from_utf8_lossy(bytes.split(|byte| *byte == b'\n').next().unwrap_or_default()).into_owned();
    let first: String = plain(first.trim_end()).chars().take(NOT_TLS_CHARS_MAX).collect();
    let hint = if first.starts_with("HTTP/") {
        "this port speaks plain HTTP"
    } else {
        "this port does not speak TLS"
    };
    format!("{hint}: the server answered {first:?}")
}

fn certificate(verifier: &Verifier, order: &TraceOrder) -> String {
    let roots =
        order.ca.as_ref().map_or_else(|| "the system's CAs".to_owned(), |file| file.display().to_string());
    match verifier.verdict() {
        None => "none was judged".to_owned(),
        Some(Ok(())) => format!("verified by {roots}"),
        Some(Err(Error::InvalidCertificate(why))) => {
            format!("NOT verified by {roots}: {}", certificate_text(&why))
        }
        Some(Err(other)) => format!("NOT verified: {}", plain(&other.to_string())),
    }
}

fn certificate_text(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => "no trusted CA signed it; --ca FILE trusts another".to_owned(),
        CertificateError::BadSignature => {
            "the CA of that name did not sign it; another one of the same name may have".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for other names; --server-name asks for one of them".to_owned()
        }
        other => plain(&other.to_string()),
    }
}

fn named(number: Option<u16>, name: fn(u16) -> Option<&'static str>) -> String {
    match number {
        None => "none".to_owned(),
        Some(number) => name(number).map_or_else(|| format!("0x{number:04x}"), str::to_owned),
    }
}

fn traffic(traffic: Traffic) -> String {
    let records = if traffic.records == 1 { "record" } else { "records" };
    format!("{} bytes in {} {records}", traffic.bytes, traffic.records)
}

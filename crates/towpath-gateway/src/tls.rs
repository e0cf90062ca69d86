//! The TLS handshake of a client's connection, and what a connection is known by afterwards.
//!
//! ```text
//!  Arrival ── ClientHello, whole (T32) ──> policy by server name ── handshake ──> certificate's names allowed?
//!          one deadline from accept on, set by `accept.rs` and by nobody here (T31)
//! ```

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use towpath_net::Stream;
use towpath_net::timer::Timer;
use towpath_net::tls::{self, Agreed, Alpn, Fault, FaultKind};
use towpath_proto::client_hello::{ClientHello, HelloReader, Sniff};
use towpath_proto::limits::CLIENT_HELLO_BYTES_MAX;
use towpath_proto::x509::{Certificate, Name};
use towpath_telemetry::metrics::CloseReason;

use crate::accept::Arrival;
use crate::error::Reason;
use crate::l4::{Account, Cut, alert_record, read_more};
use crate::plan::{ListenerTls, Protocol, TlsPolicy};

/// Alerts that we send before the library has one of its own (RFC 8446 §6.2).
const UNEXPECTED_MESSAGE: u8 = 10;

/// What is known of a connection that speaks TLS. It goes with the stream.
#[derive(Clone, Debug)]
pub(crate) struct Secured {
    /// The policy that let it in.
    pub(crate) policy: Arc<TlsPolicy>,
    /// What decided that; see [`crate::plan::PolicyFiles::admission`].
    pub(crate) admission: [u8; 32],
    /// The name that the client asked for.
    pub(crate) server_name: Option<Box<str>>,
    /// `TLSv1.3`.
    pub(crate) version: &'static str,
    /// The cipher suite by its IANA name.
    pub(crate) cipher: &'static str,
    /// Who the client is, by its certificate.
    pub(crate) identity: Option<Box<str>>,
}

impl Secured {
    /// The header field that tells an origin who the client is, if the policy wants one and the client has shown who it
    /// is.
    pub(crate) fn identity_field(&self) -> Option<(&[u8], &[u8])> {
        Some((self.policy.identity_header.as_deref()?, self.identity.as_deref()?.as_bytes()))
    }
}

/// Why there is no TLS connection.
struct Refusal {
    /// `None` when the client left before it had said anything.
    reason: Option<Reason>,
    close: CloseReason,
}

impl Refusal {
    fn of(reason: Reason) -> Self {
        let close = match reason {
            Reason::TlsHandshakeTimeout | Reason::ClientHelloTimeout => CloseReason::Timeout,
            _ => CloseReason::Protocol,
        };
        Self { reason: Some(reason), close }
    }

    fn left(close: CloseReason) -> Self {
        Self { reason: None, close }
    }
}

/// Does the handshake, then serves what comes over the connection.
pub(crate) async fn receive(arrival: Arrival) {
    let plan = arrival.seat.listener.plan();
    let Some(policies) = &plan.tls else { return arrival.serve_opened(&plan) };
    let mut account = Account::new(arrival.since, arrival.client.address);
    let Arrival { mut seat, stream, since, timer, client, early } = arrival;
    let alpn = if matches!(plan.protocol, Protocol::Http) { Alpn::Agreed } else { Alpn::Ignored };
    match secure(stream, (policies, alpn), &timer, early, &mut account.server_name).await {
        Ok(stream) => {
            let early = Vec::new();
            Arrival { seat, stream, since, timer, client, early }.serve_opened(&plan);
        }
        Err(Refusal { reason: None, close }) => seat.reason = close,
        Err(Refusal { reason: Some(reason), close }) => {
            seat.refuse(reason, close);
            account.log(&seat, None, None, Some(reason));
        }
    }
}

/// The connection as TLS. It is closed on every error.
async fn secure(
    mut stream: Stream,
    (policies, alpn): (&ListenerTls, Alpn),
    timer: &Timer,
    mut early: Vec<u8>,
    server_name: &mut Option<Box<str>>,
) -> Result<Stream, Refusal> {
    let chosen = read_hello(&mut stream, timer, &mut early, |hello| {
        *server_name = hello.server_name().map(|name| name.as_str().into());
        let name = server_name.as_deref();
        let policy = policies.choose(name)?;
        Some((policy, policy.server.signing(name, hello.cipher_suites(), hello.signature_schemes())))
    });
    let (policy, signing) = chosen.await?.ok_or_else(|| Refusal::of(Reason::Internal))?;
    // Before the handshake: a certificate that is changed meanwhile must not vouch for more than it was asked.
    let admission = policy.files().admission;
    let handshake = timer.limit(tls::accept(stream, &policy.server, alpn, &early, signing)).await;
    let mut stream = match handshake {
        Ok(Ok(stream)) => stream,
        Ok(Err(fault)) => return Err(refusal_of(&fault)),
        Err(_expired) => return Err(Refusal::of(Reason::TlsHandshakeTimeout)),
    };
    let agreed = stream.agreed().ok_or_else(|| Refusal::of(Reason::Internal))?;
    let (identity, version, cipher) = admit(policy, agreed)?;
    let policy = Arc::clone(policy);
    let server_name = server_name.clone();
    stream.attach(Box::new(Secured { policy, admission, server_name, version, cipher, identity }));
    Ok(stream)
}

/// Reads the ClientHello, whole, and gives what is made of it.
async fn read_hello<T>(
    stream: &mut Stream,
    timer: &Timer,
    bytes: &mut Vec<u8>,
    judge: impl FnOnce(&ClientHello<'_>) -> T,
) -> Result<T, Refusal> {
    let mut reader = HelloReader::new();
    loop {
        let refused = match reader.handle_input(bytes) {
            Ok(Sniff::Hello(hello)) => return Ok(judge(&hello)),
            Ok(Sniff::NeedMore) => None,
            Ok(Sniff::NotTls) => Some((Reason::NotTls, UNEXPECTED_MESSAGE)),
            Err(error) => {
                let reason = Reason::from_code(error.reason()).unwrap_or(Reason::BadClientHello);
                Some((reason, error.alert()))
            }
        };
        if let Some((reason, alert)) = refused {
            // A plain end behind it: a reset might overtake it.
            let _ = stream.try_write(&alert_record(alert));
            return Err(Refusal::of(reason));
        }
        read_more(stream, timer, bytes, CLIENT_HELLO_BYTES_MAX).await.map_err(|cut| match cut {
            Cut::Expired => Refusal::of(Reason::ClientHelloTimeout),
            Cut::Ended if bytes.is_empty() => Refusal::left(CloseReason::Client),
            Cut::Ended => Refusal::of(Reason::ClientHelloTruncated),
            Cut::Failed => Refusal::left(CloseReason::Reset),
        })?;
    }
}

fn refusal_of(fault: &Fault) -> Refusal {
    let reason = match fault.kind {
        FaultKind::Incompatible => Reason::TlsIncompatible,
        FaultKind::Protocol => Reason::BadTlsMessage,
        FaultKind::CertificateMissing => Reason::ClientCertificateMissing,
        FaultKind::Certificate | FaultKind::Name => Reason::ClientCertificateInvalid,
        FaultKind::Alert => Reason::TlsAlert,
        FaultKind::Truncated => Reason::TlsHandshakeTruncated,
        FaultKind::Overload => Reason::TlsSigningOverload,
        FaultKind::Io => return Refusal::left(CloseReason::Reset),
    };
    Refusal::of(reason)
}

/// Who the client is, and what was agreed on.
type Admitted = (Option<Box<str>>, &'static str, &'static str);

/// Asks whether the client may come in with its certificate, after a resumption as well (T34).
fn admit(policy: &TlsPolicy, agreed: Agreed) -> Result<Admitted, Refusal> {
    let certificate = match agreed.peer_certificate.as_deref().map(Certificate::parse) {
        None if policy.demands_certificate => return Err(Refusal::of(Reason::ClientCertificateMissing)),
        None => None,
        // The ticket of a session may outlive the certificate that it vouches for.
        Some(Some(certificate)) if certificate.is_current(now()) => Some(certificate),
        Some(_) => return Err(Refusal::of(Reason::ClientCertificateInvalid)),
    };
    if !is_listed(policy, certificate.as_ref()) {
        return Err(Refusal::of(Reason::ClientCertificateRefused));
    }
    let identity = certificate.as_ref().and_then(Certificate::identity).map(Into::into);
    Ok((identity, agreed.version, agreed.cipher))
}

/// Whether the policy lists one of the certificate's names. A list admits nobody without a certificate.
fn is_listed(policy: &TlsPolicy, certificate: Option<&Certificate<'_>>) -> bool {
    let Some(listed) = &policy.client_names else { return true };
    let names = certificate.map(|certificate| certificate.names.as_slice()).unwrap_or_default();
    names.iter().any(|name| match name {
        Name::Uri(name) | Name::Dns(name) => listed.iter().any(|pattern| pattern.matches(name)),
        Name::Email(_) | Name::Ip(_) => false,
    })
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

//! Where a TLS client wants to go, from its ClientHello (RFC 8446 §4.1.2), which is read and not taken (T32).

use std::sync::Arc;

use towpath_net::Stream;
use towpath_net::timer::Timer;
use towpath_proto::client_hello::{ClientHello, ClientHelloError, HelloReader, Sniff};
use towpath_proto::limits::CLIENT_HELLO_BYTES_MAX;

use super::open::Ending;
use super::{Cut, read_more};
use crate::error::Reason;
use crate::plan::{Passthrough, Target};

/// No such name here, or none at all (RFC 6066 §3).
const UNRECOGNIZED_NAME: u8 = 112;

/// What a ClientHello asks for.
pub(super) struct Wanted {
    pub(super) target: Arc<Target>,
    pub(super) server_name: Option<Box<str>>,
    /// The application protocol, if it offered one and no more.
    pub(super) protocol: Option<Box<[u8]>>,
}

/// Reads until the ClientHello is whole, then asks the plan. All that was read is in `bytes` afterwards.
pub(super) async fn read(
    plan: &Passthrough,
    stream: &mut Stream,
    timer: &Timer,
    bytes: &mut Vec<u8>,
) -> Result<Wanted, Ending> {
    let mut reader = HelloReader::new();
    loop {
        match reader.handle_input(bytes) {
            Ok(Sniff::Hello(hello)) => return route(plan, &hello),
            Ok(Sniff::NeedMore) => {}
            Ok(Sniff::NotTls) => return Err(Ending::refused(Reason::NotTls)),
            Err(error) => return Err(refusal(error)),
        }
        read_more(stream, timer, bytes, CLIENT_HELLO_BYTES_MAX).await.map_err(|cut| match cut {
            Cut::Expired => Ending::refused(Reason::ClientHelloTimeout),
            Cut::Ended if bytes.is_empty() => Ending::Left,
            Cut::Ended => Ending::refused(Reason::ClientHelloTruncated),
            Cut::Failed => Ending::Reset,
        })?;
    }
}

fn refusal(error: ClientHelloError) -> Ending {
    let reason = Reason::from_code(error.reason()).unwrap_or(Reason::BadClientHello);
    Ending::Refused { reason, alert: Some(error.alert()) }
}

/// The target of a ClientHello: by protocol, then by name, then the default.
fn route(plan: &Passthrough, hello: &ClientHello<'_>) -> Result<Wanted, Ending> {
    let name = hello.server_name();
    let by_protocol = || hello.alpn().find_map(|protocol| plan.alpn.get(protocol));
    let by_name = || plan.names.find(name.as_ref()?.as_str());
    let target = by_protocol().or_else(by_name).or(plan.default.as_ref());
    let Some(target) = target else {
        let reason = if name.is_some() { Reason::UnknownServerName } else { Reason::NoServerName };
        return Err(Ending::Refused { reason, alert: Some(UNRECOGNIZED_NAME) });
    };
    let mut protocols = hello.alpn();
    let only = protocols.next().filter(|_| protocols.next().is_none());
    Ok(Wanted {
        target: Arc::clone(target),
        server_name: name.as_ref().map(|name| name.as_str().into()),
        protocol: only.map(Into::into),
    })
}

//! PROXY headers: the one that a listed peer begins with, and the one that an endpoint wants (T56).

use towpath_net::Stream;
use towpath_proto::limits::PROXY_V2_BYTES_MAX;
use towpath_proto::proxy_protocol::{
    Checksum, Progress, TYPE_ALPN, TYPE_AUTHORITY, Tlv, decode, encode_v1, encode_v2,
};
use towpath_telemetry::metrics::CloseReason;

use super::relay::Account;
use super::{Client, Cut, read_more};
use crate::accept::Arrival;
use crate::error::Reason;
use crate::plan::{ProxyOut, ProxyVersion};

/// Reads the header that this peer has to begin with, then serves the client it speaks of. Whatever is wrong with it
/// ends the connection without a word (proxy-protocol.txt §2.1): nothing here can tell how the client would read it.
pub(crate) async fn receive(mut arrival: Arrival) {
    let plan = arrival.seat.listener.plan();
    match read(&mut arrival).await {
        Ok(client) => arrival.client = client,
        Err((None, close)) => return arrival.seat.reason = close,
        Err((Some(reason), close)) => {
            let account = Account::new(arrival.since, arrival.client.address);
            account.log(&arrival.seat, None, None, Some(reason));
            return refuse(arrival, reason, close);
        }
    }
    match arrival.seat.claim(arrival.client.address.ip()) {
        Ok(()) => arrival.serve(&plan),
        Err(reason) => refuse(arrival, reason, CloseReason::Limit),
    }
}

fn refuse(mut arrival: Arrival, reason: Reason, close: CloseReason) {
    arrival.seat.refuse(reason, close);
    arrival.stream.reset_on_drop();
}

/// The client of the header, which is taken off what was read. An error is why the connection ends, with a reason
/// unless the peer left before it began.
async fn read(arrival: &mut Arrival) -> Result<Client, (Option<Reason>, CloseReason)> {
    let Arrival { stream, timer, early, client, .. } = arrival;
    loop {
        match decode(early) {
            Ok(Progress::Done { consumed, header }) => {
                let client = Client::told(client.address, &header);
                early.drain(..consumed);
                return Ok(client);
            }
            Ok(Progress::NeedMore) => {}
            Err(error) => {
                let reason = Reason::from_code(error.reason()).unwrap_or(Reason::BadProxyHeader);
                return Err((Some(reason), CloseReason::Protocol));
            }
        }
        // Something of the client's own bytes comes along, which saves it a read.
        read_more(stream, timer, early, PROXY_V2_BYTES_MAX + super::READ_BYTES).await.map_err(
            |cut| match cut {
                Cut::Expired => (Some(Reason::ProxyHeaderTimeout), CloseReason::Timeout),
                Cut::Ended if early.is_empty() => (None, CloseReason::Client),
                Cut::Ended => (Some(Reason::ProxyHeaderTruncated), CloseReason::Protocol),
                Cut::Failed => (None, CloseReason::Reset),
            },
        )?;
    }
}

/// What is known of a client's connection beside its addresses.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attributes<'a> {
    /// The server name of its ClientHello.
    pub(super) server_name: Option<&'a str>,
    /// The application protocol that the ClientHello offered, if it was the only one: of several, the endpoint is going
    /// to choose.
    pub(super) protocol: Option<&'a [u8]>,
}

/// The header for an endpoint.
pub(super) fn compose(
    out: ProxyOut,
    client: &Client,
    stream: &Stream,
    attributes: Attributes<'_>,
) -> Vec<u8> {
    let peer = client.peer(stream);
    let mut header = Vec::new();
    if out.version == ProxyVersion::V1 {
        encode_v1(&peer, &mut header);
        return header;
    }
    // What we read ourselves goes before what we were told.
    let authority = attributes.server_name.map(str::as_bytes).or(client.authority());
    let alpn = attributes.protocol.or(client.alpn());
    let tlvs = [(TYPE_AUTHORITY, authority), (TYPE_ALPN, alpn)];
    let tlvs = tlvs.into_iter().filter_map(|(kind, value)| Some(Tlv { kind, value: value? }));
    let tlvs: Vec<Tlv<'_>> = tlvs.collect();
    let checksum = if out.checksum { Checksum::Write } else { Checksum::Omit };
    if encode_v2(&peer, &tlvs, checksum, &mut header).is_err() {
        // An authority of almost 4 KiB that came in a header of that size. It says less than the addresses.
        let short = encode_v2(&peer, &[], checksum, &mut header);
        debug_assert!(short.is_ok(), "addresses and a checksum fit");
    }
    header
}

//! TLS towards the endpoints of an upstream.

use std::sync::Arc;

use towpath_config::options::{self, UpstreamProtocol, UpstreamTls as Written};
use towpath_config::value::EndpointAddress;
use towpath_config::{Diagnostic, Options, Spanned};
use towpath_gateway::plan::UpstreamTls;
use towpath_net::tls::{
    ALPN_HTTP1, ALPN_HTTP2, Authorities, Client, ClientSettings, MaterialFault, certificates, fingerprint,
    system_authorities,
};

use super::super::Faults;
use super::super::uses::{self, Uses};
use super::{Renewal, join, of_file, read_bounded, read_chain, read_file, renewal};

/// The contents of the files.
struct Material {
    ca: Option<Vec<u8>>,
    pair: Option<(Vec<u8>, Vec<u8>)>,
}

/// What an upstream says about TLS; `Ok(None)` for clear text. `Err` when that has faults: it is never clear text instead
/// (T33).
pub(in super::super) fn read(
    upstream: &options::Upstream,
    before: Option<&Arc<UpstreamTls>>,
    uses: Uses,
    faults: &mut Faults,
) -> Result<Option<Arc<UpstreamTls>>, ()> {
    let Some((switch, written)) = upstream.tls.as_ref().and_then(|tls| Some((tls, tls.settings()?))) else {
        return Ok(None);
    };
    let place = Spanned::new(written, switch.span);
    let known = faults.len();
    judge_uses(upstream, &place, uses, faults);
    judge_names(upstream, &place, faults);
    warn_unverified(&place, faults);
    let material = Material::read(&place, faults).ok_or(())?;
    let definition = material.definition(&place, is_http2(upstream));
    if let Some(before) = before.filter(|before| before.definition() == definition) {
        return Ok(Some(Arc::clone(before)));
    }
    let built = build(&place, &material, (uses, is_http2(upstream)), faults);
    if faults.iter().skip(known).any(Diagnostic::is_error) {
        return Err(());
    }
    built.map(|built| Some(Arc::new(built))).ok_or(())
}

/// Takes over the files of settings that serve, if they have changed and are good.
pub(crate) fn renew(tls: &UpstreamTls, options: &Options, name: &str) -> Renewal {
    let Some(upstream) = options.upstream.get(name) else { return Renewal::Unchanged };
    let uses = uses::of(options).get(name).copied().unwrap_or_default();
    let Some((switch, written)) = upstream.tls.as_ref().and_then(|tls| Some((tls, tls.settings()?))) else {
        return Renewal::Unchanged;
    };
    let place = Spanned::new(written, switch.span);
    let mut faults = Faults::new();
    let material = Material::read(&place, &mut faults);
    let definition =
        material.as_ref().map_or([0; 32], |material| material.definition(&place, is_http2(upstream)));
    if definition == tls.definition() {
        return Renewal::Unchanged;
    }
    let built =
        material.and_then(|material| build(&place, &material, (uses, is_http2(upstream)), &mut faults));
    renewal(definition, faults, built, |built| tls.renew(&built))
}

/// What cannot go together.
fn judge_uses(upstream: &options::Upstream, place: &Spanned<Written>, uses: Uses, faults: &mut Faults) {
    if uses.by_sessions {
        let fault = Diagnostic::error(place.span, "datagrams are not sent by TLS");
        faults.push(fault.hint("give the udp listener an upstream of its own"));
    }
    if let Some(header) = &upstream.proxy_protocol {
        let message = "proxy_protocol would come inside of TLS, where no endpoint looks for it";
        let fault = Diagnostic::error(header.span, message).also(place.span, "TLS is spoken here");
        faults.push(fault.hint("take one of the two out"));
    }
}

/// Every endpoint has a name to be asked for.
fn judge_names(upstream: &options::Upstream, place: &Spanned<Written>, faults: &mut Faults) {
    if let Some(name) = &place.value.server_name {
        if !Client::can_ask_for(name) {
            let fault = Diagnostic::error(name.span, format!("\"{name}\" is no name of a server"));
            faults.push(fault.hint("write a DNS name or an address, without port"));
        }
        return;
    }
    let mut endpoints = upstream.endpoints.iter().flat_map(|endpoints| endpoints.iter());
    if let Some(unix) = endpoints.find(|one| matches!(one.address.value, EndpointAddress::Unix(_))) {
        let message = "a Unix socket has no name that a certificate could be for";
        let fault = Diagnostic::error(unix.address.span, message).also(place.span, "TLS is spoken here");
        faults.push(fault.hint("write tls = { server_name = \"app.internal\" }"));
    }
}

fn warn_unverified(place: &Spanned<Written>, faults: &mut Faults) {
    let Some(verify) = place.value.verify.as_ref().filter(|verify| !verify.value) else { return };
    let message =
        "verify = false: whoever stands between here and the endpoints can read and change everything";
    faults
        .push(Diagnostic::warning(verify.span, message).hint("name the authority instead: ca = \"ca.pem\""));
}

impl Material {
    fn read(place: &Spanned<Written>, faults: &mut Faults) -> Option<Self> {
        let ca = match &place.value.ca {
            _ if !is_verified(place) => Some(None),
            Some(path) => read_file(path, faults).map(Some),
            None => read_system(place, faults).map(Some),
        };
        let pair = match (&place.value.certificate, &place.value.private_key) {
            (Some(certificate), Some(key)) => {
                let (certificate, key) = (read_file(certificate, faults), read_file(key, faults));
                certificate.zip(key).map(Some)
            }
            _ => Some(None),
        };
        Some(Self { ca: ca?, pair: pair? })
    }

    fn definition(&self, place: &Spanned<Written>, http2: bool) -> [u8; 32] {
        let (certificate, key) = self.pair.as_ref().map(|(a, b)| (&**a, &**b)).unwrap_or_default();
        let name = place.value.server_name.as_ref().map_or("", |name| name.value.as_str());
        let is_verified: &[u8] = if is_verified(place) { b"verified" } else { b"" };
        let authorities = self.ca.as_deref().unwrap_or_default();
        fingerprint(&[is_verified, authorities, certificate, key, name.as_bytes(), &[u8::from(http2)]])
    }
}

fn is_verified(place: &Spanned<Written>) -> bool {
    place.value.verify.as_ref().is_none_or(|verify| verify.value)
}

fn read_system(place: &Spanned<Written>, faults: &mut Faults) -> Option<Vec<u8>> {
    let file = system_authorities();
    match read_bounded(&file) {
        Ok(pem) => Some(pem),
        Err(why) => {
            let message = format!("the authorities of the system cannot be read: {}: {why}", file.display());
            let hint = "install the package ca-certificates, or name a file: tls = { ca = \"ca.pem\" }";
            faults.push(Diagnostic::error(place.span, message).hint(hint));
            None
        }
    }
}

fn build(
    place: &Spanned<Written>,
    material: &Material,
    (uses, http2): (Uses, bool),
    faults: &mut Faults,
) -> Option<UpstreamTls> {
    let authorities = match &material.ca {
        None => None,
        Some(pem) => Some(read_authorities(place, pem, faults)?),
    };
    let identity = match (&material.pair, &place.value.certificate, &place.value.private_key) {
        (Some((pem, key)), Some(certificate), Some(key_path)) => {
            let chain = read_chain(certificate, pem, faults)?;
            Some(join((certificate, chain), (key_path, key), None, faults)?)
        }
        _ => None,
    };
    // What relays carry is not known here.
    let alpn = match (uses.by_routes, http2) {
        (false, _) => Vec::new(),
        (true, false) => vec![ALPN_HTTP1.to_vec()],
        (true, true) => vec![ALPN_HTTP2.to_vec()],
    };
    let settings = ClientSettings { authorities, identity, alpn };
    let client = Client::new(settings)
        .map_err(|fault| faults.push(Diagnostic::error(place.span, fault.to_string())))
        .ok()?;
    let name = place.value.server_name.as_ref().map(|name| name.value.as_str());
    Some(UpstreamTls::new(client, name, material.definition(place, http2)))
}

/// Whether its endpoints speak HTTP/2.
pub(in super::super) fn is_http2(upstream: &options::Upstream) -> bool {
    upstream.protocol.as_ref().is_some_and(|protocol| protocol.value == UpstreamProtocol::Http2)
}

/// Every certificate of a file of ours has to be one; the system's may hold some that only others can read.
fn read_authorities(place: &Spanned<Written>, pem: &[u8], faults: &mut Faults) -> Option<Authorities> {
    let read = certificates(pem);
    let judged = match &place.value.ca {
        Some(_) => read.and_then(Authorities::new),
        None => read.and_then(Authorities::lenient),
    };
    judged.map_err(|fault| faults.push(of_authorities(place, &fault))).ok()
}

fn of_authorities(place: &Spanned<Written>, fault: &MaterialFault) -> Diagnostic {
    match &place.value.ca {
        Some(path) => of_file(path, fault, "write certificate authorities in PEM"),
        None => {
            let message = format!("{} cannot be used: {fault}", system_authorities().display());
            Diagnostic::error(place.span, message).hint("name a file: tls = { ca = \"ca.pem\" }")
        }
    }
}

/// The name that an endpoint is asked for where the upstream has none for all of them.
pub(in super::super) fn host_of(address: &EndpointAddress) -> String {
    match address {
        EndpointAddress::Ip(address) => address.ip().to_string(),
        EndpointAddress::Name { host, .. } => host.clone(),
        EndpointAddress::Unix(_) => String::new(),
    }
}

//! TLS: the files of `[tls.NAME]` and of an upstream's `tls`, read and turned into what the engine serves with.
//!
//! ```text
//!  table ──> Material (the files' contents) ──> definition, a fingerprint ──┬─ as before: the same object
//!                                                                          └─ judged and built: a new one
//! ```
//!
//! [`renew_policy`] and [`renew_upstream`] walk the same way while the plan serves, when the files have changed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use towpath_config::options::{self, ClientAuth as WrittenAuth, TlsVersion};
use towpath_config::value::{FilePath, OneOrMany, Opt};
use towpath_config::{Diagnostic, Options, Span, Spanned};
use towpath_gateway::plan::{ListenerTls, NamePattern, Plan, PolicyFiles, TlsPolicy};
use towpath_net::tls::{
    ALPN_HTTP1, ALPN_HTTP2, Authorities, ClientAuth, Identity, MaterialFault, NamedIdentity, Server,
    ServerSettings, Suites, TicketKeys, Versions, certificates, fingerprint,
};
use towpath_proto::tls_policy::{self, Suite, Version};
use towpath_proto::x509::Certificate;

use super::name::{names, unknown, within};
use super::{CompileEnv, Faults};
use crate::tls_policy::read_ciphers;

mod upstream;

pub(crate) use upstream::renew as renew_upstream;
pub(super) use upstream::{host_of, is_http2, read as read_upstream};

/// Files that are larger are no certificates.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A certificate that ends sooner is warned of: time enough for somebody to come back from a weekend.
const EXPIRES_SOON_SECONDS: u64 = 14 * 24 * 3600;

/// The policies of a file by name; `None` for one that has faults.
pub(super) struct Policies<'o> {
    options: &'o Options,
    by_name: BTreeMap<&'o str, Option<Arc<TlsPolicy>>>,
}

/// Reads every policy, used or not.
pub(super) fn compile<'o>(
    options: &'o Options,
    previous: Option<&Plan>,
    env: &CompileEnv<'_>,
    faults: &mut Faults,
) -> Policies<'o> {
    let mut by_name = BTreeMap::new();
    for (name, table) in &options.tls {
        let before = previous.and_then(|plan| policy_of(plan, name));
        let policy = within(&format!("tls.{name}"), faults, |faults| {
            read_policy(name, table, before, &env.ticket_keys, faults)
        });
        by_name.insert(name.value.as_str(), policy);
    }
    Policies { options, by_name }
}

/// Warns of policies that no listener names.
pub(super) fn warn_unused(options: &Options, faults: &mut Faults) {
    let used = |name: &str| {
        let mut named = options.listener.values().flat_map(|listener| listener.tls.iter());
        named.any(|names| names.iter().any(|one| one.value == name))
    };
    for name in options.tls.keys().filter(|name| !used(name.value.as_str())) {
        let warning = Diagnostic::warning(name.span, format!("no listener uses [tls.{name}]"));
        let hint = format!("take it out, or write tls = \"{name}\" in a listener");
        faults.push(warning.hint(hint).within(format!("tls.{name}")));
    }
}

/// The headers in which the gateway alone says who a client is, on every listener of the file (T42).
pub(super) fn identity_headers(options: &Options) -> Vec<Box<[u8]>> {
    let named = options.tls.values().filter_map(|table| table.client_identity_header.as_ref());
    let mut headers: Vec<Box<[u8]>> =
        named.map(|name| name.value.to_ascii_lowercase().into_bytes().into()).collect();
    headers.sort();
    headers.dedup();
    headers
}

impl Policies<'_> {
    /// What a listener does about TLS. `Err` when a policy is not there, which is a fault, or has faults of its own: a
    /// listener without its TLS must not run (T33).
    pub(super) fn of(
        &self,
        written: &Opt<OneOrMany<String>>,
        faults: &mut Faults,
    ) -> Result<Option<ListenerTls>, ()> {
        let Some(written) = written else { return Ok(None) };
        if written.is_empty() {
            let fault = Diagnostic::error(written.span, "tls names no policy");
            faults.push(fault.hint("name a [tls.NAME], or take the key out for clear text"));
            return Err(());
        }
        let found: Vec<_> = written.iter().map(|name| self.find(name, faults)).collect();
        let policies: Option<Vec<_>> = found.into_iter().collect();
        Ok(Some(ListenerTls { policies: policies.ok_or(())? }))
    }

    fn find(&self, name: &Spanned<String>, faults: &mut Faults) -> Option<Arc<TlsPolicy>> {
        let found = self.by_name.get(name.value.as_str());
        if found.is_none() {
            faults.push(unknown("tls", name, names(&self.options.tls)));
        }
        found?.clone()
    }
}

/// Whether two listeners do the same about TLS.
pub(super) fn is_same(old: Option<&ListenerTls>, new: Option<&ListenerTls>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => {
            old.policies.len() == new.policies.len()
                && old.policies.iter().zip(&new.policies).all(|(old, new)| Arc::ptr_eq(old, new))
        }
        (old, new) => old.is_none() && new.is_none(),
    }
}

/// The policy of this name in a plan.
pub(crate) fn policy_of<'p>(plan: &'p Plan, name: &str) -> Option<&'p Arc<TlsPolicy>> {
    let policies = plan.listeners.iter().filter_map(|listener| listener.tls.as_ref());
    policies.flat_map(|tls| &tls.policies).find(|policy| &*policy.name == name)
}

/// What came of a look at files.
#[derive(Debug)]
pub(crate) enum Renewal {
    /// They are what serves.
    Unchanged,
    /// They were different, and serve now.
    Renewed,
    /// They are different and cannot serve; what they are, and why.
    Refused { definition: [u8; 32], fault: Box<Diagnostic> },
}

/// Takes over the files of a policy that serves, if they have changed and are good.
pub(crate) fn renew_policy(policy: &TlsPolicy, table: &options::Tls, keys: &Arc<TicketKeys>) -> Renewal {
    let mut faults = Faults::new();
    let material = Material::read(table, &mut faults);
    let definition = material.as_ref().map_or([0; 32], |material| material.definition(&policy.name, table));
    if definition == policy.files().definition {
        return Renewal::Unchanged;
    }
    let built = material.and_then(|material| build(&policy.name, table, &material, keys, &mut faults));
    renewal(definition, faults, built, |built| policy.renew(&built))
}

fn renewal<T>(definition: [u8; 32], faults: Faults, built: Option<T>, renew: impl FnOnce(T)) -> Renewal {
    match (built, faults.into_iter().find(Diagnostic::is_error)) {
        (Some(built), None) => {
            renew(built);
            Renewal::Renewed
        }
        (_, fault) => {
            let unknown = || Diagnostic::error(Span::NONE, "the files cannot be used");
            Renewal::Refused { definition, fault: Box::new(fault.unwrap_or_else(unknown)) }
        }
    }
}

/// The policy that a table describes: the one that serves if nothing is different, whatever its age.
fn read_policy(
    name: &str,
    table: &options::Tls,
    before: Option<&Arc<TlsPolicy>>,
    keys: &Arc<TicketKeys>,
    faults: &mut Faults,
) -> Option<Arc<TlsPolicy>> {
    let material = Material::read(table, faults)?;
    let definition = material.definition(name, table);
    if let Some(before) = before.filter(|before| before.files().definition == definition) {
        return Some(Arc::clone(before));
    }
    build(name, table, &material, keys, faults).map(Arc::new)
}

/// The contents of the files that a table names.
struct Material {
    pairs: Vec<Pair>,
    client_ca: Option<Vec<u8>>,
}

/// A certificate with what belongs to it.
struct Pair {
    certificate: Vec<u8>,
    key: Vec<u8>,
    ocsp: Option<Vec<u8>>,
}

impl Material {
    /// Reads all of them, so that every fault is told.
    fn read(table: &options::Tls, faults: &mut Faults) -> Option<Self> {
        let certificates = read_files(&table.certificate, faults);
        let keys = read_files(&table.private_key, faults);
        let staples = read_files(&table.ocsp, faults);
        let client_ca = table.client_ca.as_ref().map(|path| read_file(path, faults));
        let staples = staples?.into_iter().map(Some).chain(std::iter::repeat(None));
        let pairs: Vec<_> = certificates?
            .into_iter()
            .zip(keys?)
            .zip(staples)
            .map(|((certificate, key), ocsp)| Pair { certificate, key, ocsp })
            .collect();
        let client_ca = match client_ca {
            Some(read) => Some(read?),
            None => None,
        };
        (!pairs.is_empty()).then_some(Self { pairs, client_ca })
    }

    /// What a policy is, files and all.
    fn definition(&self, name: &str, table: &options::Tls) -> [u8; 32] {
        let admission = self.admission(name, table);
        let mut parts: Vec<&[u8]> = vec![&admission];
        let header = table.client_identity_header.as_ref().map(|name| name.value.to_ascii_lowercase());
        parts.push(header.as_deref().unwrap_or_default().as_bytes());
        for pair in &self.pairs {
            parts.extend([&*pair.certificate, &*pair.key, pair.ocsp.as_deref().unwrap_or_default()]);
        }
        fingerprint(&parts)
    }

    /// What of a policy decides who may come in: who resumes a session has to have been let in by the same (T34).
    fn admission(&self, name: &str, table: &options::Tls) -> [u8; 32] {
        let auth = table.client_auth.as_ref().map_or("", |auth| auth.value.as_str());
        let listed = table.client_san.iter().flat_map(|names| names.iter()).map(|name| name.value.as_bytes());
        let versions = versions(table);
        let ciphers = table.ciphers.as_ref().map_or("", |ciphers| ciphers.value.as_str());
        let mut parts = vec![
            name.as_bytes(),
            self.client_ca.as_deref().unwrap_or_default(),
            auth.as_bytes(),
            if versions.tls12 { b"1.2" } else { b"" },
            if versions.tls13 { b"1.3" } else { b"" },
            ciphers.as_bytes(),
        ];
        parts.extend(listed);
        fingerprint(&parts)
    }
}

fn read_files(paths: &Opt<OneOrMany<FilePath>>, faults: &mut Faults) -> Option<Vec<Vec<u8>>> {
    let paths = paths.iter().flat_map(|paths| paths.iter());
    let read: Vec<_> = paths.map(|path| read_file(path, faults)).collect();
    read.into_iter().collect()
}

fn read_file(path: &Spanned<FilePath>, faults: &mut Faults) -> Option<Vec<u8>> {
    match read_bounded(&path.value.resolved) {
        Ok(bytes) => Some(bytes),
        Err(why) => {
            let message = format!("\"{}\" cannot be read: {why}", path.value.written);
            let hint = format!("the file is {}", path.value.resolved.display());
            faults.push(Diagnostic::error(path.span, message).hint(hint));
            None
        }
    }
}

fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let found = std::fs::metadata(path)?;
    if !found.is_file() || found.len() > FILE_BYTES_MAX {
        return Err(std::io::Error::other("it is not a file of certificates"));
    }
    std::fs::read(path)
}

/// Judges the files and makes the policy of them.
fn build(
    name: &str,
    table: &options::Tls,
    material: &Material,
    keys: &Arc<TicketKeys>,
    faults: &mut Faults,
) -> Option<TlsPolicy> {
    let identities: Vec<_> =
        material.pairs.iter().enumerate().map(|(at, pair)| identity(table, at, pair, faults)).collect();
    let authorities = read_authorities(table.client_ca.as_ref(), material.client_ca.as_deref(), faults)?;
    let identities = identities.into_iter().collect::<Option<Vec<_>>>()?;
    let files = PolicyFiles {
        names: identities.iter().flat_map(|one| one.names.iter().cloned()).collect(),
        admission: material.admission(name, table),
        definition: material.definition(name, table),
    };
    let client_auth = client_auth(table, authorities);
    let demands_certificate = matches!(client_auth, ClientAuth::Required(_)) || table.client_san.is_some();
    let settings = ServerSettings {
        identities,
        client_auth,
        versions: versions(table),
        suites: suites(table, faults)?,
        alpn: vec![ALPN_HTTP2.to_vec(), ALPN_HTTP1.to_vec()],
        policy: files.admission,
    };
    let server = Server::new(settings, keys).map_err(|fault| {
        let place = table.protocols.as_ref().map_or(Span::NONE, |protocols| protocols.span);
        faults.push(Diagnostic::error(place, fault.to_string()));
    });
    let mut policy = TlsPolicy::new(name, server.ok()?, files);
    policy.demands_certificate = demands_certificate;
    policy.client_names = client_names(table);
    policy.identity_header = identity_header(table);
    Some(policy)
}

fn client_names(table: &options::Tls) -> Option<Vec<NamePattern>> {
    let names = table.client_san.as_ref()?;
    Some(names.iter().map(|name| NamePattern(name.value.clone())).collect())
}

fn identity_header(table: &options::Tls) -> Option<Box<[u8]>> {
    let name = table.client_identity_header.as_ref()?;
    Some(name.value.to_ascii_lowercase().into_bytes().into())
}

/// The versions that are written; the default has both.
fn versions(table: &options::Tls) -> Versions {
    let Some(written) = &table.protocols else { return Versions::default() };
    let has = |version| written.iter().any(|one| one.value == version);
    Versions { tls12: has(TlsVersion::Tls12), tls13: has(TlsVersion::Tls13) }
}

/// Names that the warning about unsafe suites tells; `towpath tls ciphers` tells all of them.
const DROPPED_TOLD_MAX: usize = 4;

/// The suites that are written, of those that are safe. What else the string would have admitted is said.
fn suites(table: &options::Tls, faults: &mut Faults) -> Option<Suites> {
    let Some(written) = &table.ciphers else { return Some(Suites::default()) };
    let mut refuse = |why: String| faults.push(Diagnostic::error(written.span, why));
    let list = read_ciphers(&written.value).map_err(&mut refuse).ok()?;
    let versions = versions(table);
    let enabled = [(versions.tls12, Version::Tls12), (versions.tls13, Version::Tls13)];
    let enabled: Vec<_> =
        enabled.into_iter().filter_map(|(is_on, version)| is_on.then_some(version)).collect();
    let policy =
        tls_policy::TlsPolicy::new(&enabled, &list).map_err(|fault| refuse(fault.to_string())).ok()?;
    faults.extend(dropped(written, list.dropped()));
    let numbers: Vec<_> = policy.suites().iter().map(|suite| suite.iana()).collect();
    let none = Diagnostic::error(written.span, "none of these cipher suites is built in");
    Suites::select(&numbers).or_else(|| {
        faults.push(none);
        None
    })
}

fn dropped(written: &Spanned<String>, suites: &[Suite]) -> Option<Diagnostic> {
    let told: Vec<_> = suites.iter().take(DROPPED_TOLD_MAX).map(|suite| suite.name()).collect();
    let more = suites.len().checked_sub(told.len()).filter(|&more| more > 0);
    let more = more.map_or(String::new(), |more| format!(" and {more} more"));
    let message = format!("cipher suites that are not safe are left out: {}{more}", told.join(", "));
    let hint = format!("towpath tls ciphers '{}' shows what the string comes to", written.value);
    (!suites.is_empty()).then(|| Diagnostic::warning(written.span, message).hint(hint))
}

fn client_auth(table: &options::Tls, authorities: Option<Authorities>) -> ClientAuth {
    let Some(authorities) = authorities else { return ClientAuth::None };
    match table.client_auth.as_ref().map(|auth| auth.value) {
        Some(WrittenAuth::Optional) => ClientAuth::Optional(authorities),
        Some(WrittenAuth::Required) | None => ClientAuth::Required(authorities),
    }
}

/// `Some(None)` when none are written.
fn read_authorities(
    path: Option<&Spanned<FilePath>>,
    pem: Option<&[u8]>,
    faults: &mut Faults,
) -> Option<Option<Authorities>> {
    let (Some(path), Some(pem)) = (path, pem) else { return Some(None) };
    match certificates(pem).and_then(Authorities::new) {
        Ok(authorities) => Some(Some(authorities)),
        Err(fault) => {
            faults.push(of_file(path, &fault, "write certificate authorities in PEM"));
            None
        }
    }
}

/// A certificate with its key and its names.
fn identity(table: &options::Tls, at: usize, pair: &Pair, faults: &mut Faults) -> Option<NamedIdentity> {
    let certificate = table.certificate.as_ref().and_then(|paths| paths.get(at))?;
    let key = table.private_key.as_ref().and_then(|paths| paths.get(at))?;
    let chain = read_chain(certificate, &pair.certificate, faults)?;
    let leaf = chain.first().and_then(|leaf| Certificate::parse(leaf));
    let names = leaf.map(|leaf| leaf.dns_names()).unwrap_or_default();
    let identity = join((certificate, chain), (key, &pair.key), pair.ocsp.clone(), faults)?;
    Some(NamedIdentity { identity, names })
}

/// The chain of a file, if its leaf can be read and is good now.
fn read_chain(path: &Spanned<FilePath>, pem: &[u8], faults: &mut Faults) -> Option<Vec<Vec<u8>>> {
    let chain = match certificates(pem) {
        Ok(chain) => chain,
        Err(fault) => {
            faults.push(of_file(path, &fault, "write the chain in PEM, the server's own certificate first"));
            return None;
        }
    };
    let judged = match chain.first().and_then(|leaf| Certificate::parse(leaf)) {
        Some(leaf) => judge_dates(path, &leaf, faults),
        None => {
            let fault = MaterialFault::BadCertificate("its names and dates are malformed".to_owned());
            faults.push(of_file(path, &fault, "ask its authority for another one"));
            false
        }
    };
    judged.then_some(chain)
}

fn judge_dates(path: &Spanned<FilePath>, leaf: &Certificate<'_>, faults: &mut Faults) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let written = &path.value.written;
    if leaf.not_after < now {
        let message = format!("the certificate \"{written}\" expired {} ago", span_of(now - leaf.not_after));
        faults.push(Diagnostic::error(path.span, message).hint("renew it: clients refuse it as it is"));
        return false;
    }
    if leaf.not_before > now {
        let message =
            format!("the certificate \"{written}\" is good only in {}", span_of(leaf.not_before - now));
        faults.push(Diagnostic::warning(path.span, message).hint("is the clock of this machine right?"));
    } else if leaf.not_after - now < EXPIRES_SOON_SECONDS {
        let message = format!("the certificate \"{written}\" expires in {}", span_of(leaf.not_after - now));
        faults.push(Diagnostic::warning(path.span, message).hint("renew it in time"));
    }
    true
}

/// A span of time as people say it.
fn span_of(seconds: u64) -> String {
    match seconds {
        0..=7_199 => format!("{} minutes", seconds / 60),
        7_200..=172_799 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A certificate and its key, each with the place where it is written.
fn join(
    (certificate, chain): (&Spanned<FilePath>, Vec<Vec<u8>>),
    (key, pem): (&Spanned<FilePath>, &[u8]),
    ocsp: Option<Vec<u8>>,
    faults: &mut Faults,
) -> Option<Identity> {
    let fault = match Identity::new(chain, pem, ocsp) {
        Ok(identity) => return Some(identity),
        Err(fault) => fault,
    };
    faults.push(match fault {
        MaterialFault::BadCertificate(_) | MaterialFault::NoCertificate => {
            of_file(certificate, &fault, "write the chain in PEM, the server's own certificate first")
        }
        MaterialFault::KeyMismatch => of_file(key, &fault, "the two files go in pairs; is one of them old?")
            .also(certificate.span, "the certificate"),
        _ => of_file(key, &fault, "write an unencrypted key in PEM: PKCS#8, SEC1 or PKCS#1"),
    });
    None
}

fn of_file(path: &Spanned<FilePath>, fault: &MaterialFault, hint: &str) -> Diagnostic {
    Diagnostic::error(path.span, format!("\"{}\" cannot be used: {fault}", path.value.written)).hint(hint)
}

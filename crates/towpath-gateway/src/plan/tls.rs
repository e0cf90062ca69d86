//! What listeners prove and demand by TLS, and what upstreams are asked to prove.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use towpath_net::tls::{Client, Server};

/// What a listener does about TLS: one policy, or several of which the server name chooses.
#[derive(Clone, Debug)]
pub struct ListenerTls {
    /// The policies, at least one. The first is for names that none of them has.
    pub policies: Vec<Arc<TlsPolicy>>,
}

/// A `[tls.NAME]`: certificates, and who may come in.
#[derive(Debug)]
pub struct TlsPolicy {
    /// The name of its table in the file.
    pub name: Arc<str>,
    /// The server's side.
    pub server: Server,
    /// Whether clients have to show a certificate.
    pub demands_certificate: bool,
    /// Names of which a client's certificate must have one; `None` admits every certificate of the authorities.
    pub client_names: Option<Vec<NamePattern>>,
    /// The request header that tells origins who the client is, in lower case; `None` for none.
    pub identity_header: Option<Box<[u8]>>,
    files: RwLock<Arc<PolicyFiles>>,
}

/// What of a policy changes with its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFiles {
    /// The names its certificates are for, `a.example.com` or `*.example.com`.
    pub names: Vec<String>,
    /// What decides who may come in, as a fingerprint: connections and tickets of a policy with another one are none of
    /// this (T34, T35). Certificates of our own are not part of it.
    pub admission: [u8; 32],
    /// All of the policy, contents of files included, as a fingerprint: equal ones are the same.
    pub definition: [u8; 32],
}

/// An alternative name of a certificate: all of it, or with a `*` at its end all that begins so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern(pub String);

impl NamePattern {
    /// Whether a name is meant. Names are told apart by case, as those of SPIFFE are (SPIFFE-ID §2).
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => self.0 == name,
        }
    }
}

impl TlsPolicy {
    /// A policy that asks nothing of clients.
    pub fn new(name: &str, server: Server, files: PolicyFiles) -> Self {
        Self {
            name: name.into(),
            server,
            demands_certificate: false,
            client_names: None,
            identity_header: None,
            files: RwLock::new(Arc::new(files)),
        }
    }

    /// What its files say.
    pub fn files(&self) -> Arc<PolicyFiles> {
        Arc::clone(&self.files.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Goes on with the files of `other`, which was made from the same table after they had changed. Connections that are
    /// open stay open.
    pub fn renew(&self, other: &Self) {
        self.server.replace(&other.server);
        *self.files.write().unwrap_or_else(PoisonError::into_inner) = other.files();
    }

    /// How well a name fits: an exact one best, then the longest wildcard, which is one label (RFC 9525 §6.3).
    fn fit(&self, host: &str) -> Option<usize> {
        let parent = host.split_once('.').map(|(_, parent)| parent);
        let fit = |name: &String| match name.strip_prefix("*.") {
            Some(suffix) => (parent == Some(suffix)).then_some(suffix.len()),
            None => (name == host).then_some(usize::MAX),
        };
        self.files().names.iter().filter_map(fit).max()
    }
}

impl ListenerTls {
    /// The policy for a server name in lower case. Without one, which a client can bring about by leaving it out, it is
    /// the strictest: the first that demands a certificate, if any does (T32).
    #[must_use]
    pub fn choose(&self, name: Option<&str>) -> Option<&Arc<TlsPolicy>> {
        let first = self.policies.first();
        let Some(name) = name else {
            return self.policies.iter().find(|policy| policy.demands_certificate).or(first);
        };
        self.owner_of(name).or(first)
    }

    /// Whether a request for `host` may come by a connection that was let in under `admission` (T35).
    #[must_use]
    pub fn admits(&self, host: &str, admission: &[u8; 32]) -> bool {
        let is_known = |policy: &Arc<TlsPolicy>| policy.files().admission == *admission;
        match self.owner_of(host) {
            Some(policy) => is_known(policy),
            // A host of no policy is as good here as over any other connection of the listener.
            None => self.policies.iter().any(is_known),
        }
    }

    /// The policy that has `host` among its names.
    fn owner_of(&self, host: &str) -> Option<&Arc<TlsPolicy>> {
        let fits = self.policies.iter().filter_map(|policy| Some((policy.fit(host)?, policy)));
        // Of equal ones the first, as it is written.
        fits.rev().max_by_key(|(fit, _)| *fit).map(|(_, policy)| policy)
    }
}

/// How the endpoints of an upstream are spoken to.
pub struct UpstreamTls {
    /// The client's side.
    pub client: Client,
    /// The name that is asked for and checked; `None` for the host of each endpoint.
    pub server_name: Option<Box<str>>,
    /// All of its settings, contents of files included, as a fingerprint; it changes with the files.
    definition: RwLock<[u8; 32]>,
}

impl UpstreamTls {
    /// Settings of this definition.
    pub fn new(client: Client, server_name: Option<&str>, definition: [u8; 32]) -> Self {
        Self { client, server_name: server_name.map(Into::into), definition: RwLock::new(definition) }
    }

    /// The fingerprint of all settings, contents of files included.
    pub fn definition(&self) -> [u8; 32] {
        *self.definition.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on with the files of `other`, which was made from the same table after they had changed.
    pub fn renew(&self, other: &Self) {
        self.client.replace(&other.client);
        *self.definition.write().unwrap_or_else(PoisonError::into_inner) = other.definition();
    }
}

impl PartialEq for UpstreamTls {
    fn eq(&self, other: &Self) -> bool {
        self.definition() == other.definition() && self.server_name == other.server_name
    }
}

impl fmt::Debug for UpstreamTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamTls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

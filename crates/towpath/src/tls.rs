//! TLS for servers of the kit: what a server proves, and what it demands of clients.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use towpath_net::tls::{
    ALPN_HTTP1, ALPN_HTTP2, Authorities, ClientAuth, MaterialFault, NamedIdentity, Server, ServerSettings,
    Suites, TicketKeys, Versions, certificates, fingerprint,
};

/// What a server proves to its clients and demands of them: TLS 1.2 and 1.3, with the groups and suites of the gateway.
///
/// ```
/// use towpath::tls::Tls;
///
/// let error = Tls::from_pem(b"no certificate", b"no key").unwrap_err();
/// assert!(error.to_string().contains("certificate"));
/// ```
#[derive(Clone)]
pub struct Tls {
    identities: Vec<NamedIdentity>,
    client_auth: ClientAuth,
}

/// Files or texts that TLS cannot be served with. The same again when repeated.
#[derive(Debug)]
pub struct TlsFault {
    what: String,
    source: Option<io::Error>,
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for TlsFault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

impl From<MaterialFault> for TlsFault {
    fn from(fault: MaterialFault) -> Self {
        Self { what: fault.to_string(), source: None }
    }
}

impl Tls {
    /// A certificate with its chain, and its private key, in PEM.
    ///
    /// # Errors
    /// One of them is none, or they do not belong together.
    pub fn from_pem(chain: &[u8], private_key: &[u8]) -> Result<Self, TlsFault> {
        let identity = towpath_net::tls::Identity::new(certificates(chain)?, private_key, None)?;
        let identities = vec![NamedIdentity { identity, names: Vec::new() }];
        Ok(Self { identities, client_auth: ClientAuth::None })
    }

    /// The same from files.
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem), or a file cannot be read.
    pub fn from_files(chain: impl AsRef<Path>, private_key: impl AsRef<Path>) -> Result<Self, TlsFault> {
        Self::from_pem(&read(chain.as_ref())?, &read(private_key.as_ref())?)
    }

    /// Demands of every client a certificate that one of these, in PEM, has signed. Who has none is turned away in the
    /// handshake.
    ///
    /// # Errors
    /// They are no certificates.
    pub fn require_client_certificates(mut self, authorities: &[u8]) -> Result<Self, TlsFault> {
        self.client_auth = ClientAuth::Required(Authorities::new(certificates(authorities)?)?);
        Ok(self)
    }

    /// What workers serve with.
    pub(crate) fn build(&self) -> Result<Arc<Server>, TlsFault> {
        let settings = ServerSettings {
            identities: self.identities.clone(),
            client_auth: self.client_auth.clone(),
            versions: Versions::default(),
            suites: Suites::default(),
            alpn: vec![ALPN_HTTP2.to_vec(), ALPN_HTTP1.to_vec()],
            // One server has one policy; its tickets are of no use to another, whose keys are others.
            policy: fingerprint(&[b"towpath kit"]),
        };
        Ok(Arc::new(Server::new(settings, &TicketKeys::new())?))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsFault> {
    std::fs::read(path)
        .map_err(|error| TlsFault { what: format!("cannot read {}", path.display()), source: Some(error) })
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys are in it.
        f.write_str("Tls")
    }
}

//! Whom to trust.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::Fault;

/// Where systems keep the CAs they trust: Debian and Alpine, Fedora, openSUSE, FreeBSD and macOS with Homebrew.
const SYSTEM_FILES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What OpenSSL and curl let one set instead.
const SYSTEM_VARIABLE: &str = "SSL_CERT_FILE";

/// The certificates in `file`, or the system's. A system without any trusts nobody; a file without any is a mistake.
pub(super) fn load(file: Option<&Path>) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    match file {
        Some(file) => {
            add(&mut roots, file).map_err(|why| Fault::Failed(format!("{}: {why}", file.display())))?
        }
        None => {
            if let Some(file) = system_file() {
                add(&mut roots, &file).map_err(|why| Fault::Failed(format!("{}: {why}", file.display())))?;
            }
        }
    }
    Ok(roots)
}

fn system_file() -> Option<PathBuf> {
    let named = std::env::var_os(SYSTEM_VARIABLE).map(PathBuf::from);
    named.or_else(|| SYSTEM_FILES.iter().map(PathBuf::from).find(|file| file.is_file()))
}

fn add(roots: &mut RootCertStore, file: &Path) -> Result<(), String> {
    let certificates = CertificateDer::pem_file_iter(file).map_err(|fault| pem_text(&fault))?;
    let certificates = certificates.collect::<Result<Vec<_>, _>>().map_err(|fault| pem_text(&fault))?;
    // A system's file may hold one that is too strange to be used; a file of one's own that has none at all is a mistake.
    match roots.add_parsable_certificates(certificates) {
        (0, _) => Err("holds no certificate in PEM".to_owned()),
        _ => Ok(()),
    }
}

fn pem_text(fault: &rustls::pki_types::pem::Error) -> String {
    match fault {
        rustls::pki_types::pem::Error::Io(fault) => fault.to_string(),
        other => format!("is no PEM: {other}"),
    }
}

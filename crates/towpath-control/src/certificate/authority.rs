//! The CA of a folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rcgen::{
    BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, date_time_ymd,
};
use towpath_net::tls::certificates;
use towpath_proto::x509::Certificate;

use super::files::{Secrecy, write};
use super::name::subject;
use super::{CLOCK_DIFFERENCE, DAY, DAYS_MAX, Fault, Told, failed, since_epoch, unmade};
use crate::date::to_the_minute;

/// What clients have to trust.
pub(super) const CA_FILE: &str = "ca.pem";

/// What nobody else should have: who has it is any server to those who trust the CA.
const CA_KEY_FILE: &str = "ca-key.pem";

/// Followed by the start of the key's hash: a client that trusts two CAs of one name may try the wrong one.
const CA_NAME: &str = "Towpath development CA";

/// Bytes of the hash; two CAs of one person differ in fewer.
const HASH_SHOWN_BYTES: usize = 4;

/// A CA that can sign.
pub(super) struct Authority {
    certificate_file: PathBuf,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
    /// Seconds since 1970.
    ends: i64,
    is_new: bool,
}

impl Authority {
    /// The CA of `folder`; a new one if it has none.
    pub(super) fn open_or_make(folder: &Path, now: SystemTime) -> Result<Self, Fault> {
        let (certificate, key) = (folder.join(CA_FILE), folder.join(CA_KEY_FILE));
        match (read(&certificate)?, read(&key)?) {
            (Some(pem), Some(key_pem)) => Self::open(certificate, pem, &key, &key_pem, now),
            (None, None) => Self::make(certificate, &key, now),
            (Some(_), None) => Err(half(&certificate, &key)),
            (None, Some(_)) => Err(half(&key, &certificate)),
        }
    }

    fn make(certificate_file: PathBuf, key_file: &Path, now: SystemTime) -> Result<Self, Fault> {
        let key = KeyPair::generate().map_err(unmade)?;
        let params = params(&key, now);
        let pem = params.self_signed(&key).map_err(unmade)?.pem();
        let ends = params.not_after.unix_timestamp();
        write(key_file, &key.serialize_pem(), Secrecy::Secret, false)?;
        write(&certificate_file, &pem, Secrecy::Public, false)?;
        Ok(Self { certificate_file, pem, issuer: Issuer::new(params, key), ends, is_new: true })
    }

    fn open(
        certificate_file: PathBuf,
        pem: String,
        key_file: &Path,
        key_pem: &str,
        now: SystemTime,
    ) -> Result<Self, Fault> {
        let key = KeyPair::from_pem(key_pem)
            .map_err(|fault| failed(key_file, format!("is no private key: {fault}")))?;
        let ends = judge(&pem, &key, now).map_err(|why| failed(&certificate_file, why))?;
        let issuer = Issuer::from_ca_cert_pem(&pem, key).map_err(|fault| failed(&certificate_file, fault))?;
        Ok(Self { certificate_file, pem, issuer, ends, is_new: false })
    }

    /// Refuses a certificate that would be worth nothing before it ends.
    pub(super) fn check_outlives(&self, end: SystemTime) -> Result<(), Fault> {
        if since_epoch(end).as_secs() as i64 <= self.ends {
            return Ok(());
        }
        Err(failed(&self.certificate_file, "ends before the new certificate would; give it fewer --days"))
    }

    /// A certificate in PEM.
    pub(super) fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Result<String, Fault> {
        Ok(params.signed_by(key, &self.issuer).map_err(unmade)?.pem())
    }

    /// The CA's own certificate.
    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// What there is to tell about its files.
    pub(super) fn told(&self) -> Vec<Told> {
        let what = "the CA's certificate, for those who shall trust it";
        let certificate =
            Told { path: self.certificate_file.clone(), what: what.to_owned(), is_new: self.is_new };
        let key = self.is_new.then(|| {
            let what = "the CA's key, for nobody else: who has it can be any server to them";
            Told::new(self.certificate_file.with_file_name(CA_KEY_FILE), what.to_owned())
        });
        std::iter::once(certificate).chain(key).collect()
    }
}

fn params(key: &KeyPair, now: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    let hash = params.key_identifier(key).into_iter().take(HASH_SHOWN_BYTES);
    let hash: String = hash.map(|byte| format!("{byte:02x}")).collect();
    params.distinguished_name = subject(&format!("{CA_NAME} {hash}"));
    params.not_before = date_time_ymd(1970, 1, 1) + since_epoch(now - CLOCK_DIFFERENCE);
    params.not_after = date_time_ymd(1970, 1, 1) + since_epoch(now + DAY * DAYS_MAX);
    // It signs servers and clients and no further CA.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// `None` if there is no such file.
fn read(path: &Path) -> Result<Option<String>, Fault> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(fault) => Err(failed(path, fault)),
    }
}

fn half(there: &Path, missing: &Path) -> Fault {
    let missing = missing.display();
    failed(
        there,
        format!("is there and {missing} is not; bring it back, or take this file away for a new CA"),
    )
}

/// When a CA ends, if it can sign with this key today.
fn judge(pem: &str, key: &KeyPair, now: SystemTime) -> Result<i64, String> {
    let chain = certificates(pem.as_bytes()).map_err(|_| "holds no certificate in PEM")?;
    let certificate = chain.first().and_then(|der| Certificate::parse(der)).ok_or("holds no certificate")?;
    if !certificate.is_authority {
        return Err("is the certificate of no CA".to_owned());
    }
    if certificate.key.bytes != key.der_bytes() {
        return Err(format!("does not belong to {CA_KEY_FILE} beside it"));
    }
    end(&certificate, now)
}

fn end(certificate: &Certificate<'_>, now: SystemTime) -> Result<i64, String> {
    let end = certificate.not_after;
    match end > since_epoch(now).as_secs() {
        true => Ok(i64::try_from(end).unwrap_or(i64::MAX)),
        false => Err(format!("ended on {}; take it and its key away for a new CA", to_the_minute(end))),
    }
}

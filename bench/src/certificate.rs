//! The certificate that every proxy shows: ECDSA P-256, its own issuer, made once and kept beside the configurations.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Outcome;

/// The name it is for.
pub const NAME: &str = "bench.test";

/// Where it lies, in the forms that the proxies want it in.
#[derive(Debug, Clone)]
pub struct Files {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub private_key: PathBuf,
    /// Both in one file, as HAProxy wants it.
    pub both: PathBuf,
}

impl Files {
    /// The files within `folder`, whether or not they are there.
    #[must_use]
    pub fn within(folder: &Path) -> Files {
        let file = |name| folder.join(name);
        Files {
            certificate: file("certificate.pem"),
            private_key: file("private-key.pem"),
            both: file("both.pem"),
        }
    }

    /// Makes them unless they are there.
    ///
    /// # Errors
    /// They cannot be made or written.
    pub fn provide(&self) -> Outcome<()> {
        if self.both.is_file() {
            return Ok(());
        }
        let made = rcgen::generate_simple_self_signed(vec![NAME.to_owned()])?;
        let (certificate, private_key) = (made.cert.pem(), made.signing_key.serialize_pem());
        fs::write(&self.certificate, &certificate)?;
        fs::write(&self.private_key, &private_key)?;
        Ok(fs::write(&self.both, certificate + &private_key)?)
    }
}

//! Certificates, made by OpenSSL for the length of a test.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::common::Scratch;

/// OpenSSL without a configuration of the machine's own.
pub(crate) fn openssl(arguments: &[&str]) -> Output {
    let output = Command::new("openssl").args(arguments).stdin(Stdio::null()).output();
    output.unwrap_or_else(|fault| panic!("openssl is needed (Debian: openssl): {fault}"))
}

fn made(arguments: &[&str]) {
    let output = openssl(arguments);
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A folder with an authority, and what it signs.
pub(crate) struct Authority {
    pub(crate) scratch: Scratch,
}

/// The kind of a key.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Ecdsa,
    Rsa,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let this = Self { scratch: Scratch::new() };
        this.root("ca");
        this
    }

    /// Another authority in the same folder.
    pub(crate) fn root(&self, name: &str) {
        let (key, certificate) = (self.text(&format!("{name}.key")), self.text(&format!("{name}.crt")));
        let subject = format!("/CN={name}");
        let kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"];
        let files = ["-subj", &subject, "-keyout", &key, "-out", &certificate];
        made(&[&["req", "-x509"][..], &kind, &files].concat());
    }

    /// `NAME.crt` and `NAME.key` with these alternative names, `DNS:a.example.com` or `URI:spiffe://td/app`.
    pub(crate) fn sign(&self, name: &str, names: &[&str]) {
        self.sign_as(name, names, "ca", Kind::Ecdsa, "1");
    }

    pub(crate) fn sign_as(&self, name: &str, names: &[&str], authority: &str, kind: Kind, days: &str) {
        let file = |extension: &str| self.text(&format!("{name}.{extension}"));
        let kind: &[&str] = match kind {
            Kind::Ecdsa => &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
            Kind::Rsa => &["-newkey", "rsa:2048"],
        };
        let subject = format!("/CN={name}");
        let (key, request, certificate) = (file("key"), file("csr"), file("crt"));
        let files = ["-nodes", "-subj", &subject, "-keyout", &key, "-out", &request];
        made(&[&["req", "-new"], kind, &files].concat());
        let extensions = self.scratch.write("extensions", &format!("subjectAltName={}\n", names.join(",")));
        let (by, by_key) = (self.text(&format!("{authority}.crt")), self.text(&format!("{authority}.key")));
        let extensions = extensions.to_string_lossy();
        let ca = ["-CA", &by, "-CAkey", &by_key, "-CAcreateserial", "-days", days, "-extfile", &extensions];
        made(&[&["x509", "-req", "-in", &request, "-out", &certificate][..], &ca].concat());
    }

    /// `NAME.ocsp`, which says that the certificate is good.
    pub(crate) fn staple(&self, name: &str) {
        let certificate = self.text(&format!("{name}.crt"));
        let serial = openssl(&["x509", "-in", &certificate, "-noout", "-serial"]).stdout;
        let serial = String::from_utf8_lossy(&serial).trim().replace("serial=", "");
        self.scratch.write("index", &format!("V\t491231235959Z\t\t{serial}\tunknown\t/CN={name}\n"));
        let (ca, key, index) = (self.text("ca.crt"), self.text("ca.key"), self.text("index"));
        let response = self.text(&format!("{name}.ocsp"));
        let signer = ["-CA", &ca, "-rsigner", &ca, "-rkey", &key, "-index", &index, "-ndays", "1"];
        let asked = ["-issuer", &ca, "-cert", &certificate, "-respout", &response, "-noverify"];
        made(&[&["ocsp"][..], &signer, &asked].concat());
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.scratch.folder()
    }
}

//! Files of certificates and keys: those that cannot serve, and those that change.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::authority::{Authority, Kind, openssl};
use crate::clients::{HELLO, LOCALHOST, curl, start};
use crate::common::{eventually, outcome};

/// What `check` says of `[tls.site]`.
fn check(authority: &Authority, tls: &str) -> (i32, String) {
    let file = authority.scratch.write(
        "check.toml",
        &format!("[listener.secure]\nbind = \"127.0.0.1:0\"\ntls = \"site\"\n[tls.site]\n{tls}\n{HELLO}\n"),
    );
    let (code, _, stderr) = outcome(&["check", &file.to_string_lossy()]);
    (code, stderr)
}

#[test]
fn files_that_cannot_serve_are_faults_with_their_place_t33() {
    let authority = Authority::new();
    authority.sign("site", &["DNS:localhost"]);
    authority.sign("other", &["DNS:localhost"]);
    authority.sign_as("old", &["DNS:localhost"], "ca", Kind::Ecdsa, "-1");
    authority.scratch.write("empty", "");
    let pair =
        |certificate: &str, key: &str| format!("certificate = \"{certificate}\"\nprivate_key = \"{key}\"");
    let site = |more: &str| format!("{LOCALHOST}\n{more}");
    for (tls, line, expected) in [
        (pair("none.crt", "site.key"), "check.toml:5:", "cannot be read"),
        (pair("empty", "site.key"), "check.toml:5:", "no certificate in PEM"),
        (pair("site.crt", "empty"), "check.toml:6:", "no private key in PEM"),
        (pair("site.crt", "other.key"), "check.toml:6:", "not the private key of the certificate"),
        (pair("old.crt", "old.key"), "check.toml:5:", "expired"),
        (site("client_ca = \"none.pem\""), "check.toml:7:", "cannot be read"),
        (site("client_ca = \"empty\""), "check.toml:7:", "no certificate in PEM"),
        (site("client_san = [\"a\"]"), "check.toml:7:", "client_san needs client_ca"),
        (
            site("client_ca = \"ca.crt\"\nclient_identity_header = \"host\""),
            "check.toml:8:",
            "begins with x-",
        ),
    ] {
        let (code, said) = check(&authority, &tls);
        assert_eq!(code, 2, "{tls}: {said}");
        assert!(said.contains(line) && said.contains(expected), "{tls}: {said}");
    }
    assert_eq!(check(&authority, LOCALHOST).0, 0);
}

#[test]
fn a_listener_without_its_policy_does_not_run_in_clear_text_t33() {
    let authority = Authority::new();
    let text = format!("[listener.secure]\nbind = \"127.0.0.1:0\"\ntls = \"sit\"\n{HELLO}\n");
    let file = authority.scratch.write("towpath.toml", &text);
    let (code, _, said) = outcome(&["check", &file.to_string_lossy()]);
    assert!(code == 2 && said.contains("no tls is named \"sit\""), "{said}");
}

fn serial(authority: &Authority, name: &str) -> String {
    let output = openssl(&["x509", "-in", &authority.text(name), "-noout", "-serial"]);
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn served(authority: &Authority, address: &str) -> String {
    let shown = openssl(&["s_client", "-connect", address, "-servername", "localhost"]);
    fs::write(authority.path("shown"), &shown.stdout).unwrap();
    serial(authority, "shown")
}

#[test]
fn a_new_certificate_is_served_without_a_reload_and_cuts_nothing() {
    let authority = Authority::new();
    authority.sign("site", &["DNS:localhost"]);
    let gateway = start(&authority, LOCALHOST, HELLO);
    let address = gateway.address("secure").to_string();
    let before = serial(&authority, "site.crt");
    assert_eq!(served(&authority, &address), before);
    let (is_over, failed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let (code, body) = curl(&authority, &gateway, "localhost", &[]);
                failed.fetch_add(usize::from(code != 0 || body != "hello"), Ordering::Relaxed);
            }
        });
        // A pair that does not match is kept out, and that is said once.
        authority.sign("next", &["DNS:localhost"]);
        fs::rename(authority.path("next.crt"), authority.path("site.crt")).unwrap();
        gateway.wait_for_stderr("the old one serves on");
        assert_eq!(served(&authority, &address), before);
        fs::rename(authority.path("next.key"), authority.path("site.key")).unwrap();
        gateway.wait_for_stderr("the new files serve");
        let after = serial(&authority, "site.crt");
        eventually("the new certificate", || (served(&authority, &address) == after).then_some(()));
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(failed.load(Ordering::Relaxed), 0);
    assert_eq!(gateway.stderr().matches("the old one serves on").count(), 1, "{}", gateway.stderr());
    gateway.stop();
}

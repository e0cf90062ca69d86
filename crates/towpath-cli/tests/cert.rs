//! `towpath cert gen`, judged by openssl.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the answer")]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use common::{Scratch, outcome, text};

/// `towpath cert gen --dir FOLDER …`.
fn generate(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut all = vec!["cert", "gen", "--dir", folder.to_str().unwrap()];
    all.extend(arguments);
    outcome(&all)
}

/// What openssl prints, with its faults.
fn openssl(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
    let (code, stdout, stderr) = text(&output);
    format!("{code} {stdout}{stderr}")
}

fn mode(folder: &Path, name: &str) -> u32 {
    fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[track_caller]
fn check_ok(folder: &Path, arguments: &[&str]) -> String {
    let (code, stdout, stderr) = generate(folder, arguments);
    assert_eq!((code, stderr.as_str()), (0, ""), "{arguments:?}: {stdout}");
    stdout
}

#[test]
fn without_names_it_is_a_certificate_for_this_machine_s34() {
    let scratch = Scratch::new();
    let folder = scratch.path("a/certs");
    let told = check_ok(&folder, &[]);
    let files = ["ca-key.pem", "ca.pem", "localhost.chain.pem", "localhost.crt", "localhost.key"];
    assert_eq!(names(&folder), files);
    for name in files {
        assert!(told.contains(folder.join(name).to_str().unwrap()), "{name} in {told}");
    }
    assert!(told.contains("tls.site = { certificate = "), "{told}");
    assert!(told.contains("curl --cacert ") && told.ends_with(" https://localhost:8443/\n"), "{told}");
    assert_eq!(openssl(&folder, &["verify", "-CAfile", "ca.pem", "localhost.crt"]), "0 localhost.crt: OK\n");
    for (flag, name) in
        [("-verify_hostname", "localhost"), ("-verify_ip", "127.0.0.1"), ("-verify_ip", "::1")]
    {
        let arguments = [
            "verify",
            "-purpose",
            "sslserver",
            "-x509_strict",
            flag,
            name,
            "-CAfile",
            "ca.pem",
            "localhost.crt",
        ];
        assert_eq!(openssl(&folder, &arguments), "0 localhost.crt: OK\n", "{name}");
    }
    let other =
        openssl(&folder, &["verify", "-verify_hostname", "other", "-CAfile", "ca.pem", "localhost.crt"]);
    assert!(other.starts_with("2 ") && other.contains("ostname mismatch"), "{other}");
}

#[test]
fn names_addresses_and_workloads_stand_in_one_certificate_s34_s37() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    check_ok(
        folder,
        &[
            "--name",
            "Shop.Internal",
            "*.shop.internal",
            "10.1.2.3",
            "--name",
            "spiffe://example.org/shop",
            "--days",
            "30",
        ],
    );
    let seen =
        openssl(folder, &["x509", "-in", "shop.internal.crt", "-noout", "-text", "-checkend", "2500000"]);
    for part in [
        "DNS:shop.internal, DNS:*.shop.internal, IP Address:10.1.2.3, URI:spiffe://example.org/shop",
        "Subject: CN = shop.internal",
        "Issuer: CN = Towpath development CA ",
        "id-ecPublicKey",
        "NIST CURVE: P-256",
        "ecdsa-with-SHA256",
        "TLS Web Server Authentication, TLS Web Client Authentication",
        "Digital Signature",
        "X509v3 Authority Key Identifier",
        "Certificate will not expire",
    ] {
        assert!(seen.contains(part), "{part} in {seen}");
    }
    let ends = openssl(folder, &["x509", "-in", "shop.internal.crt", "-noout", "-checkend", "2600000"]);
    assert!(ends.contains("Certificate will expire"), "30 days are 2592000 seconds: {ends}");
    let ca = openssl(folder, &["x509", "-in", "ca.pem", "-noout", "-text"]);
    for part in ["CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign", "Subject: CN = Towpath development CA "]
    {
        assert!(ca.contains(part), "{part} in {ca}");
    }
    assert_eq!(
        openssl(folder, &["verify", "-CAfile", "ca.pem", "shop.internal.crt"]),
        "0 shop.internal.crt: OK\n"
    );
}

#[test]
fn a_key_belongs_to_its_certificate_and_is_its_owners_alone_s35() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    check_ok(folder, &["--name", "a.test"]);
    let public = openssl(folder, &["x509", "-in", "a.test.crt", "-noout", "-pubkey"]);
    assert_eq!(openssl(folder, &["pkey", "-in", "a.test.key", "-pubout"]), public);
    assert!(
        fs::read_to_string(folder.join("a.test.key")).unwrap().starts_with("-----BEGIN PRIVATE KEY-----")
    );
    assert_eq!((mode(folder, "a.test.key"), mode(folder, "ca-key.pem")), (0o600, 0o600));
    let chain = fs::read_to_string(folder.join("a.test.chain.pem")).unwrap();
    let parts = ["a.test.crt", "ca.pem"].map(|name| fs::read_to_string(folder.join(name)).unwrap());
    assert_eq!(chain, parts.concat());
}

#[test]
fn a_client_gets_a_certificate_for_clients_and_no_server_comes_with_it_s37() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    let told = check_ok(folder, &["--client", "Alice Liddell"]);
    assert!(told.contains("client_ca = ") && told.contains("--cert "), "{told}");
    assert_eq!(
        names(folder),
        ["Alice_Liddell.chain.pem", "Alice_Liddell.crt", "Alice_Liddell.key", "ca-key.pem", "ca.pem"]
    );
    let verify = |purpose: &str, file: &str| {
        openssl(folder, &["verify", "-purpose", purpose, "-CAfile", "ca.pem", file])
    };
    assert_eq!(verify("sslclient", "Alice_Liddell.crt"), "0 Alice_Liddell.crt: OK\n");
    assert!(verify("sslserver", "Alice_Liddell.crt").starts_with("2 "));
    check_ok(folder, &["--client", "spiffe://example.org/web", "--name", "b.test"]);
    let seen = openssl(folder, &["x509", "-in", "example.org_web.crt", "-noout", "-ext", "subjectAltName"]);
    assert!(seen.contains("URI:spiffe://example.org/web"), "{seen}");
    assert_eq!(verify("sslserver", "b.test.crt"), "0 b.test.crt: OK\n");
}

#[test]
fn a_file_that_is_there_stays_unless_it_is_forced_and_the_ca_always_s35() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    check_ok(folder, &["--name", "a.test"]);
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let before = ["ca.pem", "ca-key.pem", "a.test.crt", "a.test.key"].map(read);
    let (code, stdout, stderr) = generate(folder, &["--name", "a.test"]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("a.test.crt: is there; --force replaces it"), "{stderr}");
    assert_eq!(["ca.pem", "ca-key.pem", "a.test.crt", "a.test.key"].map(read), before);
    // The new key is as secret as the first, whatever the old file had become.
    fs::set_permissions(folder.join("a.test.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let told = check_ok(folder, &["--name", "a.test", "--force"]);
    assert!(told.starts_with("kept "), "{told}");
    let after = ["ca.pem", "ca-key.pem", "a.test.crt", "a.test.key"].map(read);
    assert_eq!(before[..2], after[..2]);
    assert!(before[2] != after[2] && before[3] != after[3]);
    assert_eq!(mode(folder, "a.test.key"), 0o600);
    assert_eq!(openssl(folder, &["verify", "-CAfile", "ca.pem", "a.test.crt"]), "0 a.test.crt: OK\n");
    // A link to nowhere is a file that is there, too.
    symlink("nowhere", folder.join("b.test.key")).unwrap();
    assert_eq!(generate(folder, &["--name", "b.test"]).0, 1);
    assert!(!folder.join("nowhere").exists() && !folder.join("b.test.crt").exists());
}

#[test]
fn arguments_that_cannot_be_end_with_2_and_leave_nothing_s34() {
    let scratch = Scratch::new();
    let folder = scratch.path("certs");
    for (arguments, reason) in [
        (&["--name", "https://a.test"][..], "spiffe://trust.domain/a/path"),
        (&["--name", "a.test:8443"], "write a host name"),
        (&["--name", ""], "write a host name"),
        (&["--name", "300.1.2.3"], "write a host name"),
        (&["--client", " "], "write a name"),
        (&["--days", "0"], "write 1 to 3650"),
        (&["--days", "4000"], "write 1 to 3650"),
        (&["--days", "x"], "--days"),
        (&["--name", "a.test", "--client", "a.test"], "another name"),
        (&["--name"], "--name"),
    ] {
        let (code, stdout, stderr) = generate(&folder, arguments);
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(reason), "{arguments:?}: {stderr}");
    }
    assert!(!folder.exists());
}

#[test]
fn a_ca_that_cannot_sign_is_named_with_its_reason_s34() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    check_ok(folder, &["--name", "a.test"]);
    let (ca, key) = (scratch.path("ca.pem"), scratch.path("ca-key.pem"));
    let (good_ca, good_key) = (fs::read_to_string(&ca).unwrap(), fs::read_to_string(&key).unwrap());
    let leaf = fs::read_to_string(scratch.path("a.test.crt")).unwrap();
    let leaf_key = fs::read_to_string(scratch.path("a.test.key")).unwrap();
    let fault = |ca_text: &str, key_text: &str| {
        fs::write(&ca, ca_text).unwrap();
        fs::write(&key, key_text).unwrap();
        let (code, stdout, stderr) = generate(folder, &["--name", "b.test"]);
        assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
        stderr
    };
    assert!(fault(&good_ca, &leaf_key).contains("does not belong to ca-key.pem"));
    assert!(fault(&leaf, &leaf_key).contains("is the certificate of no CA"));
    assert!(fault("x", &good_key).contains("ca.pem: holds no certificate"));
    assert!(fault(&good_ca, "x").contains("ca-key.pem: is no private key"));
    fs::remove_file(&key).unwrap();
    let (code, _, stderr) = generate(folder, &["--name", "b.test"]);
    assert!(code == 1 && stderr.contains("ca-key.pem is not; bring it back"), "{stderr}");
    fs::write(&ca, &good_ca).unwrap();
    fs::write(&key, &good_key).unwrap();
    check_ok(folder, &["--name", "b.test"]);
    let (code, _, stderr) = generate(folder, &["--name", "c.test", "--days", "3650"]);
    assert!(code == 0 || stderr.contains("fewer --days"), "{stderr}");
}

#[test]
fn a_ca_that_ended_or_ends_too_soon_signs_nothing_s34() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    let made = openssl(
        folder,
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            "ca-key.pem",
            "-out",
            "ca.pem",
            "-subj",
            "/CN=Short",
            "-days",
            "10",
        ],
    );
    assert!(made.starts_with("0 "), "{made}");
    let (code, _, stderr) = generate(folder, &["--name", "a.test", "--days", "11"]);
    assert!(code == 1 && stderr.contains("ca.pem: ends before"), "{stderr}");
    check_ok(folder, &["--name", "a.test", "--days", "5"]);
    assert_eq!(openssl(folder, &["verify", "-CAfile", "ca.pem", "a.test.crt"]), "0 a.test.crt: OK\n");
}

#[test]
fn a_folder_that_cannot_be_written_ends_with_1() {
    let scratch = Scratch::new();
    let file = scratch.write("file", "");
    let (code, stdout, stderr) = generate(&file, &[]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains(file.to_str().unwrap()), "{stderr}");
}

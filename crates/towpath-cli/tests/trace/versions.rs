//! Handshakes that come to their end.

use crate::server::OpensslServer;
use crate::{certificates, check_has, messages, summary, trace};

#[test]
fn tls_1_3_takes_one_round_trip_and_has_no_key_exchange_messages_s33_c2() {
    let scratch = certificates();
    let server = OpensslServer::start(scratch.folder(), &["-alpn", "h2,http/1.1"]);
    let ca = scratch.path("ca.pem");
    let (code, told, stderr) =
        trace(&server.target, &["--ca", ca.to_str().unwrap(), "--alpn", "h2,http/1.1"]);
    assert_eq!((code, stderr.as_str()), (0, ""), "{told}");
    assert_eq!(
        messages(&told),
        [
            "-> ClientHello",
            "<- ServerHello",
            "<- ChangeCipherSpec",
            "<- EncryptedExtensions encrypted",
            "<- Certificate encrypted",
            "<- CertificateVerify encrypted",
            "<- Finished encrypted",
            "-> ChangeCipherSpec",
            "-> Finished encrypted",
            "-> Alert encrypted",
            "<- NewSessionTicket encrypted",
            "<- NewSessionTicket encrypted",
            "<- Alert encrypted",
        ],
        "{told}"
    );
    check_has(
        &told,
        &[
            "versions TLSv1.3, TLSv1.2",
            "server name localhost",
            "key shares X25519MLKEM768 (1216 bytes)",
            "(a dummy for middleboxes, it changes nothing)",
            "1. subject CN=localhost issuer CN=Towpath development CA ",
            "key ECDSA P-256 names localhost, 127.0.0.1, ::1",
            "scheme ecdsa_secp256r1_sha256",
            "lifetime 7200 s",
        ],
    );
    for (key, value) in [
        ("version", "TLSv1.3"),
        ("suite", "TLS_AES_128_GCM_SHA256"),
        ("group", "X25519"),
        ("certificate", &format!("verified by {}", ca.display())),
        ("ALPN", "h2"),
        ("resumed", "no"),
        ("round trips", "1 before a request can be sent"),
    ] {
        assert_eq!(summary(&told, key), value, "{told}");
    }
}

#[test]
fn tls_1_2_takes_two_round_trips_and_exchanges_keys_in_messages_s33_c2() {
    let scratch = certificates();
    let server = OpensslServer::start(scratch.folder(), &["-tls1_2", "-alpn", "http/1.1"]);
    let ca = scratch.path("ca.pem");
    let (code, told, stderr) =
        trace(&server.target, &["--ca", ca.to_str().unwrap(), "--tls", "1.2", "--alpn", "h2,http/1.1"]);
    assert_eq!((code, stderr.as_str()), (0, ""), "{told}");
    assert_eq!(
        messages(&told),
        [
            "-> ClientHello",
            "<- ServerHello",
            "<- Certificate",
            "<- ServerKeyExchange",
            "<- ServerHelloDone",
            "-> ClientKeyExchange",
            "-> ChangeCipherSpec",
            "-> Finished encrypted",
            "<- NewSessionTicket",
            "<- ChangeCipherSpec",
            "<- Finished encrypted",
            "-> Alert encrypted",
            "<- Alert encrypted",
        ],
        "{told}"
    );
    check_has(
        &told,
        &["versions TLSv1.2 ", "(what follows in this direction is encrypted)", "group X25519 scheme ecdsa_"],
    );
    for (key, value) in [
        ("version", "TLSv1.2"),
        ("suite", "ECDHE-ECDSA-AES128-GCM-SHA256"),
        ("group", "X25519"),
        ("ALPN", "http/1.1"),
        ("round trips", "2 before a request can be sent"),
    ] {
        assert_eq!(summary(&told, key), value, "{told}");
    }
}

#[test]
fn a_server_of_another_group_asks_again_and_that_costs_a_round_trip_s33() {
    let scratch = certificates();
    let server = OpensslServer::start(scratch.folder(), &["-groups", "P-256"]);
    let ca = scratch.path("ca.pem");
    let (code, told, stderr) = trace(&server.target, &["--ca", ca.to_str().unwrap()]);
    assert_eq!((code, stderr.as_str()), (0, ""), "{told}");
    let start = [
        "-> ClientHello",
        "<- HelloRetryRequest",
        "<- ChangeCipherSpec",
        "-> ChangeCipherSpec",
        "-> ClientHello",
        "<- ServerHello",
    ];
    assert_eq!(messages(&told)[..6], start, "{told}");
    check_has(
        &told,
        &["key share wanted of P-256", "key shares P-256 (65 bytes)", "key share P-256 (65 bytes)"],
    );
    assert_eq!(summary(&told, "group"), "P-256");
    assert_eq!(summary(&told, "round trips"), "2 before a request can be sent");
}

#[test]
fn a_server_that_asks_for_a_certificate_is_told_that_there_is_none_s37() {
    let scratch = certificates();
    let server = OpensslServer::start(scratch.folder(), &["-verify", "1"]);
    let ca = scratch.path("ca.pem");
    let (_, told, _) = trace(&server.target, &["--ca", ca.to_str().unwrap()]);
    check_has(
        &told,
        &["<- CertificateRequest", "-> Certificate", "(none: the sender has no certificate to show)"],
    );
}

#[test]
fn the_summary_is_what_openssls_own_client_sees_s33() {
    let scratch = certificates();
    // The two clients prefer different suites.
    let server = OpensslServer::start(scratch.folder(), &["-ciphersuites", "TLS_AES_256_GCM_SHA384"]);
    let seen = std::process::Command::new("openssl")
        .args(["s_client", "-connect", &server.target, "-servername", "localhost", "-CAfile", "ca.pem"])
        .current_dir(scratch.folder())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let seen = String::from_utf8_lossy(&seen.stdout).into_owned();
    let (_, told, _) = trace(&server.target, &["--ca", scratch.path("ca.pem").to_str().unwrap()]);
    let line = format!("New, {}, Cipher is {}", summary(&told, "version"), summary(&told, "suite"));
    assert!(seen.contains(&line), "{line} in {seen}");
    assert!(
        seen.contains("Verify return code: 0 (ok)") && seen.contains("Server Temp Key: X25519"),
        "{seen}"
    );
    assert!(summary(&told, "certificate").starts_with("verified by"));
}

//! Handshakes that end early, and what is no handshake.

use std::net::TcpListener;
use std::process::Command;

use crate::common::Scratch;
use crate::server::{OpensslServer, other_server};
use crate::{certificates, check_has, generate, messages, summary, trace};

#[test]
fn an_unknown_ca_ends_it_with_an_alert_unless_told_to_go_on_s37() {
    let scratch = certificates();
    let server = OpensslServer::start(scratch.folder(), &[]);
    let others = certificates();
    let other_ca = others.path("ca.pem");
    let (code, told, stderr) = trace(&server.target, &["--ca", other_ca.to_str().unwrap()]);
    assert_eq!(code, 1, "{told}");
    check_has(&told, &["<- Certificate", "-> Alert", "unknown_ca, fatal", "certificate NOT verified by"]);
    assert!(!told.contains("-> Finished"), "{told}");
    check_has(&stderr, &["the handshake failed: the certificate is refused", "--ca FILE trusts another"]);
    let (code, told, stderr) = trace(&server.target, &["--ca", other_ca.to_str().unwrap(), "--insecure"]);
    assert_eq!((code, stderr.as_str()), (0, ""), "{told}");
    assert!(summary(&told, "certificate").starts_with("NOT verified by"), "{told}");
    check_has(&told, &["-> Finished"]);
}

#[test]
fn a_certificate_for_another_name_is_refused_and_a_name_can_be_asked_for_s37() {
    let scratch = certificates();
    generate(scratch.folder(), &["--name", "shop.test"]);
    let server = OpensslServer::start_with(scratch.folder(), "shop.test", &[]);
    let ca = scratch.path("ca.pem");
    let (code, _, stderr) = trace(&server.target, &["--ca", ca.to_str().unwrap()]);
    assert_eq!(code, 1);
    check_has(&stderr, &["it is for other names"]);
    let (code, told, _) =
        trace(&server.target, &["--ca", ca.to_str().unwrap(), "--server-name", "shop.test"]);
    assert_eq!(code, 0, "{told}");
    check_has(&told, &["server name shop.test"]);
}

/// What `openssl ca` wants to know; it is the one command that takes dates of the past.
const CA_CONFIGURATION: &str = "[ca]\ndefault_ca = dev\n[dev]\ndatabase = index.txt\nnew_certs_dir = .\nserial = serial\n\
    default_md = sha256\npolicy = any\nx509_extensions = leaf\n[any]\ncommonName = supplied\n\
    [leaf]\nsubjectAltName = DNS:localhost\n";

#[test]
fn an_expired_certificate_is_refused_s37() {
    let scratch = certificates();
    scratch.write("ca.cnf", CA_CONFIGURATION);
    scratch.write("index.txt", "");
    scratch.write("serial", "01");
    for arguments in [
        "req -new -key localhost.key -subj /CN=localhost -out localhost.csr",
        "ca -batch -notext -config ca.cnf -cert ca.pem -keyfile ca-key.pem -in localhost.csr -out localhost.crt \
         -startdate 20200101000000Z -enddate 20210101000000Z",
    ] {
        let made =
            Command::new("openssl").args(arguments.split_whitespace()).current_dir(scratch.folder()).output();
        assert!(made.as_ref().unwrap().status.success(), "{made:?}");
    }
    let server = OpensslServer::start(scratch.folder(), &[]);
    let ca = scratch.path("ca.pem");
    let (code, told, stderr) = trace(&server.target, &["--ca", ca.to_str().unwrap()]);
    assert_eq!(code, 1, "{told}");
    check_has(&told, &["valid 2020-01-01 00:00Z to 2021-01-01 00:00Z", "certificate_expired, fatal"]);
    check_has(&stderr, &["it has expired"]);
}

#[test]
fn a_server_without_our_versions_or_protocols_refuses_with_its_alert_s33() {
    let scratch = certificates();
    let server = OpensslServer::start(scratch.folder(), &["-tls1_3"]);
    let (code, told, stderr) = trace(&server.target, &["--tls", "1.2", "--insecure"]);
    assert_eq!(code, 1);
    assert_eq!(messages(&told)[..2], ["-> ClientHello", "<- Alert"], "{told}");
    check_has(&told, &["protocol_version, fatal"]);
    check_has(&stderr, &["the server refused it with the alert protocol_version"]);
}

#[test]
fn a_plain_http_server_is_recognised_s32() {
    let target = other_server(Some(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n\x1b[31m"));
    let (code, told, stderr) = trace(&target, &[]);
    assert_eq!(code, 1);
    assert_eq!(messages(&told), ["-> ClientHello"], "{told}");
    check_has(&stderr, &["this port speaks plain HTTP: the server answered \"HTTP/1.1 400 Bad Request\""]);
    let target = other_server(Some(b"SSH-2.0-x\x1b[31m\r\n"));
    let (_, _, stderr) = trace(&target, &[]);
    check_has(&stderr, &["this port does not speak TLS: the server answered \"SSH-2.0-x"]);
    assert!(!stderr.contains('\u{1b}'), "{stderr:?}");
}

#[test]
fn a_closed_port_silence_and_a_hang_up_are_told_apart() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (code, told, stderr) = trace(&closed, &[]);
    assert_eq!((code, told.as_str()), (1, ""));
    check_has(&stderr, &["refused; nothing listens there"]);
    let (code, told, stderr) = trace(&other_server(None), &["--timeout", "300ms"]);
    assert_eq!(code, 1, "{told}");
    check_has(&stderr, &["no answer within 300ms"]);
    let (code, _, stderr) = trace(&other_server(Some(b"")), &[]);
    assert_eq!(code, 1);
    check_has(&stderr, &["the server closed the connection in the middle"]);
    // The start of a record, and no more.
    let (code, _, stderr) = trace(&other_server(Some(b"\x16\x03\x03\x00\x40\x02")), &[]);
    assert_eq!(code, 1);
    check_has(&stderr, &["the server closed the connection in the middle"]);
}

#[test]
fn arguments_that_cannot_be_end_with_2() {
    let scratch = Scratch::new();
    let empty = scratch.write("empty.pem", "");
    for (arguments, code, reason) in [
        (&["localhost"][..], 2, "write HOST:PORT"),
        (&["https://localhost:443"], 2, "write HOST:PORT"),
        (&["localhost:443", "--server-name", "a b"], 2, "--server-name"),
        (&["localhost:443", "--alpn", "h2,,x"], 2, "--alpn"),
        (&["localhost:443", "--tls", "1.1"], 2, "1.2, 1.3"),
        (&["localhost:443", "--timeout", "10"], 2, "10s"),
        (&["localhost:443", "--ca", "/no/such/file"], 1, "/no/such/file: "),
        (&["localhost:443", "--ca", empty.to_str().unwrap()], 1, "holds no certificate in PEM"),
        (&["no-such-host.invalid:443"], 1, "cannot be resolved"),
    ] {
        let (found, told, stderr) = trace(arguments[0], &arguments[1..]);
        assert_eq!((found, told.as_str()), (code, ""), "{arguments:?}: {stderr}");
        check_has(&stderr, &[reason]);
    }
}

//! Clients that are not ours, of both versions, with and without certificates.

use std::net::SocketAddr;
use std::process::Command;

use crate::authority::{Authority, Kind, openssl};
use crate::common::{Origin, PROMPT, Towpath, get};

/// A gateway in the folder of an authority. `tls` is what `[tls.site]` says beside its certificate.
pub(crate) fn start(authority: &Authority, tls: &str, more: &str) -> Towpath {
    let file = authority.scratch.write(
        "towpath.toml",
        &format!(
            "[admin]\nlisten = \"127.0.0.1:0\"\n[workers]\ncount = 2\n[listener.secure]\nbind = \"127.0.0.1:0\"\n\
             tls = \"site\"\n[tls.site]\n{tls}\n{more}\n{PROMPT}"
        ),
    );
    Towpath::run(&file, &["secure", "admin"])
}

/// One certificate for `localhost`.
pub(crate) const LOCALHOST: &str = "certificate = \"site.crt\"\nprivate_key = \"site.key\"";

/// Answers everything itself.
pub(crate) const HELLO: &str =
    "[route.all]\nmatch = { path = \"/*\" }\nrespond = { status = 200, body = \"hello\" }";

/// Exit code and standard output of curl towards `https://HOST:PORT/`.
pub(crate) fn curl(authority: &Authority, gateway: &Towpath, host: &str, more: &[&str]) -> (i32, String) {
    let port = gateway.address("secure").port();
    let (url, ca) = (format!("https://{host}:{port}/"), authority.text("ca.crt"));
    let to = format!("{host}:{port}:127.0.0.1");
    let output = Command::new("curl")
        .args(["--silent", "--max-time", "20", "--noproxy", "*", "--cacert", &ca, "--resolve", &to])
        .args(more)
        .arg(&url)
        .output()
        .unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn metrics(gateway: &Towpath) -> String {
    get(gateway.address("admin"), "/metrics").body
}

fn has_reason(gateway: &Towpath, reason: &str) -> bool {
    crate::common::eventually(reason, || metrics(gateway).contains(&format!("\"{reason}\"")).then_some(true))
}

/// What `openssl s_client` says of a handshake that is all there is of the connection.
fn s_client(address: SocketAddr, more: &[&str]) -> String {
    let address = address.to_string();
    let output = openssl(&[&["s_client", "-connect", &address][..], more].concat());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn both_versions_are_spoken_and_older_ones_are_not() {
    let authority = Authority::new();
    authority.sign("site", &["DNS:localhost"]);
    let gateway = start(&authority, LOCALHOST, HELLO);
    for version in [&["--tls-max", "1.2"][..], &["--tlsv1.3"]] {
        assert_eq!(curl(&authority, &gateway, "localhost", version), (0, "hello".into()), "{version:?}");
    }
    let old = s_client(gateway.address("secure"), &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]);
    assert!(old.contains("SSL alert number"), "{old}");
    assert!(has_reason(&gateway, "tls_incompatible"));
    gateway.stop();
}

#[test]
fn a_policy_has_the_versions_that_it_lists() {
    let authority = Authority::new();
    authority.sign("site", &["DNS:localhost"]);
    let gateway = start(&authority, &format!("{LOCALHOST}\nprotocols = [\"TLSv1.3\"]"), HELLO);
    assert_eq!(curl(&authority, &gateway, "localhost", &["--tlsv1.3"]), (0, "hello".into()));
    assert_eq!(curl(&authority, &gateway, "localhost", &["--tls-max", "1.2"]).0, 35);
    gateway.stop();
}

#[test]
fn the_certificate_is_the_one_for_the_name_and_of_the_kind_that_the_client_can_check() {
    let authority = Authority::new();
    authority.sign("site", &["DNS:localhost"]);
    authority.sign_as("rsa", &["DNS:localhost"], "ca", Kind::Rsa, "1");
    authority.sign("wild", &["DNS:*.example.com"]);
    let tls = "certificate = [\"site.crt\", \"rsa.crt\", \"wild.crt\"]\n\
               private_key = [\"site.key\", \"rsa.key\", \"wild.key\"]";
    let gateway = start(&authority, tls, HELLO);
    let address = gateway.address("secure");
    for (more, expected) in [
        (&["-servername", "localhost"][..], "CN = site"),
        (&["-servername", "localhost", "-sigalgs", "rsa_pss_rsae_sha256"], "CN = rsa"),
        (&["-servername", "localhost", "-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"], "CN = rsa"),
        (&["-servername", "A.example.com"], "CN = wild"),
        (&["-servername", "a.b.example.com"], "CN = site"),
        (&["-noservername"], "CN = site"),
    ] {
        let said = s_client(address, more);
        let subject = said.lines().find(|line| line.starts_with("subject=")).unwrap_or(&said);
        assert!(subject.contains(expected), "{more:?}: {subject}");
    }
    gateway.stop();
}

#[test]
fn a_session_goes_on_at_any_worker() {
    let authority = Authority::new();
    authority.sign("site", &["DNS:localhost"]);
    let gateway = start(&authority, LOCALHOST, HELLO);
    let address = gateway.address("secure");
    for version in ["-tls1_2", "-tls1_3"] {
        let session = authority.text("session");
        let request = "printf 'GET / HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n'";
        let ask = |how: &str| {
            let command = format!(
                "{request} | openssl s_client -connect {address} -servername localhost {version} -ign_eof {how} {session}"
            );
            let output = Command::new("sh").args(["-c", &command]).output().unwrap();
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        assert!(ask("-sess_out").contains("New, TLS"), "{version}");
        // The kernel deals connections out by their ports: some of these come to the other worker.
        for _ in 0..8 {
            let said = ask("-sess_in");
            assert!(said.contains("Reused, TLS"), "{version}: {said}");
        }
    }
    gateway.stop();
}

#[test]
fn clear_text_is_answered_by_an_alert_and_its_reason() {
    let authority = Authority::new();
    authority.sign("site", &["DNS:localhost"]);
    let gateway = start(&authority, LOCALHOST, HELLO);
    let mut client = std::net::TcpStream::connect(gateway.address("secure")).unwrap();
    std::io::Write::write_all(&mut client, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    std::io::Read::read_to_end(&mut client, &mut answer).unwrap();
    assert_eq!(answer, [21, 3, 3, 0, 2, 2, 10]);
    assert!(has_reason(&gateway, "not_tls"));
    gateway.stop();
}

#[test]
fn a_client_that_does_not_trust_us_is_counted() {
    let authority = Authority::new();
    authority.root("other");
    authority.sign_as("site", &["DNS:localhost"], "other", Kind::Ecdsa, "1");
    let gateway = start(&authority, LOCALHOST, HELLO);
    assert_eq!(curl(&authority, &gateway, "localhost", &[]).0, 60, "curl has checked");
    assert!(has_reason(&gateway, "tls_alert"));
    gateway.stop();
}

#[test]
fn origins_hear_that_it_was_https_and_by_whom_t33_t42() {
    let authority = Authority::new();
    authority.sign("site", &["DNS:localhost"]);
    authority.root("other");
    authority.sign("app", &["URI:spiffe://td/app", "DNS:app.internal"]);
    authority.sign("guest", &["URI:spiffe://td/guest"]);
    authority.sign_as("stranger", &["URI:spiffe://td/app"], "other", Kind::Ecdsa, "1");
    let (origin, heads) = recording();
    let tls = format!(
        "{LOCALHOST}\nclient_ca = \"ca.crt\"\nclient_san = [\"spiffe://td/a*\"]\n\
         client_identity_header = \"X-Client-Identity\""
    );
    let more = format!(
        "[listener.plain]\nbind = \"127.0.0.1:0\"\n[route.all]\nmatch = {{ path = \"/*\" }}\nupstream = \"o\"\n\
         [upstream.o]\nendpoints = [\"{}\"]\n",
        origin.address
    );
    let gateway = start(&authority, &tls, &more);
    let shown = |name: &str| {
        let (certificate, key) =
            (authority.text(&format!("{name}.crt")), authority.text(&format!("{name}.key")));
        let forged = ["--header", "X-Client-Identity: root", "--header", "x_client_identity: root"];
        let certificate = ["--cert", &certificate, "--key", &key];
        curl(&authority, &gateway, "localhost", &[&certificate[..], &forged].concat())
    };
    assert_eq!(shown("app"), (0, String::new()));
    let head = heads.recv().unwrap().to_ascii_lowercase();
    assert!(head.contains("x-forwarded-proto: https\r\n"), "{head}");
    assert!(head.contains("x-client-identity: spiffe://td/app\r\n"), "{head}");
    assert!(!head.contains("root"), "{head}");
    for (name, reason) in
        [("guest", "client_certificate_refused"), ("stranger", "client_certificate_invalid")]
    {
        assert_ne!(shown(name).0, 0, "{name}");
        assert!(has_reason(&gateway, reason));
    }
    assert_ne!(curl(&authority, &gateway, "localhost", &[]).0, 0, "without a certificate");
    assert!(has_reason(&gateway, "client_certificate_missing"));
    // By a listener in clear text nobody is anybody.
    let forged = ("X-Client-Identity", "root");
    let reply = crate::common::request(gateway.address("plain"), "GET", "/", &[forged], "");
    assert_eq!(reply.status, 200);
    let head = heads.recv().unwrap().to_ascii_lowercase();
    assert!(!head.contains("root") && head.contains("x-forwarded-proto: http\r\n"), "{head}");
    gateway.stop();
}

/// An origin that hands on the heads it gets.
fn recording() -> (Recording, std::sync::mpsc::Receiver<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, heads) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let (mut head, mut piece) = (Vec::new(), [0; 4096]);
                while let Ok(count @ 1..) = std::io::Read::read(&mut stream, &mut piece) {
                    head.extend_from_slice(&piece[..count]);
                    if head.ends_with(b"\r\n\r\n") {
                        let _ = sender.send(String::from_utf8_lossy(&head).into_owned());
                        head.clear();
                        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                        let _ = std::io::Write::write_all(&mut stream, answer);
                    }
                }
            });
        }
    });
    (Recording { address }, heads)
}

struct Recording {
    address: SocketAddr,
}

#[test]
fn a_host_of_another_policy_is_misdirected_t35() {
    let authority = Authority::new();
    authority.sign("site", &["DNS:localhost"]);
    authority.sign("inner", &["DNS:inner.test"]);
    authority.sign("client", &["DNS:client"]);
    let file = authority.scratch.write(
        "towpath.toml",
        &format!(
            "[admin]\nlisten = \"127.0.0.1:0\"\n[listener.secure]\nbind = \"127.0.0.1:0\"\ntls = [\"site\", \"inner\"]\n\
             [tls.site]\n{LOCALHOST}\n[tls.inner]\ncertificate = \"inner.crt\"\nprivate_key = \"inner.key\"\n\
             client_ca = \"ca.crt\"\n{HELLO}\n{PROMPT}"
        ),
    );
    let gateway = Towpath::run(&file, &["secure", "admin"]);
    let code = ["--output", "/dev/null", "--write-out", "%{http_code}"];
    let ask = |host: &str, more: &[&str]| curl(&authority, &gateway, host, &[&code[..], more].concat());
    let (certificate, key) = (authority.text("client.crt"), authority.text("client.key"));
    let with = ["--cert", &certificate, "--key", &key];
    assert_eq!(ask("localhost", &[]), (0, "200".into()));
    assert_ne!(ask("inner.test", &[]).0, 0, "a certificate is demanded there");
    assert_eq!(ask("inner.test", &with), (0, "200".into()));
    for host in ["inner.test", "INNER.test:443", "inner.test."] {
        let header = format!("Host: {host}");
        assert_eq!(ask("localhost", &["--header", &header]), (0, "421".into()), "{host}");
    }
    assert_eq!(ask("localhost", &["--header", "Host: unknown.test"]), (0, "200".into()), "of no policy");
    assert!(has_reason(&gateway, "misdirected_request"));
    // Who names no server gets the strictest policy (T32).
    let said = s_client(gateway.address("secure"), &["-noservername"]);
    assert!(said.contains("CN = inner"), "{said}");
    gateway.stop();
}

#[test]
fn a_large_body_goes_through_both_ways() {
    let authority = Authority::new();
    authority.sign("site", &["DNS:localhost"]);
    let large = "0123456789".repeat(400_000);
    let body = large.clone();
    let origin = Origin::start(move |_| (200, body.clone()));
    let more = format!(
        "[route.all]\nmatch = {{ path = \"/*\" }}\nupstream = \"o\"\n[upstream.o]\nendpoints = [\"{}\"]\n",
        origin.address
    );
    let gateway = start(&authority, LOCALHOST, &more);
    for version in [&["--tls-max", "1.2"][..], &["--tlsv1.3"]] {
        let (code, body) = curl(&authority, &gateway, "localhost", version);
        assert!(code == 0 && body == large, "{code}, {} bytes", body.len());
    }
    gateway.stop();
}

#[test]
fn a_tcp_listener_ends_tls_too() {
    let authority = Authority::new();
    authority.sign("site", &["DNS:localhost"]);
    let origin = Origin::start(|_| (200, "behind".to_owned()));
    let file = authority.scratch.write(
        "towpath.toml",
        &format!(
            "[listener.secure]\nbind = \"127.0.0.1:0\"\nprotocol = \"tcp\"\nupstream = \"o\"\ntls = \"site\"\n\
             [tls.site]\n{LOCALHOST}\n[upstream.o]\nendpoints = [\"{}\"]\n{PROMPT}",
            origin.address
        ),
    );
    let gateway = Towpath::run(&file, &["secure"]);
    assert!(gateway.url("secure").starts_with("tls://"), "{}", gateway.url("secure"));
    // What is carried is not known here: no protocol is agreed on, and none is refused.
    for alpn in [&["--no-alpn"][..], &["--http2"]] {
        assert_eq!(curl(&authority, &gateway, "localhost", alpn), (0, "behind".into()));
    }
    gateway.stop();
}

#[test]
fn an_optional_certificate_may_be_left_out_and_not_be_wrong_t33() {
    let authority = Authority::new();
    authority.sign("site", &["DNS:localhost"]);
    authority.root("other");
    authority.sign_as("stranger", &["DNS:client"], "other", Kind::Ecdsa, "1");
    let tls = format!("{LOCALHOST}\nclient_ca = \"ca.crt\"\nclient_auth = \"optional\"");
    let gateway = start(&authority, &tls, HELLO);
    assert_eq!(curl(&authority, &gateway, "localhost", &[]), (0, "hello".into()));
    let (certificate, key) = (authority.text("stranger.crt"), authority.text("stranger.key"));
    assert_ne!(curl(&authority, &gateway, "localhost", &["--cert", &certificate, "--key", &key]).0, 0);
    assert!(has_reason(&gateway, "client_certificate_invalid"));
    gateway.stop();
}

#[test]
fn an_ocsp_response_is_stapled() {
    let authority = Authority::new();
    authority.sign("site", &["DNS:localhost"]);
    authority.staple("site");
    let gateway = start(&authority, &format!("{LOCALHOST}\nocsp = \"site.ocsp\""), HELLO);
    let said = s_client(gateway.address("secure"), &["-status", "-servername", "localhost"]);
    assert!(said.contains("OCSP Response Status: successful"), "{said}");
    gateway.stop();
}

#[test]
fn the_access_log_tells_of_tls() {
    let authority = Authority::new();
    authority.sign("site", &["DNS:localhost"]);
    let log = "[access_log]\npath = \"access.log\"\nformat = \"$tls $tls_cipher $sni $status $reason\"";
    let gateway = start(&authority, LOCALHOST, &format!("{HELLO}\n{log}"));
    assert_eq!(curl(&authority, &gateway, "localhost", &["--tls-max", "1.2"]).0, 0);
    s_client(
        gateway.address("secure"),
        &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-servername", "localhost"],
    );
    let lines = crate::common::eventually("two lines", || {
        let text = std::fs::read_to_string(authority.path("access.log")).ok()?;
        (text.lines().count() == 2).then_some(text)
    });
    assert!(lines.contains("TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_"), "{lines}");
    assert!(lines.contains(" localhost 200 -\n"), "{lines}");
    assert!(lines.contains("- - localhost 0 tls_incompatible\n"), "{lines}");
    gateway.stop();
}

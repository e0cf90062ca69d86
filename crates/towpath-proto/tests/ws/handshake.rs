//! The opening handshake (§4) and who may open (§10.2).

use towpath_proto::h1::{HeadLimits, RequestDecoder, ResponseDecoder};
use towpath_proto::message::Method;
use towpath_proto::ws::{
    Answer, DeflatePolicy, HandshakeError, Opening, Origins, accept_value, is_key, key_value,
};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

#[test]
fn the_accept_value_is_that_of_the_rfc_1_3() {
    assert_eq!(&accept_value(KEY.as_bytes()), ACCEPT.as_bytes());
    assert_eq!(&accept_value(b"x3JJHMbDL1EzLkh9GBhXDw=="), b"HSmrc0sMlYUkAGmm5OPpG2HaGWk=");
    assert_eq!(&key_value(b"the sample nonce"), KEY.as_bytes());
}

#[test]
fn a_key_is_16_bytes_in_base64_4_2_1() {
    for (key, expected) in [
        (KEY, true),
        ("AAAAAAAAAAAAAAAAAAAAAA==", true),
        ("++++//////////////////==", true),
        ("", false),
        ("dGhlIHNhbXBsZSBub25jZQ", false),
        ("dGhlIHNhbXBsZSBub25jZQ=", false),
        ("dGhlIHNhbXBsZSBub25jZQ===", false),
        ("dGhlIHNhbXBsZSBub25jZ===", false),
        ("dGhlIHNhbXBsZSBub25j", false),
        ("dGhlIHNhbXBsZSBub25jZWFi", false),
        ("dGhlIHNhbXBsZSBub2-jZQ==", false),
        ("dGhlIHNhbXBsZSBub2 jZQ==", false),
    ] {
        assert_eq!(is_key(key.as_bytes()), expected, "{key}");
    }
}

/// What a server makes of a request with these lines; `head` stands before them.
fn opened(head: &str, lines: &[&str]) -> String {
    let text = format!("{head}\r\nHost: example.com\r\n{}\r\n\r\n", lines.join("\r\n"));
    let mut decoder = RequestDecoder::new(HeadLimits::default());
    let step = decoder.handle_input(text.as_bytes()).expect("a head that HTTP takes");
    assert!(step.event.is_some(), "{text}");
    match Opening::read(decoder.head(), text.as_bytes()) {
        Err(error) => format!("{} {}: {error:?}", error.status(), error.reason()),
        Ok(opening) => {
            let accept = String::from_utf8(opening.accept().to_vec()).expect("base64");
            let protocol = opening.choose_protocol(&["chat.v2", "chat.v1"]);
            let deflate = opening.choose_deflate(&DeflatePolicy::default()).map(|deflate| deflate.is_some());
            let origin = opening.origin().map(|origin| origin.escape_ascii().to_string());
            format!("{accept} {protocol:?} {origin:?} {deflate:?}")
        }
    }
}

const GET: &str = "GET /chat HTTP/1.1";
const UPGRADE: [&str; 4] = [
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

#[track_caller]
fn check_with(more: &[&str], expected: &str) {
    assert_eq!(opened(GET, &[&UPGRADE, more].concat()), expected);
}

/// A good request with the line of this index replaced.
#[track_caller]
fn check_instead(index: usize, line: &str, expected: &str) {
    let mut lines = UPGRADE;
    lines[index] = line;
    assert_eq!(opened(GET, &lines), expected, "{line}");
}

fn good() -> String {
    format!("{ACCEPT} None None Ok(false)")
}

#[test]
fn a_good_request_is_read_4_2_1() {
    check_with(&[], &good());
    check_instead(0, "Upgrade: WebSocket", &good());
    check_instead(0, "upgrade: h2c, websocket", &good());
    check_instead(1, "Connection: keep-alive, upgrade", &good());
    check_with(
        &["Origin: https://example.com"],
        &good().replacen("None None", "None Some(\"https://example.com\")", 1),
    );
}

#[test]
fn what_lacks_a_part_is_refused_with_the_right_status_4_2_2_4_4() {
    check_instead(0, "X: y", "426 ws_bad_upgrade: Upgrade");
    check_instead(0, "Upgrade: h2c", "426 ws_bad_upgrade: Upgrade");
    check_instead(1, "X: y", "426 ws_bad_upgrade: Upgrade");
    for line in ["X: y", "Sec-WebSocket-Key: short", "Sec-WebSocket-Key:"] {
        check_instead(2, line, "400 ws_bad_key: Key");
    }
    check_with(&["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="], "400 ws_bad_key: Key");
    for line in
        ["X: y", "Sec-WebSocket-Version: 8", "Sec-WebSocket-Version: 13, 8", "Sec-WebSocket-Version: 014"]
    {
        check_instead(3, line, "426 ws_unsupported_version: Version");
    }
    check_with(&["Sec-WebSocket-Version: 13"], "426 ws_unsupported_version: Version");
    check_with(&["Origin: https://a", "Origin: https://b"], "400 ws_bad_origin: Origin");
    assert_eq!(HandshakeError::Version.fields()[2], ("Sec-WebSocket-Version", "13"));
    assert_eq!(HandshakeError::Upgrade.fields()[0], ("Upgrade", "websocket"));
    assert!(HandshakeError::Key.fields().is_empty());
}

#[test]
fn only_a_get_of_http_1_1_opens_4_1() {
    let method = "400 ws_bad_upgrade: Method";
    assert_eq!(opened("POST /chat HTTP/1.1", &[&UPGRADE[..], &["Content-Length: 0"]].concat()), method);
    assert_eq!(opened("HEAD /chat HTTP/1.1", &UPGRADE), method);
    assert_eq!(opened("GET /chat HTTP/1.0", &UPGRADE), "400 ws_bad_upgrade: HttpVersion");
}

#[test]
fn the_clients_first_subprotocol_that_we_speak_is_chosen_4_2_2() {
    let chosen = |protocol: &str| format!("{ACCEPT} {protocol} None Ok(false)");
    check_with(&["Sec-WebSocket-Protocol: chat.v1, chat.v2"], &chosen("Some(\"chat.v1\")"));
    check_with(
        &["Sec-WebSocket-Protocol: x", "Sec-WebSocket-Protocol: chat.v2"],
        &chosen("Some(\"chat.v2\")"),
    );
    check_with(&["Sec-WebSocket-Protocol: Chat.V1, other"], &chosen("None"));
    check_with(&["Sec-WebSocket-Protocol: chat v1"], "400 ws_bad_protocol: Protocol");
    check_with(&["Sec-WebSocket-Protocol: chat/1"], "400 ws_bad_protocol: Protocol");
}

#[test]
fn extensions_are_read_from_every_field_9_1() {
    let offered = |found: &str| format!("{ACCEPT} None None {found}");
    check_with(
        &["Sec-WebSocket-Extensions: foo", "Sec-WebSocket-Extensions: permessage-deflate"],
        &offered("Ok(true)"),
    );
    check_with(&["Sec-WebSocket-Extensions: foo; ;"], &offered("Err(ExtensionSyntax)"));
}

/// What a client makes of a response; it asked for `chat` and, if told so, offered compression.
fn answered(status: &str, lines: &[&str], offers: bool) -> String {
    let text = format!("HTTP/1.1 {status}\r\n{}\r\n\r\n", lines.join("\r\n"));
    let mut decoder = ResponseDecoder::new(HeadLimits::default());
    decoder.expect(Method::Get);
    let step = decoder.handle_input(text.as_bytes()).expect("a head that HTTP takes");
    assert!(step.event.is_some(), "{text}");
    let policy = DeflatePolicy { server_no_context_takeover: false, ..DeflatePolicy::default() };
    let policy = offers.then_some(&policy);
    match Answer::read(decoder.head(), text.as_bytes(), KEY.as_bytes(), &["chat"], policy) {
        Err(error) => format!("{}: {error:?}", error.reason()),
        Ok(answer) => format!("{:?} {}", answer.protocol, answer.deflate.is_some()),
    }
}

const ANSWER: [&str; 3] =
    ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="];

#[track_caller]
fn check_answer(index: usize, line: &str, expected: &str) {
    let mut lines = ANSWER.to_vec();
    match lines.get_mut(index) {
        Some(slot) => *slot = line,
        None => lines.push(line),
    }
    assert_eq!(answered("101 Switching Protocols", &lines, true), expected, "{line}");
}

#[test]
fn a_clients_reading_of_the_answer_4_1() {
    check_answer(0, "upgrade: WEBSOCKET", "None false");
    check_answer(0, "Upgrade: h2c", "ws_bad_upgrade: Upgrade");
    check_answer(1, "Connection: close", "ws_bad_upgrade: Upgrade");
    check_answer(2, "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "ws_bad_answer: Accept");
    check_answer(2, "X: y", "ws_bad_answer: Accept");
    check_answer(3, ANSWER[2], "ws_bad_answer: Accept");
    check_answer(3, "Sec-WebSocket-Protocol: chat", "Some(\"chat\") false");
    check_answer(3, "Sec-WebSocket-Protocol: talk", "ws_bad_protocol: Protocol");
    check_answer(3, "Sec-WebSocket-Extensions: permessage-deflate", "None true");
    check_answer(3, "Sec-WebSocket-Extensions: other", "ws_bad_extensions: ExtensionAnswer");
    let deflate = [&ANSWER[..], &["Sec-WebSocket-Extensions: permessage-deflate"]].concat();
    assert_eq!(answered("101 Switching Protocols", &deflate, false), "ws_bad_extensions: ExtensionAnswer");
    let ok = [&ANSWER[2..], &["Content-Length: 0"]].concat();
    assert_eq!(answered("200 OK", &ok, true), "ws_bad_answer: Status");
}

#[track_caller]
fn check_origin(list: &[&str], allow_none: bool, origin: Option<&str>, expected: bool) {
    let origins = Origins::parse(list.iter().copied(), allow_none).expect("a good list");
    assert_eq!(origins.allows(origin.map(str::as_bytes)), expected, "{list:?}: {origin:?}");
}

#[test]
fn an_origin_is_a_scheme_a_host_and_a_port_rfc6454_4_t54() {
    let list = ["https://example.com", "http://localhost:3000", "https://[2001:DB8::1]"];
    for good in [
        "https://example.com",
        "https://EXAMPLE.com",
        "HTTPS://example.com:443",
        "http://localhost:3000",
        "https://[2001:db8::1]",
    ] {
        check_origin(&list, false, Some(good), true);
    }
    for bad in [
        "http://example.com",
        "https://example.com:8443",
        "https://www.example.com",
        "https://example.com.evil.net",
        "https://evil.net/https://example.com",
        "https://evil.net#https://example.com",
        "https://user@example.com",
        "https://example.com/",
        "https://example.com ",
        "https://example.com https://example.com",
        "https://notexample.com",
        "http://localhost",
        "http://localhost:30000",
        "example.com",
        "null",
        "",
        "*",
        "https://",
        "://example.com",
        "https://example.com\0",
        "file://",
        "https://ex%61mple.com",
    ] {
        check_origin(&list, true, Some(bad), false);
    }
}

#[test]
fn a_star_stands_for_the_names_below_a_host_t54() {
    let list = ["https://*.example.com", "http://*.local:3000"];
    for good in ["https://www.example.com", "https://A.B.Example.com:443", "http://x.local:3000"] {
        check_origin(&list, false, Some(good), true);
    }
    for bad in [
        "https://example.com",
        "https://.example.com",
        "https://notexample.com",
        "https://www.example.com.evil.net",
        "https://www.example.com:8443",
        "http://www.example.com",
        "http://x.local",
        "https://*.example.com",
    ] {
        check_origin(&list, true, Some(bad), false);
    }
}

#[test]
fn a_missing_origin_and_any_origin_are_allowed_on_purpose_t54() {
    check_origin(&[], false, None, false);
    check_origin(&[], true, None, true);
    check_origin(&[], true, Some("https://example.com"), false);
    check_origin(&["https://example.com"], false, None, false);
    check_origin(&["*"], false, Some("null"), true);
    check_origin(&["*"], false, None, true);
}

#[test]
fn a_list_with_anything_else_is_refused() {
    for entry in [
        "",
        "example.com",
        "null",
        "https://example.com/path",
        "https://*",
        "https://*.",
        "https://a.*.example.com",
        "https://*.*.example.com",
        "*.example.com",
        "app://x",
        "https://a:0",
    ] {
        assert!(Origins::parse(["https://good", entry], false).is_err(), "{entry}");
    }
    assert!(Origins::parse(["app://x:1"], false).is_ok());
}

//! Messages of TLS from outside: bytes in, text out.

use towpath_proto::tls_messages::{
    CERTIFICATES_COUNT_MAX, MESSAGE_BYTES_MAX, Message, MessageJoiner, Record, RecordKind, alert_name,
    extension_name, group_name, scheme_name, suite_name, version_name,
};

const TLS12: Option<u16> = Some(0x0303);
const TLS13: Option<u16> = Some(0x0304);

/// A real hello of OpenSSL, in its record.
const CLIENT_HELLO: &str = include_str!("client_hello/hellos/openssl_tls13.hex");

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// Content behind its length in this many bytes.
fn sized(length_bytes: usize, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_be_bytes();
    [&length[8 - length_bytes..], content].concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &sized(2, content)].concat()
}

/// The body of a ServerHello.
fn server_hello(random: [u8; 32], suite: u16, extensions: &[Vec<u8>]) -> Vec<u8> {
    let mut body = [&[3, 3][..], &random, &sized(1, &[7; 32]), &suite.to_be_bytes(), &[0]].concat();
    if !extensions.is_empty() {
        body.extend(sized(2, &extensions.concat()));
    }
    body
}

#[track_caller]
fn check(kind: u8, body: &[u8], version: Option<u16>, expected: &str) {
    let found = Message::parse(kind, body, version).map_or("malformed".to_owned(), |message| text(&message));
    assert_eq!(found, expected, "{kind}: {}", body.escape_ascii());
    // Cut anywhere it is malformed or another message, and in no case a panic.
    for length in 0..body.len() {
        let _ = Message::parse(kind, &body[..length], version);
    }
}

fn text(message: &Message<'_>) -> String {
    let rest = match message {
        Message::ClientHello(hello) | Message::ServerHello(hello) | Message::HelloRetryRequest(hello) => {
            let versions: Vec<_> = hello.versions().into_iter().map(version_name).collect();
            let suites: Vec<_> = hello.suites().map(suite_name).collect();
            let groups: Vec<_> = hello.groups().map(group_name).collect();
            let shares: Vec<_> =
                hello.key_shares().iter().map(|share| (group_name(share.group), share.bytes)).collect();
            let name = hello.server_name().map(|name| name.escape_ascii().to_string());
            format!("{versions:?} {suites:?} {groups:?} {shares:?} {name:?}")
        }
        Message::EncryptedExtensions(extensions) => {
            let kinds: Vec<_> = extensions.iter().map(|(kind, _)| extension_name(kind)).collect();
            let alpn: Vec<_> = extensions.alpn().map(|name| name.escape_ascii().to_string()).collect();
            format!("{kinds:?} {alpn:?}")
        }
        Message::Certificate(chain) => format!("{:?}", chain.iter().map(|der| der.len()).collect::<Vec<_>>()),
        Message::CertificateVerify(scheme) => format!("{:?}", scheme_name(*scheme)),
        Message::ServerKeyExchange { group, scheme } => {
            format!("{:?} {:?}", group_name(*group), scheme_name(*scheme))
        }
        Message::NewSessionTicket(seconds) => seconds.to_string(),
        _ => String::new(),
    };
    format!("{} {rest}", message.name()).trim_end().replace("Some(", "").replace([')', '"'], "")
}

#[test]
fn a_real_hello_is_told_in_full_c2() {
    let wire = bytes(CLIENT_HELLO);
    let record = Record::parse(&wire).unwrap().unwrap();
    assert_eq!((record.kind, record.wire_bytes()), (RecordKind::Handshake, wire.len()));
    let mut joiner = MessageJoiner::new();
    joiner.handle_content(record.content);
    let (kind, body) = joiner.poll_message().unwrap();
    assert!(!joiner.is_in_message() && joiner.poll_message().is_none());
    let told = Message::parse(kind, &body, None).map(|message| text(&message)).unwrap();
    for part in ["ClientHello [TLSv1.3", "TLS_AES_256_GCM_SHA384", "X25519", "(X25519, 32"] {
        assert!(told.contains(part), "{part} in {told}");
    }
}

#[test]
fn what_a_server_chose_and_what_it_asks_again_are_two_messages_rfc8446_4_1_3() {
    let version = extension(43, &[3, 4]);
    let share = extension(51, &[&[0, 0x1d][..], &sized(2, &[9; 32])].concat());
    let body = server_hello([1; 32], 0x1302, &[version.clone(), share]);
    check(2, &body, None, "ServerHello [TLSv1.3] [TLS_AES_256_GCM_SHA384] [] [(X25519, 32] None");
    let retry = bytes("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c");
    let body = server_hello(retry.try_into().unwrap(), 0x1302, &[version, extension(51, &[0, 0x18])]);
    check(2, &body, None, "HelloRetryRequest [TLSv1.3] [TLS_AES_256_GCM_SHA384] [] [(P-384, 0] None");
    let old = server_hello([1; 32], 0xc02f, &[]);
    check(2, &old, None, "ServerHello [TLSv1.2] [ECDHE-RSA-AES128-GCM-SHA256] [] [] None");
    check(2, &old[..40], None, "malformed");
}

#[test]
fn a_chain_has_another_form_in_each_version_rfc8446_4_4_2() {
    let (first, second) = (sized(3, &[1; 500]), sized(3, &[2; 300]));
    let old = sized(3, &[first.clone(), second.clone()].concat());
    check(11, &old, TLS12, "Certificate [500, 300]");
    check(11, &old, TLS13, "malformed");
    let nothing = sized(2, &[]);
    let new = [sized(1, &[]), sized(3, &[first, nothing.clone(), second, nothing].concat())].concat();
    check(11, &new, TLS13, "Certificate [500, 300]");
    check(11, &[0, 0, 0, 0], TLS13, "Certificate []");
    check(11, &[0, 0, 0], TLS12, "Certificate []");
    check(11, &[0, 0, 9, 0, 0, 200], TLS12, "malformed");
}

#[test]
fn a_chain_without_end_is_told_up_to_a_bound() {
    let many = sized(3, &sized(3, &[0]).repeat(CERTIFICATES_COUNT_MAX + 1));
    let Ok(Message::Certificate(chain)) = Message::parse(11, &many, TLS12) else { panic!("a chain") };
    assert_eq!(chain.len(), CERTIFICATES_COUNT_MAX);
}

#[test]
fn keys_signatures_and_tickets_are_told_with_their_names() {
    let exchange = [&[3, 0, 0x17][..], &sized(1, &[4; 65]), &[8, 4], &sized(2, &[5; 256])].concat();
    check(12, &exchange, TLS12, "ServerKeyExchange P-256 rsa_pss_rsae_sha256");
    check(12, &[1, 0, 0x17], TLS12, "malformed");
    check(
        15,
        &[&[4, 3][..], &sized(2, &[5; 70])].concat(),
        TLS13,
        "CertificateVerify ecdsa_secp256r1_sha256",
    );
    check(4, &[0, 0, 0x1c, 0x20, 1, 2, 3], TLS13, "NewSessionTicket 7200");
    let extensions = [extension(16, &sized(2, &sized(1, b"h2"))), extension(10, &[])].concat();
    check(
        8,
        &sized(2, &extensions),
        TLS13,
        "EncryptedExtensions [application_layer_protocol_negotiation, supported_groups] [h2]",
    );
    check(8, &sized(2, &extensions[..5]), TLS13, "malformed");
    for (kind, name) in [
        (0, "HelloRequest"),
        (13, "CertificateRequest"),
        (14, "ServerHelloDone"),
        (16, "ClientKeyExchange"),
        (20, "Finished"),
        (22, "CertificateStatus"),
        (24, "KeyUpdate"),
        (99, "a message of another kind"),
    ] {
        check(kind, &[], TLS12, name);
    }
}

#[test]
fn messages_come_out_however_records_cut_them() {
    let message = |kind: u8, body: &[u8]| [&[kind][..], &sized(3, body)].concat();
    let all = [message(8, &[0, 0]), message(20, &[7; 48]), message(4, &[1; 300])].concat();
    for size in [1, 3, 50, all.len()] {
        let mut joiner = MessageJoiner::new();
        let mut found = Vec::new();
        for piece in all.chunks(size) {
            joiner.handle_content(piece);
            found.extend(std::iter::from_fn(|| joiner.poll_message()));
        }
        let kinds: Vec<(u8, usize)> = found.iter().map(|(kind, body)| (*kind, body.len())).collect();
        assert_eq!(kinds, [(8, 2), (20, 48), (4, 300)], "pieces of {size}");
        assert!(!joiner.is_in_message());
    }
}

#[test]
fn a_message_that_is_too_long_holds_no_memory() {
    let mut joiner = MessageJoiner::new();
    let length = (MESSAGE_BYTES_MAX as u32 + 1).to_be_bytes();
    joiner.handle_content(&[11, length[1], length[2], length[3]]);
    assert_eq!(joiner.poll_message(), None);
    assert!(joiner.is_in_message());
    for _ in 0..100 {
        joiner.handle_content(&[0; 1 << 14]);
        assert_eq!(joiner.poll_message(), None);
    }
}

#[test]
fn what_is_no_record_is_known_from_its_first_bytes() {
    for wrong in [&b"HTTP/1.1 400"[..], b"\x00", b"\x16\x02", b"\x17\x03\x03\xff\xff", b"\x80\x2e\x01"] {
        assert!(Record::parse(wrong).is_err(), "{}", wrong.escape_ascii());
    }
    for part in [&b""[..], b"\x15", b"\x15\x03\x03\x00\x02\x02"] {
        assert_eq!(Record::parse(part), Ok(None), "{}", part.escape_ascii());
    }
    let alert = Record::parse(b"\x15\x03\x03\x00\x02\x02\x30\x16").unwrap().unwrap();
    assert_eq!((alert.kind, alert.content, alert.wire_bytes()), (RecordKind::Alert, &[2, 48][..], 7));
    assert_eq!(alert_name(48), Some("unknown_ca"));
}

#[test]
fn numbers_without_meaning_have_no_name_and_grease_has_one() {
    assert_eq!((group_name(0x1234), suite_name(0x1234), alert_name(200)), (None, None, None));
    assert_eq!(
        (group_name(0x2a2a), suite_name(0x3a3a), version_name(0xfafa)),
        (Some("GREASE"), Some("GREASE"), Some("GREASE"))
    );
    assert_eq!((scheme_name(0x0a1a), extension_name(0x1a2a)), (None, None));
}

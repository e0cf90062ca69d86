//! Invariants of the readers of TLS messages that hold for any bytes.

use towpath_proto::client_hello::ClientHello;
use towpath_proto::tls_messages::{MESSAGE_BYTES_MAX, Message, MessageJoiner, Record, RecordKind};

/// Reads `input` as records, their content as messages, and all of it as the body of each kind of message.
pub fn check(input: &[u8]) {
    let whole = messages(input, input.len().max(1));
    let seed = input.last().copied().unwrap_or_default();
    assert_eq!(whole, messages(input, usize::from(seed % 16) + 1), "however it arrives");
    for kind in 0..=25 {
        for version in [None, Some(0x0303), Some(0x0304)] {
            check_message(kind, input, version);
        }
    }
    check_against_the_strict_reader(input);
}

/// Every handshake message of the records in `input`, which arrives in pieces.
fn messages(input: &[u8], piece_bytes: usize) -> Vec<(u8, Vec<u8>)> {
    let (mut held, mut joiner, mut found) = (Vec::new(), MessageJoiner::new(), Vec::new());
    for piece in input.chunks(piece_bytes) {
        held.extend_from_slice(piece);
        let mut at = 0;
        while let Ok(Some(record)) = Record::parse(&held[at..]) {
            at += record.wire_bytes();
            if record.kind == RecordKind::Handshake {
                joiner.handle_content(record.content);
            }
            found.extend(std::iter::from_fn(|| joiner.poll_message()));
        }
        held.drain(..at);
    }
    assert!(found.iter().all(|(_, body)| body.len() <= MESSAGE_BYTES_MAX));
    found
}

/// Whatever can be asked of a message can be asked of any.
fn check_message(kind: u8, body: &[u8], version: Option<u16>) {
    let Ok(message) = Message::parse(kind, body, version) else {
        return;
    };
    assert!(!message.name().is_empty());
    match message {
        Message::ClientHello(hello) | Message::ServerHello(hello) | Message::HelloRetryRequest(hello) => {
            assert!(!hello.versions().is_empty());
            assert!(hello.suites().count() * 2 <= body.len() && hello.groups().count() * 2 <= body.len());
            assert!(hello.key_shares().iter().all(|share| share.bytes <= body.len()));
            assert!(hello.extensions().alpn().all(|name| name.len() <= 255));
            assert!(hello.server_name().is_none_or(|name| name.len() <= body.len()));
        }
        Message::Certificate(chain) => {
            assert!(chain.iter().map(|der| der.len()).sum::<usize>() <= body.len())
        }
        Message::EncryptedExtensions(extensions) => {
            assert!(extensions.iter().map(|(_, content)| content.len() + 4).sum::<usize>() <= body.len());
        }
        _ => {}
    }
}

/// What routes a connection and what tells of one must not see two hellos in the same bytes.
fn check_against_the_strict_reader(body: &[u8]) {
    let length = (body.len() as u32).to_be_bytes();
    let message = [&[1, length[1], length[2], length[3]], body].concat();
    let Ok(strict) = ClientHello::parse(&message) else {
        return;
    };
    let Ok(Message::ClientHello(hello)) = Message::parse(1, body, None) else {
        panic!("the strict reader takes it, the other does not: {}", body.escape_ascii());
    };
    assert!(strict.alpn().eq(hello.extensions().alpn()));
    if let Some(name) = strict.server_name() {
        let sent = hello.server_name().unwrap_or_default();
        let sent = sent.strip_suffix(b".").unwrap_or(sent);
        assert!(sent.eq_ignore_ascii_case(name.as_str().as_bytes()));
    }
    let strict_versions: Vec<u16> = strict.supported_versions().collect();
    assert!(strict_versions.is_empty() || strict_versions == hello.versions());
}

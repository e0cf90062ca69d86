//! Invariants of the ClientHello reader that hold for any bytes.

use towpath_proto::client_hello::{ClientHello, ClientHelloError, HelloReader, Sniff};
use towpath_proto::limits::CLIENT_HELLO_BYTES_MAX;

/// Reads `input` at once and byte by byte, compares with a reader too simple to be wrong, and cuts every hello
/// it finds into other records; then takes the bytes as a message of their own.
pub fn check(input: &[u8]) {
    let whole = text_of(HelloReader::new().handle_input(input));
    check_byte_by_byte(input, &whole);
    assert_eq!(simple(input), whole, "{}", input.escape_ascii());
    if let Ok(Sniff::Hello(hello)) = HelloReader::new().handle_input(input) {
        assert!(hello.wire_bytes() <= input.len().min(CLIENT_HELLO_BYTES_MAX));
        let seed = input.last().copied().unwrap_or_default();
        check_recut(hello.message(), usize::from(seed) + 1, &whole);
    }
    check_message(input);
}

/// One reader that is given each byte has to say what a fresh one says of the whole, and stay with it.
fn check_byte_by_byte(input: &[u8], whole: &str) {
    let mut reader = HelloReader::new();
    let mut verdict = None;
    for length in 0..=input.len() {
        let answer = text_of(reader.handle_input(&input[..length]));
        match &verdict {
            Some(before) => assert_eq!(&answer, before, "a verdict is for good"),
            None if answer != MORE => verdict = Some(answer),
            None => {}
        }
    }
    assert_eq!(verdict.as_deref().unwrap_or(MORE), whole, "byte by byte it is something else");
}

/// The same message in records of another size says the same, unless their headers make it too large.
fn check_recut(message: &[u8], record_bytes: usize, whole: &str) {
    let wire: Vec<u8> = message
        .chunks(record_bytes)
        .flat_map(|content| {
            let length = (content.len() as u16).to_be_bytes();
            [&[22, 3, 3, length[0], length[1]], content].concat()
        })
        .collect();
    let found = text_of(HelloReader::new().handle_input(&wire));
    match wire.len() > CLIENT_HELLO_BYTES_MAX {
        true => assert_eq!(found, text_of(Err(ClientHelloError::TooLarge))),
        false => assert_eq!(found, whole, "cut into records of {record_bytes}"),
    }
}

/// As QUIC would bring it: the bytes, made a message.
fn check_message(body: &[u8]) {
    let length = (body.len() as u32).to_be_bytes();
    let message = [&[1, length[1], length[2], length[3]], body].concat();
    let alone = text_of(ClientHello::parse(&message).map(Sniff::Hello));
    if message.len() < CLIENT_HELLO_BYTES_MAX - 64 {
        check_recut(&message, 1 << 14, &alone);
    }
}

const MORE: &str = "more";
const NOT_TLS: &str = "not tls";
const REFUSED: &str = "refused";

fn text_of(result: Result<Sniff<'_>, ClientHelloError>) -> String {
    let hello = match result {
        Ok(Sniff::NeedMore) => return MORE.to_owned(),
        Ok(Sniff::NotTls) => return NOT_TLS.to_owned(),
        Ok(Sniff::Hello(hello)) => hello,
        Err(error) => {
            assert!(!error.reason().is_empty() && error.alert() != 0);
            return REFUSED.to_owned();
        }
    };
    let name = hello.server_name();
    if let Some(name) = &name {
        check_name(name.as_str());
    }
    let alpn: Vec<&[u8]> = hello.alpn().collect();
    let versions: Vec<u16> = hello.supported_versions().collect();
    text(name.as_ref().map(|name| name.as_str()), &alpn, &versions)
}

fn text(name: Option<&str>, alpn: &[&[u8]], versions: &[u16]) -> String {
    format!("{name:?} {alpn:?} {versions:?}")
}

fn check_name(name: &str) {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    assert!(!name.is_empty() && name.len() <= 253 && name.bytes().all(is_plain), "{name}");
    assert!(name.parse::<std::net::IpAddr>().is_err(), "{name}");
}

/// Everything in one go: content of the records into one vector, then the message by index.
fn simple(input: &[u8]) -> String {
    if input.first().is_some_and(|&kind| kind != 22) || input.get(1).is_some_and(|&major| major != 3) {
        return NOT_TLS.to_owned();
    }
    let (mut message, mut at) = (Vec::new(), 0);
    loop {
        match input.get(at..).unwrap_or_default() {
            [kind, ..] if *kind != 22 => return REFUSED.to_owned(),
            [_, major, ..] if *major != 3 => return REFUSED.to_owned(),
            [_, _, _, high, low, content @ ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                if length == 0 || length > 16_384 {
                    return REFUSED.to_owned();
                }
                message.extend_from_slice(&content[..length.min(content.len())]);
                if let Some(text) = simple_verdict(&message, at, length, content.len()) {
                    return text;
                }
                at += 5 + length;
            }
            _ => return MORE.to_owned(),
        }
    }
}

/// What is known once the record at `at` was added; `None` if the next record has to be looked at.
fn simple_verdict(message: &[u8], at: usize, length: usize, there: usize) -> Option<String> {
    let before = message.len() - length.min(there);
    if message.first().is_some_and(|&kind| kind != 1) {
        return Some(REFUSED.to_owned());
    }
    if let [_, high, middle, low, ..] = *message {
        let total = 4 + usize::from(high) * 65_536 + usize::from(middle) * 256 + usize::from(low);
        let missing = total - before;
        let wire_least = if missing > length { at + 5 + length + 6 } else { at + 5 + missing };
        if total > CLIENT_HELLO_BYTES_MAX || wire_least > CLIENT_HELLO_BYTES_MAX {
            return Some(REFUSED.to_owned());
        }
        if message.len() >= total {
            return Some(simple_message(&message[..total]).unwrap_or_else(|| REFUSED.to_owned()));
        }
    }
    (there < length).then(|| MORE.to_owned())
}

fn simple_message(message: &[u8]) -> Option<String> {
    let session_at = 4 + 2 + 32;
    let session = usize::from(*message.get(session_at)?);
    let suites_at = session_at + 1 + session;
    let suites = number(message, suites_at)?;
    let compressions_at = suites_at + 2 + suites;
    let compressions = usize::from(*message.get(compressions_at)?);
    let end = compressions_at + 1 + compressions;
    if session > 32 || suites == 0 || suites % 2 == 1 || compressions == 0 || end > message.len() {
        return None;
    }
    let (mut name, mut alpn, mut versions) = (None, None, None);
    if end < message.len() {
        let mut at = end + 2;
        (at + number(message, end)? == message.len()).then_some(())?;
        while at < message.len() {
            let (kind, length) = (number(message, at)?, number(message, at + 2)?);
            let data = message.get(at + 4..at + 4 + length)?;
            let is_second = match kind {
                0 => name.replace(simple_name(data)?).is_some(),
                16 => alpn.replace(simple_alpn(data)?).is_some(),
                43 => versions.replace(simple_versions(data)?).is_some(),
                _ => false,
            };
            (!is_second).then_some(())?;
            at += 4 + length;
        }
    }
    Some(text(name.flatten().as_deref(), &alpn.unwrap_or_default(), &versions.unwrap_or_default()))
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(*bytes.get(at)?) * 256 + usize::from(*bytes.get(at + 1)?))
}

/// `Some(None)` is an address.
fn simple_name(data: &[u8]) -> Option<Option<String>> {
    let is_list =
        number(data, 0)? + 2 == data.len() && *data.get(2)? == 0 && number(data, 3)? + 5 == data.len();
    is_list.then_some(())?;
    let name = std::str::from_utf8(&data[5..]).ok()?.to_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name).to_owned();
    if name.parse::<std::net::IpAddr>().is_ok() {
        return Some(None);
    }
    let is_byte = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_name = name.len() <= 253
        && name.split('.').all(|label| (1..64).contains(&label.len()) && label.chars().all(is_byte))
        && data[5..].is_ascii();
    is_name.then_some(Some(name))
}

fn simple_alpn(data: &[u8]) -> Option<Vec<&[u8]>> {
    (number(data, 0)? + 2 == data.len() && data.len() > 2).then_some(())?;
    let (mut names, mut at) = (Vec::new(), 2);
    while at < data.len() {
        let length = usize::from(data[at]);
        (length > 0).then_some(())?;
        names.push(data.get(at + 1..at + 1 + length)?);
        at += 1 + length;
    }
    Some(names)
}

fn simple_versions(data: &[u8]) -> Option<Vec<u16>> {
    let length = usize::from(*data.first()?);
    (length + 1 == data.len() && length > 0 && length % 2 == 0).then_some(())?;
    Some(data[1..].chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect())
}

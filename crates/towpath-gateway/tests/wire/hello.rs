//! Builds ClientHellos (RFC 8446 §4.1.2) of any size and form.

/// Behind its length in one byte.
pub(crate) fn vec8(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).expect("a test's length fits")][..], bytes].concat()
}

/// Behind its length in two bytes.
pub(crate) fn vec16(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).expect("a test's length fits").to_be_bytes()[..], bytes].concat()
}

pub(crate) fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [kind.to_be_bytes().to_vec(), vec16(data)].concat()
}

pub(crate) fn server_name(name: &[u8]) -> Vec<u8> {
    extension(0, &vec16(&[vec![0], vec16(name)].concat()))
}

pub(crate) fn alpn(names: &[&str]) -> Vec<u8> {
    let list: Vec<u8> = names.iter().flat_map(|name| vec8(name.as_bytes())).collect();
    extension(16, &vec16(&list))
}

/// The key shares of a client that offers X25519MLKEM768: 1,184 + 32 bytes, and 32 more for X25519 alone.
pub(crate) fn post_quantum_key_share() -> Vec<u8> {
    let hybrid = [vec![0x11, 0xEC], vec16(&[0xA5; 1216])].concat();
    let classic = [vec![0x00, 0x1D], vec16(&[0x5A; 32])].concat();
    extension(51, &vec16(&[hybrid, classic].concat()))
}

/// A message with this body.
pub(crate) fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a test's length fits").to_be_bytes();
    [&[kind, length[1], length[2], length[3]][..], body].concat()
}

/// What comes before the extensions.
pub(crate) fn body_start() -> Vec<u8> {
    [vec![0x03, 0x03], vec![0x77; 32], vec8(&[0x55; 32]), vec16(&[0x13, 0x01, 0x13, 0x02]), vec8(&[0])]
        .concat()
}

/// A ClientHello message with these extensions.
pub(crate) fn message(extensions: &[Vec<u8>]) -> Vec<u8> {
    handshake(1, &[body_start(), vec16(&extensions.concat())].concat())
}

pub(crate) fn record(content: &[u8]) -> Vec<u8> {
    [vec![22, 3, 1], vec16(content)].concat()
}

/// The message in records of at most this many bytes.
pub(crate) fn records(message: &[u8], record_bytes: usize) -> Vec<u8> {
    message.chunks(record_bytes).flat_map(record).collect()
}

//! Just enough of WebSocket for messages of one known size: the opening handshake and frames of up to 64 KiB.

use std::io::{Read, Write};

use crate::Outcome;
use crate::wire::head_end;

/// The opening handshake. Its key is the example of RFC 6455, section 1.3, so that the answer is known.
pub const OPENING: &[u8] =
    b"GET /echo HTTP/1.1\r\nHost: bench.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
/// What an origin answers it with.
pub const ACCEPTANCE: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

const BINARY: u8 = 0x82;
const MASKED: u8 = 0x80;
const KEY: [u8; 4] = *b"mask";
/// The length that says that sixteen bits of it follow (RFC 6455, section 5.2).
const SIXTEEN_BITS: u8 = 126;
/// A client's head with such a length: two bytes, the length, the key.
const LONG_HEAD_BYTES: usize = 8;

/// A client's frame around `payload` bytes; at most 65,535 of them.
#[must_use]
pub fn message(payload: usize) -> Vec<u8> {
    let mut frame = head(payload, MASKED);
    frame.extend(KEY);
    frame.extend((0..payload).map(|index| b'x' ^ KEY[index % KEY.len()]));
    frame
}

/// The length of the echo of [`message`].
#[must_use]
pub fn echo_bytes(payload: usize) -> usize {
    head(payload, 0).len() + payload
}

/// Takes the whole frames off the front of `came` and appends their echoes to `echoes`; false for frames that no client
/// of the bench sends.
pub fn echo(came: &mut Vec<u8>, echoes: &mut Vec<u8>) -> bool {
    let mut taken = 0;
    while let Some(frame) = came.get(taken..).filter(|rest| rest.len() >= 2) {
        let (length, key_at) = match frame[1] & !MASKED {
            SIXTEEN_BITS if frame.len() < LONG_HEAD_BYTES => break,
            SIXTEEN_BITS => (usize::from(u16::from_be_bytes([frame[2], frame[3]])), 4),
            length if length < SIXTEEN_BITS => (usize::from(length), 2),
            _ => return false,
        };
        if frame[0] != BINARY || frame[1] & MASKED == 0 {
            return false;
        }
        let payload_at = key_at + KEY.len();
        let Some(payload) = frame.get(payload_at..payload_at + length) else { break };
        let key = &frame[key_at..payload_at];
        echoes.extend(head(length, 0));
        echoes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        taken += payload_at + length;
    }
    came.drain(..taken);
    true
}

/// Opens a WebSocket over a blocking stream.
///
/// # Errors
/// It was not accepted.
pub fn open(stream: &mut (impl Read + Write)) -> Outcome<()> {
    stream.write_all(OPENING)?;
    let mut head = Vec::new();
    // Byte by byte: what may come behind the head belongs to the connection.
    while head_end(&head).is_none() {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
        if head.len() > 4_096 {
            return Err("the answer to an opening handshake does not end".into());
        }
    }
    match head.starts_with(b"HTTP/1.1 101") {
        true => Ok(()),
        false => Err(format!("no WebSocket: {:?}", String::from_utf8_lossy(&head)).into()),
    }
}

fn head(payload: usize, masked: u8) -> Vec<u8> {
    match u8::try_from(payload) {
        Ok(short) if short < SIXTEEN_BITS => vec![BINARY, masked | short],
        _ => {
            let [high, low] = u16::try_from(payload).unwrap_or(u16::MAX).to_be_bytes();
            vec![BINARY, masked | SIXTEEN_BITS, high, low]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_echo(payload: usize) {
        let two = [message(payload), message(payload)].concat();
        for cut in 0..two.len() {
            let (mut came, mut echoes) = (two[..cut].to_vec(), Vec::new());
            assert!(echo(&mut came, &mut echoes), "cut at {cut}");
            came.extend(&two[cut..]);
            assert!(echo(&mut came, &mut echoes) && came.is_empty(), "cut at {cut}");
            let one = [head(payload, 0), vec![b'x'; payload]].concat();
            assert_eq!(echoes, [one.clone(), one].concat(), "cut at {cut}");
            assert_eq!(echoes.len(), 2 * echo_bytes(payload));
        }
    }

    #[test]
    fn messages_come_back_unmasked_however_they_are_cut() {
        check_echo(0);
        check_echo(125);
        check_echo(126);
        check_echo(300);
    }

    #[test]
    fn frames_that_no_client_of_the_bench_sends_are_refused() {
        for frame in [&[0x88, 0x80][..], &[BINARY, 5], &[BINARY, MASKED | 127]] {
            assert!(!echo(&mut frame.to_vec(), &mut Vec::new()), "{frame:x?}");
        }
    }
}

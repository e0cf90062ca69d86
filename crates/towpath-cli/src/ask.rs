//! Asks the admin listener of a running process.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// An explanation takes milliseconds; a process that is stopped or stuck must not hang the terminal.
const TIMEOUT: Duration = Duration::from_secs(10);

/// More than any explanation; a peer that is not an admin listener may send for ever.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The status and body of a POST with a JSON body to `address`, which is `HOST:PORT`, `http://HOST:PORT` or `unix:PATH`.
pub(crate) fn post(address: &str, path: &str, body: &str, token: Option<&str>) -> io::Result<(u16, String)> {
    if let Some(socket) = address.strip_prefix("unix:") {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        return exchange(stream, "localhost", path, body, token);
    }
    let host = address.strip_prefix("http://").unwrap_or(address).trim_end_matches('/');
    let stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    exchange(stream, host, path, body, token)
}

fn exchange(
    mut stream: impl Read + Write,
    host: &str,
    path: &str,
    body: &str,
    token: Option<&str>,
) -> io::Result<(u16, String)> {
    let credentials = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\n{credentials}Content-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut answer = Vec::new();
    // We asked for the connection to be closed, so its end is the end of the answer.
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    split(&answer).ok_or_else(|| io::Error::other("the answer is not HTTP/1.1; is this the admin address?"))
}

fn split(answer: &[u8]) -> Option<(u16, String)> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_split_and_anything_else_is_refused() {
        assert_eq!(split(b"HTTP/1.1 200 OK\r\na: b\r\n\r\n{}"), Some((200, "{}".into())));
        assert_eq!(split(b"HTTP/1.1 200 OK\r\n"), None);
        assert_eq!(split(b"SSH-2.0\r\n\r\n"), None);
    }
}

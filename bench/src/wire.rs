//! Just enough of HTTP/1.1, and of an echo, to know where a message ends. Not a parser: both ends of the bench are ours.

use memchr::memmem;

/// Larger than any message of a scenario, so that a read that does not fill it has emptied the socket.
pub const BUFFER_BYTES: usize = 64 * 1024;

/// Where the head that starts `bytes` ends, its empty line included.
#[must_use]
pub fn head_end(bytes: &[u8]) -> Option<usize> {
    memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// Follows one response at a time through whatever pieces it arrives in.
#[derive(Debug, Default)]
pub struct ResponseEnd {
    /// A head that is not complete yet; empty in every ordinary exchange.
    head: Vec<u8>,
    /// Body bytes still to come once the head is known.
    left: Option<usize>,
    is_ok: bool,
}

/// What [`ResponseEnd::feed`] saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The response goes on.
    More,
    /// The response is complete; `ok` when its status is 200.
    Done {
        /// The status was 200.
        ok: bool,
    },
    /// No `Content-Length`, or bytes behind the end: nothing the bench may count.
    Broken,
}

impl ResponseEnd {
    /// Takes the next bytes of the connection. After `Done` it is ready for the next response.
    pub fn feed(&mut self, bytes: &[u8]) -> Progress {
        match self.left {
            Some(left) => self.body(left, bytes.len()),
            None if self.head.is_empty() => self.start(bytes),
            None => {
                let mut head = std::mem::take(&mut self.head);
                head.extend_from_slice(bytes);
                self.start(&head)
            }
        }
    }

    fn start(&mut self, bytes: &[u8]) -> Progress {
        let Some(end) = head_end(bytes) else {
            self.head.extend_from_slice(bytes);
            return if self.head.len() > BUFFER_BYTES { Progress::Broken } else { Progress::More };
        };
        let Some(length) = content_length(&bytes[..end]) else { return Progress::Broken };
        self.is_ok = bytes.starts_with(b"HTTP/1.1 200");
        self.body(length, bytes.len() - end)
    }

    fn body(&mut self, left: usize, came: usize) -> Progress {
        let Some(left) = left.checked_sub(came) else { return Progress::Broken };
        self.left = (left > 0).then_some(left);
        match self.left {
            Some(_) => Progress::More,
            None => Progress::Done { ok: self.is_ok },
        }
    }
}

/// Follows one echo at a time.
#[derive(Debug)]
pub struct EchoEnd {
    whole: usize,
    left: usize,
    completed: u64,
}

impl EchoEnd {
    /// Echoes of `bytes` each.
    #[must_use]
    pub fn new(bytes: usize) -> EchoEnd {
        EchoEnd { whole: bytes, left: bytes, completed: 0 }
    }

    /// Takes the next bytes of the connection. After `Done` it is ready for the next echo.
    pub fn feed(&mut self, bytes: &[u8]) -> Progress {
        let Some(left) = self.left.checked_sub(bytes.len()) else { return Progress::Broken };
        if left > 0 {
            self.left = left;
            return Progress::More;
        }
        self.left = self.whole;
        self.completed += 1;
        Progress::Done { ok: true }
    }

    /// Echoes that came completely.
    #[must_use]
    pub fn completed(&self) -> u64 {
        self.completed
    }
}

/// The value of `Content-Length`, whatever the case of its name.
fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    head.split(|&byte| byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(NAME.len())?;
        let value = std::str::from_utf8(value).ok()?;
        name.eq_ignore_ascii_case(NAME).then(|| value.trim().parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_ends_at_the_same_byte_however_it_is_cut() {
        let response = b"HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length: 5\r\n\r\nhello";
        for cut in 1..response.len() {
            let mut end = ResponseEnd::default();
            assert_eq!(end.feed(&response[..cut]), Progress::More, "cut at {cut}");
            assert_eq!(end.feed(&response[cut..]), Progress::Done { ok: true }, "cut at {cut}");
            assert_eq!(end.feed(response), Progress::Done { ok: true }, "next after {cut}");
        }
    }

    #[test]
    fn an_echo_ends_at_its_last_byte() {
        let mut end = EchoEnd::new(4);
        assert_eq!(end.feed(b"abc"), Progress::More);
        assert_eq!(end.completed(), 0);
        assert_eq!(end.feed(b"d"), Progress::Done { ok: true });
        assert_eq!(end.completed(), 1);
        assert_eq!(end.feed(b"abcde"), Progress::Broken);
    }

    #[test]
    fn what_cannot_be_counted_is_said() {
        let mut end = ResponseEnd::default();
        assert_eq!(end.feed(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"), Progress::Done { ok: false });
        assert_eq!(end.feed(b"HTTP/1.1 200 OK\r\n\r\n"), Progress::Broken);
        let mut end = ResponseEnd::default();
        assert_eq!(end.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab"), Progress::Broken);
    }
}

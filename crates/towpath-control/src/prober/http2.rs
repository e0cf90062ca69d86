//! Questions by HTTP/2: a GET, or the health service of gRPC (`grpc.health.v1`).

use std::future::poll_fn;

use towpath_net::Stream;
use towpath_proto::h2::{Config, Connection, ErrorCode, Event, FieldWriter, Request, Role, Scheme};
use towpath_proto::message::Fields;

use super::write_all;

const CHECK_PATH: &str = "/grpc.health.v1.Health/Check";

/// The answer to a check is a few bytes.
const MESSAGE_BYTES_MAX: usize = 1024;

const READ_BYTES: usize = 4096;

/// What is asked.
pub(super) enum Ask<'a> {
    /// A GET of this path.
    Get(&'a str),
    /// Whether this service serves; the empty name stands for the whole server.
    Check(&'a str),
}

/// What an endpoint has answered so far.
#[derive(Default)]
struct Answer {
    status: Option<u16>,
    grpc_status: Option<String>,
    message: Vec<u8>,
    is_complete: bool,
}

/// What an endpoint that is well has answered; else why it is not.
pub(super) async fn ask(mut stream: Stream, host: &str, what: &Ask<'_>) -> Result<String, String> {
    let mut connection = Connection::new(Role::Client, Config::default());
    let mut out = Vec::new();
    let scheme = if stream.is_tls() { Scheme::Https } else { Scheme::Http };
    encode(&mut connection, scheme, host, what, &mut out)?;
    let (mut unread, mut answer) = (Vec::new(), Answer::default());
    loop {
        write_all(&mut stream, &out).await.map_err(|fault| format!("write: {fault}"))?;
        out.clear();
        let start = unread.len();
        unread.resize(start + READ_BYTES, 0);
        let read = poll_fn(|cx| stream.split().0.poll_read(cx, &mut unread[start..])).await;
        let count = read.map_err(|fault| format!("read: {fault}"))?;
        unread.truncate(start + count);
        if count == 0 {
            return Err("closed before it answered".into());
        }
        answer.take_in(&mut connection, &mut unread)?;
        if let Some(judged) = answer.judge(what) {
            connection.close(ErrorCode::NoError);
            connection.poll_output(&mut out);
            // It has answered; whether it hears our last word is its own business.
            let _ = write_all(&mut stream, &out).await;
            return judged;
        }
        connection.poll_output(&mut out);
    }
}

fn encode(
    connection: &mut Connection,
    scheme: Scheme,
    host: &str,
    what: &Ask<'_>,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let (method, path, is_call): (&[u8], &str, bool) = match what {
        Ask::Get(path) => (b"GET", path, false),
        Ask::Check(_) => (b"POST", CHECK_PATH, true),
    };
    let (path, query) =
        path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query.as_bytes())));
    let request =
        Request { method, scheme, authority: host.as_bytes(), path: path.as_bytes(), query, protocol: None };
    let fields = |fields: &mut FieldWriter<'_>| {
        fields.field(b"user-agent", b"towpath-health");
        if is_call {
            fields.field(b"content-type", b"application/grpc");
            fields.field(b"te", b"trailers");
        }
    };
    let sent = connection.encode_request(&request, !is_call, out, fields);
    let stream = sent.map_err(|fault| fault.to_string())?;
    let Ask::Check(service) = what else { return Ok(()) };
    connection.encode_data(stream, &check_request(service), true, out).map_err(|fault| fault.to_string())
}

/// One message of a call: not compressed, its length, and the name of the service as field 1 of a protobuf message.
fn check_request(service: &str) -> Vec<u8> {
    const FIELD_1_BYTES: u8 = 0x0a;
    let mut message = Vec::new();
    // Names are bounded where they are read, so that the length is one byte.
    if let (false, Ok(length)) = (service.is_empty(), u8::try_from(service.len())) {
        message.extend_from_slice(&[FIELD_1_BYTES, length]);
        message.extend_from_slice(service.as_bytes());
    }
    let length = (message.len() as u32).to_be_bytes();
    [&[0][..], &length, &message].concat()
}

impl Answer {
    fn take_in(&mut self, connection: &mut Connection, unread: &mut Vec<u8>) -> Result<(), String> {
        let mut start = 0;
        loop {
            let step = connection.handle_input(0, unread.get(start..).unwrap_or_default());
            let step = step.map_err(|fault| format!("its answer is not HTTP/2: {fault}"))?;
            let input = start;
            start += step.consumed;
            match step.event {
                None => break,
                Some(Event::Head { end, .. }) => {
                    let head = connection.response();
                    self.status = Some(head.status);
                    self.note_status(&head.fields, connection.block());
                    self.is_complete |= end;
                }
                Some(Event::Data { stream, range, end }) => {
                    let data = unread.get(input + range.start..input + range.end).unwrap_or_default();
                    self.message
                        .extend(data.iter().take(MESSAGE_BYTES_MAX.saturating_sub(self.message.len())));
                    self.is_complete |= end;
                    connection.release(stream, range.len());
                }
                Some(Event::Trailers { .. }) => {
                    self.note_status(connection.trailers(), connection.block());
                    self.is_complete = true;
                }
                Some(Event::End { .. }) => self.is_complete = true,
                Some(Event::Reset { code, .. }) => return Err(format!("its answer was reset: {code:?}")),
                Some(Event::GoAway { code, .. }) if !self.is_complete => {
                    return Err(format!("it goes away: {code:?}"));
                }
                Some(_) => {}
            }
        }
        unread.drain(..start);
        Ok(())
    }

    fn note_status(&mut self, fields: &Fields, block: &[u8]) {
        if let Some(status) = fields.find_name(b"grpc-status", block) {
            self.grpc_status = Some(String::from_utf8_lossy(status).into_owned());
        }
    }

    /// `None` while that cannot be said.
    fn judge(&self, what: &Ask<'_>) -> Option<Result<String, String>> {
        let status = self.status?;
        if let Ask::Get(_) = what {
            let text = format!("status {status}");
            return Some(if (200..400).contains(&status) { Ok(text) } else { Err(text) });
        }
        self.is_complete.then(|| match (status, self.grpc_status.as_deref()) {
            (200, Some("0")) => serving(&self.message),
            (200, Some(code)) => Err(format!("grpc-status {code}")),
            (200, None) => Err("it answered without grpc-status".into()),
            (other, _) => Err(format!("status {other}")),
        })
    }
}

/// Reads a `HealthCheckResponse`: field 1 says how it is, and is left out for UNKNOWN.
fn serving(answer: &[u8]) -> Result<String, String> {
    const FIELD_1_NUMBER: u8 = 0x08;
    let message = answer.get(5..).unwrap_or_default();
    match message {
        [FIELD_1_NUMBER, 1, ..] => Ok("SERVING".into()),
        [FIELD_1_NUMBER, 2, ..] => Err("NOT_SERVING".into()),
        [FIELD_1_NUMBER, 3, ..] => Err("SERVICE_UNKNOWN".into()),
        _ => Err("UNKNOWN".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_names_its_service() {
        assert_eq!(check_request(""), [0, 0, 0, 0, 0]);
        assert_eq!(check_request("a.B"), b"\0\0\0\0\x05\x0a\x03a.B");
    }

    #[test]
    fn only_serving_is_well() {
        assert_eq!(serving(b"\0\0\0\0\x02\x08\x01"), Ok("SERVING".into()));
        assert_eq!(serving(b"\0\0\0\0\x02\x08\x02"), Err("NOT_SERVING".into()));
        assert_eq!(serving(b"\0\0\0\0\0"), Err("UNKNOWN".into()));
        assert_eq!(serving(b""), Err("UNKNOWN".into()));
    }
}

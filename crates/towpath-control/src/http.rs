//! A small HTTP/1.1 server for control's own listeners: the admin API and the origins of the demo.
//!
//! Few callers, small messages: a request is gathered whole before it is answered, within the limits below, and the
//! answer leaves in one write. Traffic never comes here; it has the engine.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use towpath_proto::h1::{Event, HeadLimits, RequestDecoder, RequestError};
use towpath_proto::message::{Method, RequestHead};

/// Largest request body: `/explain` needs a few hundred bytes, and nothing here is ever an upload.
pub(crate) const BODY_BYTES_MAX: usize = 1024 * 1024;

/// From the first byte of a request to its last. The caller is on this machine or holds a token.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two requests on one connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// For a caller that does not take its answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// A request, whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// The method as sent.
    pub(crate) method: String,
    /// The path as sent, starting with `/`, without the query.
    pub(crate) path: String,
    /// Host and optional port, from the target or from `Host`.
    pub(crate) authority: Option<String>,
    /// Every field with its name in lower case.
    pub(crate) fields: Vec<(String, Vec<u8>)>,
    /// The body, without its coding.
    pub(crate) body: Vec<u8>,
    /// Whether another request may follow on the connection.
    pub(crate) keep_alive: bool,
    /// Whether the caller waits for `100 Continue` and has not got it yet.
    pub(crate) expect_continue: bool,
}

impl Request {
    /// Every value of the field of this lower-case name.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_slice())
    }

    fn from_head(head: &RequestHead, block: &[u8]) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            method: method_name(head.method, block),
            path: text(head.path.of(block)),
            authority: head.authority.map(|authority| text(authority.of(block))),
            fields: head
                .fields
                .iter()
                .map(|field| {
                    (text(field.name.of(block)).to_ascii_lowercase(), field.value.of(block).to_vec())
                })
                .collect(),
            body: Vec::new(),
            keep_alive: head.keep_alive,
            expect_continue: head.expect_continue,
        }
    }
}

fn method_name(method: Method, block: &[u8]) -> String {
    match method {
        Method::Get => "GET".into(),
        Method::Head => "HEAD".into(),
        Method::Post => "POST".into(),
        Method::Put => "PUT".into(),
        Method::Delete => "DELETE".into(),
        Method::Connect => "CONNECT".into(),
        Method::Options => "OPTIONS".into(),
        Method::Trace => "TRACE".into(),
        Method::Patch => "PATCH".into(),
        Method::Extension(name) => String::from_utf8_lossy(name.of(block)).into_owned(),
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    /// The status code.
    pub(crate) status: u16,
    /// Fields beside those of framing.
    pub(crate) fields: Vec<(&'static str, String)>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// Text for people or for Prometheus.
    pub(crate) fn text(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, fields: Vec::new(), body: body.into() }.with("content-type", content_type)
    }

    /// A JSON document.
    pub(crate) fn json(status: u16, document: &serde_json::Value) -> Self {
        let mut body = serde_json::to_vec_pretty(document).unwrap_or_default();
        body.push(b'\n');
        Self { status, fields: Vec::new(), body }.with("content-type", "application/json")
    }

    /// A refusal with a stable code and a sentence.
    pub(crate) fn fault(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, &serde_json::json!({ "error": code, "message": message }))
    }

    /// Adds a field.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    fn encode(&self, keep_alive: bool, is_head: bool) -> Vec<u8> {
        let mut out = format!("HTTP/1.1 {} {}\r\n", self.status, reason_phrase(self.status)).into_bytes();
        for (name, value) in &self.fields {
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        let connection = if keep_alive { "" } else { "connection: close\r\n" };
        // Answers about this process are neither documents to guess types of nor to keep.
        let rest = format!(
            "content-length: {}\r\n{connection}cache-control: no-store\r\nx-content-type-options: nosniff\r\n\r\n",
            self.body.len()
        );
        out.extend_from_slice(rest.as_bytes());
        // RFC 9110 §9.3.2: HEAD tells the length that GET would have had, and sends none of it.
        if !is_head {
            out.extend_from_slice(&self.body);
        }
        out
    }
}

/// RFC 9110 §15, for the codes used here; the phrase means nothing to programs.
fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        422 => "Unprocessable Content",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        _ => "",
    }
}

/// Answers the requests of one connection until either side ends it.
pub(crate) async fn serve<S, A, F>(mut stream: S, local: Option<SocketAddr>, answer: A)
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Fn(Request, Option<SocketAddr>) -> F,
    F: Future<Output = Response>,
{
    let mut reader = RequestReader::new();
    loop {
        if !reader.wait_for_bytes(&mut stream).await {
            return;
        }
        let outcome = timeout(REQUEST_TIMEOUT, reader.read(&mut stream)).await;
        let (response, keep_alive, is_head) = match outcome {
            Ok(Ok(request)) => {
                let (keep_alive, is_head) = (request.keep_alive, request.method == "HEAD");
                (answer(request, local).await, keep_alive, is_head)
            }
            // Where the next request would begin is not known any more, so the connection ends with the answer.
            Ok(Err(Broken::Refused(response))) => (response, false, false),
            Ok(Err(Broken::Gone)) => return,
            Err(_) => {
                (Response::fault(408, "request_timeout", "the request did not arrive in time"), false, false)
            }
        };
        let bytes = response.encode(keep_alive, is_head);
        let sent = timeout(WRITE_TIMEOUT, stream.write_all(&bytes)).await;
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
        if !keep_alive {
            linger(&mut stream).await;
            return;
        }
    }
}

/// Ends our side and reads what the peer still sends, because closing with unread bytes would reset the connection
/// and could take the answer with it (RFC 9112 §9.6).
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    let _ = stream.shutdown().await;
    let mut rest = [0; 4096];
    let mut left = BODY_BYTES_MAX;
    let reading = async {
        while left > 0 {
            match stream.read(&mut rest).await {
                Ok(0) | Err(_) => return,
                Ok(count) => left = left.saturating_sub(count),
            }
        }
    };
    let _ = timeout(Duration::from_secs(2), reading).await;
}

/// Why no request came out of a connection.
enum Broken {
    Refused(Response),
    Gone,
}

struct RequestReader {
    decoder: RequestDecoder,
    buffer: Vec<u8>,
}

impl RequestReader {
    fn new() -> Self {
        Self { decoder: RequestDecoder::new(HeadLimits::default()), buffer: Vec::new() }
    }

    async fn wait_for_bytes<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> bool {
        !self.buffer.is_empty()
            || matches!(timeout(IDLE_TIMEOUT, stream.read_buf(&mut self.buffer)).await, Ok(Ok(count)) if count > 0)
    }

    async fn read<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: &mut S) -> Result<Request, Broken> {
        let mut request = Request::default();
        loop {
            let step =
                self.decoder.handle_input(&self.buffer).map_err(|fault| Broken::Refused(refusal(fault)))?;
            match &step.event {
                Some(Event::Head) => request = Request::from_head(self.decoder.head(), &self.buffer),
                Some(Event::Data(range)) => {
                    request.body.extend_from_slice(self.buffer.get(range.clone()).unwrap_or_default());
                    if request.body.len() > BODY_BYTES_MAX {
                        let message = "a request body here is at most 1 MiB";
                        return Err(Broken::Refused(Response::fault(413, "body_too_large", message)));
                    }
                }
                Some(Event::Trailers | Event::Interim | Event::End) | None => {}
            }
            self.buffer.drain(..step.consumed);
            match step.event {
                Some(Event::End) => return Ok(request),
                Some(_) => {}
                None if step.consumed > 0 => {}
                None => self.read_more(stream, &mut request).await?,
            }
        }
    }

    async fn read_more<S>(&mut self, stream: &mut S, request: &mut Request) -> Result<(), Broken>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        // RFC 9110 §10.1.1: once, when the head is there and the body is not.
        if std::mem::take(&mut request.expect_continue) {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.map_err(|_| Broken::Gone)?;
        }
        match stream.read_buf(&mut self.buffer).await {
            Ok(count) if count > 0 => Ok(()),
            _ => Err(Broken::Gone),
        }
    }
}

fn refusal(fault: RequestError) -> Response {
    Response::fault(fault.status(), fault.reason(), &fault.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client that sends `input` and then ends its side gets from a server that echoes method, path and body.
    fn check(input: &[u8]) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut client, server) = tokio::io::duplex(1 << 22);
            client.write_all(input).await.unwrap();
            client.shutdown().await.unwrap();
            serve(server, None, |request, _| async move {
                let body = String::from_utf8_lossy(&request.body).into_owned();
                Response::text("text/plain", format!("{} {} {body}", request.method, request.path))
            })
            .await;
            let mut output = String::new();
            client.read_to_string(&mut output).await.unwrap();
            output
        })
    }

    #[test]
    fn two_requests_of_one_connection_are_answered_in_order() {
        let output = check(
            b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi",
        );
        assert_eq!(output.matches("HTTP/1.1 200 OK\r\n").count(), 2);
        assert!(output.ends_with("POST /b hi"), "{output}");
    }

    #[test]
    fn a_chunked_body_is_gathered() {
        let output = check(b"POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n");
        assert!(output.ends_with("POST /b hi!"), "{output}");
    }

    #[test]
    fn head_has_the_length_and_not_the_body() {
        let output = check(b"HEAD /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        assert!(output.contains("content-length: 8\r\n") && output.ends_with("\r\n\r\n"), "{output}");
    }

    #[test]
    fn a_body_above_a_mebibyte_is_refused_and_the_connection_ends() {
        let mut input =
            format!("POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", BODY_BYTES_MAX + 1)
                .into_bytes();
        input.resize(input.len() + BODY_BYTES_MAX + 1, b'x');
        let output = check(&input);
        assert!(output.starts_with("HTTP/1.1 413 "), "{output}");
        assert!(output.contains("connection: close\r\n"), "{output}");
    }

    #[test]
    fn garbage_is_answered_once_and_the_connection_ends() {
        let output = check(b"\x16\x03\x01 hello\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(output.matches("HTTP/1.1 ").count(), 1, "{output}");
        assert!(output.starts_with("HTTP/1.1 400 "), "{output}");
    }

    #[test]
    fn a_client_that_waits_for_the_interim_response_gets_it() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut client, server) = tokio::io::duplex(4096);
            let answer = |request: Request, _| async move { Response::text("text/plain", request.body) };
            let server = serve(server, None, answer);
            let dialogue = async {
                client
                    .write_all(
                        b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
                    )
                    .await
                    .unwrap();
                let mut interim = [0; 25];
                client.read_exact(&mut interim).await.unwrap();
                assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
                client.write_all(b"ok").await.unwrap();
                client.shutdown().await.unwrap();
                let mut output = String::new();
                client.read_to_string(&mut output).await.unwrap();
                assert!(output.ends_with("\r\n\r\nok"), "{output}");
            };
            tokio::join!(server, dialogue);
        });
    }
}

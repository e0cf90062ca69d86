//! Our framing against that of another implementation: hyper's HTTP/1 server.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use towpath_proto::h1::{Event, HeadLimits, RequestDecoder};
use towpath_proto::message::Method;

/// A connection in memory is always ready, so that hyper is done after few polls. More than this is a finding
/// too.
const POLLS_COUNT_MAX: usize = 10_000;

/// One request that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    method: String,
    path: String,
    query: Option<String>,
    body: Vec<u8>,
}

/// What we make of the bytes.
struct Verdict {
    /// The requests we accept and see the end of.
    complete: Vec<Message>,
    /// Nothing is left over and nothing was refused: there can be no further request for anybody.
    is_clean: bool,
    /// The last request opens a tunnel; what follows is not HTTP for either side.
    is_tunnel: bool,
}

/// Wherever both accept a request, both must see the same one, up to its last body byte. Being stricter is
/// allowed to both: a side that has refused is not compared any further.
pub fn check(input: &[u8]) {
    let ours = decode(input);
    let theirs = serve(input);
    for (number, (our, their)) in ours.complete.iter().zip(&theirs).enumerate() {
        let their =
            their.as_ref().unwrap_or_else(|| panic!("request {number} is complete for us only: {our:?}"));
        assert_eq!(our, their, "request {number} is read in two ways");
    }
    if ours.is_clean && !ours.is_tunnel {
        assert!(
            theirs.len() <= ours.complete.len(),
            "hyper sees more requests: {:?}",
            &theirs[ours.complete.len()..]
        );
    }
}

fn decode(input: &[u8]) -> Verdict {
    let mut decoder = RequestDecoder::new(HeadLimits::default());
    let mut verdict = Verdict { complete: Vec::new(), is_clean: false, is_tunnel: false };
    let (mut unread, mut message) = (input, None::<Message>);
    while let Ok(step) = decoder.handle_input(unread) {
        match step.event {
            None => {
                verdict.is_clean = decoder.handle_eof().is_ok();
                break;
            }
            Some(Event::Head) => {
                let (head, block) = (decoder.head(), &unread[..step.consumed]);
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                verdict.is_tunnel = head.method == Method::Connect || head.upgrade.is_some();
                message = Some(Message {
                    method: text(head.method.of_block(block)),
                    path: text(head.path.of(block)),
                    query: head.query.map(|query| text(query.of(block))),
                    body: Vec::new(),
                });
            }
            Some(Event::Data(range)) => {
                message.as_mut().expect("data follow a head").body.extend_from_slice(&unread[range]);
            }
            Some(Event::End) => {
                verdict.complete.extend(message.take());
                if verdict.is_tunnel {
                    break;
                }
            }
            Some(Event::Trailers | Event::Interim) => {}
        }
        unread = &unread[step.consumed..];
    }
    verdict
}

/// The requests that hyper hands to its service, in order; `None` for one whose body it does not see the end
/// of.
fn serve(input: &[u8]) -> Vec<Option<Message>> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let service = service_fn(|request: Request<Incoming>| {
        let seen = Rc::clone(&seen);
        async move {
            // Entered at once: a body that never ends must still count as a request.
            let number = seen.borrow().len();
            seen.borrow_mut().push(None);
            let (head, body) = request.into_parts();
            if let Ok(body) = body.collect().await {
                seen.borrow_mut()[number] = Some(Message {
                    method: head.method.as_str().to_owned(),
                    path: if head.method == hyper::Method::CONNECT {
                        String::new()
                    } else {
                        head.uri.path().to_owned()
                    },
                    query: head.uri.query().map(str::to_owned),
                    body: body.to_bytes().to_vec(),
                });
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let connection = Connection { unread: input.to_vec() };
    let mut server = Box::pin(
        http1::Builder::new()
            .half_close(true)
            .header_read_timeout(None)
            .serve_connection(connection, service),
    );
    let mut context = Context::from_waker(Waker::noop());
    let is_done = (0..POLLS_COUNT_MAX).any(|_| Future::poll(server.as_mut(), &mut context).is_ready());
    assert!(is_done, "hyper does not end");
    drop(server);
    seen.take()
}

/// A client that sends its bytes, then ends, and takes whatever comes back.
struct Connection {
    unread: Vec<u8>,
}

impl Read for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut out: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let length = out.remaining().min(self.unread.len());
        out.put_slice(&self.unread[..length]);
        self.unread.drain(..length);
        Poll::Ready(Ok(()))
    }
}

impl Write for Connection {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_requests_are_read_alike_to_the_end() {
        let input = b"POST /a?b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: u\r\n\r\n\
            POST http://h/c HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhiGET / HTTP/1.1\r\nHost: h\r\n\r\n";
        let (ours, theirs) = (decode(input), serve(input));
        assert!(ours.is_clean);
        assert_eq!(ours.complete.len(), 3);
        assert_eq!(theirs, ours.complete.into_iter().map(Some).collect::<Vec<_>>());
    }

    #[test]
    fn hyper_takes_more_than_we_do_which_is_allowed() {
        let input = b"GET / HTTP/1.1\nHost: h\n\n";
        assert!(decode(input).complete.is_empty());
        assert_eq!(serve(input).len(), 1);
        check(input);
    }
}

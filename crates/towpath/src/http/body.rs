//! The content of a message, whole or as it comes.

mod incoming;

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};

pub(crate) use self::incoming::{Incoming, Inlet, incoming};
use super::error::{BoxError, Error, Kind};
use super::headers::{Headers, from_map};
use crate::chan;
use crate::files::Part as FilePart;

/// The content of a request or a response.
///
/// One that is received comes piece by piece, and the peer sends no faster than it is read. Dropping it is fine: what was not
/// read is thrown away, or the connection ends if that would take long.
///
/// ```
/// # #[tokio::main(flavor = "local")]
/// # async fn main() -> Result<(), towpath::http::Error> {
/// use towpath::http::Body;
///
/// let mut body = Body::from("hello");
/// assert_eq!(body.length(), Some(5));
/// while let Some(piece) = body.next().await? {
///     assert_eq!(&piece[..], b"hello");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Body(Inner);

#[derive(Default)]
enum Inner {
    #[default]
    Empty,
    Whole(Bytes),
    /// What comes over a connection.
    Incoming(Incoming),
    /// What a client receives, and what is made of another body.
    Pieces(Box<dyn Pieces>),
    /// What a task of the program sends.
    Channel {
        pieces: chan::Receiver<Result<Bytes, BoxError>>,
        is_over: bool,
    },
    /// Pieces of files.
    Files(VecDeque<FilePart>),
    /// Another library's.
    Foreign(Pin<Box<dyn http_body::Body<Data = Bytes, Error = BoxError> + Send>>),
    /// Trailers behind another one.
    Followed(Box<Body>, Option<Headers>),
}

/// A body that is read part by part.
pub(crate) trait Pieces: Send {
    /// The next part, `None` at the end. After an error there is nothing.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Part>, Error>>;

    /// How many bytes there are, if that is known.
    fn length(&self) -> Option<u64>;
}

/// A part of a body.
#[derive(Debug)]
pub(crate) enum Part {
    Data(Bytes),
    Trailers(Headers),
}

impl Body {
    /// No content.
    ///
    /// ```
    /// assert_eq!(towpath::http::Body::empty().length(), Some(0));
    /// ```
    pub fn empty() -> Self {
        Self::default()
    }

    /// A body that is sent as a task makes it, and the end to put the pieces in. It waits for the peer: at most `capacity`
    /// pieces are on their way. When the sender is dropped the body is complete; see [`BodySender::fail`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "local")]
    /// # async fn main() -> Result<(), towpath::http::Error> {
    /// use towpath::http::Body;
    ///
    /// let (sender, body) = Body::channel(4);
    /// tokio::spawn(async move {
    ///     for piece in ["one ", "two"] {
    ///         // An error says that nobody reads any more.
    ///         if sender.send(piece).await.is_err() {
    ///             break;
    ///         }
    ///     }
    /// });
    /// assert_eq!(body.text(100).await?, "one two");
    /// # Ok(())
    /// # }
    /// ```
    pub fn channel(capacity: usize) -> (BodySender, Self) {
        let (sender, pieces) = chan::bounded(capacity);
        (BodySender(sender), Self(Inner::Channel { pieces, is_over: false }))
    }

    /// A body of another library's.
    pub fn foreign<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        match body.size_hint().exact() {
            Some(0) => Self::empty(),
            _ => Self(Inner::Foreign(Box::pin(MapError(Box::pin(body))))),
        }
    }

    /// This body with `trailers` behind it (RFC 9110 §6.5), and behind those it has. A client of HTTP/1.0 does not get them.
    #[must_use]
    pub fn with_trailers(self, trailers: Headers) -> Self {
        Self(Inner::Followed(Box::new(self), Some(trailers)))
    }

    pub(crate) fn pieces(pieces: Box<dyn Pieces>) -> Self {
        Self(Inner::Pieces(pieces))
    }

    pub(crate) fn files(parts: VecDeque<FilePart>) -> Self {
        Self(Inner::Files(parts))
    }

    /// The files that are left of it, to be sent by the kernel.
    pub(crate) fn take_files(&mut self) -> Option<VecDeque<FilePart>> {
        match &mut self.0 {
            Inner::Files(parts) => Some(std::mem::take(parts)),
            _ => None,
        }
    }

    pub(crate) fn incoming(incoming: Incoming) -> Self {
        Self(Inner::Incoming(incoming))
    }

    /// See [`Request::lift_body_limits`](super::Request).
    #[cfg(feature = "grpc")]
    pub(crate) fn lift_limits(&mut self) {
        if let Inner::Incoming(incoming) = &self.0 {
            incoming.lift_limits();
        }
    }

    /// How many bytes it has, if that is known.
    pub fn length(&self) -> Option<u64> {
        match &self.0 {
            Inner::Empty => Some(0),
            Inner::Whole(bytes) => Some(bytes.len() as u64),
            Inner::Incoming(incoming) => incoming.declared,
            Inner::Files(parts) => Some(parts.iter().map(FilePart::len).sum()),
            Inner::Pieces(pieces) => pieces.length(),
            Inner::Foreign(body) => body.size_hint().exact(),
            Inner::Channel { .. } | Inner::Followed(..) => None,
        }
    }

    /// All of it, if it is all here.
    pub(crate) fn as_whole(&self) -> Option<&Bytes> {
        static NOTHING: Bytes = Bytes::new();
        match &self.0 {
            Inner::Empty => Some(&NOTHING),
            Inner::Whole(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The next piece, never empty; `None` at the end. Trailers are passed over. *Cancel-safe*.
    ///
    /// # Errors
    /// The peer broke off, or was too slow, or sent more than it may.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            match poll_fn(|cx| self.poll_part(cx)).await? {
                Some(Part::Data(data)) if data.is_empty() => {}
                Some(Part::Data(data)) => return Ok(Some(data)),
                Some(Part::Trailers(_)) => {}
                None => return Ok(None),
            }
        }
    }

    /// All of it, at most `max` bytes. *Discard-on-cancel*: what was read by then is lost.
    ///
    /// # Errors
    /// There is more, or [`next`](Self::next) fails.
    pub async fn bytes(mut self, max: u64) -> Result<Bytes, Error> {
        if self.length().is_some_and(|length| length > max) {
            return Err(Error::new(Kind::TooLarge(max)));
        }
        let Some(first) = self.next().await? else { return Ok(Bytes::new()) };
        let mut all = None::<BytesMut>;
        let mut length = first.len() as u64;
        while length <= max {
            let Some(next) = self.next().await? else {
                return Ok(all.map_or(first, BytesMut::freeze));
            };
            length += next.len() as u64;
            all.get_or_insert_with(|| BytesMut::from(&first[..])).extend_from_slice(&next);
        }
        Err(Error::new(Kind::TooLarge(max)))
    }

    /// All of it as text, at most `max` bytes. *Discard-on-cancel*.
    ///
    /// # Errors
    /// It is not UTF-8, or [`bytes`](Self::bytes) fails.
    pub async fn text(self, max: u64) -> Result<String, Error> {
        let bytes = self.bytes(max).await?;
        String::from_utf8(bytes.into()).map_err(|error| Error::malformed("text in UTF-8", error))
    }

    pub(crate) fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Part>, Error>> {
        match &mut self.0 {
            Inner::Empty => Poll::Ready(Ok(None)),
            Inner::Whole(bytes) => {
                let data = std::mem::take(bytes);
                self.0 = Inner::Empty;
                Poll::Ready(Ok((!data.is_empty()).then_some(Part::Data(data))))
            }
            Inner::Incoming(incoming) => incoming.poll_part(cx),
            Inner::Files(parts) => Poll::Ready(next_of_files(parts)),
            Inner::Pieces(pieces) => pieces.poll_part(cx),
            Inner::Channel { is_over: true, .. } => Poll::Ready(Ok(None)),
            Inner::Channel { pieces, is_over } => match ready!(pieces.poll_recv(cx)) {
                Some(Ok(data)) => Poll::Ready(Ok(Some(Part::Data(data)))),
                outcome => {
                    *is_over = true;
                    Poll::Ready(outcome.transpose().map(|_| None).map_err(own))
                }
            },
            Inner::Foreign(body) => match ready!(body.as_mut().poll_frame(cx)) {
                None => Poll::Ready(Ok(None)),
                Some(Err(error)) => Poll::Ready(Err(own(error))),
                Some(Ok(frame)) => Poll::Ready(Ok(Some(match frame.into_data() {
                    Ok(data) => Part::Data(data),
                    Err(frame) => {
                        Part::Trailers(frame.into_trailers().map(|map| from_map(&map)).unwrap_or_default())
                    }
                }))),
            },
            Inner::Followed(body, trailers) => match ready!(body.poll_part(cx))? {
                None => Poll::Ready(Ok(trailers.take().map(Part::Trailers))),
                Some(Part::Trailers(mut all)) => {
                    for (name, value) in trailers.take().iter().flat_map(Headers::iter) {
                        // What is a field already may be sent.
                        let _ = all.add(name, value);
                    }
                    Poll::Ready(Ok(Some(Part::Trailers(all))))
                }
                part => Poll::Ready(Ok(part)),
            },
        }
    }
}

/// How much of a file is read at a time for those who read a body that the kernel could send.
const FILE_BYTES: u64 = 64 * 1024;

/// The next piece of files that somebody reads.
fn next_of_files(parts: &mut VecDeque<FilePart>) -> Result<Option<Part>, Error> {
    match parts.pop_front() {
        None => Ok(None),
        Some(FilePart::Bytes(bytes)) => Ok(Some(Part::Data(bytes.into()))),
        Some(FilePart::File { file, offset, len }) => {
            let mut piece = vec![0; len.min(FILE_BYTES) as usize];
            file.read_exact_at(&mut piece, offset).map_err(|error| own(error.into()))?;
            let count = piece.len() as u64;
            if count < len {
                parts.push_front(FilePart::File { file, offset: offset + count, len: len - count });
            }
            Ok(Some(Part::Data(piece.into())))
        }
    }
}

/// The program's own body failed.
fn own(error: BoxError) -> Error {
    Error::with(Kind::Own("the body could not be made".to_owned()), error)
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length() {
            Some(length) => write!(f, "Body({length} bytes)"),
            None => f.write_str("Body(of unknown length)"),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(if bytes.is_empty() { Inner::Empty } else { Inner::Whole(bytes) })
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Bytes::from_static(bytes).into()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Error>>> {
        let part = match ready!(self.get_mut().poll_part(cx)) {
            Ok(None) => return Poll::Ready(None),
            Ok(Some(part)) => part,
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        Poll::Ready(Some(Ok(match part {
            Part::Data(data) => http_body::Frame::data(data),
            Part::Trailers(trailers) => http_body::Frame::trailers(super::headers::to_map(&trailers)),
        })))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, Inner::Empty)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.length().map_or_else(Default::default, http_body::SizeHint::with_exact)
    }
}

/// A foreign body with its error boxed.
struct MapError<B>(Pin<Box<B>>);

impl<B> http_body::Body for MapError<B>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
        self.0.as_mut().poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0.size_hint()
    }
}

/// Puts pieces into a [`Body::channel`].
#[derive(Debug)]
pub struct BodySender(chan::Sender<Result<Bytes, BoxError>>);

impl BodySender {
    /// Sends a piece, once there is room for it. *Cancel-safe*: one that was not sent is lost with the call.
    ///
    /// # Errors
    /// Nobody reads any more; the piece comes back.
    pub async fn send(&self, piece: impl Into<Bytes>) -> Result<(), chan::Closed<Bytes>> {
        let piece = piece.into();
        match self.0.reserve().await {
            Ok(permit) => {
                permit.send(Ok(piece));
                Ok(())
            }
            Err(_) => Err(chan::Closed(piece)),
        }
    }

    /// Ends the body without completing it: the peer sees that what it has is not all. *Discard-on-cancel*: the body is complete
    /// then, so let it come to its end.
    pub async fn fail(self, error: impl Into<BoxError>) {
        // Nobody reads, so nobody takes it for complete.
        let _ = self.0.send(Err(error.into())).await;
    }

    /// Ends once nobody reads any more, for example because the client has gone. *Cancel-safe*.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[tokio::test(flavor = "local")]
    async fn pieces_become_one_and_too_many_are_refused() {
        let pieces = || {
            let (sender, body) = Body::channel(8);
            tokio::task::spawn_local(async move {
                for piece in ["ab", "", "cd"] {
                    sender.send(piece).await.unwrap();
                }
            });
            body
        };
        assert_eq!(pieces().text(4).await.unwrap(), "abcd");
        assert!(pieces().bytes(3).await.unwrap_err().is_too_large());
        assert_eq!(Body::empty().text(0).await.unwrap(), "");
        assert!(Body::from(vec![0xff]).text(9).await.unwrap_err().is_malformed());
    }

    #[tokio::test(flavor = "local")]
    async fn a_body_that_fails_is_not_complete() {
        let (sender, mut body) = Body::channel(8);
        sender.send("half").await.unwrap();
        sender.fail("no more").await;
        assert_eq!(body.next().await.unwrap().as_deref(), Some(&b"half"[..]));
        let error = body.next().await.unwrap_err();
        assert_eq!(error.to_string(), "the body could not be made");
        assert!(std::error::Error::source(&error).is_some());
    }

    #[tokio::test(flavor = "local")]
    async fn nothing_is_read_from_a_connection_before_it_is_wanted() {
        let (inlet, incoming) = incoming(None);
        let mut body = Body::incoming(incoming);
        assert!(poll_fn(|cx| Poll::Ready(inlet.poll_wanted(cx).is_pending())).await);
        {
            let mut next = pin!(body.next());
            assert!(poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx).is_pending())).await);
            poll_fn(|cx| inlet.poll_wanted(cx)).await;
            inlet.put(Part::Data(Bytes::from_static(b"x")));
            assert_eq!(next.await.unwrap().as_deref(), Some(&b"x"[..]));
        }
        inlet.end(Err(Error::new(Kind::Disconnected)));
        assert!(body.next().await.unwrap_err().is_disconnected());
    }
}

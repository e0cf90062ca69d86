//! A stream of messages written as a function.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tonic::Status;
use tonic::codegen::{BoxStream, tokio_stream::Stream};

use crate::chan;

/// The messages that `write` sends, until it returns; an error of its is the status of the call.
///
/// `write` is no task: it goes on when the client takes messages, one at a time, and is dropped when the call ends, so that a
/// slow client makes it wait and one that goes, or whose deadline passes, takes it along.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use towpath::grpc::{Status, stream, tokio_stream::StreamExt};
///
/// let numbers = stream(async |out| {
///     for number in 0..3 {
///         out.send(number).await?;
///     }
///     Err(Status::out_of_range("no more"))
/// });
/// let numbers: Vec<Result<i32, Status>> = numbers.collect().await;
/// assert_eq!(numbers.len(), 4);
/// assert!(numbers[3].is_err());
/// # });
/// ```
pub fn stream<T, F>(write: impl FnOnce(Messages<T>) -> F) -> BoxStream<T>
where
    T: Send + 'static,
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    let (sender, messages) = chan::bounded(1);
    Box::pin(Written { write: Some(Box::pin(write(Messages(sender)))), messages })
}

/// Where the function of a [`stream`] puts its messages.
#[derive(Debug)]
pub struct Messages<T>(chan::Sender<T>);

impl<T> Messages<T> {
    /// Hands a message over; it waits for the client to take the former one. *Cancel-safe*: a message whose wait is dropped is
    /// not sent.
    ///
    /// # Errors
    /// `CANCELLED`, where the call has ended and somebody has kept this.
    pub async fn send(&self, message: T) -> Result<(), Status> {
        self.0.send(message).await.map_err(|_| Status::cancelled("the call has ended"))
    }
}

type Write = Pin<Box<dyn Future<Output = Result<(), Status>> + Send>>;

/// What was written and not taken goes before what `write` does next.
struct Written<T> {
    /// `None` once it has returned.
    write: Option<Write>,
    messages: chan::Receiver<T>,
}

impl<T> Stream for Written<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(message) = this.messages.try_recv() {
            return Poll::Ready(Some(Ok(message)));
        }
        if let Some(write) = &mut this.write
            && let Poll::Ready(outcome) = write.as_mut().poll(cx)
        {
            this.write = None;
            match (this.messages.try_recv(), outcome) {
                // The last message, and then the end.
                (Some(message), outcome) => {
                    this.write = Some(Box::pin(std::future::ready(outcome)));
                    return Poll::Ready(Some(Ok(message)));
                }
                (None, Ok(())) => return Poll::Ready(None),
                (None, Err(status)) => return Poll::Ready(Some(Err(status))),
            }
        }
        match this.write {
            Some(_) => this.messages.poll_recv(cx).map(|message| message.map(Ok)),
            None => Poll::Ready(None),
        }
    }
}

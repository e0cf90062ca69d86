//! A queue with a bound: many senders, one receiver.

use std::task::{Context, Poll};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::error::{Closed, Refused};

/// A queue of at most `capacity` values; a capacity of 0 is 1, as a queue without room is a [`rendezvous()`](super::rendezvous()).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), towpath::chan::Closed<u8>> {
/// let (sender, mut receiver) = towpath::chan::bounded(2);
/// sender.send(1).await?;
/// sender.send(2).await?;
/// drop(sender);
/// assert_eq!((receiver.recv().await, receiver.recv().await, receiver.recv().await), (Some(1), Some(2), None));
/// # Ok(())
/// # }
/// ```
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = mpsc::channel(capacity.max(1));
    (Sender(sender), Receiver(receiver))
}

/// The sending end of [`bounded()`]; cloned for each sender.
///
/// ```
/// let (sender, _receiver) = towpath::chan::bounded::<u8>(3);
/// assert_eq!(sender.room(), 3);
/// ```
#[derive(Debug)]
pub struct Sender<T>(mpsc::Sender<T>);

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Sender<T> {
    /// Waits for room and sends. *Discard-on-cancel*: to drop it drops `value`; [`reserve`](Self::reserve) does not.
    ///
    /// # Errors
    /// Nobody receives any more; the value is in the error.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (sender, mut receiver) = towpath::chan::bounded(1);
    /// assert!(sender.send("hello").await.is_ok());
    /// assert_eq!(receiver.recv().await, Some("hello"));
    /// # }
    /// ```
    pub async fn send(&self, value: T) -> Result<(), Closed<T>> {
        self.0.send(value).await.map_err(|error| Closed(error.0))
    }

    /// Waits for room and keeps it. *Cancel-safe*: to drop it gives up a place in line and nothing else.
    ///
    /// # Errors
    /// Nobody receives any more.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), towpath::chan::Closed> {
    /// let (sender, mut receiver) = towpath::chan::bounded(1);
    /// let permit = sender.reserve().await?;
    /// permit.send("made only now that there is room");
    /// assert!(receiver.recv().await.is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn reserve(&self) -> Result<Permit<'_, T>, Closed> {
        self.0.reserve().await.map(Permit).map_err(|_| Closed(()))
    }

    /// Sends if there is room now.
    ///
    /// # Errors
    /// There is none, or nobody receives any more; the value is in the error.
    ///
    /// ```
    /// let (sender, receiver) = towpath::chan::bounded(1);
    /// drop(receiver);
    /// assert_eq!(sender.try_send(1), Err(towpath::chan::Refused::Closed(1)));
    /// ```
    pub fn try_send(&self, value: T) -> Result<(), Refused<T>> {
        self.0.try_send(value).map_err(|error| match error {
            TrySendError::Full(value) => Refused::Full(value),
            TrySendError::Closed(value) => Refused::Closed(value),
        })
    }

    /// Waits until nobody receives any more. *Cancel-safe*.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (sender, receiver) = towpath::chan::bounded::<u8>(1);
    /// drop(receiver);
    /// sender.closed().await;
    /// # }
    /// ```
    pub async fn closed(&self) {
        self.0.closed().await;
    }

    /// How many values have room now.
    ///
    /// ```
    /// assert_eq!(towpath::chan::bounded::<u8>(8).0.room(), 8);
    /// ```
    pub fn room(&self) -> usize {
        self.0.capacity()
    }
}

/// Room for one value of [`bounded()`]; given back when dropped.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), towpath::chan::Closed> {
/// let (sender, _receiver) = towpath::chan::bounded::<u8>(1);
/// drop(sender.reserve().await?);
/// assert_eq!(sender.room(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "to drop it gives the room back"]
pub struct Permit<'a, T>(mpsc::Permit<'a, T>);

impl<T> Permit<'_, T> {
    /// Sends, at once. If the receiver has gone meanwhile the value is dropped.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), towpath::chan::Closed> {
    /// let (sender, mut receiver) = towpath::chan::bounded(1);
    /// sender.reserve().await?.send(7);
    /// assert_eq!(receiver.recv().await, Some(7));
    /// # Ok(())
    /// # }
    /// ```
    pub fn send(self, value: T) {
        self.0.send(value);
    }
}

/// The receiving end of [`bounded()`].
///
/// ```
/// let (sender, receiver) = towpath::chan::bounded::<u8>(1);
/// drop(receiver);
/// assert!(sender.try_send(1).is_err());
/// ```
#[derive(Debug)]
pub struct Receiver<T>(mpsc::Receiver<T>);

impl<T> Receiver<T> {
    /// The next value; `None` once all senders have gone and the queue is empty. *Cancel-safe*.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (sender, mut receiver) = towpath::chan::bounded::<u8>(1);
    /// drop(sender);
    /// assert_eq!(receiver.recv().await, None);
    /// # }
    /// ```
    pub async fn recv(&mut self) -> Option<T> {
        self.0.recv().await
    }

    /// See [`recv`](Self::recv).
    pub(crate) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.poll_recv(cx)
    }

    /// The next value if there is one now.
    ///
    /// ```
    /// let (sender, mut receiver) = towpath::chan::bounded(1);
    /// assert_eq!(receiver.try_recv(), None);
    /// assert!(sender.try_send(1).is_ok());
    /// assert_eq!(receiver.try_recv(), Some(1));
    /// ```
    pub fn try_recv(&mut self) -> Option<T> {
        self.0.try_recv().ok()
    }

    /// Lets nothing more in; what is there can still be received.
    ///
    /// ```
    /// let (sender, mut receiver) = towpath::chan::bounded(2);
    /// assert!(sender.try_send(1).is_ok());
    /// receiver.close();
    /// assert!(sender.try_send(2).is_err());
    /// assert_eq!(receiver.try_recv(), Some(1));
    /// ```
    pub fn close(&mut self) {
        self.0.close();
    }

    /// How many values are waiting.
    ///
    /// ```
    /// let (sender, receiver) = towpath::chan::bounded(2);
    /// assert!(sender.try_send(1).is_ok());
    /// assert_eq!(receiver.len(), 1);
    /// ```
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is waiting.
    ///
    /// ```
    /// assert!(towpath::chan::bounded::<u8>(2).1.is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

//! A channel without a buffer: sender and receiver meet.
//!
//! ```text
//!   sender                              receiver
//!     reserve ──── "may I?" ─────────────> recv      one line of waiting senders, first come first served
//!     Invitation <──────────────────────── the next in line who is still there
//!     send ─────── the value ────────────> returns
//! ```
//!
//! An invitation outlives the `recv` that gave it: its value waits in the receiver for the next `recv`, so that nothing is
//! lost when a receive is dropped half-way.

use tokio::sync::{mpsc, oneshot};

use super::error::Closed;

/// "May I?" and the way to answer.
type Request<T> = oneshot::Sender<Invitation<T>>;

/// A channel that holds nothing: a send is done when a receive has met it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (sender, mut receiver) = towpath::chan::rendezvous();
/// let (sent, received) = tokio::join!(sender.send(42), receiver.recv());
/// assert_eq!((sent, received), (Ok(()), Some(42)));
/// # }
/// ```
pub fn rendezvous<T>() -> (RendezvousSender<T>, RendezvousReceiver<T>) {
    // One request stands ready; the other senders wait for its place, in order.
    let (sender, receiver) = mpsc::channel(1);
    (RendezvousSender(sender), RendezvousReceiver { requests: receiver, promised: None })
}

/// The sending end of [`rendezvous()`]; cloned for each sender.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (sender, receiver) = towpath::chan::rendezvous();
/// drop(receiver);
/// assert_eq!(sender.clone().send(1).await.unwrap_err().0, 1);
/// # }
/// ```
#[derive(Debug)]
pub struct RendezvousSender<T>(mpsc::Sender<Request<T>>);

impl<T> Clone for RendezvousSender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> RendezvousSender<T> {
    /// Waits for a receive and hands the value over. *Discard-on-cancel*: to drop it drops `value`, which then nobody
    /// receives; [`reserve`](Self::reserve) loses nothing.
    ///
    /// # Errors
    /// Nobody receives any more; the value is in the error.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (sender, mut receiver) = towpath::chan::rendezvous();
    /// tokio::spawn(async move { sender.send("hand to hand").await });
    /// assert_eq!(receiver.recv().await, Some("hand to hand"));
    /// # }
    /// ```
    pub async fn send(&self, value: T) -> Result<(), Closed<T>> {
        match self.reserve().await {
            Ok(invitation) => invitation.send(value),
            Err(Closed(())) => Err(Closed(value)),
        }
    }

    /// Waits until a receive is there for this sender. *Cancel-safe*: to drop it gives up a place in line and nothing else.
    ///
    /// # Errors
    /// Nobody receives any more.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (sender, mut receiver) = towpath::chan::rendezvous();
    /// tokio::spawn(async move { sender.reserve().await.map(|invitation| invitation.send(7)) });
    /// assert_eq!(receiver.recv().await, Some(7));
    /// # }
    /// ```
    pub async fn reserve(&self) -> Result<Invitation<T>, Closed> {
        let (request, answer) = oneshot::channel();
        self.0.send(request).await.map_err(|_| Closed(()))?;
        answer.await.map_err(|_| Closed(()))
    }
}

/// A receive that waits for this sender's value. Use it soon: the receiver waits for nobody else meanwhile. To drop it
/// lets the next in line come.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (sender, mut receiver) = towpath::chan::rendezvous::<u8>();
/// tokio::spawn(async move { drop(sender.reserve().await) });
/// assert_eq!(receiver.recv().await, None, "the only sender has thought better of it");
/// # }
/// ```
#[derive(Debug)]
#[must_use = "the receiver waits for it"]
pub struct Invitation<T>(oneshot::Sender<T>);

impl<T> Invitation<T> {
    /// Hands the value over, at once.
    ///
    /// # Errors
    /// The receiver has gone meanwhile; the value is in the error.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (sender, mut receiver) = towpath::chan::rendezvous();
    /// let both = tokio::join!(receiver.recv(), async { sender.reserve().await.map(|it| it.send(7)) });
    /// assert_eq!(both.0, Some(7));
    /// # }
    /// ```
    pub fn send(self, value: T) -> Result<(), Closed<T>> {
        self.0.send(value).map_err(Closed)
    }
}

/// The receiving end of [`rendezvous()`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (sender, mut receiver) = towpath::chan::rendezvous::<u8>();
/// drop(sender);
/// assert_eq!(receiver.recv().await, None);
/// # }
/// ```
#[derive(Debug)]
pub struct RendezvousReceiver<T> {
    requests: mpsc::Receiver<Request<T>>,
    /// The value of a sender that was invited. Kept here and not in `recv`, which may be dropped.
    promised: Option<oneshot::Receiver<T>>,
}

impl<T> RendezvousReceiver<T> {
    /// The value of the sender that waits longest; `None` once all senders have gone. *Cancel-safe*.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (sender, mut receiver) = towpath::chan::rendezvous();
    /// tokio::spawn(async move { sender.send(42).await });
    /// assert_eq!(receiver.recv().await, Some(42));
    /// # }
    /// ```
    pub async fn recv(&mut self) -> Option<T> {
        loop {
            if let Some(value) = self.promised_value().await {
                return Some(value);
            }
            let request = self.requests.recv().await?;
            let (giver, promised) = oneshot::channel();
            if request.send(Invitation(giver)).is_ok() {
                self.promised = Some(promised);
            }
        }
    }

    /// What an invited sender gives; `None` when nobody is invited or the sender has thought better of it.
    async fn promised_value(&mut self) -> Option<T> {
        let value = self.promised.as_mut()?.await.ok();
        self.promised = None;
        value
    }
}

//! One value for every listener.

use std::error::Error;
use std::fmt;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::error::Closed;

/// Most values that a broadcast keeps for slow listeners. All are made room for at once, so a mistake in the unit must
/// not take the machine's memory.
const CAPACITY_MAX: usize = 1 << 20;

/// Sends each value to all who listen, and keeps the last `capacity` (1 to 1,048,576, rounded up to a power of two) for
/// those who are slow. A sender never waits: a listener that is too slow is told how many values it missed.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let news = towpath::chan::broadcast(8);
/// let (mut first, mut second) = (news.listen(), news.listen());
/// news.send("fire")?;
/// assert_eq!((first.recv().await?, second.recv().await?), (Some("fire"), Some("fire")));
/// # Ok(())
/// # }
/// ```
pub fn broadcast<T: Clone>(capacity: usize) -> Broadcaster<T> {
    Broadcaster(broadcast::Sender::new(capacity.clamp(1, CAPACITY_MAX)))
}

/// The sending end of [`broadcast()`]; cloned for each sender.
///
/// ```
/// let news = towpath::chan::broadcast::<u8>(1);
/// assert_eq!(news.listeners(), 0);
/// ```
#[derive(Debug)]
pub struct Broadcaster<T>(broadcast::Sender<T>);

impl<T> Clone for Broadcaster<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Clone> Broadcaster<T> {
    /// Sends to all who listen now; says how many those are.
    ///
    /// # Errors
    /// Nobody listens; the value is in the error. Later somebody may.
    ///
    /// ```
    /// let news = towpath::chan::broadcast(1);
    /// assert_eq!(news.send(1).unwrap_err().0, 1);
    /// let _listener = news.listen();
    /// assert_eq!(news.send(2), Ok(1));
    /// ```
    pub fn send(&self, value: T) -> Result<usize, Closed<T>> {
        self.0.send(value).map_err(|error| Closed(error.0))
    }

    /// A listener to what is sent from now on.
    ///
    /// ```
    /// let news = towpath::chan::broadcast::<u8>(1);
    /// let _listener = news.listen();
    /// assert_eq!(news.listeners(), 1);
    /// ```
    pub fn listen(&self) -> Listener<T> {
        Listener(self.0.subscribe())
    }

    /// How many listen.
    ///
    /// ```
    /// assert_eq!(towpath::chan::broadcast::<u8>(1).listeners(), 0);
    /// ```
    pub fn listeners(&self) -> usize {
        self.0.receiver_count()
    }
}

/// The receiving end of [`broadcast()`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let news = towpath::chan::broadcast::<u8>(1);
/// let mut listener = news.listen();
/// drop(news);
/// assert_eq!(listener.recv().await, Ok(None));
/// # }
/// ```
#[derive(Debug)]
pub struct Listener<T>(broadcast::Receiver<T>);

impl<T: Clone> Listener<T> {
    /// The next value; `None` once all senders have gone. *Cancel-safe*.
    ///
    /// # Errors
    /// Values were missed. The next call goes on with the oldest that is kept.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let news = towpath::chan::broadcast(1);
    /// let mut listener = news.listen();
    /// assert!(news.send(1).is_ok() && news.send(2).is_ok());
    /// assert_eq!(listener.recv().await.unwrap_err().count, 1);
    /// assert_eq!(listener.recv().await, Ok(Some(2)));
    /// # }
    /// ```
    pub async fn recv(&mut self) -> Result<Option<T>, Missed> {
        match self.0.recv().await {
            Ok(value) => Ok(Some(value)),
            Err(RecvError::Closed) => Ok(None),
            Err(RecvError::Lagged(count)) => Err(Missed { count }),
        }
    }
}

/// A listener was too slow.
///
/// ```
/// assert_eq!(towpath::chan::Missed { count: 3 }.to_string(), "3 values were missed: received too slowly");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed {
    /// How many values it did not get.
    pub count: u64,
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values were missed: received too slowly", self.count)
    }
}

impl Error for Missed {}

//! A queue without a bound, which therefore has a name and is counted.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use super::error::Closed;

/// Every name that a channel was made with. Names are texts of the program, so it grows no further than that.
static NAMES: Mutex<BTreeMap<&str, Arc<Gauge>>> = Mutex::new(BTreeMap::new());

/// What is counted of the channels of one name.
#[derive(Debug, Default)]
struct Gauge {
    /// Channels whose receiver is alive.
    channels: AtomicUsize,
    waiting: AtomicUsize,
    waiting_max: AtomicUsize,
}

/// A queue that takes whatever is sent, at once: for senders that cannot wait and whose number something else bounds, such
/// as one message per open connection. Everything else belongs into [`bounded()`](super::bounded()).
///
/// Nobody but memory stops a sender that is faster than its receiver. So the queue has a name, and [`backlogs`] says how
/// many values wait in those of each name, and how many did at the worst.
///
/// ```
/// use towpath::chan;
///
/// let (sender, receiver) = chan::unbounded_named("audit");
/// assert!(sender.send("login").is_ok() && sender.send("logout").is_ok());
/// let audit = chan::backlogs().into_iter().find(|backlog| backlog.name == "audit");
/// assert_eq!(audit.map(|backlog| (backlog.waiting, backlog.waiting_max)), Some((2, 2)));
/// assert_eq!(receiver.len(), 2);
/// ```
pub fn unbounded_named<T>(name: &'static str) -> (UnboundedSender<T>, UnboundedReceiver<T>) {
    let gauge = Arc::clone(NAMES.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default());
    gauge.channels.fetch_add(1, Relaxed);
    let (sender, receiver) = mpsc::unbounded_channel();
    let sender = UnboundedSender { queue: sender, gauge: Arc::clone(&gauge) };
    (sender, UnboundedReceiver { queue: receiver, gauge })
}

/// How much waits in channels without a bound, by name: for a page of metrics and for alerts.
///
/// ```
/// let (_sender, receiver) = towpath::chan::unbounded_named::<u8>("mail");
/// assert!(towpath::chan::backlogs().iter().any(|backlog| backlog.name == "mail" && backlog.channels == 1));
/// drop(receiver);
/// assert!(towpath::chan::backlogs().iter().any(|backlog| backlog.name == "mail" && backlog.channels == 0));
/// ```
pub fn backlogs() -> Vec<Backlog> {
    let names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let backlog = |(name, gauge): (&&'static str, &Arc<Gauge>)| Backlog {
        name,
        channels: gauge.channels.load(Relaxed),
        waiting: gauge.waiting.load(Relaxed),
        waiting_max: gauge.waiting_max.load(Relaxed),
    };
    names.iter().map(backlog).collect()
}

/// The state of all channels of one name; see [`backlogs`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backlog {
    /// The name.
    pub name: &'static str,
    /// Channels of this name whose receiver is alive.
    pub channels: usize,
    /// Values that wait in them now.
    pub waiting: usize,
    /// The most that have waited in them at a time, since the program began.
    pub waiting_max: usize,
}

/// The sending end of [`unbounded_named`]; cloned for each sender.
///
/// ```
/// let (sender, mut receiver) = towpath::chan::unbounded_named("events");
/// assert!(sender.clone().send(7).is_ok());
/// assert_eq!(receiver.try_recv(), Some(7));
/// ```
pub struct UnboundedSender<T> {
    queue: mpsc::UnboundedSender<T>,
    gauge: Arc<Gauge>,
}

impl<T> Clone for UnboundedSender<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), gauge: Arc::clone(&self.gauge) }
    }
}

impl<T> fmt::Debug for UnboundedSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnboundedSender").finish_non_exhaustive()
    }
}

impl<T> UnboundedSender<T> {
    /// Sends, at once.
    ///
    /// # Errors
    /// Nobody receives any more; the value is in the error.
    ///
    /// ```
    /// let (sender, receiver) = towpath::chan::unbounded_named("orders");
    /// drop(receiver);
    /// assert_eq!(sender.send(7).unwrap_err().0, 7);
    /// ```
    pub fn send(&self, value: T) -> Result<(), Closed<T>> {
        // Counted before it can be received, so that the count is never below zero.
        let waiting = self.gauge.waiting.fetch_add(1, Relaxed) + 1;
        self.gauge.waiting_max.fetch_max(waiting, Relaxed);
        self.queue.send(value).map_err(|error| {
            self.gauge.waiting.fetch_sub(1, Relaxed);
            Closed(error.0)
        })
    }

    /// Waits until nobody receives any more. *Cancel-safe*.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (sender, receiver) = towpath::chan::unbounded_named::<u8>("ticks");
    /// drop(receiver);
    /// sender.closed().await;
    /// # }
    /// ```
    pub async fn closed(&self) {
        self.queue.closed().await;
    }
}

/// The receiving end of [`unbounded_named`].
///
/// ```
/// let (sender, receiver) = towpath::chan::unbounded_named::<u8>("lines");
/// drop(receiver);
/// assert!(sender.send(1).is_err());
/// ```
pub struct UnboundedReceiver<T> {
    queue: mpsc::UnboundedReceiver<T>,
    gauge: Arc<Gauge>,
}

impl<T> UnboundedReceiver<T> {
    /// The next value; `None` once all senders have gone and the queue is empty. *Cancel-safe*.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (sender, mut receiver) = towpath::chan::unbounded_named("jobs");
    /// assert!(sender.send(1).is_ok());
    /// drop(sender);
    /// assert_eq!((receiver.recv().await, receiver.recv().await), (Some(1), None));
    /// # }
    /// ```
    pub async fn recv(&mut self) -> Option<T> {
        let value = self.queue.recv().await;
        self.taken(value)
    }

    /// The next value if there is one now.
    ///
    /// ```
    /// let (_sender, mut receiver) = towpath::chan::unbounded_named::<u8>("idle");
    /// assert_eq!(receiver.try_recv(), None);
    /// ```
    pub fn try_recv(&mut self) -> Option<T> {
        let value = self.queue.try_recv().ok();
        self.taken(value)
    }

    /// Lets nothing more in; what is there can still be received.
    ///
    /// ```
    /// let (sender, mut receiver) = towpath::chan::unbounded_named("last");
    /// assert!(sender.send(1).is_ok());
    /// receiver.close();
    /// assert!(sender.send(2).is_err());
    /// assert_eq!(receiver.try_recv(), Some(1));
    /// ```
    pub fn close(&mut self) {
        self.queue.close();
    }

    /// How many values wait in this channel.
    ///
    /// ```
    /// assert_eq!(towpath::chan::unbounded_named::<u8>("new").1.len(), 0);
    /// ```
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none waits.
    ///
    /// ```
    /// assert!(towpath::chan::unbounded_named::<u8>("new").1.is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    fn taken(&self, value: Option<T>) -> Option<T> {
        self.gauge.waiting.fetch_sub(usize::from(value.is_some()), Relaxed);
        value
    }
}

impl<T> Drop for UnboundedReceiver<T> {
    fn drop(&mut self) {
        // What nobody will receive does not wait any more.
        self.close();
        while self.try_recv().is_some() {}
        self.gauge.channels.fetch_sub(1, Relaxed);
    }
}

impl<T> fmt::Debug for UnboundedReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnboundedReceiver").field("len", &self.len()).finish_non_exhaustive()
    }
}

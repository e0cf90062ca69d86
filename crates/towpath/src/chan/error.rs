//! Why a value was not sent.

use std::error::Error;
use std::fmt;

/// Nobody will receive any more. Holds what was to be sent; trying again is of no use.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (sender, receiver) = towpath::chan::bounded(1);
/// drop(receiver);
/// assert_eq!(sender.send("letter").await.unwrap_err().0, "letter");
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Closed<T = ()>(pub T);

impl<T> fmt::Debug for Closed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closed")
    }
}

impl<T> fmt::Display for Closed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the channel is closed: nobody receives from it")
    }
}

impl<T> Error for Closed<T> {}

/// Why a value was not sent without waiting. Holds the value.
///
/// ```
/// use towpath::chan::{Refused, bounded};
///
/// let (sender, _receiver) = bounded(1);
/// assert!(sender.try_send(1).is_ok());
/// assert_eq!(sender.try_send(2), Err(Refused::Full(2)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Refused<T> {
    /// There is no room; later there may be.
    Full(T),
    /// Nobody will receive any more.
    Closed(T),
}

impl<T> Refused<T> {
    /// Whether trying later may succeed.
    ///
    /// ```
    /// use towpath::chan::Refused;
    ///
    /// assert!(Refused::Full(1).is_full() && !Refused::Closed(1).is_full());
    /// ```
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }

    /// The value that was not sent.
    ///
    /// ```
    /// assert_eq!(towpath::chan::Refused::Full(7).into_inner(), 7);
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(value) | Self::Closed(value) => value,
        }
    }
}

impl<T> fmt::Debug for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_full() { "Full" } else { "Closed" })
    }
}

impl<T> fmt::Display for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("the channel is full"),
            Self::Closed(_) => Closed(()).fmt(f),
        }
    }
}

impl<T> Error for Refused<T> {}

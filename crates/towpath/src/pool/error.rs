//! Why there is no connection.

use std::fmt;
use std::time::Duration;

/// Why a `get` failed (P7).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GetError<E> {
    /// Nothing became free in time. The counts are those of that instant.
    Timeout {
        /// How long this `get` waited.
        waited: Duration,
        /// Connections leased to others.
        in_use: usize,
        /// Idle connections; not zero only if they became idle just now.
        idle: usize,
        /// Dials under way.
        dialling: usize,
        /// Waiters, this one included.
        queue: usize,
    },
    /// `max_waiters` wait already; nothing was waited for.
    QueueFull,
    /// The pool is closed.
    Closed,
    /// The dial failed and nothing else is alive, or a fresh connection was asked for.
    Connect(DialError<E>),
    /// The context was done first; [`Ctx::err`](crate::Ctx::err) says why. Only from [`Pools`](super::Pools).
    Canceled,
}

/// Why a dial failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DialError<E> {
    /// The manager said so.
    Failed(E),
    /// It took longer than `connect_timeout`.
    TimedOut,
    /// The manager panicked.
    Panicked,
}

impl<E: fmt::Display> fmt::Display for GetError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout { waited, in_use, idle, dialling, queue } => write!(
                f,
                "no connection after {waited:?}: {in_use} in use, {idle} idle, {dialling} dialling, {queue} waiting"
            ),
            Self::QueueFull => f.write_str("too many requests wait for a connection"),
            Self::Closed => f.write_str("the pool is closed"),
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Canceled => f.write_str("the context was done first"),
        }
    }
}

impl<E: fmt::Display> fmt::Display for DialError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::TimedOut => f.write_str("connect_timeout elapsed"),
            Self::Panicked => f.write_str("the dialler panicked"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for GetError<E> {}

impl<E: fmt::Debug + fmt::Display> std::error::Error for DialError<E> {}

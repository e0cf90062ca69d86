//! Channels: share by communicating.
//!
//! | | holds | a send is done when | receivers |
//! |---|---|---|---|
//! | [`bounded()`] | up to its capacity | there is room | one |
//! | [`unbounded_named()`] | whatever is sent, counted by name | at once | one |
//! | [`rendezvous()`] | nothing | a receive has met it | one |
//! | [`broadcast()`] | the last values | at once | each gets every value, or is told how many it missed |
//!
//! The queues are tokio's; this module adds the meeting without a buffer, errors that give the value back, and
//! [`select!`](crate::select) with a [`Ctx`](crate::ctx::Ctx). There is no channel without a bound that has no name, so that
//! what fills the memory of a program can be found: [`backlogs`].
//!
//! **Losing nothing.** To drop a `send` drops its value. Where that must not happen, take the place first and send then:
//! `reserve().await?.send(value)` waits before there is a value to lose (R28).
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let (sender, mut receiver) = towpath::chan::rendezvous::<i32>();
//! let sending = tokio::spawn(async move { sender.send(42).await });
//! assert_eq!(receiver.recv().await, Some(42));
//! assert!(matches!(sending.await, Ok(Ok(()))));
//! # }
//! ```

mod bounded;
mod broadcast;
mod error;
mod rendezvous;
mod select;
mod unbounded;

pub use self::bounded::{Permit, Receiver, Sender, bounded};
pub use self::broadcast::{Broadcaster, Listener, Missed, broadcast};
pub use self::error::{Closed, Refused};
pub use self::rendezvous::{Invitation, RendezvousReceiver, RendezvousSender, rendezvous};
pub use self::unbounded::{Backlog, UnboundedReceiver, UnboundedSender, backlogs, unbounded_named};

#[doc(hidden)]
pub use self::select::{__tokio_select, AtLast, at_last};

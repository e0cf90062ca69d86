//! The socket of a session, and the task that brings its answers back.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::task::AbortHandle;
use towpath_base::slab::Key;
use towpath_net::udp::{Fault, Run};
use towpath_net::{Address, UdpSocket};
use towpath_telemetry::metrics::DatagramDrop;

use super::account::Traffic;
use super::front::{BATCHES_PER_TURN, Front, dropped_by};
use super::table::Flow;
use crate::plan::Endpoint;

/// What a session has beside its account. The socket is closed the moment the session leaves the table, so that its
/// descriptor is free for the next.
pub(super) struct Link {
    pub(super) socket: UdpSocket,
    pub(super) endpoint: Arc<Endpoint>,
    /// The task that waits for answers; set right after the session has got its key.
    pub(super) task: Option<AbortHandle>,
}

impl Link {
    /// # Errors
    /// Those of [`UdpSocket::connect`]; `Unsupported` for an endpoint that is not an IP address.
    pub(super) fn to(endpoint: &Arc<Endpoint>) -> io::Result<Self> {
        let Address::Tcp(address) = &endpoint.address else { return Err(io::ErrorKind::Unsupported.into()) };
        let socket = UdpSocket::connect(*address)?;
        Ok(Self { socket, endpoint: Arc::clone(endpoint), task: None })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Why there is no socket for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoLink {
    /// Descriptors, memory or ports are used up: the end of another session helps.
    Exhausted,
    /// There is no way to this endpoint.
    Unreachable,
    Other,
}

impl NoLink {
    pub(super) fn of(error: &io::Error) -> Self {
        // EMFILE and ENFILE have no kind of their own yet.
        const FILE_LIMIT: [i32; 2] = [24, 23];
        if error.raw_os_error().is_some_and(|code| FILE_LIMIT.contains(&code)) {
            return Self::Exhausted;
        }
        match Fault::of(error) {
            // EAGAIN among them, by which `connect(2)` says that all ports are taken.
            Fault::Full | Fault::Other(io::ErrorKind::AddrNotAvailable) => Self::Exhausted,
            Fault::Unreachable => Self::Unreachable,
            Fault::TooLarge | Fault::Other(_) => Self::Other,
        }
    }
}

impl Front {
    /// Receives what the endpoint of a session sent, and sends it on.
    fn poll_answers(&self, key: Key, cx: &mut Context<'_>) -> Poll<()> {
        let mut batch = self.batch();
        for _ in 0..BATCHES_PER_TURN {
            let received = match self.table.borrow().get(key) {
                Some(session) => session.value.socket.poll_receive(cx, &mut batch),
                None => return Poll::Ready(()),
            };
            match ready!(received) {
                Ok(()) => batch.received().for_each(|received| self.give(key, received.run)),
                Err(fault) => {
                    self.end_by_fault(key, fault);
                    return Poll::Ready(());
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Gives the client as much of an answer as it may have.
    fn give(&self, key: Key, answer: Run<'_>) {
        let counters = &self.listener().counters;
        let mut table = self.table.borrow_mut();
        let allowed = table.allows(key, answer);
        let Some(session) = table.get_mut(key) else { return };
        if allowed < answer.len() {
            counters.drop_datagrams((answer.len() - allowed) as u64, DatagramDrop::ReplyRatio);
        }
        let Some(answer) = answer.pieces(allowed).next().filter(|_| allowed > 0) else { return };
        let Flow { client, local } = session.flow;
        let sent = self.socket.try_send_to(answer, client, local);
        let traffic = Traffic::of(answer, sent.datagrams);
        session.account.on_answer(traffic);
        counters.datagrams_down.add(traffic.datagrams);
        counters.bytes_down.add(traffic.bytes);
        if let Some(fault) = sent.fault {
            counters.drop_datagrams((answer.len() - sent.datagrams) as u64, dropped_by(fault));
        }
    }
}

/// Brings answers back for as long as the session is in the table. 16 bytes, as there is one for each session.
pub(super) struct Answers {
    pub(super) front: Rc<Front>,
    pub(super) key: Key,
}

impl Future for Answers {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.front.poll_answers(self.key, cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::l4::udp::table::Session;

    #[test]
    fn a_waiting_session_has_a_small_task() {
        assert_eq!(size_of::<Answers>(), 16);
    }

    #[test]
    fn a_session_in_the_table_is_small() {
        let size = size_of::<Session<Link>>();
        assert!(size <= 320, "{size}");
    }

    #[test]
    fn exhaustion_is_told_apart_from_a_missing_way() {
        for (code, expected) in [
            (24, NoLink::Exhausted),
            (23, NoLink::Exhausted),
            (11, NoLink::Exhausted),
            (12, NoLink::Exhausted),
            (99, NoLink::Exhausted),
            (101, NoLink::Unreachable),
            (1, NoLink::Other),
        ] {
            assert_eq!(NoLink::of(&io::Error::from_raw_os_error(code)), expected, "errno {code}");
        }
    }
}

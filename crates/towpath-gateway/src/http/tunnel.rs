//! Bytes both ways after an upgrade, without looking at them.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use towpath_net::{Reader, Stream, Writer};

use super::pump::{Clock, fill, write_all};
use crate::buffer::Buffers;

/// An upgraded connection: the origin's stream and what the client sent before it knew of the switch.
#[derive(Debug)]
pub(crate) struct Tunnel {
    pub(crate) origin: Stream,
    pub(crate) from_client: Vec<u8>,
    /// Without a byte in either direction for this long, it ends.
    pub(crate) idle: Duration,
}

/// Carries bytes until both sides have ended, one has failed, or nothing moved for too long. Each direction ends on
/// its own: half-closing is part of TCP, and of what runs over it. Returns the bytes carried from the client and from
/// the origin.
pub(crate) async fn run(
    mut tunnel: Tunnel,
    client: &mut Stream,
    clock: &Clock<'_>,
    buffers: &Buffers,
) -> (u64, u64) {
    let (up, down) = (Cell::new(0), Cell::new(0));
    clock.cap(None);
    clock.look();
    clock.arm(tunnel.idle);
    {
        let (mut client_reader, mut client_writer) = client.split();
        let (mut origin_reader, mut origin_writer) = tunnel.origin.split();
        let lane = Lane { idle: tunnel.idle, clock, buffers };
        let early = std::mem::take(&mut tunnel.from_client);
        let mut upward = pin!(lane.carry(&mut client_reader, &mut origin_writer, early, &up));
        let mut downward = pin!(lane.carry(&mut origin_reader, &mut client_writer, Vec::new(), &down));
        let (mut up_ended, mut down_ended) = (false, false);
        poll_fn(|cx| {
            for (ended, lane) in [(&mut up_ended, &mut upward), (&mut down_ended, &mut downward)] {
                if !*ended && let Poll::Ready(outcome) = lane.as_mut().poll(cx) {
                    if outcome.is_err() {
                        return Poll::Ready(());
                    }
                    *ended = true;
                }
            }
            if up_ended && down_ended { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
    (up.get(), down.get())
}

struct Lane<'a> {
    idle: Duration,
    clock: &'a Clock<'a>,
    buffers: &'a Buffers,
}

/// A direction failed or was idle too long: both end.
struct Broken;

impl Lane<'_> {
    async fn carry(
        &self,
        from: &mut Reader<'_>,
        to: &mut Writer<'_>,
        early: Vec<u8>,
        carried: &Cell<u64>,
    ) -> Result<(), Broken> {
        if !early.is_empty() {
            self.write(to, &early, carried).await?;
            drop(early);
        }
        let mut buffer = None;
        loop {
            let read = fill(from, &mut buffer, self.buffers, self.clock).await;
            let Some(mut filled) = buffer.take() else {
                return Err(Broken);
            };
            let outcome = match read {
                Ok(0) => poll_fn(|cx| to.poll_shutdown(cx)).await.map_err(|_| Broken).map(|()| true),
                Ok(_) => self.write(to, filled.unread(), carried).await.map(|()| false),
                Err(_) => Err(Broken),
            };
            filled.consume(usize::MAX);
            self.buffers.give(filled);
            if outcome? {
                return Ok(());
            }
            self.clock.arm(self.idle);
        }
    }

    async fn write(&self, to: &mut Writer<'_>, bytes: &[u8], carried: &Cell<u64>) -> Result<(), Broken> {
        write_all(to, [bytes, &[], &[]], self.idle, self.clock).await.map_err(|_| Broken)?;
        carried.set(carried.get() + bytes.len() as u64);
        Ok(())
    }
}

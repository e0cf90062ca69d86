//! The way to an origin.

use std::rc::Rc;

use tokio::task::spawn_local;
use towpath::pool::Lease;
use towpath_net::{Reader, Stream, Writer};

use crate::http2::{Lane, Origin, carry};
use crate::upstream::Http1;
use crate::worker::Worker;

/// A connection on which a request can be made now.
#[derive(Debug)]
pub(crate) enum Ready {
    /// One of HTTP/1, idle until now.
    Wire(Lease<Http1>),
    /// One of HTTP/2 with a stream to spare.
    Shared(Rc<Origin>),
}

impl Ready {
    /// Whether it has carried a request before, so that it may be found dead.
    pub(super) fn is_reused(&self) -> bool {
        match self {
            Self::Wire(lease) => lease.is_reused(),
            Self::Shared(origin) => origin.is_used(),
        }
    }
}

/// What an attempt exchanges its messages over.
#[derive(Debug)]
pub(super) enum Way {
    /// A connection of HTTP/1.
    Wire(Lease<Http1>),
    /// A stream of HTTP/2.
    Lane(Opened),
}

/// A stream that we have opened. Dropped before both messages are complete, it is reset.
#[derive(Debug)]
pub(super) struct Opened(pub(super) Rc<Lane>);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.finish();
    }
}

impl Way {
    pub(super) fn reader(&mut self) -> Reader<'_> {
        match self {
            Self::Wire(lease) => lease.stream.split().0,
            Self::Lane(opened) => Reader::Sub(&*opened.0),
        }
    }

    pub(super) fn writer(&mut self) -> Writer<'_> {
        match self {
            Self::Wire(lease) => lease.stream.split().1,
            Self::Lane(opened) => Writer::Sub(&*opened.0),
        }
    }

    /// What goes on when the exchange is over: a stream for the caller alone.
    pub(super) fn into_stream(self, worker: &Rc<Worker>) -> Stream {
        match self {
            Self::Wire(lease) => lease.detach().stream,
            Self::Lane(opened) => {
                let (stream, moving) = carry(Rc::clone(&opened.0), worker);
                drop(spawn_local(async move {
                    let _opened = opened;
                    moving.await;
                }));
                stream
            }
        }
    }

    /// The connection, unless it carries other requests at the same time.
    pub(super) fn wire(&self) -> Option<&Stream> {
        match self {
            Self::Wire(lease) => Some(&lease.stream),
            Self::Lane(_) => None,
        }
    }

    /// The stream of HTTP/2.
    pub(super) fn lane(&self) -> Option<Rc<Lane>> {
        match self {
            Self::Wire(_) => None,
            Self::Lane(opened) => Some(Rc::clone(&opened.0)),
        }
    }
}

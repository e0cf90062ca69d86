//! Who a request came from.

use towpath_net::{Reader, Stream, Writer};

use super::pump::Stop;
use crate::http2::{Front, Lane};
use crate::tls::Secured;

/// The client's end of an exchange.
pub(crate) enum Client<'a> {
    /// A connection of HTTP/1, which the exchange has for itself.
    Wire(&'a mut Stream),
    /// A stream of HTTP/2.
    Lane(&'a Lane, &'a Front),
}

impl<'a> Client<'a> {
    pub(crate) fn reader(&mut self) -> Reader<'_> {
        self.split().0
    }

    pub(crate) fn writer(&mut self) -> Writer<'_> {
        self.split().1
    }

    /// Both directions, to be used at the same time.
    pub(crate) fn split(&mut self) -> (Reader<'_>, Writer<'_>) {
        match self {
            Self::Wire(stream) => stream.split(),
            Self::Lane(lane, _) => (Reader::Sub(*lane), Writer::Sub(*lane)),
        }
    }

    /// The connection, unless it carries other requests at the same time.
    pub(crate) fn wire(&self) -> Option<&Stream> {
        match self {
            Self::Wire(stream) => Some(stream),
            Self::Lane(..) => None,
        }
    }

    /// The stream of HTTP/2.
    pub(crate) fn lane(&self) -> Option<&'a Lane> {
        match self {
            Self::Wire(_) => None,
            Self::Lane(lane, _) => Some(lane),
        }
    }

    /// Ends an answer of which everything is written; `trailers` are lines as HTTP/1.1 writes them. HTTP/1 has said so
    /// in its own way.
    pub(crate) fn end(&self, trailers: &[u8]) -> Result<(), Stop> {
        self.lane().map_or(Ok(()), |lane| lane.end(trailers).map_err(|_| Stop::Io))
    }

    /// What is known of the client if it speaks TLS.
    pub(crate) fn secured(&self) -> Option<&Secured> {
        match self {
            Self::Wire(stream) => stream.attached(),
            Self::Lane(_, front) => front.secured.as_ref(),
        }
    }
}

//! Taking connections.

use std::net::SocketAddr;

use crate::Ctx;
use crate::http::BindError;
use crate::listen::{Accepting, ListenAddress};

use super::conn::Conn;
use super::error::Error;

/// An address that is listened on, for who accepts by himself; see [`tcp::serve`](crate::tcp::serve) for who would rather not.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use towpath::net::Listener;
///
/// let listener = Listener::bind("127.0.0.1:0")?;
/// assert_ne!(listener.address().port(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    accepting: Accepting,
}

impl Listener {
    /// Listens on `127.0.0.1:8080`, `[::1]:8080`, `:8080` for every address of the machine, or `unix:/run/app.sock`. Must be
    /// called in a runtime.
    ///
    /// # Errors
    /// The address cannot be listened on; see [`BindError`].
    pub fn bind(address: &str) -> Result<Self, BindError> {
        let failed = |error| BindError::new(address, error);
        let binding = ListenAddress::parse(address).and_then(|address| address.bind(1)).map_err(failed)?;
        let acceptor = binding.take(0).map_err(failed)?;
        let acceptor = acceptor.ok_or_else(|| failed(std::io::ErrorKind::AddrInUse.into()))?;
        Ok(Self { address: binding.address(), accepting: Accepting::new(acceptor) })
    }

    /// The address really bound, with the port that 0 stood for. Of no use for a Unix socket.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection. What concerns one connection alone, and what the system lacks for a while, is not told: it waits
    /// from 5 ms up to 1 s then. *Cancel-safe*.
    ///
    /// # Errors
    /// The listening socket is unusable, or `ctx` was done first.
    pub async fn accept(&mut self, ctx: &Ctx) -> Result<Conn, Error> {
        let (stream, peer) = ctx.run(self.accepting.next()).await??;
        Ok(Conn::new(stream, peer))
    }
}

//! A stream of HTTP/2 as a stream of its own, for tunnels, which outlive the exchange that opened them (RFC 8441).

use std::future::poll_fn;
use std::io;
use std::rc::Rc;

use tokio::task::spawn_local;
use towpath_net::buffer::{Buffer, Buffers};
use towpath_net::{Stream, Substream, memory};

use super::Lane;

/// A stream that carries what `lane` does, and the work that moves its bytes, which ends when both directions have.
/// `worker` lends the buffers.
pub fn carry<W>(lane: Rc<Lane>, worker: &Rc<W>) -> (Stream, impl Future<Output = ()> + use<W>)
where
    W: AsRef<Buffers> + 'static,
{
    let (ours, theirs) = memory::pipe();
    let (ours, worker) = (Rc::new(ours), Rc::clone(worker));
    let up = pass(Rc::clone(&lane), Rc::clone(&ours), Rc::clone(&worker));
    let down = pass(ours, lane, worker);
    let moving = async move {
        let up = spawn_local(up);
        down.await;
        // A side that was reset ends this as well.
        let _ = up.await;
    };
    (Stream::memory(theirs), moving)
}

/// Moves bytes one way, and their end. No buffer is held while nothing comes. What cannot go on is cut on both sides.
async fn pass(from: Rc<impl Substream>, to: Rc<impl Substream>, worker: Rc<impl AsRef<Buffers>>) {
    loop {
        poll_fn(|cx| from.poll_readable(cx)).await;
        let mut buffer = (*worker).as_ref().take();
        let moved = pass_once(&*from, &*to, &mut buffer).await;
        (*worker).as_ref().give(buffer);
        match moved {
            Ok(0) => return to.shutdown(),
            Ok(_) => {}
            Err(_) => {
                from.reset();
                return to.reset();
            }
        }
    }
}

/// One read, and the writes of all of it. Returns how much that was.
async fn pass_once(from: &impl Substream, to: &impl Substream, buffer: &mut Buffer) -> io::Result<usize> {
    let count = poll_fn(|cx| from.poll_read(cx, buffer.room())).await?;
    buffer.filled(count);
    while !buffer.is_empty() {
        let written = poll_fn(|cx| to.poll_write(cx, buffer.unread())).await?;
        buffer.consume(written);
    }
    Ok(count)
}

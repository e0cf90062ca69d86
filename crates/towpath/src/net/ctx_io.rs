//! Reading and writing for as long as a context is not done (R24).

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::error::Error;
use crate::Ctx;
use crate::ctx::Done;

/// A reader, a writer or both, each operation of which ends when the context is done: what sets a deadline on a connection
/// elsewhere, and a cancel with it.
///
/// What is ready wins over a context that ends at the same instant, but one that is done lets nothing begin (R10). One timer is
/// armed, when an operation has to wait (R11).
#[derive(Debug)]
pub struct CtxIo<T> {
    io: T,
    ctx: Ctx,
    done: Done,
}

impl<T> CtxIo<T> {
    /// `io`, as long as `ctx` is not done.
    pub fn new(io: T, ctx: &Ctx) -> Self {
        Self { io, ctx: ctx.clone(), done: ctx.done() }
    }

    /// What is read and written.
    pub fn into_inner(self) -> T {
        self.io
    }

    fn poll<R>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut T, &mut Context<'_>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if let Some(cause) = self.ctx.err() {
            return Poll::Ready(Err(Error::from(cause).into()));
        }
        match poll(&mut self.io, cx) {
            Poll::Ready(outcome) => Poll::Ready(outcome),
            Poll::Pending => Pin::new(&mut self.done).poll(cx).map(|cause| Err(Error::from(cause).into())),
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for CtxIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll(cx, |io, cx| Pin::new(io).poll_read(cx, buf))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for CtxIo<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll(cx, |io, cx| Pin::new(io).poll_write(cx, buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(cx, |io, cx| Pin::new(io).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(cx, |io, cx| Pin::new(io).poll_shutdown(cx))
    }
}

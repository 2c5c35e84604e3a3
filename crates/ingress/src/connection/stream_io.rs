//! How the library reads from, writes to and closes a guarded stream.

use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Phase;
use super::stream::GuardedStream;

/// Bytes that are read and dropped after the last answer, so that the client gets the answer. A
/// socket that is closed with unread bytes is reset.
const DROPPED_MAX: usize = 512 * 1024;

impl<S> GuardedStream<S> {
    /// Whether a client that does not take its answer has been given up.
    fn is_cut_while_writing(&self, cx: &mut Context<'_>) -> bool {
        self.connection.register(cx.waker());
        if self.connection.phase() == Phase::Handling {
            self.connection.enter(Phase::Writing);
        }
        self.connection.is_cut()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for GuardedStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().poll_next_bytes(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for GuardedStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write(cx, bytes);
        if written.is_pending() && this.is_cut_while_writing(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.inner).poll_flush(cx)?;
        if flushed.is_pending() && this.is_cut_while_writing(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        ready!(flushed);
        if this.connection.answered.load(Relaxed) {
            this.connection.answered.store(false, Relaxed);
            this.after_answer(cx);
        }
        Poll::Ready(Ok(()))
    }

    /// Closes our side, and then reads and drops until the client closes its side, within bounds.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.connection.register(cx.waker());
        if !this.is_shut {
            if this.connection.phase() != Phase::Closing {
                this.connection.enter(Phase::Closing);
            }
            // Under TLS this may wait for a client that takes nothing.
            let shut = Pin::new(&mut this.inner).poll_shutdown(cx)?;
            if shut.is_pending() && !this.connection.is_cut() {
                return Poll::Pending;
            }
            this.is_shut = true;
        }

        let mut scratch = [0; 4_096];
        while !this.connection.is_cut() && this.dropped < DROPPED_MAX {
            let mut buffer = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                break;
            }
            this.dropped += buffer.filled().len();
        }
        Poll::Ready(Ok(()))
    }
}

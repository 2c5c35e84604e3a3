//! The stream that the HTTP library reads, which hands on one request at a time.
//!
//! The library sees a head only when it is whole, and the next request only when the last one is
//! answered. Where a head is refused, it sees a request of ours in its place, whose handler gives
//! the answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::head::{self, BadHead, BodyEnd, EndOfHead, HEAD_BYTES_MAX, Head};
use super::{Connection, HeadRefusal, Phase, Place};

/// What the library gets in place of a refused head.
pub(super) const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";
/// Bytes handed on before the library must have handled them. It would read 128 KiB ahead, and
/// keep that much memory for as long as the connection is open.
pub(super) const BURST: usize = 8 * 1024;

/// What is read next.
#[derive(Debug)]
enum Reading {
    Head(EndOfHead),
    Body(BodyEnd),
    /// The request was handed on whole, and nothing more is until it is answered.
    Answer,
    /// No more requests are read.
    Over,
}

pub(crate) struct GuardedStream<S> {
    pub(super) inner: S,
    pub(super) connection: Place,
    reading: Reading,
    /// The request under way is the last one.
    is_last: bool,
    /// Bytes that came and were not handed on. The first `ready` of them may be.
    held: Vec<u8>,
    ready: usize,
    handed_in_burst: usize,
    /// The client has closed its side.
    ended: bool,
    pub(super) dropped: usize,
    /// Our side was closed.
    pub(super) is_shut: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> GuardedStream<S> {
    pub(super) fn new(inner: S, connection: Place) -> Self {
        Self {
            inner,
            connection,
            reading: Reading::Head(EndOfHead::default()),
            is_last: false,
            held: Vec::new(),
            ready: 0,
            handed_in_burst: 0,
            ended: false,
            dropped: 0,
            is_shut: false,
        }
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Waits until there is something for the library. Before that, a connection costs none of the
    /// library's memory. Returns false when the connection ended without a request.
    pub(super) async fn has_request(&mut self) -> bool {
        std::future::poll_fn(|cx| {
            // On the stack, so that a connection that waits does not hold it.
            let mut scratch = [0; 2_048];
            let mut buffer = ReadBuf::new(&mut scratch);
            let read = ready!(self.poll_next_bytes(cx, &mut buffer));
            self.put_back(buffer.filled());
            Poll::Ready(read.is_ok() && self.ready > 0)
        })
        .await
    }

    fn put_back(&mut self, handed: &[u8]) {
        let mut held = handed.to_vec();
        held.append(&mut self.held);
        self.held = held;
        self.ready += handed.len();
        self.handed_in_burst = 0;
    }

    pub(super) fn poll_next_bytes(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.handed_in_burst >= BURST {
            self.handed_in_burst = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // Registered before the look, so that a cut in between wakes.
        self.connection.register(cx.waker());
        let before = buffer.filled().len();
        let polled = self.poll_state(cx, buffer);
        match &polled {
            Poll::Ready(_) => self.handed_in_burst += buffer.filled().len() - before,
            Poll::Pending => self.handed_in_burst = 0,
        }
        polled
    }

    fn poll_state(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.ready > 0 {
                self.hand_on(buffer);
                return Poll::Ready(Ok(()));
            }
            if self.connection.is_cut() && matches!(self.reading, Reading::Body(_)) {
                return Poll::Ready(Ok(()));
            }
            match &mut self.reading {
                Reading::Over => return self.poll_over(),
                Reading::Answer => return self.poll_ahead(cx, buffer),
                Reading::Body(_) => return self.poll_body(cx, buffer),
                Reading::Head(end) => {
                    if let Some(found) = end.find(&self.held) {
                        self.take_held_head(found);
                        continue;
                    }
                    if self.held.len() >= HEAD_BYTES_MAX {
                        self.refuse(HeadRefusal::TooLarge);
                        continue;
                    }
                    if self.ended || self.connection.is_cut() {
                        self.end_head(HeadRefusal::Malformed);
                        continue;
                    }
                    let before = buffer.filled().len();
                    if Pin::new(&mut self.inner)
                        .poll_read(cx, buffer)?
                        .is_pending()
                    {
                        if !self.connection.is_late() {
                            return Poll::Pending;
                        }
                        self.end_head(HeadRefusal::TooSlow);
                    } else if buffer.filled().len() == before {
                        self.ended = true;
                    } else if self.take_new_bytes(before, buffer) {
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        }
    }

    /// Ends the wait for a head. Its start is refused for this reason, where there is one and the
    /// client may still want to know.
    fn end_head(&mut self, why: HeadRefusal) {
        if !self.held.is_empty() && !self.connection.is_cut() {
            self.refuse(why);
            return;
        }
        self.connection.hold_head(0);
        self.held = Vec::new();
        self.reading = Reading::Over;
        self.connection.enter(Phase::Closing);
    }

    /// Reports the end, but not while the last request is handled.
    fn poll_over(&self) -> Poll<io::Result<()>> {
        match self.connection.phase() {
            Phase::Body | Phase::Handling | Phase::Writing => Poll::Pending,
            Phase::Head | Phase::Idle | Phase::Closing => Poll::Ready(Ok(())),
        }
    }

    fn hand_on(&mut self, buffer: &mut ReadBuf<'_>) {
        let count = self.ready.min(buffer.remaining());
        buffer.put_slice(&self.held[..count]);
        self.held.drain(..count);
        self.ready -= count;
        if self.held.is_empty() {
            // An idle connection holds no memory.
            self.held = Vec::new();
        }
    }

    /// Looks at bytes that arrived in the buffer while a head is awaited. Returns whether the
    /// buffer holds something for the library.
    fn take_new_bytes(&mut self, before: usize, buffer: &mut ReadBuf<'_>) -> bool {
        if self.held.is_empty() {
            // The usual case: a whole request in one piece. Its bytes stay where they are.
            match head::parse(&buffer.filled()[before..]) {
                Ok(Some(head)) if head.bytes <= HEAD_BYTES_MAX => {
                    let new = &buffer.filled()[before..];
                    let taken = self.begin(head, new);
                    self.held.extend_from_slice(&new[taken..]);
                    buffer.set_filled(before + taken);
                    return true;
                }
                Ok(Some(_)) => {
                    buffer.set_filled(before);
                    self.refuse(HeadRefusal::TooLarge);
                    return false;
                }
                Ok(None) => {}
                Err(bad) => {
                    buffer.set_filled(before);
                    self.refuse(bad.into());
                    return false;
                }
            }
            // The time for the first head began with the connection.
            if self.connection.phase() == Phase::Idle {
                self.connection.enter(Phase::Head);
            }
        }

        self.held.extend_from_slice(&buffer.filled()[before..]);
        buffer.set_filled(before);
        self.connection.hold_head(self.held.len());
        false
    }

    /// Takes the head whose end was found in the bytes that are held.
    fn take_held_head(&mut self, end: usize) {
        match head::parse(&self.held) {
            Ok(Some(head)) if head.bytes == end && end <= HEAD_BYTES_MAX => {
                let held = std::mem::take(&mut self.held);
                self.ready = self.begin(head, &held);
                self.held = held;
                self.connection.hold_head(0);
            }
            Ok(Some(_)) if end > HEAD_BYTES_MAX => self.refuse(HeadRefusal::TooLarge),
            // The parser sees another end. Nobody can say where the next request begins.
            Ok(_) => self.refuse(HeadRefusal::Malformed),
            Err(bad) => self.refuse(bad.into()),
        }
    }

    /// Begins the request whose head is at the start of these bytes. Returns how many of them belong
    /// to it.
    fn begin(&mut self, head: Head, bytes: &[u8]) -> usize {
        self.is_last = head.is_last;
        self.reading = Reading::Body(head.body);
        self.connection.set_proven(false);
        self.connection.enter(Phase::Body);
        head.bytes + self.walk_body(&bytes[head.bytes..])
    }

    /// Walks over these bytes as a part of the body. Returns how many of them belong to it.
    fn walk_body(&mut self, bytes: &[u8]) -> usize {
        let Reading::Body(end) = &mut self.reading else {
            return 0;
        };
        let (taken, is_whole) = match end {
            BodyEnd::Connection => (bytes.len(), false),
            BodyEnd::Length(left) => {
                let taken = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                *left -= taken as u64;
                (taken, *left == 0)
            }
            BodyEnd::Chunks(chunks) => match chunks.walk(bytes) {
                Ok(Some(taken)) => (taken, true),
                Ok(None) => (bytes.len(), false),
                // Nothing of it is handed on, so the library reports a body that ended early.
                Err(_) => {
                    self.ended = true;
                    (0, false)
                }
            },
        };
        if is_whole {
            self.reading = Reading::Answer;
            self.connection.enter(Phase::Handling);
        }
        taken
    }

    fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
        if buffer.filled().len() == before {
            self.ended = true;
            return Poll::Ready(Ok(()));
        }

        let new = &buffer.filled()[before..];
        let taken = self.walk_body(new);
        self.held.extend_from_slice(&new[taken..]);
        buffer.set_filled(before + taken);
        Poll::Ready(Ok(()))
    }

    /// Reads the start of the next request, if it is there already. Otherwise its arrival wakes the
    /// connection.
    fn poll_ahead(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        while !self.ended && self.held.is_empty() {
            ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
            self.ended = buffer.filled().len() == before;
            self.held.extend_from_slice(&buffer.filled()[before..]);
            buffer.set_filled(before);
        }
        Poll::Pending
    }

    /// Hands on a request of ours, whose handler refuses the head.
    fn refuse(&mut self, refusal: HeadRefusal) {
        self.connection.refuse(refusal);
        self.connection.hold_head(0);
        self.connection.enter(Phase::Handling);
        self.held = STAND_IN.to_vec();
        self.ready = STAND_IN.len();
        self.is_last = true;
        self.reading = Reading::Over;
    }

    /// The answer is written. Now the next request may begin.
    pub(super) fn after_answer(&mut self, cx: &mut Context<'_>) {
        // Nobody counts a connection that was cut, so it must not wait for another request.
        let is_over = self.is_last
            || self.connection.is_cut()
            || self.connection.closes.load(Relaxed)
            || !matches!(self.reading, Reading::Answer);
        self.connection.requests.fetch_add(1, Relaxed);
        if is_over {
            self.reading = Reading::Over;
            self.held = Vec::new();
            self.ready = 0;
            self.connection.enter(Phase::Closing);
            cx.waker().wake_by_ref();
            return;
        }

        self.reading = Reading::Head(EndOfHead::default());
        if self.held.is_empty() && !self.ended {
            self.connection.enter(Phase::Idle);
            return;
        }
        self.connection.enter(Phase::Head);
        self.connection.hold_head(self.held.len());
        cx.waker().wake_by_ref();
    }
}

impl From<BadHead> for HeadRefusal {
    fn from(bad: BadHead) -> Self {
        match bad {
            BadHead::Malformed => Self::Malformed,
            BadHead::TooManyHeaders => Self::TooLarge,
        }
    }
}

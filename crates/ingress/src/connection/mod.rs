//! What ingress does with a connection around its HTTP library.
//!
//! actix-http times the first head of a connection only, takes heads of 128 KiB, parses an
//! unfinished head again with each byte, and reads on after the last request. So each connection is
//! wrapped: [`stream`] hands on one whole request head at a time, and [`table`] knows all
//! connections and cuts those that are too slow or that keep others out.

mod chunks;
mod head;
mod listener;
mod source;
mod stream;
mod stream_io;
#[cfg(test)]
mod stream_tests;
mod sweep;
mod table;
#[cfg(test)]
mod tests;

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};
use std::task::Waker;

use futures_util::task::AtomicWaker;

pub(crate) use listener::{Listener, serve};
pub(crate) use source::Source;
pub(crate) use sweep::Clock;
pub(crate) use table::{ConnectionLimits, Connections};

/// What a connection is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// A TLS handshake or a request head is under way. It begins with the connection.
    Head,
    /// The last request was answered, and the next one has not begun.
    Idle,
    /// The body of a request arrives.
    Body,
    /// A whole request is handled. Such a connection is never cut.
    Handling,
    /// An answer is not taken by the client.
    Writing,
    /// Everything was answered, and the client has not closed its side yet.
    Closing,
}

impl Phase {
    fn from_stored(stored: u8) -> Self {
        match stored {
            0 => Self::Head,
            1 => Self::Idle,
            2 => Self::Body,
            3 => Self::Handling,
            4 => Self::Writing,
            _ => Self::Closing,
        }
    }
}

/// Why a request is refused before it reaches the HTTP library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum HeadRefusal {
    Malformed,
    TooLarge,
    TooSlow,
}

/// The place of an open connection among all. It is given back when this is dropped.
struct Place(Arc<Connection>);

impl Deref for Place {
    type Target = Arc<Connection>;

    fn deref(&self) -> &Arc<Connection> {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.hold_head(0);
        self.0.table.forget(&self.0);
    }
}

/// One connection, as its stream, its handler and the table share it.
///
/// Only the worker thread of the connection writes the flags that its stream and its handler
/// share. They are atomic because the table reads others from another thread.
pub(crate) struct Connection {
    source: Source,
    /// The peer is a proxy of ours, which has many senders behind it.
    is_proxy: bool,
    table: Arc<Connections>,
    id: u64,
    opened: u32,
    phase: AtomicU8,
    since: AtomicU32,
    /// Bytes held of a head that is not whole.
    head_bytes: AtomicU32,
    /// The sender of the request under way is known by its path secret or signature.
    is_proven: AtomicBool,
    /// The time for its next head is over.
    is_late: AtomicBool,
    is_cut: AtomicBool,
    refusal: AtomicU8,
    /// The answer was given to the HTTP library and is not written yet.
    answered: AtomicBool,
    closes: AtomicBool,
    requests: AtomicU32,
    waker: AtomicWaker,
}

impl Connection {
    fn new(table: Arc<Connections>, id: u64, source: Source, is_proxy: bool) -> Self {
        let now = table.clock.now();
        Self {
            source,
            is_proxy,
            table,
            id,
            opened: now,
            phase: AtomicU8::new(Phase::Head as u8),
            since: AtomicU32::new(now),
            head_bytes: AtomicU32::new(0),
            is_proven: AtomicBool::new(false),
            is_late: AtomicBool::new(false),
            is_cut: AtomicBool::new(false),
            refusal: AtomicU8::new(0),
            answered: AtomicBool::new(false),
            closes: AtomicBool::new(false),
            requests: AtomicU32::new(0),
            waker: AtomicWaker::new(),
        }
    }

    fn phase(&self) -> Phase {
        Phase::from_stored(self.phase.load(Relaxed))
    }

    fn enter(&self, phase: Phase) {
        self.since.store(self.table.clock.now(), Relaxed);
        self.phase.store(phase as u8, Relaxed);
    }

    /// Whether the sender of the request under way is known. A connection whose sender is known is
    /// the last to be cut where others need room.
    pub(crate) fn set_proven(&self, is_proven: bool) {
        self.is_proven.store(is_proven, Relaxed);
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut.load(Relaxed)
    }

    /// Ends the connection as soon as its task runs. Nobody counts it any more.
    pub(crate) fn cut(&self) {
        self.table.forget(self);
        self.mark_cut();
    }

    fn mark_cut(&self) {
        self.is_cut.store(true, Relaxed);
        self.waker.wake();
    }

    fn is_late(&self) -> bool {
        self.is_late.load(Relaxed)
    }

    /// Ends the wait for the next head.
    fn mark_late(&self) {
        self.is_late.store(true, Relaxed);
        self.waker.wake();
    }

    /// Notes how many bytes are held of a head that is not whole.
    fn hold_head(&self, bytes: usize) {
        let now = u32::try_from(bytes).unwrap_or(u32::MAX);
        let before = self.head_bytes.swap(now, Relaxed);
        if now != before {
            self.table.heads_changed(before, now);
        }
    }

    /// Whether the connection has no more time for its handshake.
    fn is_given_up(&self) -> bool {
        self.is_cut() || self.is_late()
    }

    fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    fn refuse(&self, refusal: HeadRefusal) {
        self.refusal.store(refusal as u8 + 1, Relaxed);
    }

    /// Why the request that is handled now stands in for one that was refused.
    pub(crate) fn refusal(&self) -> Option<HeadRefusal> {
        match self.refusal.load(Relaxed) {
            1 => Some(HeadRefusal::Malformed),
            2 => Some(HeadRefusal::TooLarge),
            3 => Some(HeadRefusal::TooSlow),
            _ => None,
        }
    }

    /// Whether the answer under way should be the last: the connection is old, has had many
    /// requests, or others need its place.
    pub(crate) fn is_over(&self) -> bool {
        let limits = &self.table.limits;
        let age = self.table.clock.now().wrapping_sub(self.opened);
        self.is_cut()
            || self.requests.load(Relaxed) + 1 >= limits.requests_max
            || age >= limits.age_ticks
            || self.table.is_crowded()
            || self.table.is_draining()
    }

    /// Notes that the handler has answered. Once the answer is written, the next request may begin,
    /// unless this one closes the connection.
    pub(crate) fn answered(&self, closes: bool) {
        self.closes.store(closes, Relaxed);
        self.answered.store(true, Relaxed);
    }
}

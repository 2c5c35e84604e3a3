//! All open connections: their number, in all and for each source, and which of them are cut.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::sweep::Clock;
use super::{Connection, Phase, Place, Source};
use crate::metrics::{ConnectionMetrics, Cut};
use crate::source::TrustedProxies;

/// Bytes of all heads that are not whole.
const HEADS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A body that arrives is cut for another connection's place only after this long.
const BODY_TICKS_MIN: u32 = 5;
/// The part of the places that is made free at once. A look at all connections then serves many
/// new ones.
const BATCH_PART: usize = 16;

#[derive(Debug)]
pub(crate) struct ConnectionLimits {
    /// Open connections.
    pub(crate) open_max: usize,
    /// Open connections of one source that is no proxy of ours.
    pub(crate) per_source_max: usize,
    pub(crate) head_ticks: u32,
    pub(crate) idle_ticks: u32,
    pub(crate) age_ticks: u32,
    pub(crate) requests_max: u32,
}

pub(crate) struct Connections {
    pub(super) limits: ConnectionLimits,
    pub(super) clock: Arc<Clock>,
    proxies: TrustedProxies,
    pub(super) metrics: ConnectionMetrics,
    open: Mutex<Open>,
    /// As many as in `open`, to be read without its lock.
    count: AtomicUsize,
    heads_bytes: AtomicUsize,
    pub(super) is_draining: AtomicBool,
}

#[derive(Default)]
pub(super) struct Open {
    pub(super) connections: HashMap<u64, Arc<Connection>>,
    per_source: HashMap<Source, usize>,
    last_id: u64,
}

impl Open {
    pub(super) fn remove(&mut self, id: u64) -> Option<Arc<Connection>> {
        let connection = self.connections.remove(&id)?;
        if let Some(count) = self.per_source.get_mut(&connection.source) {
            *count -= 1;
            if *count == 0 {
                self.per_source.remove(&connection.source);
            }
        }
        Some(connection)
    }

    fn of(&self, source: Source) -> usize {
        self.per_source.get(&source).copied().unwrap_or_default()
    }
}

impl Connections {
    pub(crate) fn new(
        limits: ConnectionLimits,
        proxies: TrustedProxies,
        metrics: ConnectionMetrics,
    ) -> Arc<Self> {
        Arc::new(Self {
            limits,
            clock: Arc::default(),
            proxies,
            metrics,
            open: Mutex::default(),
            count: AtomicUsize::new(0),
            heads_bytes: AtomicUsize::new(0),
            is_draining: AtomicBool::new(false),
        })
    }

    pub(crate) fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    /// Takes in a connection from this address. Where places are scarce, others are cut for it.
    /// `None` when its source has all its places in use.
    pub(super) fn open(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let source = Source::from(peer);
        let is_proxy = self.proxies.contains(peer);
        let mut open = self.lock();

        let mut victims = Vec::new();
        if !is_proxy && open.of(source) >= self.limits.per_source_max {
            let count = self.limits.per_source_max.div_ceil(BATCH_PART);
            let of_this_source = |other: &Connection| other.source == source;
            victims = self.remove_least(&mut open, count, of_this_source);
            self.metrics.cut(Cut::Source, victims.len());
            if victims.is_empty() {
                self.metrics.cut(Cut::Source, 1);
                return None;
            }
        }
        if open.connections.len() >= self.places_kept_full() {
            let count = self.limits.open_max.div_ceil(BATCH_PART);
            let more = self.remove_least(&mut open, count, |_| true);
            self.metrics.cut(Cut::Crowd, more.len());
            victims.extend(more);
        }

        open.last_id += 1;
        let id = open.last_id;
        let connection = Arc::new(Connection::new(Arc::clone(self), id, source, is_proxy));
        open.connections.insert(id, Arc::clone(&connection));
        *open.per_source.entry(source).or_default() += 1;
        self.note_count(&open);
        drop(open);

        for victim in victims {
            victim.mark_cut();
        }
        Some(Place(connection))
    }

    /// No longer counts the connection. It may be called again for the same one.
    pub(super) fn forget(&self, connection: &Connection) {
        let mut open = self.lock();
        open.remove(connection.id);
        self.note_count(&open);
    }

    /// Whether few places are left, so that each answer should free one.
    pub(super) fn is_crowded(&self) -> bool {
        self.count.load(Relaxed) >= self.limits.open_max - self.limits.open_max / 4
    }

    pub(super) fn is_draining(&self) -> bool {
        self.is_draining.load(Relaxed)
    }

    /// From so many on, a new connection cuts others. The rest of the places is for connections that
    /// were cut and are not gone yet.
    fn places_kept_full(&self) -> usize {
        self.limits.open_max
            - self
                .limits
                .open_max
                .div_ceil(BATCH_PART)
                .min(self.limits.open_max / 2)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note_count(&self, open: &Open) {
        let count = open.connections.len();
        self.count.store(count, Relaxed);
        self.metrics.set_open(count);
    }

    /// Removes up to this many connections that may be cut, those that others need least first.
    fn remove_least(
        &self,
        open: &mut Open,
        count: usize,
        may: impl Fn(&Connection) -> bool,
    ) -> Vec<Arc<Connection>> {
        let now = self.clock.now();
        let mut ranked: Vec<(Rank, u64)> = open
            .connections
            .values()
            .filter(|connection| may(connection))
            .filter_map(|connection| {
                let others = if connection.is_proxy {
                    0
                } else {
                    open.of(connection.source)
                };
                Some((rank(connection, others, now)?, connection.id))
            })
            .collect();
        if ranked.len() > count {
            ranked.select_nth_unstable(count);
            ranked.truncate(count);
        }
        ranked
            .into_iter()
            .filter_map(|(_, id)| open.remove(id))
            .collect()
    }

    /// Notes that the bytes held of an unfinished head changed. Where all heads together hold too
    /// much, the largest are cut.
    pub(super) fn heads_changed(&self, before: u32, now: u32) {
        let (before, now) = (before as usize, now as usize);
        self.heads_bytes.fetch_add(now, Relaxed);
        let sum = self.heads_bytes.fetch_sub(before, Relaxed) - before;
        if now > before && sum > HEADS_BYTES_MAX {
            self.cut_largest_heads();
        }
    }

    fn cut_largest_heads(&self) {
        let mut open = self.lock();
        let mut held: Vec<(Reverse<u32>, u64)> = open
            .connections
            .values()
            .filter(|connection| connection.phase() == Phase::Head)
            .map(|connection| (Reverse(connection.head_bytes.load(Relaxed)), connection.id))
            .collect();
        held.sort_unstable();
        let mut freed = 0;
        let mut victims = Vec::new();
        for (bytes, id) in held {
            if freed >= HEADS_BYTES_MAX / BATCH_PART {
                break;
            }
            freed += bytes.0 as usize;
            victims.extend(open.remove(id));
        }
        self.note_count(&open);
        drop(open);

        self.metrics.cut(Cut::Memory, victims.len());
        for victim in victims {
            // It is free in a moment. Until then, nobody else is cut for it.
            victim.hold_head(0);
            victim.mark_cut();
        }
    }
}

/// How little others need the connection: the least rank is cut first. Among equals it is the one
/// whose source has the most connections, and then the one that has waited longest.
type Rank = (u8, Reverse<usize>, u32);

/// `None` for a connection that must not be cut.
fn rank(connection: &Connection, of_its_source: usize, now: u32) -> Option<Rank> {
    let since = connection.since.load(Relaxed);
    let is_proven = connection.is_proven.load(Relaxed);
    let class = match (connection.phase(), is_proven) {
        (Phase::Closing, _) => 0,
        (Phase::Writing, _) => 1,
        (Phase::Head, _) => 2,
        (Phase::Idle, false) => 3,
        (Phase::Idle, true) => 4,
        (Phase::Body, _) if now.wrapping_sub(since) < BODY_TICKS_MIN => return None,
        (Phase::Body, false) => 5,
        (Phase::Body, true) => 6,
        (Phase::Handling, _) => return None,
    };
    Some((class, Reverse(of_its_source), since))
}

//! The times of all connections, looked at once in a tick.
//!
//! Time is counted in ticks of this process. A process that was frozen has not waited for anybody,
//! so its connections are not late when it goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::table::Connections;
use super::{Connection, Phase};
use crate::metrics::Cut;

const TICK: Duration = Duration::from_millis(100);
/// How long a client may take to close its side after the last answer.
const CLOSING_TICKS: u32 = 20;
/// How long a head may still take once no more connections are taken.
const DRAINING_TICKS: u32 = 10;
/// Under pressure, a head or an idle connection gets this part of its usual time.
const PRESSED_PART: u32 = 5;

/// Ticks since the start.
#[derive(Debug, Default)]
pub(crate) struct Clock(AtomicU32);

impl Clock {
    pub(crate) fn now(&self) -> u32 {
        self.0.load(Relaxed)
    }

    /// The ticks that make this time, at least one.
    pub(crate) fn ticks(time: Duration) -> u32 {
        let ticks = time.as_millis().div_ceil(TICK.as_millis()).max(1);
        u32::try_from(ticks).unwrap_or(u32::MAX / 2)
    }

    #[cfg(test)]
    pub(crate) fn advance(&self, ticks: u32) {
        self.0.fetch_add(ticks, Relaxed);
    }
}

impl Connections {
    /// Counts the time and ends what is late, until `end`. From the shutdown on, it closes
    /// connections that have no request under way.
    pub(crate) async fn follow(
        self: Arc<Self>,
        shutdown: CancellationToken,
        end: CancellationToken,
    ) {
        let mut ticks = tokio::time::interval(TICK);
        // Ticks that were missed are not made up for.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let following = async {
            loop {
                tokio::select! {
                    _ = ticks.tick() => {}
                    () = shutdown.cancelled(), if !self.is_draining() => {
                        self.is_draining.store(true, Relaxed);
                    }
                }
                self.clock.0.fetch_add(1, Relaxed);
                self.sweep();
            }
        };
        end.run_until_cancelled(following).await;
    }

    pub(super) fn sweep(&self) {
        let now = self.clock.now();
        let is_crowded = self.is_crowded();
        let mut late = Vec::new();
        let mut cut = Vec::new();
        let mut open = self.lock();
        for connection in open.connections.values() {
            match self.verdict(connection, now, is_crowded) {
                Verdict::InTime => {}
                Verdict::Late => late.push(Arc::clone(connection)),
                Verdict::Cut => cut.push(connection.id),
            }
        }
        let cut: Vec<_> = cut.into_iter().filter_map(|id| open.remove(id)).collect();
        self.note_count(&open);
        drop(open);

        self.metrics.cut(Cut::Slow, cut.len());
        late.iter().for_each(|connection| connection.mark_late());
        cut.iter().for_each(|connection| connection.mark_cut());
    }

    fn verdict(&self, connection: &Connection, now: u32, is_crowded: bool) -> Verdict {
        let limits = &self.limits;
        let pressed = |ticks: u32| match is_crowded {
            true => (ticks / PRESSED_PART).max(1),
            false => ticks,
        };
        let is_old = now.wrapping_sub(connection.opened) >= limits.age_ticks;
        let (allowed, then) = match connection.phase() {
            Phase::Head if self.is_draining() => (DRAINING_TICKS, Verdict::Late),
            Phase::Head => (pressed(limits.head_ticks), Verdict::Late),
            Phase::Idle if self.is_draining() || is_old => (0, Verdict::Late),
            Phase::Idle => (pressed(limits.idle_ticks), Verdict::Late),
            Phase::Writing => (limits.head_ticks, Verdict::Cut),
            Phase::Closing => (CLOSING_TICKS, Verdict::Cut),
            // The handler has its own bounds.
            Phase::Body | Phase::Handling => return Verdict::InTime,
        };
        let since = connection.since.load(Relaxed);
        // The phase may have begun after the time was read.
        let waited = now.wrapping_sub(since);
        if waited > allowed && waited < u32::MAX / 2 || allowed == 0 {
            then
        } else {
            Verdict::InTime
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    InTime,
    /// Its next head is no longer awaited.
    Late,
    Cut,
}

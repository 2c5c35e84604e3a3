//! One KRA host in this worker's memory: its share of the calls (protocol D5) and its breaker
//! (protocol D13). So neither costs a query per call.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use risiti_domain::DeviceId;
use risiti_ledger::{Breaker, FailureRun, HEARTBEAT_EXPIRY, HostShares, HostState};
use tokio::sync::Notify;

use crate::demand::Demand;

#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) name: String,
    state: Mutex<ShareAndBreaker>,
    changed: Notify,
}

#[derive(Debug)]
struct ShareAndBreaker {
    share: u32,
    demand: Demand,
    /// What was shared out to nobody at the last heartbeat.
    unshared: u32,
    in_use: u32,
    /// Calls that were given up at the end of the grace, while KRA may still work on them.
    abandoned: u32,
    /// Lanes that wait for a place.
    waiting: u32,
    /// When the last confirmed heartbeat was sent.
    heartbeat: Option<Instant>,
    breaker: Breaker,
    /// Until when an open breaker lets no trial through.
    open_until: Instant,
    /// Whether a lane of this worker is making the trial call.
    trial_here: bool,
    retry_step: u32,
    /// What the calls of all workers met, as the host's row had it last.
    stored: FailureRun,
    /// What this worker is telling the row now.
    told: FailureRun,
    /// What its calls met since.
    news: FailureRun,
}

/// Whether a call may be made now.
#[derive(Debug)]
pub(crate) enum Admission {
    Call(Permit),
    /// The call would be the trial call, which the ledger has to allow first.
    Trial(Permit, TrialGuard),
    /// No call until a permit comes back or the share grows.
    Full,
    /// No call while the breaker is open.
    Open,
}

/// One call's place under the cap. It is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Host>);

/// A lane that waits for a place, until this is dropped.
#[derive(Debug)]
pub(crate) struct WaitGuard<'a>(&'a Host);

/// This worker's only trial of the host. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct TrialGuard(Arc<Host>);

impl Host {
    pub(crate) fn new(name: &str) -> Self {
        let state = ShareAndBreaker {
            share: 0,
            demand: Demand::default(),
            unshared: 0,
            in_use: 0,
            abandoned: 0,
            waiting: 0,
            heartbeat: None,
            breaker: Breaker::Closed,
            open_until: Instant::now(),
            trial_here: false,
            retry_step: 0,
            stored: FailureRun::default(),
            told: FailureRun::default(),
            news: FailureRun::default(),
        };
        Self {
            name: name.to_owned(),
            state: Mutex::new(state),
            changed: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, ShareAndBreaker> {
        // The fields are consistent between any two statements, so that a panic elsewhere did no
        // harm.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn admit(self: &Arc<Self>, in_trial: bool) -> Admission {
        let mut state = self.state();
        let trial = state.breaker != Breaker::Closed && !in_trial;
        if trial && (state.trial_here || Instant::now() < state.open_until) {
            return Admission::Open;
        }
        if !state.is_fresh() || state.in_use >= state.share {
            return Admission::Full;
        }
        state.in_use += 1;
        if !trial {
            return Admission::Call(Permit(self.clone()));
        }
        state.trial_here = true;
        Admission::Trial(Permit(self.clone()), TrialGuard(self.clone()))
    }

    /// Counts a call as given up.
    pub(crate) fn abandon_call(&self) {
        self.state().abandoned += 1;
    }

    pub(crate) fn abandoned(&self) -> u32 {
        self.state().abandoned
    }

    /// Counts a lane as waiting.
    pub(crate) fn wait(&self) -> WaitGuard<'_> {
        self.state().waiting += 1;
        WaitGuard(self)
    }

    pub(crate) fn has_waiting(&self) -> bool {
        self.state().waiting > 0
    }

    /// Waits for a change after which `admit` may decide otherwise.
    pub(crate) fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.changed.notified()
    }

    /// Takes how many lanes this worker had at once since the last heartbeat, and returns how many
    /// calls it wants.
    pub(crate) fn want(&self, lanes: u32) -> u32 {
        let mut state = self.state();
        state.demand.follow(lanes);
        state.demand.calls()
    }

    pub(crate) fn wanted(&self) -> u32 {
        self.state().demand.calls()
    }

    /// Whether there may be more of the cap for this worker than it has.
    pub(crate) fn may_get_more(&self) -> bool {
        let state = self.state();
        state.is_fresh() && state.unshared > state.share
    }

    /// Takes the share that it should have, as far as it is not higher. Returns it, and what to
    /// record as held.
    ///
    /// A lower share applies at once, but the calls under way still count as held. A higher one
    /// applies only once it is recorded (`confirm`).
    pub(crate) fn settle(&self, others: &HostShares, cap: u32) -> (u32, u32) {
        let mut state = self.state();
        let share = others.share(cap, state.demand.calls());
        state.unshared = others.unshared(cap);
        state.share = state.share.min(share);
        (share, share.max(state.in_use))
    }

    /// The share is recorded, by a heartbeat that was sent then.
    pub(crate) fn confirm(&self, share: u32, sent_at: Instant) {
        let mut state = self.state();
        state.share = share;
        state.heartbeat = Some(sent_at);
        drop(state);
        self.changed.notify_waiters();
    }

    /// No share is recorded, so that nothing more is sent. Calls under way go on.
    pub(crate) fn lose_share(&self) {
        let mut state = self.state();
        state.share = 0;
        state.heartbeat = None;
    }

    pub(crate) fn share(&self) -> u32 {
        self.state().share
    }

    /// Whether the heartbeat is young enough to make a call.
    pub(crate) fn is_fresh(&self) -> bool {
        self.state().is_fresh()
    }

    /// Takes over the stored breaker, which another worker may have opened, tried or closed.
    pub(crate) fn observe(&self, stored: &HostState) {
        let mut state = self.state();
        if stored.breaker == Breaker::Closed && state.breaker != Breaker::Closed {
            state.news = FailureRun::default();
        }
        state.stored = stored.failures;
        state.told = FailureRun::default();
        state.breaker = stored.breaker;
        state.open_until = Instant::now() + stored.retry_in;
        state.retry_step = stored.retry_step;
        drop(state);
        self.changed.notify_waiters();
    }

    pub(crate) fn breaker(&self) -> Breaker {
        self.state().breaker
    }

    /// Counts a failure. Returns the step to open the breaker at, once there were enough in a row.
    ///
    /// `only` is the lane if the host answered with a code, which may concern its invoice alone.
    pub(crate) fn failed(&self, enough: u32, only: Option<DeviceId>) -> Option<u32> {
        let mut state = self.state();
        state.news = state.news.then(FailureRun::failure(only));
        state.due_step(enough)
    }

    /// The step to open the breaker at, if there were enough failures of all workers in a row.
    pub(crate) fn due_step(&self, enough: u32) -> Option<u32> {
        self.state().due_step(enough)
    }

    /// Whether calls of other lanes have failed since the host last worked.
    pub(crate) fn fails_for_others(&self, lane: DeviceId) -> bool {
        self.state().failures().concerns_others(lane)
    }

    /// The step to open the breaker at after a failed trial.
    pub(crate) fn next_step(&self) -> u32 {
        self.state().retry_step + 1
    }

    pub(crate) fn opened(&self, pause: Duration) {
        let mut state = self.state();
        state.breaker = Breaker::Open;
        state.retry_step += 1;
        state.open_until = Instant::now() + pause;
    }

    pub(crate) fn closed(&self) {
        let mut state = self.state();
        state.breaker = Breaker::Closed;
        state.stored = FailureRun::default();
        state.told = FailureRun::default();
        state.news = FailureRun::default();
        state.retry_step = 0;
        drop(state);
        self.changed.notify_waiters();
    }

    /// A sale was answered. Whatever the answer was, the host works.
    pub(crate) fn worked(&self) {
        let mut state = self.state();
        state.news = state.news.then(FailureRun::WORKED);
    }

    /// What to tell the host's row, if there are news. What could not be told the last time is told
    /// again: a failure that counts twice opens the breaker a call earlier.
    pub(crate) fn take_news(&self) -> Option<FailureRun> {
        let mut state = self.state();
        state.told = state.told.then(state.news);
        state.news = FailureRun::default();
        (state.told != FailureRun::default()).then_some(state.told)
    }
}

impl ShareAndBreaker {
    /// What the calls of all workers met, and this worker's own since the last heartbeat.
    fn failures(&self) -> FailureRun {
        self.stored.then(self.told).then(self.news)
    }

    fn due_step(&self, enough: u32) -> Option<u32> {
        let opens = self.breaker == Breaker::Closed && self.failures().opens(enough);
        opens.then_some(self.retry_step + 1)
    }

    /// A worker without a heartbeat for half the expiry may have lost its share by the time its
    /// call arrives. This process' monotonic clock decides, because a frozen process cannot know
    /// otherwise how long it slept.
    fn is_fresh(&self) -> bool {
        self.heartbeat
            .is_some_and(|sent| sent.elapsed() < HEARTBEAT_EXPIRY / 2)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.state().in_use -= 1;
        self.0.changed.notify_one();
    }
}

impl Drop for WaitGuard<'_> {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}

impl Drop for TrialGuard {
    fn drop(&mut self) {
        self.0.state().trial_here = false;
    }
}

#[cfg(test)]
mod tests;

//! One KRA host as this worker knows it, in memory: its share of the calls (protocol D5) and its breaker
//! (protocol D13), so that neither costs a query per call.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use risiti_domain::DeviceId;
use risiti_ledger::{Breaker, HEARTBEAT_EXPIRY, HostShares, HostState};
use tokio::sync::Notify;

#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) name: String,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    share: u32,
    in_use: u32,
    /// When the last heartbeat that was confirmed had been sent.
    heartbeat: Option<Instant>,
    breaker: Breaker,
    /// Until when an open breaker stays open.
    closed_until: Instant,
    /// A lane of this worker is making the trial call.
    trial_here: bool,
    retry_step: u32,
    failures: u32,
    /// The lane of the first of these failures, while no other lane has failed.
    only_lane: Option<DeviceId>,
    answered: bool,
}

/// Whether a call may be made now.
#[derive(Debug)]
pub(crate) enum Admission {
    Call(Permit),
    /// As `Call`, but the breaker has to be asked for the trial first.
    Trial(Permit, TrialHere),
    /// Not until a permit comes back or the share grows.
    Full,
    /// Not while the breaker is open.
    Open,
}

/// One call's place under the cap; free again when dropped.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Host>);

/// This worker's one trial; over when dropped.
#[derive(Debug)]
pub(crate) struct TrialHere(Arc<Host>);

impl Host {
    pub(crate) fn new(name: &str) -> Self {
        let state = State {
            share: 0,
            in_use: 0,
            heartbeat: None,
            breaker: Breaker::Closed,
            closed_until: Instant::now(),
            trial_here: false,
            retry_step: 0,
            failures: 0,
            only_lane: None,
            answered: false,
        };
        Self {
            name: name.to_owned(),
            state: Mutex::new(state),
            changed: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whole between any two statements, so a panic elsewhere cannot have broken it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn admit(self: &Arc<Self>, in_trial: bool) -> Admission {
        let mut state = self.state();
        let trial = state.breaker != Breaker::Closed && !in_trial;
        if trial && (state.trial_here || Instant::now() < state.closed_until) {
            return Admission::Open;
        }
        if !state.fresh() || state.in_use >= state.share {
            return Admission::Full;
        }
        state.in_use += 1;
        if !trial {
            return Admission::Call(Permit(self.clone()));
        }
        state.trial_here = true;
        Admission::Trial(Permit(self.clone()), TrialHere(self.clone()))
    }

    /// Waits for anything that may change what `admit` says.
    pub(crate) fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.changed.notified()
    }

    /// Takes the share that the others leave, and returns what to write down as held: a lower share holds
    /// at once, but the calls under way still count; a higher one only once it is written (`confirm`).
    pub(crate) fn settle(&self, others: &HostShares, cap: u32) -> (u32, u32) {
        let share = others.share(cap);
        let mut state = self.state();
        state.share = state.share.min(share);
        (share, share.max(state.in_use))
    }

    pub(crate) fn confirm(&self, share: u32, sent: Instant) {
        let mut state = self.state();
        state.share = share;
        state.heartbeat = Some(sent);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Short of its part, so worth another heartbeat soon.
    pub(crate) fn is_fresh(&self) -> bool {
        self.state().fresh()
    }

    /// Another worker may have opened, tried or closed the breaker.
    pub(crate) fn observe(&self, seen: &HostState) {
        let mut state = self.state();
        if seen.breaker == Breaker::Closed && state.breaker != Breaker::Closed {
            state.failures = 0;
        }
        state.breaker = seen.breaker;
        state.closed_until = Instant::now() + seen.retry_in;
        state.retry_step = seen.retry_step;
        drop(state);
        self.changed.notify_waiters();
    }

    pub(crate) fn breaker(&self) -> Breaker {
        self.state().breaker
    }

    /// Counts a failure. The step to open the breaker at, once there were enough in a row.
    ///
    /// `only`: the host spoke, and said something that may be the trouble of this lane's invoice alone. Its lane's
    /// back-off deals with that: the breaker would hold up everybody else for it.
    pub(crate) fn failed(&self, enough: u32, only: Option<DeviceId>) -> Option<u32> {
        let mut state = self.state();
        state.only_lane = match only {
            Some(lane) if state.failures == 0 || state.only_lane == Some(lane) => Some(lane),
            _ => None,
        };
        state.failures = state.failures.saturating_add(1);
        let enough = state.failures >= enough && state.only_lane.is_none();
        (state.breaker == Breaker::Closed && enough).then_some(state.retry_step + 1)
    }

    /// The step to open the breaker at again after a trial.
    pub(crate) fn next_step(&self) -> u32 {
        self.state().retry_step + 1
    }

    pub(crate) fn opened(&self, pause: Duration) {
        let mut state = self.state();
        state.breaker = Breaker::Open;
        state.retry_step += 1;
        state.closed_until = Instant::now() + pause;
    }

    pub(crate) fn closed(&self) {
        let mut state = self.state();
        state.breaker = Breaker::Closed;
        state.failures = 0;
        state.retry_step = 0;
        drop(state);
        self.changed.notify_waiters();
    }

    /// A sale was answered: whatever it said, the host works.
    pub(crate) fn worked(&self) {
        let mut state = self.state();
        state.failures = 0;
        state.answered = true;
    }

    pub(crate) fn take_answered(&self) -> bool {
        std::mem::take(&mut self.state().answered)
    }
}

impl State {
    /// A worker that was not heard of for half the expiry may have lost its share by the time a call of its
    /// arrives. On this process' own clock: a frozen one cannot know how long it slept otherwise.
    fn fresh(&self) -> bool {
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

impl Drop for TrialHere {
    fn drop(&mut self) {
        self.0.state().trial_here = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn others(others: u32, taken: u32) -> HostShares {
        HostShares {
            host: "kra:443".to_owned(),
            others,
            taken,
            before: 0,
        }
    }

    fn host_with(share: u32) -> Arc<Host> {
        let host = Arc::new(Host::new("kra:443"));
        host.confirm(share, Instant::now());
        host
    }

    fn call(host: &Arc<Host>) -> Option<Permit> {
        match host.admit(false) {
            Admission::Call(permit) => Some(permit),
            _ => None,
        }
    }

    #[test]
    fn nothing_is_sent_before_the_first_heartbeat_and_after_a_stale_one() {
        let host = Arc::new(Host::new("kra:443"));
        assert!(call(&host).is_none());
        host.confirm(5, Instant::now());
        assert!(call(&host).is_some());
        let stale = Instant::now().checked_sub(HEARTBEAT_EXPIRY / 2).unwrap();
        host.confirm(5, stale);
        assert!(call(&host).is_none());
    }

    #[test]
    fn the_share_bounds_the_calls_and_permits_come_back() {
        let host = host_with(2);
        let (one, two) = (call(&host), call(&host));
        assert!(one.is_some() && two.is_some() && call(&host).is_none());
        drop(one);
        assert!(call(&host).is_some());
    }

    #[test]
    fn a_lower_share_holds_at_once_and_still_counts_the_calls_under_way() {
        let host = host_with(4);
        let held: Vec<_> = (0..4).map(|_| call(&host).unwrap()).collect();
        assert_eq!(
            host.settle(&others(1, 0), 4),
            (2, 4),
            "four calls are under way"
        );
        drop(held);
        assert_eq!(host.settle(&others(1, 0), 4), (2, 2));
        let held: Vec<_> = (0..4).map_while(|_| call(&host)).collect();
        assert_eq!(held.len(), 2);
    }

    #[test]
    fn a_higher_share_waits_until_it_is_written() {
        let host = host_with(1);
        assert_eq!(host.settle(&others(0, 0), 3), (3, 3));
        let held: Vec<_> = (0..3).map_while(|_| call(&host)).collect();
        assert_eq!(held.len(), 1);
        host.confirm(3, Instant::now());
        assert!(call(&host).is_some());
    }

    #[test]
    fn enough_failures_in_a_row_open_and_an_answer_starts_the_count_anew() {
        let host = host_with(5);
        assert_eq!((host.failed(3, None), host.failed(3, None)), (None, None));
        host.worked();
        let failed = [
            host.failed(3, None),
            host.failed(3, None),
            host.failed(3, None),
        ];
        assert_eq!(failed, [None, None, Some(1)]);
    }

    #[test]
    fn one_lane_alone_does_not_close_the_host_to_the_others() {
        let lane = |id| Some(DeviceId::from_uuid(uuid::Uuid::from_u128(id)));
        let host = host_with(5);
        assert!((0..20).all(|_| host.failed(3, lane(1)).is_none()));
        assert_eq!(host.failed(3, lane(2)), Some(1), "two lanes");
        host.worked();
        assert!((0..20).all(|_| host.failed(3, lane(1)).is_none()));
        assert_eq!(host.failed(3, None), Some(1), "no answer at all");
    }

    #[test]
    fn one_trial_at_a_time_once_the_pause_is_over() {
        let host = host_with(5);
        host.opened(Duration::from_secs(60));
        assert!(matches!(host.admit(false), Admission::Open));
        host.opened(Duration::ZERO);
        let Admission::Trial(_permit, trial) = host.admit(false) else {
            panic!("no trial")
        };
        assert!(matches!(host.admit(false), Admission::Open));
        assert!(
            matches!(host.admit(true), Admission::Call(_)),
            "the trial's own next call"
        );
        drop(trial);
        assert!(matches!(host.admit(false), Admission::Trial(..)));
    }
}

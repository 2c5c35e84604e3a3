//! All hosts: permits for calls, and what calls say about the breakers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::Rng;
use risiti_domain::DeviceId;
use risiti_ledger::{Breaker, BreakerChange, Ledger, LedgerError};
use tokio::sync::Notify;
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::host::{Admission, Host, Permit, TrialGuard};
use crate::metrics::Metrics;
use crate::places::Places;

/// How long a lane waits for a place under the cap. After that it is given back, so that the worker
/// can work another lane of the host. It is long, because giving it back and taking it again costs
/// more than waiting.
const PERMIT_WAIT_MAX: Duration = Duration::from_secs(20);
/// The time that a trial has for the writes around its calls.
const TRIAL_SLACK: Duration = Duration::from_secs(10);

pub(crate) struct Hosts {
    pub(crate) ledger: Ledger,
    pub(crate) worker: Uuid,
    pub(crate) metrics: Metrics,
    pub(crate) places: Arc<Places>,
    pub(crate) rules: HostRules,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
    /// A lane waits for a place under the cap, and the share may grow.
    pub(crate) lacking: Notify,
}

#[derive(Clone, Debug)]
pub(crate) struct HostRules {
    pub(crate) cap: u32,
    pub(crate) call_timeout: Duration,
    pub(crate) breaker_failures: u32,
    pub(crate) breaker_pause: Duration,
    pub(crate) retry_max: Duration,
}

/// What a call says about the host, whatever it says about the invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A sale was answered.
    Works,
    /// A look-up was answered, which does not prove that sales are.
    Answers,
    /// The call failed. A failure with a result code may concern one invoice only.
    Fails { with_code: bool },
}

/// A lane's trial of a host whose breaker is not closed.
#[derive(Debug, Default)]
pub(crate) struct Trial {
    guard: Option<TrialGuard>,
    /// A call of the trial was answered.
    answered: bool,
}

impl Trial {
    pub(crate) fn is_under_way(&self) -> bool {
        self.guard.is_some()
    }
}

impl Hosts {
    pub(crate) fn new(
        ledger: Ledger,
        worker: Uuid,
        metrics: Metrics,
        places: Arc<Places>,
        rules: HostRules,
    ) -> Self {
        Self {
            ledger,
            worker,
            metrics,
            places,
            rules,
            hosts: Mutex::default(),
            lacking: Notify::new(),
        }
    }

    pub(crate) fn host(&self, name: &str) -> Arc<Host> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(Host::new(name)))
            .clone()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Host>> {
        self.hosts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// Waits for a place under the cap. It is `None` when no call may be made now.
    pub(crate) async fn enter(
        &self,
        host: &Arc<Host>,
        trial: &mut Trial,
        stop: &CancellationToken,
    ) -> Result<Option<Permit>, LedgerError> {
        let until = tokio::time::Instant::now() + PERMIT_WAIT_MAX;
        loop {
            // Waiting begins before the check, so that no change between the two is missed.
            let changed = host.changed();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match host.admit(trial.guard.is_some()) {
                Admission::Call(permit) => return Ok(Some(permit)),
                Admission::Open => return Ok(None),
                Admission::Trial(permit, guard) => {
                    let limit = self.rules.call_timeout * 2 + TRIAL_SLACK;
                    let change = self
                        .ledger
                        .begin_trial(&host.name, self.worker, limit)
                        .await?;
                    if change == BreakerChange::NotDue {
                        return Ok(None);
                    }
                    tracing::info!(host = host.name, "trial call begins");
                    self.metrics.breaker(&host.name, Breaker::Trying);
                    *trial = Trial {
                        guard: Some(guard),
                        answered: false,
                    };
                    return Ok(Some(permit));
                }
                Admission::Full => {}
            }
            if host.may_get_more() {
                self.lacking.notify_one();
            }
            let _waiting = host.wait();
            tokio::select! {
                waited = timeout_at(until, changed) => if waited.is_err() { return Ok(None) },
                () = stop.cancelled() => return Ok(None),
            }
        }
    }

    /// Applies what a call says about its host to the breaker.
    pub(crate) async fn report(
        &self,
        host: &Arc<Host>,
        trial: &mut Trial,
        lane: DeviceId,
        verdict: Verdict,
    ) -> Result<(), LedgerError> {
        match verdict {
            Verdict::Works => {
                host.worked();
                trial.answered = true;
                self.end_trial(host, trial, lane).await
            }
            Verdict::Answers => {
                trial.answered = true;
                Ok(())
            }
            Verdict::Fails { .. } if trial.guard.is_some() => {
                let step = host.next_step();
                let opened = self.open(host, step).await;
                *trial = Trial::default();
                opened
            }
            Verdict::Fails { with_code } => {
                match host.failed(self.rules.breaker_failures, with_code.then_some(lane)) {
                    Some(step) => self.open(host, step).await,
                    None => Ok(()),
                }
            }
        }
    }

    /// Ends the trial of a lane that makes no more calls. Without any answer the breaker opens
    /// again.
    pub(crate) async fn end_trial(
        &self,
        host: &Arc<Host>,
        trial: &mut Trial,
        lane: DeviceId,
    ) -> Result<(), LedgerError> {
        if trial.guard.is_none() {
            return Ok(());
        }
        if !trial.answered {
            *trial = Trial::default();
            return self.open(host, host.next_step()).await;
        }
        let change = self
            .ledger
            .close_breaker(&host.name, self.worker, lane)
            .await?;
        if change == BreakerChange::Made {
            tracing::info!(host = host.name, "breaker closed, the host works again");
            host.closed();
            self.metrics.breaker(&host.name, Breaker::Closed);
        }
        *trial = Trial::default();
        Ok(())
    }

    pub(crate) async fn open(&self, host: &Arc<Host>, step: u32) -> Result<(), LedgerError> {
        let pause = breaker_pause(self.rules.breaker_pause, self.rules.retry_max, step);
        host.opened(pause);
        let change = self
            .ledger
            .open_breaker(&host.name, self.worker, pause)
            .await?;
        if change == BreakerChange::Made {
            tracing::warn!(
                host = host.name,
                pause_ms = pause.as_millis(),
                "breaker opened, the host fails"
            );
            self.metrics.breaker(&host.name, Breaker::Open);
        }
        Ok(())
    }
}

/// The pause of a breaker. Half of it is fixed, so that a dead host gets no calls. Half of it is
/// drawn, so that workers spread out.
fn breaker_pause(first: Duration, longest: Duration, step: u32) -> Duration {
    let full = first
        .saturating_mul(1 << (step - 1).min(16))
        .min(longest.max(first));
    let fixed = full / 2;
    fixed + rand::rng().random_range(Duration::ZERO..=full - fixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breaker_pauses_grow_from_first_to_longest() {
        let first = Duration::from_secs(30);
        let longest = Duration::from_secs(900);
        for step in 1..40 {
            let full = first.saturating_mul(1 << (step - 1).min(5)).min(longest);
            for _ in 0..50 {
                let pause = breaker_pause(first, longest, step);
                assert!(
                    pause >= full / 2 && pause <= full,
                    "step {step}: {pause:?} of {full:?}"
                );
            }
        }
    }
}

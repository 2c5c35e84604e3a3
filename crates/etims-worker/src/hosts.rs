//! All hosts: heartbeats, what other workers did to the breakers, and the way into a call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::Rng;
use risiti_domain::DeviceId;
use risiti_ledger::{Breaker, Ledger, LedgerError};
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::host::{Admission, Host, Permit, TrialHere};
use crate::metrics::Metrics;

const BEAT: Duration = Duration::from_secs(1);
/// A lane waits so long for its turn under the cap, then lets others at the worker's hands.
const TURN_MAX: Duration = Duration::from_secs(5);
/// Beyond the call itself: the writes around it.
const TRIAL_SLACK: Duration = Duration::from_secs(10);

pub(crate) struct Hosts {
    ledger: Ledger,
    worker: Uuid,
    metrics: Metrics,
    rules: HostRules,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

#[derive(Clone, Debug)]
pub(crate) struct HostRules {
    pub(crate) cap: u32,
    pub(crate) call_timeout: Duration,
    pub(crate) breaker_failures: u32,
    pub(crate) breaker_pause: Duration,
    pub(crate) retry_max: Duration,
}

/// What a call told about the host, whatever it told about the invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A sale was answered.
    Works,
    /// A look-up was answered, which does not prove that sales are.
    Answers,
    /// `spoke`: with a result code, which may be the trouble of one invoice.
    Fails { spoke: bool },
}

/// A lane's way through the breaker: none while it is closed.
#[derive(Debug, Default)]
pub(crate) struct Trial {
    here: Option<TrialHere>,
    /// A look-up was answered, and no sale was tried yet.
    answered: bool,
}

impl Hosts {
    pub(crate) fn new(ledger: Ledger, worker: Uuid, metrics: Metrics, rules: HostRules) -> Self {
        Self {
            ledger,
            worker,
            metrics,
            rules,
            hosts: Mutex::default(),
        }
    }

    pub(crate) fn host(&self, name: &str) -> Arc<Host> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(Host::new(name)))
            .clone()
    }

    fn all(&self) -> Vec<Arc<Host>> {
        self.hosts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// A place under the cap; `None` when there is none to be had now.
    pub(crate) async fn enter(
        &self,
        host: &Arc<Host>,
        trial: &mut Trial,
        stop: &CancellationToken,
    ) -> Result<Option<Permit>, LedgerError> {
        let until = tokio::time::Instant::now() + TURN_MAX;
        loop {
            let changed = host.changed();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match host.admit(trial.here.is_some()) {
                Admission::Call(permit) => return Ok(Some(permit)),
                Admission::Open => return Ok(None),
                Admission::Trial(permit, here) => {
                    let limit = self.rules.call_timeout * 2 + TRIAL_SLACK;
                    if !self
                        .ledger
                        .begin_trial(&host.name, self.worker, limit)
                        .await?
                    {
                        return Ok(None);
                    }
                    tracing::info!(host = host.name, "trying whether the host works again");
                    self.metrics.breaker(&host.name, Breaker::Trying);
                    *trial = Trial {
                        here: Some(here),
                        answered: false,
                    };
                    return Ok(Some(permit));
                }
                Admission::Full => {}
            }
            tokio::select! {
                waited = timeout_at(until, changed) => if waited.is_err() { return Ok(None) },
                () = stop.cancelled() => return Ok(None),
            }
        }
    }

    /// What a call told about its host.
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
            Verdict::Fails { .. } if trial.here.is_some() => {
                let step = host.next_step();
                let opened = self.open(host, step).await;
                *trial = Trial::default();
                opened
            }
            Verdict::Fails { spoke } => {
                match host.failed(self.rules.breaker_failures, spoke.then_some(lane)) {
                    Some(step) => self.open(host, step).await,
                    None => Ok(()),
                }
            }
        }
    }

    /// The lane has nothing more to try with. Without any answer the breaker stays open.
    pub(crate) async fn end_trial(
        &self,
        host: &Arc<Host>,
        trial: &mut Trial,
        lane: DeviceId,
    ) -> Result<(), LedgerError> {
        if trial.here.is_none() {
            return Ok(());
        }
        if !trial.answered {
            *trial = Trial::default();
            return self.open(host, host.next_step()).await;
        }
        if self
            .ledger
            .close_breaker(&host.name, self.worker, lane)
            .await?
        {
            tracing::info!(
                host = host.name,
                "the host works again, its breaker is closed"
            );
            host.closed();
            self.metrics.breaker(&host.name, Breaker::Closed);
        }
        *trial = Trial::default();
        Ok(())
    }

    async fn open(&self, host: &Arc<Host>, step: u32) -> Result<(), LedgerError> {
        let pause = breaker_pause(self.rules.breaker_pause, self.rules.retry_max, step);
        host.opened(pause);
        if self
            .ledger
            .open_breaker(&host.name, self.worker, pause)
            .await?
        {
            tracing::warn!(
                host = host.name,
                pause_ms = pause.as_millis(),
                "the host fails, its breaker is open"
            );
            self.metrics.breaker(&host.name, Breaker::Open);
        }
        Ok(())
    }

    /// Heartbeats and news of the breakers, every second until the end.
    pub(crate) async fn keep(&self, end: &CancellationToken) {
        let mut failing = false;
        while !end.is_cancelled() {
            let kept = self.keep_once().await;
            if let Err(error) = &kept
                && !failing
            {
                tracing::warn!(%error, "no heartbeat: nothing is sent until there is one");
            }
            failing = kept.is_err();
            tokio::select! {
                () = tokio::time::sleep(BEAT) => {}
                () = end.cancelled() => {}
            }
        }
        if let Err(error) = self.ledger.leave(self.worker).await {
            tracing::warn!(%error, "the share of the cap was not given back, it lapses by itself");
        }
    }

    async fn keep_once(&self) -> Result<(), LedgerError> {
        let sent = Instant::now();
        let mut shares = Vec::new();
        self.ledger
            .heartbeat(self.worker, |others| {
                let host = self.host(&others.host);
                let (share, held) = host.settle(others, self.rules.cap);
                shares.push((host, share));
                held
            })
            .await?;
        for (host, share) in shares {
            host.confirm(share, sent);
        }
        for seen in self.ledger.host_states().await? {
            self.host(&seen.host).observe(&seen);
            self.metrics.breaker(&seen.host, seen.breaker);
        }
        let answered = self.all().into_iter().filter(|host| host.take_answered());
        let answered: Vec<String> = answered.map(|host| host.name.clone()).collect();
        if answered.is_empty() {
            Ok(())
        } else {
            self.ledger.hosts_answered(&answered).await
        }
    }
}

/// Half of it fixed, so that a dead host is left alone; half of it drawn, so that workers spread out.
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
    fn pauses_grow_from_the_first_and_stay_below_the_longest() {
        let (first, longest) = (Duration::from_secs(30), Duration::from_secs(900));
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

//! One lane for one quantum: claim it, file what is due in order, let go of it (protocol D4).

use std::time::{Duration, Instant};

use jiff::Timestamp;
use risiti_domain::DeviceId;
use risiti_etims::{Backoff, Client, DeviceProfile};
use risiti_ledger::{Claim, LaneWork, Ledger, LedgerError, Vault};
use risiti_queue::Publisher;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

use crate::hosts::{Hosts, Trial};
use crate::leases::{Held, Leases};
use crate::metrics::Metrics;
use crate::profile::profile;
use crate::tokens;

/// A quantum is so many invoices or so long, whichever comes first.
const QUANTUM_INVOICES: u32 = 20;
const QUANTUM: Duration = Duration::from_secs(5);
/// Bounds the steps that file nothing.
const QUANTUM_STEPS: u32 = 100;

/// Of the back-off, for a lane whose host takes no call now: up to a second.
const NOT_NOW_STEP: u32 = 2;
/// Of the back-off, for a lane that met an error of ours: some seconds.
const ABANDONED_STEP: u32 = 4;

/// What every lane of this worker shares.
pub(crate) struct Lanes {
    pub(crate) ledger: Ledger,
    pub(crate) vault: Vault,
    pub(crate) client: Client,
    pub(crate) publisher: Publisher,
    pub(crate) publish_timeout: Duration,
    pub(crate) hosts: Hosts,
    pub(crate) leases: Leases,
    pub(crate) metrics: Metrics,
    pub(crate) worker: Uuid,
    pub(crate) backoff: Backoff,
    pub(crate) strikes_max: u32,
    /// Take no more work.
    pub(crate) shutdown: CancellationToken,
    /// Wait for no answer any more (protocol D17).
    pub(crate) deadline: CancellationToken,
}

/// A lane in the hands of this worker.
pub(crate) struct Lane<'a> {
    pub(crate) lanes: &'a Lanes,
    pub(crate) claim: &'a Claim,
    pub(crate) held: &'a Held<'a>,
    pub(crate) profile: &'a DeviceProfile,
    pub(crate) host: std::sync::Arc<crate::host::Host>,
    pub(crate) trial: Trial,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// An invoice is done with.
    Done,
    GoOn,
    /// Nothing more to do here for now.
    Stop,
    /// There is something, and no call may be made: a token at once would come round for nothing.
    NotNow,
}

impl Lanes {
    /// Works a lane if it is to be had; either way its token is spent.
    pub(crate) async fn quantum(&self, device: DeviceId) -> Result<(), LedgerError> {
        let asked = Instant::now();
        let Some(claim) = self.ledger.claim_lane(device, self.worker).await? else {
            return Ok(());
        };
        let held = self.leases.hold(&claim, asked);
        let worked = self.work(&claim, &held).await;
        drop(held);
        let pause = match &worked {
            Ok(Next::NotNow) if !self.shutdown.is_cancelled() => {
                Some(self.backoff.pause(NOT_NOW_STEP))
            }
            Ok(_) => None,
            Err(_) => Some(self.backoff.pause(ABANDONED_STEP)),
        };
        match pause {
            Some(pause) => self.ledger.abandon_lane(&claim, pause).await?,
            None if self.ledger.release_lane(&claim).await? => {
                tokens::publish(
                    &self.ledger,
                    &self.publisher,
                    self.publish_timeout,
                    &[device],
                )
                .await;
            }
            None => {}
        }
        worked.map(drop)
    }

    /// How the last step ended.
    async fn work(&self, claim: &Claim, held: &Held<'_>) -> Result<Next, LedgerError> {
        let Some(profile) = self.profile(claim).await? else {
            return Ok(Next::Stop);
        };
        let host = self.hosts.host(&claim.host);
        let mut lane = Lane {
            lanes: self,
            claim,
            held,
            profile: &profile,
            host,
            trial: Trial::default(),
        };
        let started = Instant::now();
        let (mut done, mut steps, mut last) = (0, 0, Next::GoOn);
        while done < QUANTUM_INVOICES && steps < QUANTUM_STEPS && started.elapsed() < QUANTUM {
            if self.shutdown.is_cancelled() {
                break;
            }
            last = lane.next().await?;
            match last {
                Next::Done => done += 1,
                Next::GoOn => {}
                Next::Stop | Next::NotNow => break,
            }
            steps += 1;
        }
        self.hosts
            .end_trial(&lane.host, &mut lane.trial, claim.device)
            .await?;
        Ok(last)
    }

    /// `None` when the lane was halted instead: a device that cannot be read can file nothing.
    async fn profile(&self, claim: &Claim) -> Result<Option<DeviceProfile>, LedgerError> {
        let device = claim.device;
        let (problem, remedy) = match self.ledger.device(device, &self.vault).await {
            Ok(Some(stored)) => match profile(stored) {
                Ok(profile) => return Ok(Some(profile)),
                Err(bad) => (
                    bad.to_string(),
                    format!("`risiti-admin device update {device}`"),
                ),
            },
            Ok(None) => return Ok(None),
            Err(error @ (LedgerError::Vault(_) | LedgerError::Stored { .. })) => {
                let remedy = format!(
                    "give this worker the right RISITI_CREDENTIALS_KEY and `risiti-replay lanes resume {device}`, or enter \
                     the credentials again with `risiti-admin device update {device}`"
                );
                (error.to_string(), remedy)
            }
            Err(error) => return Err(error),
        };
        self.halt(
            claim,
            &format!("the device cannot be read: {problem}; {remedy}"),
        )
        .await?;
        Ok(None)
    }

    pub(crate) async fn halt(&self, claim: &Claim, reason: &str) -> Result<(), LedgerError> {
        if self.ledger.halt_lane(claim, reason).await? {
            tracing::error!(device_id = %claim.device, reason, "lane halted");
        }
        Ok(())
    }
}

impl Lane<'_> {
    async fn next(&mut self) -> Result<Next, LedgerError> {
        match self.lanes.ledger.lane_work(self.claim).await? {
            LaneWork::ClaimGone => {
                tracing::warn!(device_id = %self.claim.device, "lane is another worker's by now");
                Ok(Next::Stop)
            }
            LaneWork::Halted | LaneWork::Nothing => Ok(Next::Stop),
            LaneWork::LookUp(late) => self.late_look_up(&late).await,
            LaneWork::Invoice(invoice) => {
                // On every line about the invoice, so that one webhook can be followed to its receipt.
                let span = tracing::info_span!(
                    "invoice",
                    invoice_id = %invoice.id, payment_id = %invoice.payment_id, device_id = %invoice.device,
                    invoice_no = invoice.invoice_no, event_id = invoice.event_id.map(tracing::field::display),
                    trace_id = invoice.trace_id,
                );
                self.invoice(&invoice, Timestamp::now())
                    .instrument(span)
                    .await
            }
        }
    }
}

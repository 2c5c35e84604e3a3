//! One turn of a lane: claim it, file what is due in order, give it back (protocol D4).

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use risiti_domain::DeviceId;
use risiti_etims::DeviceProfile;
use risiti_ledger::{
    Claim, HaltRemedy, KeyCheck, LaneError, LaneInvoice, LaneWork, LedgerError, Released,
};
use tracing::Instrument;

use crate::halt_reasons::Halt;
use crate::hosts::Trial;
use crate::lane::{Lane, Lanes, StepEnd};
use crate::leases::HeldLease;
use crate::profile::profile;
use crate::waker;

/// A turn ends after this many invoices or this time, whichever comes first.
const TURN_INVOICES: u32 = 20;
const TURN_LENGTH: Duration = Duration::from_secs(5);
/// Bounds the steps that file nothing.
const TURN_STEPS: u32 = 100;
/// A turn that keeps no other lane waiting is so many times as long. With the longest call and the
/// waits before it, it stays below the five minutes of a delivery (protocol B3).
const UNCONTESTED_TURNS: u32 = 5;
/// A turn that took longer makes no late look-up at its end, so that it stays below those five
/// minutes with the longest look-up as well.
const LAST_LOOK_UP_BY: Duration = Duration::from_secs(30);

/// Backoff step for a lane whose host takes no calls (at most 1 s).
const NO_CALLS_STEP: u32 = 2;
/// Backoff step for a lane that met an error of ours (some seconds).
const OUR_ERROR_STEP: u32 = 4;

impl Lanes {
    /// Works a lane for one turn, if it can be claimed. The lane's wake-up is spent in either case.
    pub(crate) async fn turn(&self, device: DeviceId) -> Result<(), LedgerError> {
        let asked_at = Instant::now();
        let Some(claim) = self.ledger.claim_lane(device, self.worker).await? else {
            return Ok(());
        };
        self.lane_hosts.set(device, &claim.host);
        let lease = self.leases.hold(&claim, asked_at);
        let worked = self.work(&claim, &lease).await;
        drop(lease);

        let end = match worked {
            Ok(end) => Ok(end),
            // The last write did not happen. The worker that has the lane now goes on from what is
            // stored.
            Err(LaneError::ClaimGone) => {
                tracing::warn!(device_id = %device, "lane belongs to another worker now");
                Ok(StepEnd::Stop)
            }
            Err(LaneError::Ledger(error)) => Err(error),
        };
        self.give_back(&claim, &end).await?;
        end.map(drop)
    }

    /// Works the claimed lane, and returns how its last step ended.
    async fn work(&self, claim: &Claim, lease: &HeldLease<'_>) -> Result<StepEnd, LaneError> {
        let Some(profile) = self.profile(claim).await? else {
            return Ok(StepEnd::Stop);
        };
        let mut lane = Lane {
            lanes: self,
            claim,
            lease,
            profile: &profile,
            host: self.hosts.host(&claim.host),
            trial: Trial::default(),
            next: None,
            begun: None,
            goes_on: false,
            late_due: false,
        };

        let end = lane.steps().await;
        // An error of ours says nothing about the host, so that a trial then ends with its time
        // limit.
        if !matches!(end, Err(LaneError::Ledger(_))) {
            self.hosts
                .end_trial(&lane.host, &mut lane.trial, claim.device)
                .await?;
        }
        end
    }

    /// Reads the device. A device that cannot be read can file nothing, so that its lane is halted
    /// and the result is `None`.
    async fn profile(&self, claim: &Claim) -> Result<Option<DeviceProfile>, LedgerError> {
        let device = claim.device;
        let (problem, remedy) = match self.ledger.device(device, &self.vault).await {
            Ok(Some(stored)) => match profile(stored) {
                Ok(profile) => return Ok(Some(profile)),
                Err(bad_url) => (
                    bad_url.to_string(),
                    format!("`risiti-admin device update {device}`"),
                ),
            },
            Ok(None) => return Ok(None),
            // A wrong key is this worker's trouble and no lane's. The probe ends the worker.
            Err(error @ LedgerError::Vault(_)) if !self.key_is_right().await? => {
                return Err(error);
            }
            Err(error @ (LedgerError::Vault(_) | LedgerError::Stored { .. })) => {
                let remedy = format!(
                    "enter the credentials again with `risiti-admin device update {device}`"
                );
                (error.to_string(), remedy)
            }
            Err(error) => return Err(error),
        };
        let halt = Halt {
            reason: format!("the device cannot be read: {problem}; {remedy}"),
            remedy: HaltRemedy::DeviceUpdate,
        };
        self.halt(claim, &halt, None).await?;
        Ok(None)
    }

    /// Proves this worker's key again, because all secrets may have been sealed anew meanwhile.
    async fn key_is_right(&self) -> Result<bool, LedgerError> {
        let right = self.ledger.prove_key(&self.vault).await? != KeyCheck::Wrong;
        if !right {
            self.key_doubted.store(true, Ordering::Relaxed);
        }
        Ok(right)
    }

    /// Gives the lane back: with a pause if it could not be worked, and with a wake-up if it has
    /// more work.
    async fn give_back(
        &self,
        claim: &Claim,
        end: &Result<StepEnd, LedgerError>,
    ) -> Result<(), LedgerError> {
        let pause = match end {
            Ok(StepEnd::NotNow) if !self.shutdown.is_cancelled() => {
                Some(self.backoff.pause(NO_CALLS_STEP))
            }
            Ok(_) => None,
            Err(_) => Some(self.backoff.pause(OUR_ERROR_STEP)),
        };
        if let Some(pause) = pause {
            return self.ledger.abandon_lane(claim, pause).await;
        }
        match self.ledger.release_lane(claim).await? {
            Released::WakeUpDue => waker::publish_wake_ups(self, &[claim.device]).await,
            Released::Idle => {}
        }
        Ok(())
    }
}

impl Lane<'_> {
    /// Steps through the lane's work until it has no more or the turn is over.
    async fn steps(&mut self) -> Result<StepEnd, LaneError> {
        let started = Instant::now();
        let mut invoices = 0;
        let mut steps = 0;
        let mut end = StepEnd::Continue;
        // A send that is begun is made, whatever else ends the turn.
        while self.begun.is_some() || !self.lanes.shutdown.is_cancelled() {
            // To give a lane back and take it again costs some round trips. They are spent only
            // where another lane may wait for the place.
            let turns = match self.lanes.places.has_room(&self.host.name) {
                true => UNCONTESTED_TURNS,
                false => 1,
            };
            let over = invoices >= TURN_INVOICES * turns
                || started.elapsed() >= TURN_LENGTH * turns
                || steps >= TURN_STEPS;
            if over && self.begun.is_none() {
                break;
            }
            self.goes_on = !over && invoices + 1 < TURN_INVOICES * turns;
            end = self.step().await?;
            match end {
                StepEnd::InvoiceDone => invoices += 1,
                StepEnd::Continue => {}
                StepEnd::Stop | StepEnd::NotNow => break,
            }
            steps += 1;
        }
        let has_time = started.elapsed() < LAST_LOOK_UP_BY;
        if self.late_due && has_time && end != StepEnd::NotNow {
            self.look_up_last().await?;
        }
        Ok(end)
    }

    /// Makes the one late look-up that a turn with invoices has room for.
    async fn look_up_last(&mut self) -> Result<(), LaneError> {
        if self.lanes.shutdown.is_cancelled() {
            return Ok(());
        }
        match self.lanes.ledger.lane_work(self.claim).await? {
            LaneWork::Due {
                look_up: Some(late),
                ..
            } => self.late_look_up(&late).await.map(drop),
            LaneWork::Due { look_up: None, .. } | LaneWork::Halted => Ok(()),
        }
    }

    async fn step(&mut self) -> Result<StepEnd, LaneError> {
        if let Some((invoice, begun)) = self.begun.take() {
            let span = span(&invoice);
            return self.make_call(&invoice, begun).instrument(span).await;
        }
        let work = match self.next.take() {
            Some(work) => work,
            None => self.lanes.ledger.lane_work(self.claim).await?,
        };
        // Invoices go first, so that a pile of late look-ups holds up no sale.
        match work {
            LaneWork::Due {
                invoice: Some(invoice),
                look_up,
            } => {
                self.late_due = look_up.is_some();
                let span = span(&invoice);
                self.file(&invoice, Timestamp::now()).instrument(span).await
            }
            LaneWork::Due {
                invoice: None,
                look_up: Some(late),
            } => {
                self.late_due = false;
                self.late_look_up(&late).await
            }
            LaneWork::Due {
                invoice: None,
                look_up: None,
            }
            | LaneWork::Halted => {
                self.late_due = false;
                Ok(StepEnd::Stop)
            }
        }
    }
}

/// Every log line about the invoice carries these ids, so that one webhook can be followed to its
/// receipt.
fn span(invoice: &LaneInvoice) -> tracing::Span {
    tracing::info_span!(
        "invoice",
        invoice_id = %invoice.id, payment_id = %invoice.payment_id, device_id = %invoice.device,
        invoice_no = invoice.invoice_no, event_id = invoice.event_id.map(tracing::field::display),
        trace_id = invoice.trace_id,
    )
}

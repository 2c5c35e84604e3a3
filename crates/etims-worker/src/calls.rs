//! Calls to KRA. Each is counted, timed, given up at the end of the grace, and reported to the
//! host's breaker.

use std::time::Instant;

use risiti_domain::Dialect;
use risiti_etims::{Answer, LookUpOutcome, SendOutcome};
use risiti_ledger::LedgerError;

use crate::hosts::Verdict;
use crate::lane::Lane;

impl Lane<'_> {
    /// Makes one look-up under the cap. It is `None` when no call may be made now, or the grace is
    /// over.
    pub(crate) async fn call_look_up(
        &mut self,
        invoice_no: i64,
    ) -> Result<Option<LookUpOutcome>, LedgerError> {
        let lanes = self.lanes;
        let Some(permit) = lanes
            .hosts
            .enter(&self.host, &mut self.trial, &lanes.shutdown)
            .await?
        else {
            return Ok(None);
        };
        if !self.may_call() {
            return Ok(None);
        }
        let call = lanes.client.look_up(self.profile, invoice_no);
        let Some(outcome) = self
            .until_deadline("look_up", call, LookUpOutcome::as_str)
            .await
        else {
            return Ok(None);
        };
        drop(permit);

        lanes
            .hosts
            .report(
                &self.host,
                &mut self.trial,
                self.claim.device,
                look_up_verdict(&outcome),
            )
            .await?;
        Ok(Some(outcome))
    }

    /// Whether lease and heartbeat are young enough for a call to arrive while they still hold
    /// (protocol D5).
    pub(crate) fn may_call(&self) -> bool {
        self.lease.is_fresh() && self.host.is_fresh()
    }

    /// Fetches the gateway's access token before the claim is checked, so that the send after it is
    /// one round trip. An error is ignored here, because the send meets it again and reports it.
    pub(crate) async fn fetch_access_token(&self) {
        if self.profile.dialect == Dialect::Gateway {
            tokio::select! {
                _ = self.lanes.client.check_token(self.profile) => {}
                () = self.lanes.deadline.cancelled() => {}
            }
        }
    }

    /// Waits for a call. It is `None` when the grace is over: whether the call arrived is looked up
    /// later (protocol D17).
    pub(crate) async fn until_deadline<T>(
        &self,
        name: &'static str,
        call: impl Future<Output = T>,
        label: impl Fn(&T) -> &'static str,
    ) -> Option<T> {
        let lanes = self.lanes;
        let sent_at = Instant::now();
        lanes.metrics.in_flight.inc();
        let outcome = tokio::select! {
            outcome = call => Some(outcome),
            () = lanes.deadline.cancelled() => None,
        };
        lanes.metrics.in_flight.dec();

        if outcome.is_none() {
            self.host.abandon_call();
        }
        if let Some(outcome) = &outcome {
            let dialect = self.profile.dialect;
            lanes
                .metrics
                .called(dialect, name, label(outcome), sent_at.elapsed());
        }
        outcome
    }
}

pub(crate) fn send_verdict(outcome: &SendOutcome) -> Verdict {
    let halts = matches!(outcome, SendOutcome::Halt { .. });
    match outcome.answer() {
        Some(answer) if answer.against_host => failure(answer, halts),
        _ => Verdict::Works,
    }
}

fn look_up_verdict(outcome: &LookUpOutcome) -> Verdict {
    match outcome {
        LookUpOutcome::NoAnswer(answer) if answer.against_host => failure(answer, false),
        LookUpOutcome::Halt { answer, .. } if answer.against_host => failure(answer, true),
        _ => Verdict::Answers,
    }
}

/// A host that refuses access, as one that answers with a code, may mean one lane alone.
fn failure(answer: &Answer, refuses_access: bool) -> Verdict {
    Verdict::Fails {
        with_code: refuses_access || answer.code.is_some(),
    }
}

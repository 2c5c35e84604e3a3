//! Calls to KRA: counted, timed, given up at the end of the grace, and told to the host's breaker.

use std::time::Instant;

use risiti_domain::Dialect;
use risiti_etims::{LookUpOutcome, SendOutcome};
use risiti_ledger::LedgerError;

use crate::hosts::Verdict;
use crate::lane::Lane;

impl Lane<'_> {
    /// One look-up under the cap.
    pub(crate) async fn ask(
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
        if !self.held.is_fresh() || !self.host.is_fresh() {
            return Ok(None);
        }
        let call = lanes.client.look_up(self.profile, invoice_no);
        let Some(outcome) = self.bounded("look_up", call, LookUpOutcome::as_str).await else {
            return Ok(None);
        };
        drop(permit);
        let verdict = look_up_verdict(&outcome);
        lanes
            .hosts
            .report(&self.host, &mut self.trial, self.claim.device, verdict)
            .await?;
        Ok(Some(outcome))
    }

    /// Gets the gateway's token before the claim is checked, so that the send after it is one round trip. What
    /// goes wrong here goes wrong there again, and is told there.
    pub(crate) async fn warm_up(&self) {
        if self.profile.dialect == Dialect::Gateway {
            tokio::select! {
                _ = self.lanes.client.check_token(self.profile) => {}
                () = self.lanes.deadline.cancelled() => {}
            }
        }
    }

    /// `None` when the grace is over: whether the call arrived is looked up later (protocol D17).
    pub(crate) async fn bounded<T>(
        &self,
        name: &'static str,
        call: impl Future<Output = T>,
        word: impl Fn(&T) -> &'static str,
    ) -> Option<T> {
        let lanes = self.lanes;
        let sent = Instant::now();
        lanes.metrics.in_flight.inc();
        let answer = tokio::select! {
            answer = call => Some(answer),
            () = lanes.deadline.cancelled() => None,
        };
        lanes.metrics.in_flight.dec();
        if let Some(answer) = &answer {
            lanes
                .metrics
                .called(self.profile.dialect, name, word(answer), sent.elapsed());
        }
        answer
    }
}

pub(crate) fn send_verdict(outcome: &SendOutcome) -> Verdict {
    match outcome.answer() {
        Some(answer) if answer.against_host => Verdict::Fails {
            spoke: answer.code.is_some(),
        },
        _ => Verdict::Works,
    }
}

fn look_up_verdict(outcome: &LookUpOutcome) -> Verdict {
    match outcome {
        LookUpOutcome::NoAnswer(answer) if answer.against_host => Verdict::Fails {
            spoke: answer.code.is_some(),
        },
        _ => Verdict::Answers,
    }
}

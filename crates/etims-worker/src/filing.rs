//! One step with one invoice: send it, look its number up, or set it aside as a dead letter.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use risiti_etims::{LookUpOutcome, SaleDocument, SendOutcome, expected_number, sale_body};
use risiti_ledger::{
    AnsweredSend, Breaker, HostProof, LaneError, LaneInvoice, LaneWait, LedgerError, NewSend,
};

use crate::calls::send_verdict;
use crate::decide::{self, AfterLookUp, AfterSend, FollowUp, Situation, Step};
use crate::lane::{BegunSend, Lane, StepEnd};
use crate::trader_number::trader_number;

/// How long what was read about the invoice that follows may be acted on. After a longer call it is
/// read again, since one more round trip then hardly matters.
const FOLLOWING_FRESH: Duration = Duration::from_secs(1);

impl Lane<'_> {
    pub(crate) async fn file(
        &mut self,
        invoice: &LaneInvoice,
        now: Timestamp,
    ) -> Result<StepEnd, LaneError> {
        match decide::step(self.profile.dialect, invoice.holds_number, &invoice.history) {
            Step::Send => self.send(invoice, now).await,
            Step::LookUp => self.look_up(invoice, now).await,
            Step::DeadLetter(given_up) => self.dead_letter(invoice, given_up).await,
        }
    }

    async fn send(&mut self, invoice: &LaneInvoice, now: Timestamp) -> Result<StepEnd, LaneError> {
        let lanes = self.lanes;
        let Some(permit) = lanes
            .hosts
            .enter(&self.host, &mut self.trial, &lanes.shutdown)
            .await?
        else {
            return Ok(StepEnd::NotNow);
        };
        self.fetch_access_token().await;

        let document = document(invoice, invoice.first_sent_at.unwrap_or(now));
        let body = self.body(invoice, &document);
        let asked_at = Instant::now();
        let begun = lanes
            .ledger
            .begin_send(self.claim, &new_send(&document, &body))
            .await?;
        let Some(submission) = begun else {
            return Ok(StepEnd::NotNow);
        };
        self.lease.confirm(asked_at);
        let begun = BegunSend {
            submission,
            body,
            permit,
        };
        self.make_call(invoice, begun).await
    }

    /// The bytes to send: those of an earlier send under this number, or new ones.
    pub(crate) fn body(&self, invoice: &LaneInvoice, document: &SaleDocument) -> Vec<u8> {
        match &invoice.body {
            Some(body) => body.clone(),
            None => sale_body(self.profile, document),
        }
    }

    /// Makes a call whose send is stored, and stores its outcome.
    pub(crate) async fn make_call(
        &mut self,
        invoice: &LaneInvoice,
        begun: BegunSend,
    ) -> Result<StepEnd, LaneError> {
        // The statement may have taken long. A call that is not made here is looked up like a lost
        // one.
        if !self.may_call() {
            return Ok(StepEnd::NotNow);
        }
        let lanes = self.lanes;
        let BegunSend {
            submission,
            body,
            permit,
        } = begun;
        let asked_at = Instant::now();
        let call = lanes.client.send(self.profile, &body, invoice.invoice_no);
        let call = self.until_deadline("sale", call, SendOutcome::as_str);
        let (outcome, following) = first_with(call, self.following()).await;
        let Some(outcome) = outcome else {
            return Ok(StepEnd::NotNow);
        };
        drop(permit);

        // The outcome is stored first, because it matters more than the breaker.
        let following = following
            .flatten()
            .filter(|_| asked_at.elapsed() < FOLLOWING_FRESH);
        let recorded = match (&outcome, following) {
            (SendOutcome::Ok(receipt), Some(next)) => {
                self.accept_and_begin_next(invoice, submission, receipt, next)
                    .await
            }
            _ => self.record_send(invoice, submission, &outcome).await,
        };
        lanes
            .hosts
            .report(
                &self.host,
                &mut self.trial,
                self.claim.device,
                send_verdict(&outcome),
            )
            .await?;
        recorded
    }

    async fn record_send(
        &mut self,
        invoice: &LaneInvoice,
        submission: i64,
        outcome: &SendOutcome,
    ) -> Result<StepEnd, LaneError> {
        // The proof decides only whether an unknown number halts the lane, and only a VSCU is sent
        // to while its number is unknown.
        let needs_proof = invoice.history.unknown_since.is_some();
        let situation = self.situation(invoice, needs_proof).await?;
        let (result, follow_up) = match decide::after_send(&situation, invoice, outcome) {
            AfterSend::Accept(receipt) => {
                return self.accept(invoice, Some(submission), &receipt).await;
            }
            AfterSend::Record { result, follow_up } => (result, follow_up),
        };

        let answer = outcome.answer().cloned().unwrap_or_default();
        tracing::info!(
            attempt = invoice.history.attempts + 1, outcome = outcome.as_str(), %answer, "sale not accepted"
        );
        let pause = match &follow_up {
            FollowUp::Wait(at_least) => Some(self.pause(invoice, *at_least)),
            FollowUp::Continue | FollowUp::Halt(_) | FollowUp::FreeNumberAndHalt(_) => None,
        };
        let answered = AnsweredSend {
            submission,
            result,
            code: answer.code.as_deref(),
            message: &answer.message,
            expected_no: expected_number(&answer.message).filter(|number| *number >= 1),
            outcome: outcome.as_str(),
            pause,
        };
        self.lanes
            .ledger
            .send_answered(self.claim, &answered)
            .await?;

        match (follow_up, pause) {
            (FollowUp::Halt(halt), _) => self.halt(&halt).await,
            (FollowUp::FreeNumberAndHalt(halt), _) => {
                let ledger = &self.lanes.ledger;
                ledger.free_number(self.claim, invoice.id).await?;
                self.halt(&halt).await
            }
            (_, Some(pause)) => Ok(self.wait(pause).await),
            (_, None) => Ok(StepEnd::Continue),
        }
    }

    async fn look_up(
        &mut self,
        invoice: &LaneInvoice,
        now: Timestamp,
    ) -> Result<StepEnd, LaneError> {
        let Some(outcome) = self.call_look_up(invoice.invoice_no).await? else {
            return Ok(StepEnd::NotNow);
        };
        let needs_proof = !matches!(outcome, LookUpOutcome::Found(_));
        let situation = self.situation(invoice, needs_proof).await?;
        match outcome.answer() {
            Some(answer) => {
                tracing::info!(outcome = look_up_label(&outcome), %answer, "looked up");
            }
            None => tracing::info!(outcome = look_up_label(&outcome), "looked up"),
        }

        let found = match &outcome {
            LookUpOutcome::Found(sale) if sale.invoice_no == invoice.invoice_no => Some(sale),
            _ => None,
        };
        let ledger = &self.lanes.ledger;
        match decide::after_look_up(&situation, invoice, &outcome) {
            AfterLookUp::Accept(receipt) if invoice.holds_number => {
                self.accept(invoice, None, &receipt).await
            }
            AfterLookUp::Accept(receipt) => self.adopt(invoice, invoice.id, &receipt, found).await,
            AfterLookUp::GiveTo(owner, receipt) => {
                self.adopt(invoice, owner, &receipt, found).await
            }
            AfterLookUp::Halt(halt) => match found {
                Some(sale) => {
                    let ours = sale.invoice_id().filter(|id| *id == invoice.id);
                    self.halt_over(&halt, sale, ours).await
                }
                None => self.halt(&halt).await,
            },
            AfterLookUp::Wait {
                nothing_learnt,
                at_least,
            } => {
                let pause = self.pause(invoice, at_least);
                let answer = outcome.answer().filter(|_| nothing_learnt);
                let message = answer.map(|answer| format!("look-up: {answer}"));
                let wait = LaneWait {
                    pause: Some(pause),
                    nothing_learnt,
                    code: answer.and_then(|answer| answer.code.as_deref()),
                    message: message.as_deref(),
                };
                ledger.lane_waits(self.claim, invoice.id, &wait).await?;
                Ok(self.wait(pause).await)
            }
            // The number was only checked for the invoice's first send under it, so that there is
            // no failure to count.
            AfterLookUp::DeadLetter(_) | AfterLookUp::Resend(_) | AfterLookUp::Defer(_)
                if !invoice.holds_number =>
            {
                self.send(invoice, now).await
            }
            AfterLookUp::DeadLetter(given_up) => self.dead_letter(invoice, given_up).await,
            AfterLookUp::Resend(failures) => {
                ledger
                    .looked_up_absent(self.claim, invoice.id, failures)
                    .await?;
                Ok(StepEnd::Continue)
            }
            AfterLookUp::Defer(failures) => {
                ledger
                    .defer_invoice(self.claim, invoice.id, failures)
                    .await?;
                Ok(StepEnd::Continue)
            }
        }
    }

    /// Reads what the decision depends on beside the invoice and the answer. The proof costs a
    /// query, so that it is read only where the decision needs it.
    async fn situation(
        &self,
        invoice: &LaneInvoice,
        needs_proof: bool,
    ) -> Result<Situation, LedgerError> {
        let now = Timestamp::now();
        let proof = if needs_proof {
            let mark = invoice.history.strike_mark.unwrap_or(now);
            self.lanes
                .ledger
                .host_proof(&self.claim.host, mark, invoice.id)
                .await?
        } else {
            HostProof {
                took_another: false,
                answers: false,
            }
        };
        Ok(Situation {
            dialect: self.profile.dialect,
            now,
            strikes_max: self.lanes.strikes_max,
            breaker_closed: self.host.breaker() == Breaker::Closed,
            fails_for_others: self.host.fails_for_others(invoice.device),
            proof,
        })
    }
}

/// Waits for the first future, and returns what the second one has returned by then.
async fn first_with<A, B>(
    first: impl Future<Output = A>,
    second: impl Future<Output = B>,
) -> (A, Option<B>) {
    tokio::pin!(first, second);
    let mut beside = None;
    loop {
        tokio::select! {
            biased;
            done = &mut first => return (done, beside),
            done = &mut second, if beside.is_none() => beside = Some(done),
        }
    }
}

pub(crate) fn document(invoice: &LaneInvoice, first_sent_at: Timestamp) -> SaleDocument {
    SaleDocument {
        invoice_id: invoice.id,
        invoice_no: invoice.invoice_no,
        kind: invoice.kind,
        original_invoice_no: invoice.original_invoice_no,
        trader_invoice_no: trader_number(invoice.kind, invoice.id, &invoice.payment_number),
        total: invoice.total,
        buyer: invoice.buyer.clone(),
        phone: invoice.phone.clone(),
        method: invoice.method,
        occurred_at: invoice.occurred_at,
        refunded_at: invoice.refunded_at,
        first_sent_at,
    }
}

pub(crate) fn new_send<'a>(document: &'a SaleDocument, body: &'a [u8]) -> NewSend<'a> {
    NewSend {
        invoice: document.invoice_id,
        invoice_no: document.invoice_no,
        body,
        first_sent_at: document.first_sent_at,
        buyer: &document.buyer,
        trader_invoice_no: &document.trader_invoice_no,
    }
}

fn look_up_label(outcome: &LookUpOutcome) -> &'static str {
    match outcome {
        LookUpOutcome::Found(_) => "found",
        LookUpOutcome::Absent(_) => "absent",
        LookUpOutcome::NoAnswer(_) => "no answer",
        LookUpOutcome::Unsupported => "unsupported",
        LookUpOutcome::Halt { .. } => "halt",
    }
}

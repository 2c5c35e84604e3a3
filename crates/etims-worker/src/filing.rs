//! One step with one invoice: send it, look its number up, or bury it.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use risiti_domain::InvoiceId;
use risiti_etims::{LookUpOutcome, Receipt, SaleDocument, SendOutcome, receipt_url, sale_body};
use risiti_ledger::{
    Adoption, AnsweredSend, Breaker, HostProof, LaneInvoice, LedgerError, StoredReceipt,
};

use crate::calls::send_verdict;
use crate::decide::{self, AfterLookUp, AfterSend, Death, Facts, Step, Then};
use crate::lane::{Lane, Next};
use crate::letters;

/// A pause so short is slept with the lane in hand; any longer one lets go of it.
const SHORT_PAUSE: Duration = Duration::from_millis(300);

impl Lane<'_> {
    pub(crate) async fn invoice(
        &mut self,
        invoice: &LaneInvoice,
        now: Timestamp,
    ) -> Result<Next, LedgerError> {
        match decide::step(self.profile.dialect, invoice.holds_number, &invoice.history) {
            Step::Send => self.send(invoice, now).await,
            Step::LookUp => self.look_up(invoice, now).await,
            Step::DeadLetter(death) => self.dead_letter(invoice, death).await,
        }
    }

    async fn send(&mut self, invoice: &LaneInvoice, now: Timestamp) -> Result<Next, LedgerError> {
        let lanes = self.lanes;
        let Some(permit) = lanes
            .hosts
            .enter(&self.host, &mut self.trial, &lanes.shutdown)
            .await?
        else {
            return Ok(Next::NotNow);
        };
        self.warm_up().await;
        let first_sent_at = invoice.first_sent_at.unwrap_or(now);
        let body = match &invoice.body {
            Some(body) => body.clone(),
            None => sale_body(self.profile, &document(invoice, first_sent_at)),
        };
        let asked = Instant::now();
        let begun = lanes
            .ledger
            .begin_send(
                self.claim,
                invoice.id,
                invoice.invoice_no,
                &body,
                first_sent_at,
            )
            .await?;
        let Some(submission) = begun else {
            return Ok(Next::NotNow);
        };
        self.held.confirm(asked);
        if !self.held.is_fresh() || !self.host.is_fresh() {
            return Ok(Next::NotNow);
        }
        let call = lanes.client.send(self.profile, &body, invoice.invoice_no);
        let Some(outcome) = self.bounded("sale", call, SendOutcome::as_str).await else {
            return Ok(Next::NotNow);
        };
        drop(permit);
        let written = self.sent(invoice, submission, &outcome).await;
        // After the outcome, which matters more.
        lanes
            .hosts
            .report(
                &self.host,
                &mut self.trial,
                self.claim.device,
                send_verdict(&outcome),
            )
            .await?;
        written
    }

    async fn sent(
        &mut self,
        invoice: &LaneInvoice,
        submission: i64,
        outcome: &SendOutcome,
    ) -> Result<Next, LedgerError> {
        let facts = self
            .facts(invoice, self.needs_proof_of_send(invoice))
            .await?;
        match decide::after_send(&facts, invoice, outcome) {
            AfterSend::Accept(receipt) => self.accept(invoice, Some(submission), &receipt).await,
            AfterSend::Record {
                word,
                settled,
                taken,
                refused,
                then,
            } => {
                let answer = outcome.answer().cloned().unwrap_or_default();
                tracing::info!(
                    attempt = invoice.history.attempts + 1, outcome = outcome.as_str(), %answer, "sale not accepted"
                );
                let pause = match &then {
                    Then::Wait(at_least) => Some(self.pause(invoice, *at_least)),
                    Then::GoOn | Then::Halt(_) => None,
                };
                let record = AnsweredSend {
                    submission,
                    word,
                    code: answer.code.as_deref(),
                    message: &answer.message,
                    settled,
                    taken,
                    refused,
                    outcome: outcome.as_str(),
                    failed: pause.is_some(),
                    pause,
                };
                if !self.lanes.ledger.send_answered(self.claim, &record).await? {
                    return Ok(Next::Stop);
                }
                self.then(then, pause).await
            }
        }
    }

    pub(crate) async fn then(
        &mut self,
        then: Then,
        pause: Option<Duration>,
    ) -> Result<Next, LedgerError> {
        match then {
            Then::GoOn => Ok(Next::GoOn),
            Then::Wait(_) => Ok(self.sleep(pause).await),
            Then::Halt(reason) => {
                self.lanes.halt(self.claim, &reason).await?;
                Ok(Next::Stop)
            }
        }
    }

    async fn look_up(
        &mut self,
        invoice: &LaneInvoice,
        now: Timestamp,
    ) -> Result<Next, LedgerError> {
        let Some(outcome) = self.ask(invoice.invoice_no).await? else {
            return Ok(Next::NotNow);
        };
        let facts = self
            .facts(invoice, !matches!(outcome, LookUpOutcome::Found(_)))
            .await?;
        tracing::info!(outcome = look_up_word(&outcome), "looked up");
        let (lanes, claim) = (self.lanes, self.claim);
        let written = match decide::after_look_up(&facts, invoice, &outcome) {
            AfterLookUp::Accept(receipt) if invoice.holds_number => {
                return self.accept(invoice, None, &receipt).await;
            }
            AfterLookUp::Accept(receipt) => return self.give(invoice, invoice.id, &receipt).await,
            AfterLookUp::GiveTo(owner, receipt) => {
                return self.give(invoice, owner, &receipt).await;
            }
            AfterLookUp::Halt(reason) => return self.then(Then::Halt(reason), None).await,
            AfterLookUp::Wait {
                nothing_learnt,
                at_least,
            } => {
                let pause = self.pause(invoice, at_least);
                let written = lanes
                    .ledger
                    .lane_waits(claim, invoice.id, nothing_learnt, Some(pause))
                    .await?;
                return Ok(if written {
                    self.sleep(Some(pause)).await
                } else {
                    Next::Stop
                });
            }
            // Not sent yet in this turn, so there is nothing to count.
            _ if !invoice.holds_number => return self.send(invoice, now).await,
            AfterLookUp::DeadLetter(death) => return self.dead_letter(invoice, death).await,
            AfterLookUp::Resend(tally) => {
                lanes
                    .ledger
                    .looked_up_absent(claim, invoice.id, tally)
                    .await?
            }
            AfterLookUp::Defer(tally) => {
                lanes.ledger.defer_invoice(claim, invoice.id, tally).await?
            }
        };
        Ok(if written { Next::GoOn } else { Next::Stop })
    }

    /// The sale found under a number goes to the invoice it names (protocol D8).
    async fn give(
        &mut self,
        invoice: &LaneInvoice,
        owner: InvoiceId,
        receipt: &Receipt,
    ) -> Result<Next, LedgerError> {
        let (no, receipt) = (invoice.invoice_no, self.stored(receipt));
        let reason = match self
            .lanes
            .ledger
            .adopt(self.claim, owner, no, &receipt)
            .await?
        {
            Adoption::Adopted => {
                tracing::info!(owner = %owner, receipt_no = receipt.receipt_no, adopted = true, "receipt issued");
                return Ok(Next::Done);
            }
            Adoption::ClaimGone => return Ok(Next::Stop),
            Adoption::NotOurs => decide::foreign(invoice),
            Adoption::Known | Adoption::Conflict { .. } => decide::resolve(
                invoice,
                &format!("the number holds invoice {owner}, which has another number by our books"),
            ),
        };
        self.then(Then::Halt(reason), None).await
    }

    async fn accept(
        &mut self,
        invoice: &LaneInvoice,
        submission: Option<i64>,
        receipt: &Receipt,
    ) -> Result<Next, LedgerError> {
        let (lanes, stored) = (self.lanes, self.stored(receipt));
        let (id, no) = (invoice.id, invoice.invoice_no);
        let written = lanes
            .ledger
            .invoice_accepted(self.claim, id, no, submission, &stored)
            .await?;
        if !written {
            return Ok(Next::Stop);
        }
        tracing::info!(
            receipt_no = receipt.receipt_no,
            adopted = submission.is_none(),
            "receipt issued"
        );
        Ok(Next::Done)
    }

    /// The message first, with confirm, then the row (protocol E1).
    async fn dead_letter(
        &mut self,
        invoice: &LaneInvoice,
        death: Death,
    ) -> Result<Next, LedgerError> {
        let lanes = self.lanes;
        let message = letters::message(invoice, &death);
        let target = risiti_queue::Target::Dead;
        if let Err(error) = lanes
            .publisher
            .publish(target, message, lanes.publish_timeout)
            .await
        {
            tracing::warn!(%error, "dead letter not published, its lane waits");
            let pause = self.pause(invoice, None);
            lanes
                .ledger
                .lane_waits(self.claim, invoice.id, false, Some(pause))
                .await?;
            return Ok(Next::Stop);
        }
        let history = &invoice.history;
        let (code, text) = (
            history.last_code.as_deref(),
            history.last_error.as_deref().unwrap_or_default(),
        );
        let (cause, strikes) = (death.cause, death.strikes);
        if !lanes
            .ledger
            .invoice_dead(self.claim, invoice.id, cause, strikes, code, text)
            .await?
        {
            return Ok(Next::Stop);
        }
        lanes.metrics.dead_letter(cause);
        tracing::warn!(cause = cause.as_str(), code, "invoice is a dead letter");
        Ok(Next::Done)
    }

    async fn sleep(&self, pause: Option<Duration>) -> Next {
        match pause {
            Some(pause) if pause <= SHORT_PAUSE => {
                tokio::select! {
                    () = tokio::time::sleep(pause) => Next::GoOn,
                    () = self.lanes.shutdown.cancelled() => Next::Stop,
                }
            }
            _ => Next::Stop,
        }
    }

    fn pause(&self, invoice: &LaneInvoice, at_least: Option<Duration>) -> Duration {
        let pause = self
            .lanes
            .backoff
            .pause(invoice.lane_failures.saturating_add(1));
        pause.max(at_least.unwrap_or_default())
    }

    async fn facts(&self, invoice: &LaneInvoice, with_proof: bool) -> Result<Facts, LedgerError> {
        let now = Timestamp::now();
        let proof = if with_proof {
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
        Ok(Facts {
            dialect: self.profile.dialect,
            now,
            strikes_max: self.lanes.strikes_max,
            breaker_closed: self.host.breaker() == Breaker::Closed,
            proof,
        })
    }

    /// Only a VSCU is sent to while a number is unknown.
    fn needs_proof_of_send(&self, invoice: &LaneInvoice) -> bool {
        invoice.history.unknown_since.is_some()
    }

    pub(crate) fn stored(&self, receipt: &Receipt) -> StoredReceipt {
        StoredReceipt {
            receipt_no: receipt.receipt_no,
            total_receipt_no: receipt.total_receipt_no,
            signature: receipt.signature.clone(),
            internal_data: receipt.internal_data.clone(),
            control_unit_id: receipt.control_unit_id.clone(),
            url: receipt_url(self.profile, receipt),
            issued_at: receipt.issued_at,
        }
    }
}

fn document(invoice: &LaneInvoice, first_sent_at: Timestamp) -> SaleDocument {
    SaleDocument {
        invoice_id: invoice.id,
        invoice_no: invoice.invoice_no,
        kind: invoice.kind,
        original_invoice_no: invoice.original_invoice_no,
        trader_invoice_no: invoice.trader_invoice_no.clone(),
        total: invoice.total,
        phone: invoice.phone.clone(),
        method: invoice.method,
        occurred_at: invoice.occurred_at,
        refunded_at: invoice.refunded_at,
        first_sent_at,
    }
}

fn look_up_word(outcome: &LookUpOutcome) -> &'static str {
    match outcome {
        LookUpOutcome::Found(_) => "found",
        LookUpOutcome::Absent(_) => "absent",
        LookUpOutcome::NoAnswer(_) => "no answer",
        LookUpOutcome::Unsupported => "unsupported",
        LookUpOutcome::Halt { .. } => "halt",
    }
}

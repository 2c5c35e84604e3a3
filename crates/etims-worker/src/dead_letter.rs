//! Setting an invoice aside as a dead letter: its message in the dead-letter queue, then its row.

use risiti_domain::{DeadCause, InvoiceKind};
use risiti_ledger::{LaneError, LaneInvoice, LaneWait, LastWord, invoice_dead_letter_id};
use risiti_queue::{DeadLetterFacts, Message, Target};

use crate::decide::GivenUp;
use crate::halt_reasons::many_deaths;
use crate::lane::{Lane, StepEnd};

/// Unexplained deaths in a row, without a success in the lane, after which it halts (protocol D12).
const DEATHS_IN_ROW_MAX: u32 = 3;

impl Lane<'_> {
    /// Publishes the message with confirm before it writes the row, so that no row lacks its
    /// message (protocol E1).
    pub(crate) async fn dead_letter(
        &self,
        invoice: &LaneInvoice,
        given_up: GivenUp,
    ) -> Result<StepEnd, LaneError> {
        let lanes = self.lanes;
        let message = message(invoice, &given_up);
        if let Err(error) = lanes
            .publisher
            .publish(Target::Dead, message, lanes.publish_timeout)
            .await
        {
            tracing::warn!(%error, "dead letter not published, its lane waits");
            let pause = self.pause(invoice, None);
            let wait = LaneWait {
                pause: Some(pause),
                ..LaneWait::default()
            };
            lanes
                .ledger
                .lane_waits(self.claim, invoice.id, &wait)
                .await?;
            return Ok(StepEnd::Stop);
        }

        let GivenUp { cause, strikes } = given_up;
        let code = invoice.history.last_code.as_deref();
        let error = invoice.history.last_error.as_deref().unwrap_or_default();
        let last_word = LastWord {
            cause,
            strikes,
            code,
            message: error,
            unexplained: is_unexplained(invoice, cause),
        };
        let deaths_in_row = lanes
            .ledger
            .invoice_dead(self.claim, invoice.id, &last_word)
            .await?;
        lanes.metrics.dead_letter(cause);
        tracing::warn!(cause = cause.as_str(), code, "invoice is a dead letter");
        if deaths_in_row >= DEATHS_IN_ROW_MAX {
            return self
                .halt(&many_deaths(invoice.device, deaths_in_row, error))
                .await;
        }
        Ok(StepEnd::InvoiceDone)
    }
}

/// Whether KRA gave no clear word about the invoice. Words on no list are none, except about a credit
/// note, which has many rules of its own.
fn is_unexplained(invoice: &LaneInvoice, cause: DeadCause) -> bool {
    let history = &invoice.history;
    let vaguely = history.last_code.is_none() && history.unknown_since.is_some();
    cause == DeadCause::Exhausted || (invoice.kind == InvoiceKind::Sale && vaguely)
}

/// The message carries the last request body and what is needed to find the row.
fn message(invoice: &LaneInvoice, given_up: &GivenUp) -> Message {
    let history = &invoice.history;
    let facts = DeadLetterFacts {
        id: invoice_dead_letter_id(invoice.id),
        cause: given_up.cause.to_string(),
        message: history.last_error.clone().unwrap_or_default(),
        code: history.last_code.clone(),
        attempts: Some(history.attempts),
        event_id: invoice.event_id,
        merchant_id: Some(invoice.merchant_id),
        invoice_id: Some(invoice.id.uuid()),
        device_id: Some(invoice.device.uuid()),
        replays: None,
    };
    let body = invoice.body.clone().unwrap_or_else(|| b"{}".to_vec());
    Message::dead_letter(&facts, Default::default(), body.into())
}

//! The message that a dead invoice leaves in the dead-letter queue.

use risiti_ledger::{LaneInvoice, invoice_dead_letter_id};
use risiti_queue::{DeadLetterFacts, Message};

use crate::decide::Death;

/// Carries the last request body and what is needed to find the row.
pub(crate) fn message(invoice: &LaneInvoice, death: &Death) -> Message {
    let history = &invoice.history;
    let facts = DeadLetterFacts {
        id: invoice_dead_letter_id(invoice.id),
        cause: death.cause.to_string(),
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

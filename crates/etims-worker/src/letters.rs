//! The message a dead invoice leaves on the pile.

use std::collections::BTreeMap;

use risiti_ledger::{LaneInvoice, invoice_dead_letter_id};
use risiti_queue::Message;

use crate::decide::Burial;

/// The last request body, and what is needed to find the row. Equal for the same death, so publishing it
/// again is harmless (protocol E1).
pub(crate) fn message(invoice: &LaneInvoice, burial: &Burial) -> Message {
    let id = invoice_dead_letter_id(invoice.id);
    let history = &invoice.history;
    let mut headers = BTreeMap::from([
        ("risiti-dead-letter-id", id.to_string()),
        ("risiti-cause", burial.cause.to_string()),
        (
            "risiti-message",
            history.last_error.clone().unwrap_or_default(),
        ),
        ("risiti-attempts", history.attempts.to_string()),
        ("risiti-invoice", invoice.id.to_string()),
        ("risiti-device", invoice.device.to_string()),
        ("risiti-merchant", invoice.merchant_id.to_string()),
    ]);
    if let Some(event) = invoice.event_id {
        headers.insert("risiti-event-id", event.to_string());
    }
    if let Some(code) = &history.last_code {
        headers.insert("risiti-code", code.clone());
    }
    Message {
        id,
        headers: headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        body: invoice
            .body
            .clone()
            .unwrap_or_else(|| b"{}".to_vec())
            .into(),
    }
}

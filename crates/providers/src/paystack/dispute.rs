//! Disputes. They hold money, which goes back only when the resolved transaction is reversed.

use super::message::Message;
use crate::event::Event;
use crate::identifier::key;
use crate::reversal::{ReversalOutcome, ReversalReport};
use crate::{Unreadable, time};

pub(super) fn parse_dispute(message: &Message<'_>) -> Result<Event, Unreadable> {
    let data = &message.data;
    let id = data.required_identifier("id")?;
    let status = data.identifier("status")?.unwrap_or_default();
    // A reminder differs from the one before by its time only.
    let reminded_at = match message.event.as_str() {
        "charge.dispute.remind" => data.identifier("updated_at")?,
        _ => None,
    };
    let mut natural = vec![id.as_str(), status.as_str()];
    natural.extend(reminded_at.as_deref());

    if message.event != "charge.dispute.resolve" {
        return Ok(message.other(&natural, "a dispute holds money and moves none"));
    }
    let transaction = data.required("transaction")?.object()?;
    if transaction.text("status")?.as_deref() != Some("reversed") {
        return Ok(message.other(&natural, "a dispute resolved without a reversal"));
    }
    let amount = message.money("refund_amount")?;
    if amount.is_some_and(|amount| amount.is_zero()) {
        return Ok(message.other(&natural, "a dispute resolved with a refund of 0.00"));
    }

    let report = ReversalReport {
        reversal_key: key(&["dispute", &id]),
        other_keys: Vec::new(),
        of_money_key: transaction.required_identifier("reference")?,
        amount,
        outcome: ReversalOutcome::Done,
        occurred_at: data
            .lenient_text("resolvedAt")
            .as_deref()
            .and_then(time::iso),
    };
    Ok(Event::reversal(
        message.event.as_str(),
        message.key(&natural),
        report,
    ))
}

//! Refunds of a whole charge or a part of it.

use super::message::Message;
use crate::Unreadable;
use crate::event::{Event, ReversalOutcome, ReversalReport};
use crate::identifier::key;

pub(super) fn parse_refund(message: &Message<'_>) -> Result<Event, Unreadable> {
    let data = &message.data;
    let transaction = data.required_identifier("transaction_reference")?;
    // The reference is null while the refund is pending.
    let reference = data.identifier("refund_reference")?;
    let amount = message
        .money("amount")?
        .ok_or_else(|| data.missing("amount"))?;

    let natural = [
        transaction.clone(),
        reference.clone().unwrap_or_default(),
        amount.amount().to_string(),
    ];
    let natural = natural.each_ref().map(String::as_str);
    if amount.is_zero() {
        return Ok(message.other(&natural, "a refund of 0.00"));
    }

    let reversal_key = match &reference {
        Some(reference) => key(&["refund", &transaction, reference]),
        // Two partial refunds of the same amount look alike until they have references.
        None => key(&["refund", &transaction, "", natural[2]]),
    };
    let report = ReversalReport {
        reversal_key,
        of_money_key: transaction.clone(),
        amount: Some(amount),
        outcome: match message.event.as_str() {
            "refund.processed" => ReversalOutcome::Done,
            "refund.failed" => ReversalOutcome::Failed,
            _ => ReversalOutcome::Pending,
        },
        occurred_at: None,
    };
    Ok(Event::reversal(
        message.event.as_str(),
        message.key(&natural),
        report,
    ))
}

//! Refunds of a whole charge or a part of it.

use super::message::Message;
use crate::Unreadable;
use crate::event::Event;
use crate::identifier::key;
use crate::json::Object;
use crate::reversal::{ReversalOutcome, ReversalReport};

pub(super) fn parse_refund(message: &Message<'_>) -> Result<Event, Unreadable> {
    let data = &message.data;
    let charge = charge_reference(data)?;
    // The reference is null while the refund is pending, and sometimes for ever.
    let reference = data.identifier("refund_reference")?;
    let id = data.identifier("id")?;
    let amount = message
        .money("amount")?
        .ok_or_else(|| data.missing("amount"))?;
    let amount_text = amount.amount().to_string();

    let mut natural = vec![charge.as_str(), reference.as_deref().unwrap_or_default()];
    natural.extend(id.as_deref());
    natural.push(&amount_text);
    if amount.is_zero() {
        return Ok(message.other(&natural, "a refund of 0.00"));
    }

    let by_reference = reference
        .as_ref()
        .map(|reference| key(&["refund", &charge, reference]));
    let by_id = id.as_ref().map(|id| key(&["refund", &charge, "id", id]));
    let by_dispute = dispute_id(data).map(|dispute| key(&["dispute", &dispute]));
    let mut keys = [by_reference, by_id, by_dispute].into_iter().flatten();
    // Two partial refunds of the same amount look alike if neither has a reference or an id.
    let reversal_key = keys
        .next()
        .unwrap_or_else(|| key(&["refund", &charge, "", &amount_text]));

    let report = ReversalReport {
        reversal_key,
        other_keys: keys.collect(),
        of_money_key: charge.clone(),
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

/// The charge that is refunded, named by its reference or within `transaction`.
fn charge_reference(data: &Object<'_>) -> Result<String, Unreadable> {
    if let Some(reference) = data.identifier("transaction_reference")? {
        return Ok(reference);
    }
    let transaction = data.get("transaction")?;
    let transaction = transaction.and_then(|transaction| transaction.object().ok());
    transaction
        .ok_or_else(|| data.missing("transaction_reference"))?
        .required_identifier("reference")
}

/// The dispute that a refund settles, written as its id or as an object. What is written otherwise
/// names none, because it must not block the refund.
fn dispute_id(data: &Object<'_>) -> Option<String> {
    let dispute = data.get("dispute").ok()??;
    let id = match dispute.object() {
        Ok(dispute) => dispute.identifier("id"),
        Err(_) => data.identifier("dispute"),
    };
    id.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Account;
    use crate::event::EventBody;
    use crate::paystack::parse_message;

    fn read(event: &str, data: &str) -> Result<Event, Unreadable> {
        let body = format!(r#"{{"event":"{event}","data":{data}}}"#);
        parse_message(body.as_bytes(), &Account::default())
    }

    fn reversal(event: &str, data: &str) -> (String, ReversalReport) {
        let event = read(event, data).unwrap();
        let EventBody::Reversal(report) = event.body else {
            panic!("not a reversal")
        };
        (event.delivery_key, report)
    }

    #[test]
    fn event_decides_the_outcome_of_a_refund() {
        let data = r#"{"transaction_reference":"r","refund_reference":77,"amount":"500","currency":"KES"}"#;
        for (event, expected) in [
            ("refund.pending", ReversalOutcome::Pending),
            ("refund.processing", ReversalOutcome::Pending),
            ("refund.needs-attention", ReversalOutcome::Pending),
            ("refund.processed", ReversalOutcome::Done),
            ("refund.failed", ReversalOutcome::Failed),
        ] {
            let EventBody::Reversal(report) = read(event, data).unwrap().body else {
                panic!("not a reversal")
            };
            assert_eq!(
                (report.outcome, report.reversal_key.as_str()),
                (expected, "refund:r:77")
            );
            assert_eq!(report.amount.unwrap().to_string(), "KES 5.00");
        }
        let nothing = data.replace("500", "0");
        assert!(matches!(
            read("refund.processed", &nothing).unwrap().body,
            EventBody::Other { .. }
        ));
    }

    #[test]
    fn refunds_without_reference_are_told_apart_by_their_ids() {
        let data = |id: &str| {
            format!(
                r#"{{"transaction_reference":"r","refund_reference":null,"amount":500,"currency":"KES","id":{id}}}"#
            )
        };
        let (first, as_text) = reversal("refund.processed", &data(r#""7""#));
        let (again, as_number) = reversal("refund.processed", &data("7"));
        let (second, other) = reversal("refund.processed", &data("8"));
        assert!(first == again && first != second);
        assert_eq!(as_text.reversal_key, "refund:r:id:7");
        assert_eq!(as_number.reversal_key, as_text.reversal_key);
        assert_eq!(other.reversal_key, "refund:r:id:8");
    }

    #[test]
    fn refund_is_named_by_reference_id_and_dispute() {
        for dispute in ["92", r#""92""#, r#"{"id":92,"status":"resolved"}"#] {
            let data = format!(
                r#"{{"transaction_reference":"r","refund_reference":"R1","amount":500,"currency":"KES","id":"7","dispute":{dispute}}}"#
            );
            let (_, report) = reversal("refund.processed", &data);
            let keys: Vec<&str> = report.keys().collect();
            assert_eq!(keys, ["refund:r:R1", "refund:r:id:7", "dispute:92"]);
        }
        for nothing in ["null", "false", "[]", r#""""#, "{}"] {
            let data = format!(
                r#"{{"transaction_reference":"r","refund_reference":"R1","amount":500,"currency":"KES","dispute":{nothing}}}"#
            );
            let (_, report) = reversal("refund.processed", &data);
            assert_eq!(report.keys().collect::<Vec<_>>(), ["refund:r:R1"]);
        }
    }

    #[test]
    fn refund_may_name_its_charge_within_transaction() {
        let data = r#"{"transaction":{"reference":"r"},"refund_reference":"R1","amount":500,"currency":"KES"}"#;
        let (_, report) = reversal("refund.processed", data);
        assert_eq!(report.of_money_key, "r");
        for (transaction, missing) in [
            ("7", "data.transaction_reference"),
            ("{}", "data.transaction.reference"),
        ] {
            let data = format!(r#"{{"transaction":{transaction},"amount":500,"currency":"KES"}}"#);
            let unreadable = read("refund.processed", &data).unwrap_err();
            assert_eq!(unreadable.field, missing);
        }
    }
}

//! Paystack. Its webhooks are signed and are retried for 72 hours.

mod charge;
mod dispute;
mod message;
mod refund;
mod signature;

use sha2::{Digest, Sha256};

use crate::event::Event;
use crate::json::{self, Node};
use crate::{Account, Unreadable};
use message::Message;

pub use signature::verify;

pub(crate) fn parse_message(body: &[u8], account: &Account) -> Result<Event, Unreadable> {
    json::read(body, |root| parse_root(root, body, account))
}

fn parse_root(root: Node<'_>, body: &[u8], account: &Account) -> Result<Event, Unreadable> {
    let root = root.object()?;
    let event = root.required_identifier("event")?;
    let data = root.required("data")?.object()?;
    let is_test = account.paystack_live == Some(true)
        && data
            .text("domain")?
            .is_some_and(|domain| domain.eq_ignore_ascii_case("test"));
    let message = Message {
        event,
        data,
        is_test,
    };

    let event = match message.event.as_str() {
        "charge.success" | "charge.failed" => charge::parse_charge(&message)?,
        "refund.pending"
        | "refund.processing"
        | "refund.needs-attention"
        | "refund.processed"
        | "refund.failed" => refund::parse_refund(&message)?,
        "charge.dispute.create" | "charge.dispute.remind" | "charge.dispute.resolve" => {
            dispute::parse_dispute(&message)?
        }
        "transfer.success" | "transfer.failed" | "transfer.reversed" => transfer(&message, body)?,
        _ => message.other(&[&body_key(body)], "an event that moves no payment"),
    };
    if is_test {
        return Ok(Event::other(
            event.kind,
            event.delivery_key,
            "a test under a live key moves no money",
        ));
    }
    Ok(event)
}

/// Reads a transfer, which is money going out.
fn transfer(message: &Message<'_>, body: &[u8]) -> Result<Event, Unreadable> {
    let id = match message.data.identifier("transfer_code")? {
        Some(code) => Some(code),
        None => message.data.identifier("reference")?,
    };
    let id = id.unwrap_or_else(|| body_key(body));
    Ok(message.other(&[&id], "a payout, not a sale"))
}

/// The natural key of an event that has none of its own. Retries repeat the same bytes.
fn body_key(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventBody, Outcome};

    fn read(event: &str, data: &str) -> Result<Event, Unreadable> {
        parse_message(
            format!(r#"{{"event":"{event}","data":{data}}}"#).as_bytes(),
            &Account::default(),
        )
    }

    #[test]
    fn charge_needs_its_reference_amount_and_currency() {
        for (data, expected) in [
            (
                r#"{"amount":1,"currency":"KES"}"#,
                "data.reference: is missing, null or blank",
            ),
            (
                r#"{"reference":"r","currency":"KES"}"#,
                "data.amount: is missing, null or blank",
            ),
            (
                r#"{"reference":"r","amount":1}"#,
                "data.currency: is missing, null or blank",
            ),
            (
                r#"{"reference":"r","amount":1,"currency":"KSHS"}"#,
                "data.currency: is not a currency of three letters",
            ),
            (
                r#"{"reference":"r","amount":-1,"currency":"KES"}"#,
                "data.amount: is no amount: negative",
            ),
            (
                r#"{"reference":"r","amount":1e14,"currency":"KES"}"#,
                "data.amount: is no amount: 10^12 or more",
            ),
            ("null", "data: is missing, null or blank"),
            ("[]", "data: is not an object"),
        ] {
            assert_eq!(
                read("charge.success", data).unwrap_err().to_string(),
                expected
            );
        }
    }

    #[test]
    fn charge_succeeds_only_with_status_and_amount() {
        for (data, expected) in [
            (r#""amount":"150000","status":"success""#, "Succeeded"),
            (
                r#""amount":1,"channel":null,"customer":"?","authorization":[],"paid_at":7"#,
                "Succeeded",
            ),
            (r#""amount":1,"status":"abandoned""#, "Unknown"),
            (r#""amount":0,"status":"success""#, "Unknown"),
        ] {
            let event = read(
                "charge.success",
                &format!(r#"{{"reference":"r","currency":"KES",{data}}}"#),
            )
            .unwrap();
            let EventBody::Payment(report) = event.body else {
                panic!("not a payment")
            };
            assert!(
                format!("{:?}", report.outcome).starts_with(expected),
                "{data}"
            );
        }
        let event = read("charge.failed", r#"{"reference":"r"}"#).unwrap();
        let EventBody::Payment(report) = event.body else {
            panic!("not a payment")
        };
        assert!(matches!(report.outcome, Outcome::Failed { .. }));
    }

    #[test]
    fn phone_that_paid_is_preferred_to_the_customers() {
        let phone = |data: &str| {
            let data = format!(r#"{{"reference":"r","currency":"KES","amount":1,{data}}}"#);
            let EventBody::Payment(report) = read("charge.success", &data).unwrap().body else {
                panic!("not a payment")
            };
            report.phone.map(|phone| phone.as_str().to_owned())
        };
        let paid = r#""authorization":{"mobile_money_number":"0710000000"}"#;
        let customer =
            r#""customer":{"phone":"0720000000","international_format_phone":"+254730000000"}"#;
        assert_eq!(
            phone(&format!("{paid},{customer}")).as_deref(),
            Some("254710000000")
        );
        assert_eq!(phone(customer).as_deref(), Some("254720000000"));
        assert_eq!(
            phone(r#""customer":{"phone":"","international_format_phone":"+254730000000"}"#)
                .as_deref(),
            Some("254730000000")
        );
        assert_eq!(phone(r#""customer":{"phone":"+1 202 555 0100"}"#), None);
    }

    #[test]
    fn dispute_reverses_only_when_resolved_so() {
        let data = |status: &str| {
            format!(
                r#"{{"id":1,"status":"resolved","refund_amount":"100","currency":"KES","transaction":{{"reference":"r","status":"{status}"}}}}"#
            )
        };
        for (event, status, is_reversal) in [
            ("charge.dispute.resolve", "reversed", true),
            ("charge.dispute.resolve", "success", false),
            ("charge.dispute.create", "reversed", false),
            ("charge.dispute.remind", "reversed", false),
        ] {
            let read = read(event, &data(status)).unwrap();
            assert_eq!(
                matches!(read.body, EventBody::Reversal(_)),
                is_reversal,
                "{event} {status}"
            );
        }
        let whole = data("reversed").replace(r#""100""#, "null");
        let EventBody::Reversal(report) = read("charge.dispute.resolve", &whole).unwrap().body
        else {
            panic!("not a reversal")
        };
        assert_eq!(report.amount, None);
    }

    #[test]
    fn each_reminder_and_unknown_event_has_its_own_key() {
        let remind = |at: &str| {
            read(
                "charge.dispute.remind",
                &format!(r#"{{"id":1,"status":"s","updated_at":"{at}"}}"#),
            )
        };
        let key = |read: Result<Event, Unreadable>| read.unwrap().delivery_key;
        assert!(key(remind("1")) != key(remind("2")));
        assert!(
            key(read("subscription.create", r#"{"a":1}"#))
                != key(read("subscription.create", r#"{"a":2}"#))
        );
        assert!(key(read("transfer.success", "{}")) != key(read("transfer.failed", "{}")));
        for event in ["paymentrequest.success", "invoice.update", "constructor"] {
            let data = r#"{"reference":"r","amount":1,"currency":"KES","status":"success"}"#;
            assert!(
                matches!(read(event, data).unwrap().body, EventBody::Other { .. }),
                "{event}"
            );
        }
    }
}

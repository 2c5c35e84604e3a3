//! C2B: the question before a payment to a short code, and the news after it.

use risiti_domain::{Currency, PaymentMethod, Phone};

use crate::event::{Event, Outcome, PaymentReport};
use crate::identifier::key;
use crate::json::{Node, Object};
use crate::{Unreadable, amount, time};

pub(super) const VALIDATION_KEY: &str = "validation";
pub(super) const CONFIRMATION_KEY: &str = "confirmation";

/// No money has moved, and none may ever: a validation need not be followed by a confirmation.
pub(crate) fn validation(body: &[u8]) -> Result<Event, Unreadable> {
    let fields = Node::root(body)?.object()?;
    let id = fields.required_identifier("TransID")?;
    Ok(Event::other(
        "c2b_validation",
        key(&[VALIDATION_KEY, &id]),
        "asked before any money moved",
    ))
}

/// The message itself says that money arrived.
pub(crate) fn confirmation(body: &[u8]) -> Result<Event, Unreadable> {
    let fields = Node::root(body)?.object()?;
    let id = fields.required_identifier("TransID")?;
    let delivery_key = key(&[CONFIRMATION_KEY, &id]);
    Ok(Event::payment(
        "c2b_confirmation",
        delivery_key,
        report(&fields, id)?,
    ))
}

fn report(fields: &Object<'_>, id: String) -> Result<PaymentReport, Unreadable> {
    let amount = fields
        .text("TransAmount")?
        .ok_or_else(|| fields.missing("TransAmount"))?;
    let amount = amount::major("TransAmount", &amount, Currency::KES)?;
    Ok(PaymentReport {
        outcome: Outcome::of_paid(Some(&id), Some(amount)),
        money_key: Some(id.clone()),
        checkout_id: None,
        reference: None,
        receipt: Some(id),
        amount: Some(amount),
        phone: fields.soft_text("MSISDN").as_deref().and_then(Phone::parse),
        occurred_at: fields
            .soft_text("TransTime")
            .as_deref()
            .and_then(time::nairobi),
        short_code: Some(fields.required_identifier("BusinessShortCode")?),
        method: PaymentMethod::MobileMoney,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EventBody;

    #[test]
    fn a_confirmation_needs_its_id_amount_and_short_code() {
        for (body, expected) in [
            (r#"{}"#, "TransID: is missing, null or blank"),
            (
                r#"{"TransID":null,"TransAmount":null,"BusinessShortCode":null}"#,
                "TransID: is missing, null or blank",
            ),
            (
                r#"{"TransID":"A","BusinessShortCode":"600000"}"#,
                "TransAmount: is missing, null or blank",
            ),
            (
                r#"{"TransID":"A","TransAmount":"10"}"#,
                "BusinessShortCode: is missing, null or blank",
            ),
            (
                r#"{"TransID":"A","TransAmount":"1,000","BusinessShortCode":"6"}"#,
                "TransAmount: is no amount: not a decimal number",
            ),
            (
                r#"{"TransID":"A","TransAmount":"1","TransAmount":"2"}"#,
                "TransAmount: appears twice with different values",
            ),
        ] {
            assert_eq!(
                confirmation(body.as_bytes()).unwrap_err().to_string(),
                expected
            );
        }
    }

    #[test]
    fn numbers_serve_where_strings_are_documented() {
        let body = br#"{"TransID":"A1","TransAmount":10.005,"BusinessShortCode":600000,"MSISDN":254708374149,"TransTime":20260928113015}"#;
        let EventBody::Payment(report) = confirmation(body).unwrap().body else {
            panic!("a payment")
        };
        assert_eq!(report.amount.unwrap().to_string(), "KES 10.01");
        assert_eq!(report.short_code.as_deref(), Some("600000"));
        assert!(report.phone.is_some() && report.occurred_at.is_some());
    }

    #[test]
    fn nothing_paid_is_not_paid() {
        let body = br#"{"TransID":"A1","TransAmount":"0.00","BusinessShortCode":"600000"}"#;
        let EventBody::Payment(report) = confirmation(body).unwrap().body else {
            panic!("a payment")
        };
        assert_eq!(
            report.outcome,
            Outcome::unknown("paid, but the amount rounds to 0.00")
        );
    }

    #[test]
    fn payers_of_one_account_share_no_reference() {
        let body =
            br#"{"TransID":"A1","TransAmount":"1","BusinessShortCode":"6","BillRefNumber":"RENT"}"#;
        let EventBody::Payment(report) = confirmation(body).unwrap().body else {
            panic!("a payment")
        };
        assert_eq!(report.reference, None);
    }
}

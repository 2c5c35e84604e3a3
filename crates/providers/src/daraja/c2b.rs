//! C2B messages. The validation comes before a payment to a short code, the confirmation after it.

use risiti_domain::{Currency, PaymentMethod, Phone};

use super::key_prefix;
use super::party::{is_short_code, leading_id};
use crate::event::{Event, Organisation, Outcome, PaymentReport};
use crate::identifier::key;
use crate::json::{self, Object};
use crate::{Unreadable, amount, time};

/// Reads a validation request. No money has moved yet, and it may never move, because a
/// confirmation need not follow.
pub(crate) fn parse_validation(body: &[u8]) -> Result<Event, Unreadable> {
    json::read(body, |root| {
        let id = root.object()?.required_identifier("TransID")?;
        Ok(Event::other(
            "c2b_validation",
            key(&[key_prefix::VALIDATION, &id]),
            "a question before the payment; no money has moved",
        ))
    })
}

/// Reads a confirmation. That it arrives means that the money has.
pub(crate) fn parse_confirmation(body: &[u8]) -> Result<Event, Unreadable> {
    json::read(body, |root| {
        let fields = root.object()?;
        let id = fields.required_identifier("TransID")?;
        let delivery_key = key(&[key_prefix::CONFIRMATION, &id]);
        Ok(Event::payment(
            "c2b_confirmation",
            delivery_key,
            report(&fields, id)?,
        ))
    })
}

fn report(fields: &Object<'_>, id: String) -> Result<PaymentReport, Unreadable> {
    let amount = fields
        .text("TransAmount")?
        .ok_or_else(|| fields.missing("TransAmount"))?;
    let amount = amount::major("TransAmount", &amount, Currency::KES)?;
    Ok(PaymentReport {
        outcome: Outcome::from_paid(Some(&id), Some(amount)),
        money_key: Some(id.clone()),
        checkout_id: None,
        reference: None,
        receipt: Some(id),
        amount: Some(amount),
        phone: fields
            .lenient_text("MSISDN")
            .as_deref()
            .and_then(Phone::parse),
        occurred_at: fields
            .lenient_text("TransTime")
            .as_deref()
            .and_then(time::nairobi),
        short_code: Some(fields.required_identifier("BusinessShortCode")?),
        paid_by: paying_organisation(fields),
        method: PaymentMethod::MobileMoney,
    })
}

/// The organisation that paid. Its short code stands where a payer's phone or first name would, or
/// nowhere.
fn paying_organisation(fields: &Object<'_>) -> Option<Organisation> {
    let payer = ["MSISDN", "FirstName"].into_iter().find_map(|name| {
        let text = fields.lenient_text(name)?;
        let id = leading_id(&text);
        is_short_code(id).then(|| Organisation::ShortCode(id.to_owned()))
    });
    let is_transfer = || {
        let kind = fields.lenient_text("TransactionType").unwrap_or_default();
        kind.eq_ignore_ascii_case("Organization To Organization Transfer")
    };
    payer.or_else(|| is_transfer().then_some(Organisation::Unnamed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EventBody;

    #[test]
    fn confirmation_needs_its_id_amount_and_short_code() {
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
                parse_confirmation(body.as_bytes()).unwrap_err().to_string(),
                expected
            );
        }
    }

    #[test]
    fn numbers_are_read_where_strings_are_documented() {
        let body = br#"{"TransID":"A1","TransAmount":10.005,"BusinessShortCode":600000,"MSISDN":254708374149,"TransTime":20260928113015}"#;
        let EventBody::Payment(report) = parse_confirmation(body).unwrap().body else {
            panic!("not a payment")
        };
        assert_eq!(report.amount.unwrap().to_string(), "KES 10.01");
        assert_eq!(report.short_code.as_deref(), Some("600000"));
        assert!(report.phone.is_some() && report.occurred_at.is_some());
    }

    #[test]
    fn confirmation_of_zero_is_unknown() {
        let body = br#"{"TransID":"A1","TransAmount":"0.00","BusinessShortCode":"600000"}"#;
        let EventBody::Payment(report) = parse_confirmation(body).unwrap().body else {
            panic!("not a payment")
        };
        assert_eq!(
            report.outcome,
            Outcome::unknown("paid, but the amount rounds to 0.00")
        );
    }

    #[test]
    fn paying_organisation_is_told_from_a_person() {
        let paid_by = |payer: &str| {
            let body = format!(
                r#"{{"TransID":"A1","TransAmount":"1","BusinessShortCode":"600000",{payer}}}"#
            );
            let EventBody::Payment(report) = parse_confirmation(body.as_bytes()).unwrap().body
            else {
                panic!("not a payment")
            };
            report.paid_by
        };
        let code = Some(Organisation::ShortCode("600001".to_owned()));
        let transfer = r#""TransactionType":"Organization To Organization Transfer""#;
        assert_eq!(paid_by(r#""MSISDN":"600001""#), code);
        assert_eq!(
            paid_by(&format!(
                r#"{transfer},"MSISDN":"","FirstName":"600001 - EXAMPLE LTD""#
            )),
            code
        );
        assert_eq!(
            paid_by(&format!(
                r#"{transfer},"MSISDN":"","FirstName":"EXAMPLE LTD""#
            )),
            Some(Organisation::Unnamed)
        );
        assert_eq!(
            paid_by(r#""MSISDN":"2547 ***** 149","FirstName":"JANE""#),
            None
        );
    }

    #[test]
    fn bill_reference_is_not_a_reference() {
        let body =
            br#"{"TransID":"A1","TransAmount":"1","BusinessShortCode":"6","BillRefNumber":"RENT"}"#;
        let EventBody::Payment(report) = parse_confirmation(body).unwrap().body else {
            panic!("not a payment")
        };
        assert_eq!(report.reference, None);
    }
}

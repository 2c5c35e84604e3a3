//! STK callbacks report the outcome of a payment prompt on the payer's phone.

use risiti_domain::{Currency, Money, PaymentMethod, Phone};

use super::code::{DONE, result_code, stk_outcome};
use super::key_prefix;
use super::pairs::Pairs;
use crate::event::{Event, Outcome, PaymentReport};
use crate::identifier::{identifier, key};
use crate::json::{self, Object};
use crate::{Unreadable, amount, time};

pub(crate) fn parse_stk(body: &[u8]) -> Result<Event, Unreadable> {
    json::read(body, |root| {
        let body = root.object()?.required("Body")?.object()?;
        parse_callback(&body.required("stkCallback")?.object()?)
    })
}

fn parse_callback(callback: &Object<'_>) -> Result<Event, Unreadable> {
    let checkout_id = callback.required_identifier("CheckoutRequestID")?;
    if key_prefix::ALL.contains(&checkout_id.as_str()) {
        return Err(Unreadable::new(
            callback.path_of("CheckoutRequestID"),
            "is no checkout id",
        ));
    }
    let code = result_code(callback)?;

    // The code is part of the key, because a time-out and a late success are two messages about one
    // payment.
    let delivery_key = key(&[&checkout_id, &code]);

    let report = if code == DONE {
        paid(callback, checkout_id)?
    } else {
        PaymentReport {
            outcome: stk_outcome(&code),
            ..without_money(checkout_id)
        }
    };
    Ok(Event::payment("stk", delivery_key, report))
}

fn paid(callback: &Object<'_>, checkout_id: String) -> Result<PaymentReport, Unreadable> {
    let items = Pairs::read(callback, "CallbackMetadata", "Item", "Name")?;
    let receipt = items.text("MpesaReceiptNumber")?;
    let receipt = receipt
        .map(|text| identifier(items.path_of("MpesaReceiptNumber"), text.into_owned()))
        .transpose()?;
    let amount: Option<Money> = items
        .text("Amount")?
        .map(|text| amount::major(items.path_of("Amount"), &text, Currency::KES))
        .transpose()?;
    Ok(PaymentReport {
        outcome: Outcome::from_paid(receipt.as_deref(), amount),
        money_key: receipt.clone(),
        receipt,
        amount,
        phone: items
            .lenient_text("PhoneNumber")
            .as_deref()
            .and_then(Phone::parse),
        occurred_at: items
            .lenient_text("TransactionDate")
            .as_deref()
            .and_then(time::nairobi),
        ..without_money(checkout_id)
    })
}

/// A report that says nothing but which checkout it is about.
fn without_money(checkout_id: String) -> PaymentReport {
    PaymentReport {
        money_key: None,
        checkout_id: Some(checkout_id),
        reference: None,
        receipt: None,
        outcome: Outcome::unknown(""),
        amount: None,
        phone: None,
        occurred_at: None,
        short_code: None,
        paid_by: None,
        method: PaymentMethod::MobileMoney,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EventBody;

    fn read(id: &str, code: &str, items: &str) -> Result<PaymentReport, Unreadable> {
        let body = format!(
            r#"{{"Body":{{"stkCallback":{{"CheckoutRequestID":{id},"ResultCode":{code},"CallbackMetadata":{{"Item":[{items}]}}}}}}}}"#
        );
        match parse_stk(body.as_bytes())?.body {
            EventBody::Payment(report) => Ok(report),
            other => panic!("{other:?} is not a payment"),
        }
    }

    const AMOUNT: &str = r#"{"Name":"Amount","Value":1500.10}"#;
    const RECEIPT: &str = r#"{"Name":"MpesaReceiptNumber","Value":"UIS4000001"}"#;

    #[test]
    fn code_0_without_receipt_or_amount_is_unknown() {
        let zero = r#"{"Name":"Amount","Value":0.001}"#;
        for (items, problem) in [
            (AMOUNT.to_owned(), "paid, but the message has no receipt"),
            (
                format!(r#"{AMOUNT},{{"Name":"MpesaReceiptNumber","Value":" "}}"#),
                "paid, but the message has no receipt",
            ),
            (RECEIPT.to_owned(), "paid, but the message has no amount"),
            (
                format!("{zero},{RECEIPT}"),
                "paid, but the amount rounds to 0.00",
            ),
        ] {
            let report = read(r#""ws_CO_1""#, "0", &items).unwrap();
            assert_eq!(report.outcome, Outcome::unknown(problem));
            assert_eq!(report.money_key.is_some(), items.contains("UIS4000001"));
        }
    }

    #[test]
    fn metadata_of_a_failure_is_ignored() {
        let report = read(r#""ws_CO_1""#, "1032", &format!("{AMOUNT},{RECEIPT}")).unwrap();
        assert_eq!((report.money_key, report.amount), (None, None));
        assert_eq!(report.checkout_id.as_deref(), Some("ws_CO_1"));
    }

    #[test]
    fn odd_phones_and_dates_do_not_block_a_payment() {
        for odd in [
            r#"{"x":1}"#,
            "true",
            r#""soon""#,
            "-1",
            "1e999",
            r#""\ud800""#,
        ] {
            let items = format!(
                r#"{AMOUNT},{RECEIPT},{{"Name":"PhoneNumber","Value":{odd}}},{{"Name":"TransactionDate","Value":{odd}}}"#
            );
            let report = read(r#""ws_CO_1""#, "0", &items).unwrap();
            assert_eq!(
                (report.outcome, report.phone, report.occurred_at),
                (Outcome::Succeeded, None, None)
            );
        }
        let scientific = r#"{"Name":"PhoneNumber","Value":2.54708374149E11}"#;
        let report = read(
            r#""ws_CO_1""#,
            "0",
            &format!("{AMOUNT},{RECEIPT},{scientific}"),
        )
        .unwrap();
        assert_eq!(report.phone, Phone::parse("254708374149"));
    }

    #[test]
    fn unreadable_callback_names_its_field() {
        let item = "Body.stkCallback.CallbackMetadata.Item";
        let long = format!(r#""{}""#, "w".repeat(129));
        for (id, code, items, expected) in [
            (
                "null",
                "0",
                "",
                "Body.stkCallback.CheckoutRequestID: is missing, null or blank",
            ),
            (
                r#""confirmation""#,
                "0",
                "",
                "Body.stkCallback.CheckoutRequestID: is no checkout id",
            ),
            (
                r#""a\u0000""#,
                "0",
                "",
                "Body.stkCallback.CheckoutRequestID: holds characters that cannot be printed",
            ),
            (
                long.as_str(),
                "0",
                "",
                "Body.stkCallback.CheckoutRequestID: is longer than 128 characters",
            ),
            (
                r#""w""#,
                "null",
                "",
                "Body.stkCallback.ResultCode: is missing, null or blank",
            ),
            (
                r#""w""#,
                "0",
                r#"{"Name":"Amount","Value":"ten"}"#,
                &format!("{item}.Amount: is no amount: not a decimal number"),
            ),
            (
                r#""w""#,
                "0",
                r#"{"Name":"Amount","Value":-5}"#,
                &format!("{item}.Amount: is no amount: negative"),
            ),
            (
                r#""w""#,
                "0",
                r#"{"Name":"Amount","Value":1e12}"#,
                &format!("{item}.Amount: is no amount: 10^12 or more"),
            ),
            (
                r#""w""#,
                "0",
                r#"{"Name":"Amount","Value":true}"#,
                &format!("{item}.Amount: is neither text nor a number"),
            ),
            (
                r#""w""#,
                "0",
                r#"{"Name":"MpesaReceiptNumber","Value":"\u0000"}"#,
                &format!("{item}.MpesaReceiptNumber: holds characters that cannot be printed"),
            ),
        ] {
            assert_eq!(read(id, code, items).unwrap_err().to_string(), expected);
        }
    }
}

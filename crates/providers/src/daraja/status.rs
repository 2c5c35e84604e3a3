//! Transaction status results: M-Pesa's answer to a query about one receipt.

use risiti_domain::{Currency, PaymentMethod, Phone};

use super::code::DONE;
use super::key_prefix::STATUS_RESULT;
use super::pairs::Pairs;
use super::party::{is_short_code, leading_id};
use crate::event::{Event, Organisation, Outcome, PaymentReport};
use crate::identifier::identifier;
use crate::{Unreadable, amount, time};

/// Reads a status result. It reports money only when the transaction is completed *and* its
/// receiver is a short code. A status can also be queried of a payout or a reversal, which are
/// completed too and whose money went the other way. The ledger compares the short code with the
/// merchant's.
pub(super) fn parse_status(
    code: &str,
    delivery_key: String,
    parameters: &Pairs<'_>,
) -> Result<Event, Unreadable> {
    let other = |reason| Ok(Event::other(STATUS_RESULT, delivery_key.clone(), reason));

    let completed = parameters
        .text("TransactionStatus")?
        .is_some_and(|s| s.eq_ignore_ascii_case("completed"));
    if code != DONE || !completed {
        return other("the transaction asked about is not completed");
    }

    let Some(receipt) = parameters.text("ReceiptNo")? else {
        return other("completed, but without a receipt");
    };
    let receipt = identifier(parameters.path_of("ReceiptNo"), receipt.into_owned())?;

    let payer = parameters.lenient_text("DebitPartyName");
    let payer = payer.as_deref().map(leading_id);
    let receiver = parameters.lenient_text("CreditPartyName");
    let Some(short_code) = receiver
        .as_deref()
        .map(leading_id)
        .filter(|id| is_short_code(id))
    else {
        return other("completed, but the receiver is no short code");
    };
    if payer == Some(short_code) {
        return other("completed, but between accounts of one short code");
    }

    let reason = parameters.lenient_text("ReasonType").unwrap_or_default();
    if reason.to_ascii_lowercase().contains("revers") {
        return other("a completed reversal, whose own result says what it undid");
    }

    let amount = parameters
        .text("Amount")?
        .map(|text| amount::major(parameters.path_of("Amount"), &text, Currency::KES))
        .transpose()?;
    let report = PaymentReport {
        outcome: Outcome::from_paid(Some(&receipt), amount),
        money_key: Some(receipt.clone()),
        checkout_id: None,
        reference: None,
        receipt: Some(receipt),
        amount,
        phone: payer.and_then(Phone::parse),
        occurred_at: parameters
            .lenient_text("FinalisedTime")
            .as_deref()
            .and_then(time::nairobi),
        short_code: Some(short_code.to_owned()),
        paid_by: payer
            .filter(|payer| is_short_code(payer))
            .map(|payer| Organisation::ShortCode(payer.to_owned())),
        method: PaymentMethod::MobileMoney,
    };
    Ok(Event::payment(STATUS_RESULT, delivery_key, report))
}

#[cfg(test)]
mod tests {
    use crate::daraja::parse_result;
    use crate::{EventBody, Organisation, Outcome};

    /// Reads a completed payment to a short code, with some parameters replaced.
    fn read(code: &str, replaced: &[(&str, &str)]) -> EventBody {
        let mut parameters = vec![
            ("TransactionStatus", "Completed"),
            ("ReceiptNo", "UIS4000001"),
            ("Amount", "1.0"),
            ("DebitPartyName", "254708374149 - TEST PAYER"),
            ("CreditPartyName", "600000 - EXAMPLE LTD"),
            ("ReasonType", "Pay Bill Online"),
        ];
        for (name, value) in &mut parameters {
            *value = replaced
                .iter()
                .find(|(other, _)| other == name)
                .map_or(*value, |(_, value)| value);
        }
        let parameters: Vec<_> = parameters
            .iter()
            .map(|(name, value)| serde_json::json!({"Key": name, "Value": value}))
            .collect();
        let body = serde_json::json!({"Result": {"ResultCode": code, "ConversationID": "AG_1",
            "ResultParameters": {"ResultParameter": parameters}}});
        parse_result(body.to_string().as_bytes()).unwrap().body
    }

    #[test]
    fn completed_payment_to_a_short_code_succeeds() {
        let EventBody::Payment(report) = read("0", &[("TransactionStatus", "COMPLETED")]) else {
            panic!("not a payment")
        };
        assert_eq!(report.outcome, Outcome::Succeeded);
        assert_eq!(report.money_key.as_deref(), Some("UIS4000001"));
        assert_eq!(report.short_code.as_deref(), Some("600000"));
    }

    #[test]
    fn paying_short_code_is_named() {
        let paid_by = |payer| match read("0", &[("DebitPartyName", payer)]) {
            EventBody::Payment(report) => report.paid_by,
            other => panic!("{other:?} is no payment"),
        };
        let code = Organisation::ShortCode("600001".to_owned());
        assert_eq!(paid_by("600001 - EXAMPLE LTD"), Some(code));
        assert_eq!(paid_by("254708374149 - TEST PAYER"), None);
    }

    #[test]
    fn other_statuses_report_no_payment() {
        for (code, replaced) in [
            ("2001", vec![]),
            ("0", vec![("TransactionStatus", "Failed")]),
            ("0", vec![("TransactionStatus", "")]),
            ("0", vec![("ReceiptNo", "")]),
            // A payout or a reversal is completed too, but its money went to a phone.
            (
                "0",
                vec![
                    ("DebitPartyName", "600000 - X"),
                    ("CreditPartyName", "254708374149 - Y"),
                ],
            ),
            ("0", vec![("CreditPartyName", "")]),
            ("0", vec![("CreditPartyName", "EXAMPLE LTD")]),
            ("0", vec![("DebitPartyName", "600000 - EXAMPLE LTD")]),
            ("0", vec![("ReasonType", "Transaction Reversal")]),
        ] {
            assert!(
                matches!(read(code, &replaced), EventBody::Other { .. }),
                "{code} {replaced:?}"
            );
        }
    }

    #[test]
    fn payment_without_an_amount_is_unknown() {
        let EventBody::Payment(report) = read("0", &[("Amount", "")]) else {
            panic!("not a payment")
        };
        assert_eq!(
            report.outcome,
            Outcome::unknown("paid, but the message has no amount")
        );
    }
}

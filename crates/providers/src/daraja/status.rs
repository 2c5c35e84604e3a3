//! Transaction status: what M-Pesa says when asked about one receipt.

use risiti_domain::{Currency, PaymentMethod, Phone};

use super::code::DONE;
use super::pairs::Pairs;
use super::result::STATUS;
use crate::event::{Event, Outcome, PaymentReport};
use crate::identifier::identifier;
use crate::{Unreadable, amount, time};

/// Money only when completed *and* the receiver is a short code: a status can be asked of a payout or a
/// reversal as well, which are complete too, and whose money went the other way. The ledger then compares
/// the short code with those of the merchant.
pub(super) fn status(
    code: &str,
    delivery_key: String,
    parameters: &Pairs<'_>,
) -> Result<Event, Unreadable> {
    let other = |reason| Ok(Event::other(STATUS, delivery_key.clone(), reason));
    let completed = parameters
        .text("TransactionStatus")?
        .is_some_and(|s| s.eq_ignore_ascii_case("completed"));
    if code != DONE || !completed {
        return other("the transaction asked about is not completed");
    }
    let Some(receipt) = parameters.text("ReceiptNo")? else {
        return other("completed, but without a receipt");
    };
    let receipt = identifier(&parameters.path_of("ReceiptNo"), receipt)?;
    let payer = parameters.soft_text("DebitPartyName");
    let payer = payer.as_deref().map(leading_id);
    let receiver = parameters.soft_text("CreditPartyName");
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
    let reason = parameters.soft_text("ReasonType").unwrap_or_default();
    if reason.to_ascii_lowercase().contains("revers") {
        return other("a completed reversal, whose own result says what it undid");
    }
    let amount = parameters
        .text("Amount")?
        .map(|text| amount::major(&parameters.path_of("Amount"), &text, Currency::KES))
        .transpose()?;
    let report = PaymentReport {
        outcome: Outcome::of_paid(Some(&receipt), amount),
        money_key: Some(receipt.clone()),
        checkout_id: None,
        reference: None,
        receipt: Some(receipt),
        amount,
        phone: payer.and_then(Phone::parse),
        occurred_at: parameters
            .soft_text("FinalisedTime")
            .as_deref()
            .and_then(time::nairobi),
        short_code: Some(short_code.to_owned()),
        method: PaymentMethod::MobileMoney,
    };
    Ok(Event::payment(STATUS, delivery_key, report))
}

/// `600000` of `600000 - EXAMPLE LTD`.
fn leading_id(party: &str) -> &str {
    party.split_once(" - ").map_or(party, |(id, _)| id).trim()
}

/// Short codes have five to seven digits; phone numbers have more.
fn is_short_code(id: &str) -> bool {
    (5..=7).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use crate::daraja::result;
    use crate::{EventBody, Outcome};

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
        result(body.to_string().as_bytes()).unwrap().body
    }

    #[test]
    fn a_completed_payment_to_a_short_code_is_money() {
        let EventBody::Payment(report) = read("0", &[("TransactionStatus", "COMPLETED")]) else {
            panic!("a payment")
        };
        assert_eq!(report.outcome, Outcome::Succeeded);
        assert_eq!(report.money_key.as_deref(), Some("UIS4000001"));
        assert_eq!(report.short_code.as_deref(), Some("600000"));
    }

    #[test]
    fn all_other_statuses_move_nothing() {
        for (code, replaced) in [
            ("2001", vec![]),
            ("0", vec![("TransactionStatus", "Failed")]),
            ("0", vec![("TransactionStatus", "")]),
            ("0", vec![("ReceiptNo", "")]),
            // A payout and a reversal: complete, but the money went to a phone.
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
    fn without_an_amount_it_stays_open() {
        let EventBody::Payment(report) = read("0", &[("Amount", "")]) else {
            panic!("a payment")
        };
        assert_eq!(
            report.outcome,
            Outcome::unknown("paid, but the message has no amount")
        );
    }
}

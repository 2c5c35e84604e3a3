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
pub(super) fn status(code: &str, delivery_key: String, parameters: &Pairs<'_>) -> Result<Event, Unreadable> {
    let other = |reason| Ok(Event::other(STATUS, delivery_key.clone(), reason));
    let completed =
        parameters.text("TransactionStatus")?.is_some_and(|s| s.eq_ignore_ascii_case("completed"));
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
    let Some(short_code) = receiver.as_deref().map(leading_id).filter(|id| is_short_code(id)) else {
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
        occurred_at: parameters.soft_text("FinalisedTime").as_deref().and_then(time::nairobi),
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

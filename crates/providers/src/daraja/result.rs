//! Results of requests: payouts, reversals, transaction status, account balance.

use risiti_domain::Currency;

use super::code::{DONE, result_code};
use super::pairs::Pairs;
use super::status;
use crate::event::{Event, ReversalOutcome, ReversalReport};
use crate::identifier::{identifier, key};
use crate::json::{Node, Object};
use crate::{Unreadable, amount, time};

pub(super) const B2C: &str = "b2c_result";
pub(super) const REVERSAL: &str = "reversal_result";
pub(super) const STATUS: &str = "status_result";
pub(super) const OTHER: &str = "other_result";

/// All results come to one URL and none names its kind: the names of its parameters tell. A failure has no
/// parameters, so it is `other_result`, and what it failed at stays open.
pub(crate) fn result(body: &[u8]) -> Result<Event, Unreadable> {
    let result = Node::root(body)?.object()?.required("Result")?.object()?;
    let code = result_code(&result)?;
    let conversation = conversation(&result)?;
    let parameters = Pairs::read(&result, "ResultParameters", "ResultParameter", "Key")?;
    if parameters.has("OriginalTransactionID") {
        reversal(&code, key(&[REVERSAL, &conversation]), &parameters)
    } else if parameters.has("TransactionStatus") || parameters.has("ReceiptNo") {
        status::status(&code, key(&[STATUS, &conversation]), &parameters)
    } else if parameters.has("TransactionReceipt") {
        Ok(Event::other(B2C, key(&[B2C, &conversation]), "a payout, not a sale"))
    } else {
        Ok(Event::other(OTHER, key(&[OTHER, &conversation]), "a result that moves no payment"))
    }
}

/// Never `TransactionID`: failures have a zero-filled one (facts §2.7).
fn conversation(result: &Object<'_>) -> Result<String, Unreadable> {
    match result.identifier("ConversationID")? {
        Some(id) => Ok(id),
        None => result.required_identifier("OriginatorConversationID"),
    }
}

fn reversal(code: &str, delivery_key: String, parameters: &Pairs<'_>) -> Result<Event, Unreadable> {
    if code != DONE {
        // Not `Failed`: a second try at a transaction already reversed fails too, and undoes nothing.
        return Ok(Event::other(REVERSAL, delivery_key, "the reversal failed"));
    }
    let field = parameters.path_of("OriginalTransactionID");
    let original = parameters
        .text("OriginalTransactionID")?
        .ok_or_else(|| Unreadable::new(&field, "is missing, null or blank"))?;
    let original = identifier(&field, original)?;
    let amount = parameters
        .text("Amount")?
        .map(|text| amount::major(&parameters.path_of("Amount"), &text, Currency::KES))
        .transpose()?;
    if amount.is_some_and(|amount| amount.is_zero()) {
        return Ok(Event::other(REVERSAL, delivery_key, "a reversal of 0.00"));
    }
    let report = ReversalReport {
        // A transaction is reversed at most once (R000001), whatever conversations tell of it.
        reversal_key: key(&["reversal", &original]),
        of_money_key: original,
        amount,
        outcome: ReversalOutcome::Done,
        occurred_at: parameters.soft_text("TransCompletedTime").as_deref().and_then(time::nairobi),
    };
    Ok(Event::reversal(REVERSAL, delivery_key, report))
}

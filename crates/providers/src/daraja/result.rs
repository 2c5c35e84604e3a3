//! Results of the merchant's own requests: payouts, reversals, transaction status, account balance.

use risiti_domain::Currency;

use super::code::{DONE, result_code};
use super::key_prefix::{B2C_RESULT, OTHER_RESULT, REVERSAL_RESULT, STATUS_RESULT};
use super::pairs::Pairs;
use super::status;
use crate::event::Event;
use crate::identifier::{identifier, key};
use crate::json::{self, Object};
use crate::reversal::{ReversalOutcome, ReversalReport};
use crate::{Unreadable, amount, time};

/// Reads a result. All results come to one URL and none names its kind, so the names of its
/// parameters decide. A failure has no parameters, so it is `other_result`, whatever failed.
pub(crate) fn parse_result(body: &[u8]) -> Result<Event, Unreadable> {
    json::read(body, |root| {
        let result = root.object()?.required("Result")?.object()?;
        by_parameters(&result)
    })
}

fn by_parameters(result: &Object<'_>) -> Result<Event, Unreadable> {
    let code = result_code(result)?;
    let conversation = conversation_id(result)?;
    let parameters = Pairs::read(result, "ResultParameters", "ResultParameter", "Key")?;

    if parameters.has("OriginalTransactionID") {
        reversal(&code, key(&[REVERSAL_RESULT, &conversation]), &parameters)
    } else if parameters.has("TransactionStatus") || parameters.has("ReceiptNo") {
        status::parse_status(&code, key(&[STATUS_RESULT, &conversation]), &parameters)
    } else if parameters.has("TransactionReceipt") {
        Ok(Event::other(
            B2C_RESULT,
            key(&[B2C_RESULT, &conversation]),
            "a payout, not a sale",
        ))
    } else {
        Ok(Event::other(
            OTHER_RESULT,
            key(&[OTHER_RESULT, &conversation]),
            "a result that moves no payment",
        ))
    }
}

/// The id of the request. `TransactionID` does not serve, because that of a failure is all zeros.
fn conversation_id(result: &Object<'_>) -> Result<String, Unreadable> {
    match result.identifier("ConversationID")? {
        Some(id) => Ok(id),
        None => result.required_identifier("OriginatorConversationID"),
    }
}

fn reversal(code: &str, delivery_key: String, parameters: &Pairs<'_>) -> Result<Event, Unreadable> {
    if code != DONE {
        // This is not `ReversalOutcome::Failed`. A second request for a transaction that is
        // reversed already fails too, and does not undo the reversal.
        return Ok(Event::other(
            REVERSAL_RESULT,
            delivery_key,
            "the reversal failed",
        ));
    }

    let field = parameters.path_of("OriginalTransactionID");
    let original = parameters
        .text("OriginalTransactionID")?
        .ok_or_else(|| Unreadable::new(field, "is missing, null or blank"))?;
    let original = identifier(field, original.into_owned())?;

    let amount = parameters
        .text("Amount")?
        .map(|text| amount::major(parameters.path_of("Amount"), &text, Currency::KES))
        .transpose()?;
    if amount.is_some_and(|amount| amount.is_zero()) {
        return Ok(Event::other(
            REVERSAL_RESULT,
            delivery_key,
            "a reversal of 0.00",
        ));
    }

    let report = ReversalReport {
        // A transaction is reversed at most once (R000001), however many conversations report it.
        reversal_key: key(&["reversal", &original]),
        other_keys: Vec::new(),
        of_money_key: original,
        amount,
        outcome: ReversalOutcome::Done,
        occurred_at: parameters
            .lenient_text("TransCompletedTime")
            .as_deref()
            .and_then(time::nairobi),
    };
    Ok(Event::reversal(REVERSAL_RESULT, delivery_key, report))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EventBody;

    fn read(code: &str, parameters: &str) -> Result<Event, Unreadable> {
        let body = format!(
            r#"{{"Result":{{"ResultCode":{code},"ConversationID":"AG_1","ResultParameters":{{"ResultParameter":{parameters}}}}}}}"#
        );
        parse_result(body.as_bytes())
    }

    #[test]
    fn parameters_decide_the_kind() {
        for (parameters, kind) in [
            (
                r#"[{"Key":"OriginalTransactionID","Value":"UIS1"}]"#,
                REVERSAL_RESULT,
            ),
            (
                r#"{"Key":"OriginalTransactionID","Value":"UIS1"}"#,
                REVERSAL_RESULT,
            ),
            (
                r#"[{"Key":"TransactionStatus","Value":"Failed"}]"#,
                STATUS_RESULT,
            ),
            (
                r#"[{"Key":"TransactionReceipt","Value":"UIS1"}]"#,
                B2C_RESULT,
            ),
            (r#"[{"Key":"AccountBalance","Value":"…"}]"#, OTHER_RESULT),
            ("[]", OTHER_RESULT),
            ("null", OTHER_RESULT),
        ] {
            let event = read("0", parameters).unwrap();
            assert_eq!(event.kind, kind);
            assert!(event.delivery_key == format!("{kind}:AG_1"));
        }
    }

    #[test]
    fn only_a_reversal_that_succeeded_counts() {
        let pair = r#"{"Key":"OriginalTransactionID","Value":"UIS1"}"#;
        let zero = format!(r#"[{pair},{{"Key":"Amount","Value":0}}]"#);
        for (code, parameters) in [(r#""R000001""#, pair), ("1", pair), ("0", zero.as_str())] {
            assert!(
                matches!(
                    read(code, parameters).unwrap().body,
                    EventBody::Other { .. }
                ),
                "{code}"
            );
        }
        let EventBody::Reversal(whole) = read(r#""0""#, pair).unwrap().body else {
            panic!("not a reversal")
        };
        assert_eq!((whole.of_money_key.as_str(), whole.amount), ("UIS1", None));
        let why = read("0", r#"{"Key":"OriginalTransactionID"}"#).unwrap_err();
        assert_eq!(
            why.to_string(),
            "Result.ResultParameters.ResultParameter.OriginalTransactionID: is missing, null or blank"
        );
    }

    #[test]
    fn two_conversations_report_one_reversal() {
        let keys = ["AG_1", "AG_2"].map(|conversation| {
            let body = format!(
                r#"{{"Result":{{"ResultCode":0,"ConversationID":"{conversation}","ResultParameters":{{"ResultParameter":[{{"Key":"OriginalTransactionID","Value":"UIS1"}}]}}}}}}"#
            );
            let event = parse_result(body.as_bytes()).unwrap();
            let EventBody::Reversal(report) = event.body else { panic!("not a reversal") };
            (event.delivery_key, report.reversal_key)
        });
        assert!(keys[0].0 != keys[1].0);
        assert_eq!(keys[0].1, keys[1].1);
    }

    #[test]
    fn originators_id_replaces_a_missing_conversation_id() {
        let event =
            parse_result(br#"{"Result":{"ResultCode":0,"OriginatorConversationID":"O-1"}}"#)
                .unwrap();
        assert!(event.delivery_key == "other_result:O-1");
        assert!(
            parse_result(br#"{"Result":{"ResultCode":0,"TransactionID":"UIS0000000"}}"#).is_err()
        );
        assert!(
            parse_result(br#"{"Result":{"ResultCode":null,"ConversationID":"AG_1"}}"#).is_err()
        );
    }
}

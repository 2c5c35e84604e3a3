//! An invoice of a story as text for a person.

use std::fmt::Write as _;

use serde_json::Value;

use crate::overview::story_text::{items, moves_text};
use crate::overview::text::plain;

pub(crate) fn invoice_text(text: &mut String, invoice: &Value) {
    let kind = match invoice["kind"].as_str() {
        Some("credit_note") => "credit note",
        _ => "sale",
    };
    let [id, device, amount] =
        ["invoice_id", "device_id", "amount"].map(|key| plain(&invoice[key]));
    writeln!(text, "  {kind} {id}, {amount}, device {device}").ok();
    for send in items(invoice, "sends") {
        let [at, number, outcome, code, message] =
            ["sent_at", "invoice_no", "outcome", "code", "message"].map(|key| plain(&send[key]));
        let words = format!("{code} {message}");
        writeln!(
            text,
            "  sent       {at}  as number {number}: {outcome} {}",
            words.trim()
        )
        .ok();
    }
    moves_text(text, invoice);
    writeln!(text, "  now        {}", invoice_state(invoice)).ok();
}

/// Where an invoice is now, and what a person can do.
#[must_use]
pub fn invoice_state(invoice: &Value) -> String {
    let field = |key: &str| plain(&invoice[key]);
    let lane = || match invoice["lane_state"].as_str() {
        Some("halted") => format!("its lane is halted: {}", field("halt_reason")),
        Some("busy") => "its lane is being worked".to_owned(),
        Some(_) if field("breaker") == "open" => "KRA's host fails, so its lane waits".to_owned(),
        _ if !field("next_try").is_empty() => {
            format!("its lane tries again at {}", field("next_try"))
        }
        _ => "its lane comes to it".to_owned(),
    };
    match invoice["state"].as_str() {
        Some("success") => format!(
            "filed as number {}, KRA's receipt {} {}",
            field("invoice_no"),
            field("receipt_no"),
            field("receipt_url")
        )
        .trim_end()
        .to_owned(),
        Some("pending")
            if invoice["sale_state"].is_string() && field("sale_state") != "success" =>
        {
            format!(
                "waits until its sale is filed, which is {}",
                field("sale_state")
            )
        }
        Some("pending") => format!("waits to be filed; {}", lane()),
        Some("submitting") => format!(
            "sent as number {} and not settled; {}",
            field("invoice_no"),
            lane()
        ),
        Some("dead") if !field("discard_wish").is_empty() => {
            "to be discarded, once its lane knows that KRA does not have it".to_owned()
        }
        Some("dead") => {
            let letter = &invoice["dead_letter"];
            format!(
                "dead letter: {} {} {}; correct the cause, then `risiti-replay run --id {}`",
                plain(&letter["cause"]),
                plain(&letter["code"]),
                plain(&letter["message"]),
                field("invoice_id")
            )
        }
        Some("discarded") => {
            let letter = &invoice["dead_letter"];
            format!(
                "discarded by {}: {}; `risiti-replay run --discarded --id {}` takes that back",
                plain(&letter["solved_by"]),
                plain(&letter["solved_reason"]),
                field("invoice_id")
            )
        }
        _ => field("state"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn state_of_an_invoice_says_what_to_do() {
        for (invoice, expected) in [
            (
                json!({"state": "success", "invoice_no": 4, "receipt_no": 9}),
                "filed as number 4, KRA's receipt 9",
            ),
            (
                json!({"state": "pending", "lane_state": "halted", "halt_reason": "by hand"}),
                "waits to be filed; its lane is halted: by hand",
            ),
            (
                json!({"state": "pending", "sale_state": "dead", "lane_state": "idle"}),
                "waits until its sale is filed, which is dead",
            ),
            (
                json!({"state": "dead", "invoice_id": "I",
                    "dead_letter": {"cause": "refused", "code": "891", "message": "no item"}}),
                "dead letter: refused 891 no item; correct the cause, then `risiti-replay run --id I`",
            ),
        ] {
            assert_eq!(invoice_state(&invoice), expected);
        }
    }
}

//! A story as text for a person: what happened in the order of time, and what to do now.

use std::fmt::Write as _;

use serde_json::Value;

use crate::flagged::reason::{flag_reason, is_contradiction};
use crate::overview::invoice_text::invoice_text;
use crate::overview::text::plain;

/// Writes a story of [`find_stories`](crate::Ledger::find_stories) as text.
#[must_use]
pub fn story_text(story: &Value) -> String {
    let mut text = String::new();
    if let Some(payment) = story.get("payment") {
        payment_text(&mut text, payment);
    }
    for event in items(story, "events") {
        event_text(&mut text, event);
    }
    contradictions_text(&mut text, story);
    for reversal in items(story, "reversals") {
        let [state, amount, at] =
            ["state", "amount", "recorded_at"].map(|key| plain(&reversal[key]));
        let amount = if amount.is_empty() {
            "the whole".to_owned()
        } else {
            amount
        };
        writeln!(text, "  money back {at}  {amount}: {state}").ok();
    }
    if story.get("payment").is_none() && story.get("events").is_some() {
        writeln!(text, "  now        {}", event_state(story)).ok();
    }
    moves_text(&mut text, story);

    let invoices: Vec<&Value> = items(story, "invoices").collect();
    if invoices.is_empty()
        && let Some(payment) = story.get("payment")
    {
        writeln!(text, "  tax        {}", owes_none(payment)).ok();
    }
    for invoice in invoices {
        invoice_text(&mut text, invoice);
    }
    if let Some(letter) = story.get("dead_letter") {
        message_text(&mut text, letter);
    }
    text
}

fn payment_text(text: &mut String, payment: &Value) {
    writeln!(text, "Payment {}", plain(&payment["payment_id"])).ok();
    let amount = format!(
        "{} {}",
        plain(&payment["currency"]),
        plain(&payment["amount"])
    );
    let flagged = if payment["flagged"] == true {
        "yes: a person must decide"
    } else {
        ""
    };
    for (name, value) in [
        ("merchant", plain(&payment["merchant"])),
        ("gateway", plain(&payment["provider"])),
        ("receipt", plain(&payment["receipt"])),
        ("amount", amount.trim().to_owned()),
        ("state", plain(&payment["state"])),
        ("reason", reason(payment)),
        ("flagged", flagged.to_owned()),
        ("short code", plain(&payment["short_code"])),
        ("settled", plain(&payment["settled_at"])),
    ] {
        if !value.is_empty() {
            writeln!(text, "  {name:10} {value}").ok();
        }
    }
}

fn reason(payment: &Value) -> String {
    let short_code = payment["short_code"].as_str();
    flag_reason(
        &plain(&payment["reason"]),
        &plain(&payment["merchant"]),
        short_code,
    )
}

/// The facts that differ, where they were read, or the command that reads them.
fn contradictions_text(text: &mut String, story: &Value) {
    if let Some(lines) = story["contradictions"].as_array() {
        for line in lines {
            writeln!(text, "  differs    {}", plain(&line["text"])).ok();
        }
        return;
    }
    let payment = &story["payment"];
    if payment["flagged"] == true && is_contradiction(&plain(&payment["reason"])) {
        writeln!(
            text,
            "  differs    what messages tell otherwise: risiti-replay payments show {}",
            plain(&payment["payment_id"])
        )
        .ok();
    }
}

fn event_text(text: &mut String, event: &Value) {
    let [id, kind, at, by] =
        ["event_id", "kind", "received_at", "authenticated_by"].map(|key| plain(&event[key]));
    let duplicates = event["duplicates"].as_i64().unwrap_or(0);
    let again = match duplicates {
        0 => String::new(),
        _ => format!(", and {duplicates} times more"),
    };
    let conflict = if event["conflict"] == true {
        ", waits for a person"
    } else {
        ""
    };
    writeln!(
        text,
        "  arrived    {at}  {kind}, believed by {by}{again}{conflict} (event {id})"
    )
    .ok();
}

/// What became of an event that leads to no payment.
fn event_state(story: &Value) -> &'static str {
    match story["reversals"][0]["state"].as_str() {
        Some("announced") => "told of money that is to go back; nothing moves until it has gone",
        Some("failed") => "told of money that did not go back; nothing follows",
        Some("waiting") => "waits for the payment whose money went back, which is not recorded",
        Some(_) => "told of money that went back",
        None => "kept as evidence: it tells of no payment, and moves none",
    }
}

pub(crate) fn moves_text(text: &mut String, of: &Value) {
    for moved in items(of, "moves") {
        let [at, from, to, by, reason] =
            ["at", "from", "to", "by", "reason"].map(|key| plain(&moved[key]));
        writeln!(text, "  moved      {at}  {from} → {to} by {by}: {reason}").ok();
    }
}

/// Why a payment has no invoice.
fn owes_none(payment: &Value) -> String {
    let reason = plain(&payment["reason"]);
    match payment["state"].as_str() {
        Some("success" | "reversed") if reason.is_empty() => "owes no receipt".to_owned(),
        Some("success" | "reversed") => format!("no invoice: {reason}"),
        Some(state) => format!("no invoice: the payment is {state}"),
        None => String::new(),
    }
}

fn message_text(text: &mut String, letter: &Value) {
    let [id, cause, at, message, solved] =
        ["dead_letter_id", "cause", "dead_at", "message", "solved_as"]
            .map(|key| plain(&letter[key]));
    writeln!(text, "Message set aside as {cause}, dead letter {id}").ok();
    writeln!(text, "  set aside  {at}  {message}").ok();
    let now = if solved.is_empty() {
        format!("waits; `risiti-replay run --id {id}` reads it anew")
    } else {
        format!("{solved} by {}", plain(&letter["solved_by"]))
    };
    writeln!(text, "  now        {now}").ok();
}

pub(crate) fn items<'a>(of: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    of[key].as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn contradiction_that_was_not_read_names_the_command_that_reads_it() {
        let story = |reason: &str| json!({"payment": {"payment_id": "P", "state": "success", "flagged": true, "reason": reason}});
        let told = "risiti-replay payments show P";
        for reason in [
            "a message came again with other facts",
            "another message names another amount",
        ] {
            assert!(story_text(&story(reason)).contains(told));
        }
        let trial = story("the first sale of a subscription may be the start of a free trial");
        assert!(!story_text(&trial).contains(told));

        let mut read = story("a message came again with other facts");
        read["contradictions"] = json!([{"text": "told: KES 150.00"}]);
        let text = story_text(&read);
        assert!(text.contains("differs    told: KES 150.00"), "{text}");
        assert!(!text.contains(told), "{text}");
    }

    #[test]
    fn event_without_payment_says_what_became_of_it() {
        let event = json!({"event_id": "E", "kind": "c2b_validation"});
        for (story, expected) in [
            (json!({"events": [event]}), "kept as evidence"),
            (
                json!({"events": [event], "reversals": [{"state": "waiting"}]}),
                "waits for the payment",
            ),
        ] {
            let text = story_text(&story);
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn payment_without_invoice_says_why() {
        let story = json!({"payment": {"payment_id": "P", "state": "success",
            "reason": "owes no receipt: not in KES"}, "invoices": []});
        let text = story_text(&story);
        assert!(
            text.contains("no invoice: owes no receipt: not in KES"),
            "{text}"
        );
    }
}

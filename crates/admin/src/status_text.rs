//! A status as text.

use std::fmt::Write as _;

use risiti_ledger::plain;
use serde_json::Value;

use crate::spools;

/// The whole status, with what needs a person first.
pub(crate) fn text(status: &Value) -> String {
    let mut text = String::new();
    let attention: Vec<&Value> = items(&status["attention"]).collect();
    if attention.is_empty() {
        line(&mut text, "Nothing needs a person.");
    }
    for item in attention {
        line(&mut text, &format!("! {}", plain(&item["what"])));
        line(&mut text, &format!("    → {}", plain(&item["do"])));
    }

    let flow = &status["flow"];
    line(&mut text, "\nFlow");
    for (name, key) in [
        ("last webhook recorded", "last_webhook"),
        ("last payment settled", "last_payment"),
        ("last receipt of KRA", "last_receipt"),
    ] {
        let ago = flow[format!("{key}_seconds")].as_i64().map(age);
        let at = ago.map_or("none yet".to_owned(), |ago| {
            format!("{ago} ago, {}", plain(&flow[key]))
        });
        line(&mut text, &format!("  {name:24} {at}"));
    }
    invoices_text(&mut text, status);
    queues_text(&mut text, status);
    lanes_text(&mut text, status);
    workers_text(&mut text, status);
    spools_text(&mut text, status);
    text.trim_end().to_owned()
}

fn invoices_text(text: &mut String, status: &Value) {
    let invoices = &status["invoices"];
    let waiting = [&invoices["pending"], &invoices["submitting"]].map(plain);
    line(
        text,
        &format!(
            "  invoices not filed       {} wait, {} are out",
            waiting[0], waiting[1]
        ),
    );
    let oldest = &invoices["oldest"];
    if let Some(seconds) = oldest["seconds"].as_i64() {
        let [id, merchant, state] =
            ["invoice_id", "merchant", "state"].map(|key| plain(&oldest[key]));
        let whose = format!("{} old, {state}, {id} of {merchant}", age(seconds));
        line(text, &format!("  oldest of them           {whose}"));
    }
    for (name, section) in [
        ("flagged payments", "flagged"),
        ("dead letters", "dead_letters"),
    ] {
        let oldest = status[section]["oldest_seconds"].as_i64();
        let oldest = oldest.map_or("none".to_owned(), |seconds| {
            format!("the oldest is {} old", age(seconds))
        });
        line(text, &format!("  {name:24} {oldest}"));
    }
}

fn queues_text(text: &mut String, status: &Value) {
    let Some(queues) = status["queues"].as_object() else {
        return;
    };
    line(text, "\nQueues");
    for (queue, figures) in queues {
        let [waiting, consumers] = ["waiting", "consumers"].map(|key| plain(&figures[key]));
        let oldest = match figures["oldest_seconds_at_most"].as_i64() {
            Some(seconds) if waiting != "0" => format!(", the oldest for at most {}", age(seconds)),
            _ => String::new(),
        };
        line(
            text,
            &format!("  {queue:10} {waiting} wait, {consumers} consumers{oldest}"),
        );
    }
}

fn lanes_text(text: &mut String, status: &Value) {
    let states = status["lanes"]["states"].as_object();
    let counts: Vec<String> = states
        .into_iter()
        .flatten()
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    line(text, &format!("\nLanes: {}", counts.join(", ")));
    for halted in items(&status["lanes"]["halted"]) {
        let [device, merchant, reason] =
            ["device_id", "merchant", "reason"].map(|key| plain(&halted[key]));
        let since = age(halted["seconds"].as_i64().unwrap_or(0));
        line(
            text,
            &format!("  halted for {since}: {device} of {merchant}: {reason}"),
        );
        if let Some(evidence) = halted["evidence"].as_str() {
            line(text, &format!("    {evidence}"));
        }
        if let Some(action) = halted["first_action"].as_str() {
            line(text, &format!("    first: {action}"));
        }
    }
    for host in items(&status["hosts"]) {
        let [name, breaker, lanes] = ["host", "breaker", "lanes"].map(|key| plain(&host[key]));
        let answered = host["last_answer_seconds"].as_i64().map(age);
        let answered = answered.map_or("no answer yet".to_owned(), |ago| {
            format!("answered {ago} ago")
        });
        line(
            text,
            &format!("  host {name}: breaker {breaker}, {answered}, {lanes} lanes"),
        );
    }
}

fn workers_text(text: &mut String, status: &Value) {
    line(text, "\nWorkers");
    for worker in items(&status["etims_workers"]) {
        let [id, host, slots] = ["worker", "host", "slots"].map(|key| plain(&worker[key]));
        line(
            text,
            &format!("  etims-worker {id}: {slots} slots at {host}"),
        );
    }
    for (program, connections) in status["database_connections"]
        .as_object()
        .into_iter()
        .flatten()
    {
        line(
            text,
            &format!("  {program}: {connections} database connections"),
        );
    }
}

/// The spools that were asked for, or that none was.
fn spools_text(text: &mut String, status: &Value) {
    let spools: Vec<Value> = items(&status["spools"]).cloned().collect();
    if !spools.is_empty() {
        line(text, "\nSpools of ingress");
        for spool in spools::lines(&spools) {
            line(text, &format!("  {spool}"));
        }
    }
    let mut hidden = items(&status["not_visible"]).peekable();
    if hidden.peek().is_some() {
        line(text, "\nNot visible from here");
    }
    for what in hidden {
        line(text, &format!("  {}", plain(what)));
    }
}

/// An age as a person says it.
pub(crate) fn age(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{} s", seconds.max(0)),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").ok();
}

/// The members of a list, or none.
pub(crate) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

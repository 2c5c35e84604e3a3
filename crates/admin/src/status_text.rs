//! What in a status needs a person, and the status as text.

use std::fmt::Write as _;

use risiti_ledger::plain;
use serde_json::{Value, json};

use crate::spools;

/// Age of the oldest invoice that could be filed from which somebody should look.
const UNFILED_SECONDS_MAX: i64 = 900;

/// What needs a person, each with the command that shows more: `{"what", "do"}`.
pub(crate) fn attention(status: &Value) -> Value {
    let found = [
        nobody_consumes(
            status,
            "payments",
            "ledger worker",
            "payments are taken in and not recorded",
        ),
        nobody_consumes(status, "lanes", "etims-worker", "nothing is filed"),
        without_workers(status),
        suspects(status),
        halted(status),
        open_breakers(status),
        unfiled(status),
        flagged(status),
        dead_letters(status),
        spooled(status),
        spools_not_seen(status),
    ];
    let unread = items(&status["not_read"]).map(|unread| {
        let what = format!(
            "{} not read: {}",
            plain(&unread["what"]),
            plain(&unread["why"])
        );
        json!({ "what": what, "do": "look at the server, then run this again" })
    });
    Value::Array(found.into_iter().flatten().chain(unread).collect())
}

fn nobody_consumes(status: &Value, queue: &str, program: &str, effect: &str) -> Option<Value> {
    let figures = status["queues"].get(queue)?;
    if figures["consumers"].as_i64()? > 0 {
        return None;
    }
    let waiting = plain(&figures["waiting"]);
    let what = format!("no {program} consumes `{queue}`: {effect}, {waiting} wait");
    Some(
        json!({ "what": what, "do": format!("start {program}s, or look at /readyz of those that run") }),
    )
}

fn without_workers(status: &Value) -> Option<Value> {
    let workers = status["etims_workers"].as_array()?;
    if !workers.is_empty() {
        return None;
    }
    let what = "no etims-worker has sent a heartbeat for 10 s: nothing is filed";
    Some(json!({ "what": what, "do": "start etims-workers, or look at /readyz of those that run" }))
}

fn suspects(status: &Value) -> Option<Value> {
    let waiting = status["queues"]["suspects"]["waiting"]
        .as_i64()
        .unwrap_or(0);
    (waiting > 0).then(|| {
        let what = format!("{waiting} suspects wait: messages that were delivered too often");
        json!({ "what": what, "do": "read the ledger worker's log" })
    })
}

fn halted(status: &Value) -> Option<Value> {
    let count = status["lanes"]["states"]["halted"].as_i64()?;
    (count > 0).then(|| {
        let what = format!("{count} halted lanes: their merchants get no receipts");
        json!({ "what": what, "do": "risiti-replay lanes list --halted" })
    })
}

fn open_breakers(status: &Value) -> Option<Value> {
    let open: Vec<String> = items(&status["hosts"])
        .filter(|host| host["breaker"] != "closed")
        .map(|host| format!("{} ({} lanes)", plain(&host["host"]), plain(&host["lanes"])))
        .collect();
    (!open.is_empty()).then(|| {
        let what = format!("KRA fails, breaker open: {}", open.join(", "));
        json!({ "what": what, "do": "wait: trial calls go on, and the backlog is filed when KRA is back" })
    })
}

fn unfiled(status: &Value) -> Option<Value> {
    let oldest = &status["invoices"]["oldest"];
    let seconds = oldest["seconds"].as_i64()?;
    (seconds > UNFILED_SECONDS_MAX).then(|| {
        let id = plain(&oldest["invoice_id"]);
        let what = format!(
            "the oldest invoice that could be filed waits for {}",
            age(seconds)
        );
        json!({ "what": what, "do": format!("risiti-admin find {id}") })
    })
}

fn flagged(status: &Value) -> Option<Value> {
    let count = status["flagged"]["payments"].as_i64()?;
    (count > 0).then(|| {
        let what = format!("{count} flagged payments: what was reported contradicts itself");
        json!({ "what": what, "do": "risiti-replay payments list" })
    })
}

fn dead_letters(status: &Value) -> Option<Value> {
    let causes = status["dead_letters"]["causes"].as_object()?;
    (!causes.is_empty()).then(|| {
        let counts: Vec<String> = causes
            .iter()
            .map(|(cause, count)| format!("{count} {cause}"))
            .collect();
        let what = format!("dead letters wait: {}", counts.join(", "));
        json!({ "what": what, "do": "risiti-replay list" })
    })
}

fn spooled(status: &Value) -> Option<Value> {
    let entries: i64 = items(&status["spools"])
        .filter_map(|spool| spool["entries"].as_i64())
        .sum();
    (entries > 0).then(|| {
        let what = format!("{entries} webhooks are in spools: the broker is away, or they drain");
        json!({ "what": what, "do": "look at the broker; run this again to see whether they become fewer" })
    })
}

fn spools_not_seen(status: &Value) -> Option<Value> {
    let unseen: Vec<String> = items(&status["spools"])
        .filter(|spool| spool["not_seen"].is_string())
        .map(|spool| {
            format!(
                "{} ({})",
                plain(&spool["ingress"]),
                plain(&spool["not_seen"])
            )
        })
        .collect();
    (!unseen.is_empty()).then(|| {
        let what = format!("the spools of these were not seen: {}", unseen.join(", "));
        json!({ "what": what, "do": "look whether they run; a spool is on the disk of its ingress" })
    })
}

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
fn age(seconds: i64) -> String {
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

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn healthy() -> Value {
        json!({
            "flow": {"last_webhook": "2026-01-31T08:00:00+00:00", "last_webhook_seconds": 3},
            "queues": {"payments": {"waiting": 0, "consumers": 2}, "lanes": {"waiting": 1, "consumers": 2}},
            "lanes": {"states": {"idle": 3}},
            "etims_workers": [{"worker": "W", "host": "h", "slots": 25}],
            "hosts": [{"host": "h", "breaker": "closed"}],
            "invoices": {"pending": 0, "submitting": 0},
            "dead_letters": {"causes": {}}, "flagged": {"payments": 0}, "not_read": [],
        })
    }

    #[test]
    fn nothing_needs_a_person_while_all_is_well() {
        assert_eq!(attention(&healthy()), json!([]));
        let mut status = healthy();
        status["attention"] = json!([]);
        assert!(text(&status).starts_with("Nothing needs a person.\n"));
    }

    #[test]
    fn each_trouble_is_named_with_what_to_do() {
        for (pointer, value, words) in [
            (
                "/queues/payments/consumers",
                json!(0),
                "no ledger worker consumes",
            ),
            (
                "/queues/lanes/consumers",
                json!(0),
                "no etims-worker consumes",
            ),
            (
                "/etims_workers",
                json!([]),
                "no etims-worker has sent a heartbeat",
            ),
            ("/lanes/states", json!({"halted": 2}), "2 halted lanes"),
            (
                "/hosts",
                json!([{"host": "h", "breaker": "open", "lanes": 3}]),
                "breaker open: h (3 lanes)",
            ),
            (
                "/invoices",
                json!({"oldest": {"seconds": 901, "invoice_id": "I"}}),
                "waits for 15 min",
            ),
            ("/dead_letters/causes", json!({"refused": 4}), "4 refused"),
            ("/flagged/payments", json!(1), "1 flagged payments"),
            (
                "/not_read",
                json!([{"what": "queues", "why": "no route"}]),
                "queues not read: no route",
            ),
        ] {
            let mut status = healthy();
            *status.pointer_mut(pointer).unwrap() = value;
            let found = attention(&status);
            let found = found.as_array().unwrap();
            assert_eq!(found.len(), 1, "{pointer}: {found:?}");
            assert!(plain(&found[0]["what"]).contains(words), "{found:?}");
            assert!(!plain(&found[0]["do"]).is_empty(), "{pointer}");
        }
    }
}

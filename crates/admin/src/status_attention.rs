//! What in a status needs a person.

use risiti_ledger::plain;
use serde_json::{Value, json};

use crate::status_text::{age, items};

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
        let is_unset = plain(&unread["why"]).ends_with("is not set");
        let then = match (unread["what"].as_str(), is_unset) {
            (_, true) => "set it, then run this again",
            (Some("queues"), false) => {
                "bring RabbitMQ back: meanwhile ingress keeps webhooks on its own disk, and they are recorded afterwards"
            }
            _ => "look at the server, then run this again",
        };
        json!({ "what": what, "do": then })
    });
    // A server that is away explains much of the rest.
    Value::Array(unread.chain(found.into_iter().flatten()).collect())
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
        let what = format!("{count} flagged payments wait for a person");
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status_text::text;

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

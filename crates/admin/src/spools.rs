//! What waits in the spools of ingress, as each replica tells it.

use futures_util::future::join_all;
use serde_json::{Value, json};
use url::Url;

use crate::ops::{self, Series};

/// What a replica of ingress shows of its spool, by the key in the status.
const FIGURES: [(&str, &str); 5] = [
    ("entries", "risiti_spool_entries"),
    ("bytes", "risiti_spool_bytes"),
    ("limit_bytes", "risiti_spool_limit_bytes"),
    ("oldest_seconds", "risiti_spool_oldest_entry_seconds"),
    ("damaged_files", "risiti_spool_damaged_files"),
];
const WEBHOOKS: &str = "risiti_webhooks_total";
/// Outcomes of webhooks that the gateways were told to keep, or that nobody believed.
const NOT_TAKEN: [&str; 4] = ["unavailable", "refused", "unauthenticated", "unknown_path"];

/// Asks every replica at once. Each gives an object, or says why it could not be seen.
pub(crate) async fn look(urls: &[Url]) -> Vec<Value> {
    let looks = urls.iter().map(async |url| {
        let shown = ops::metrics(url).await.and_then(|all| spool(&all));
        match shown {
            Ok(mut spool) => {
                spool["ingress"] = json!(url.as_str());
                spool
            }
            Err(why) => json!({ "ingress": url.as_str(), "not_seen": why }),
        }
    });
    join_all(looks).await
}

fn spool(all: &[Series]) -> Result<Value, String> {
    let mut spool = json!({});
    for (key, name) in FIGURES {
        let found = all.iter().find(|series| series.name == name);
        spool[key] = found.map_or(Value::Null, |series| count(series.value));
    }
    if spool["entries"].is_null() {
        return Err("it is no ingress: it shows no spool".to_owned());
    }
    for outcome in NOT_TAKEN {
        let label = format!("outcome=\"{outcome}\"");
        let series = all
            .iter()
            .filter(|series| series.name == WEBHOOKS && series.labels.contains(&label));
        spool[outcome] = count(series.map(|series| series.value).sum());
    }
    Ok(spool)
}

/// A count as the metrics write it, which is a decimal.
fn count(value: f64) -> Value {
    format!("{value:.0}")
        .parse::<i64>()
        .map_or(Value::Null, |count| json!(count))
}

/// Everything of the spools as text, and whether all of them were seen.
pub(crate) fn lines(spools: &[Value]) -> Vec<String> {
    let number = |spool: &Value, key: &str| spool[key].as_i64().unwrap_or(0);
    spools
        .iter()
        .map(|spool| {
            let ingress = spool["ingress"].as_str().unwrap_or_default();
            if let Some(why) = spool["not_seen"].as_str() {
                return format!("{ingress}: NOT SEEN: {why}");
            }
            let [entries, bytes, oldest] =
                ["entries", "bytes", "oldest_seconds"].map(|key| number(spool, key));
            let waits = match entries {
                0 => "empty".to_owned(),
                _ => format!("{entries} webhooks, {bytes} bytes, the oldest waits for {oldest} s"),
            };
            let refused: Vec<String> = NOT_TAKEN
                .iter()
                .filter(|outcome| number(spool, outcome) > 0)
                .map(|outcome| format!("{} {outcome}", number(spool, outcome)))
                .collect();
            match &refused[..] {
                [] => format!("{ingress}: {waits}"),
                refused => format!(
                    "{ingress}: {waits}; since its start not taken: {}",
                    refused.join(", ")
                ),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, labels: &str, value: f64) -> Series {
        Series {
            name: name.to_owned(),
            labels: labels.to_owned(),
            value,
        }
    }

    #[test]
    fn spool_and_webhooks_not_taken_are_told() {
        let all = [
            series("risiti_spool_entries", "", 3.0),
            series("risiti_spool_bytes", "", 4096.0),
            series("risiti_spool_oldest_entry_seconds", "", 12.4),
            series(WEBHOOKS, r#"outcome="unavailable",provider="daraja""#, 2.0),
            series(
                WEBHOOKS,
                r#"outcome="unavailable",provider="paystack""#,
                1.0,
            ),
            series(WEBHOOKS, r#"outcome="accepted",provider="paystack""#, 9.0),
        ];
        let mut spool = spool(&all).unwrap();
        spool["ingress"] = json!("http://a:9000/");
        assert_eq!(
            lines(&[spool]),
            [
                "http://a:9000/: 3 webhooks, 4096 bytes, the oldest waits for 12 s; since its start not taken: 3 unavailable"
            ]
        );
        assert!(super::spool(&all[3..]).is_err(), "no ingress");
    }
}

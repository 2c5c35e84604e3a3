//! Every command that changes something is in the audit.

use clap::{Command, CommandFactory as _};
use risiti_admin::Cli;
use serde_json::Value;

use crate::buyers::{SALE, add_sale};
use crate::fixture::{Fixture, KraSimulator};

/// Commands that change nothing here.
const READS: [&str; 7] = [
    "status",
    "find",
    "audit",
    "merchant list",
    "provider list",
    "device list",
    "device show",
];
const CHANGES: [&str; 12] = [
    "buyer set",
    "codes sync",
    "merchant create",
    "merchant update",
    "merchant rotate-secret",
    "provider add",
    "provider remove-key",
    "device add",
    "device update",
    "device verify",
    "keys reencrypt",
    "prune",
];
/// It makes the table that the audit is kept in. A test of the ledger has what it writes later.
const MIGRATE: &str = "migrate";

/// The commands that a program takes, each with the words that lead to it.
fn commands(of: &Command, words: &str) -> Vec<String> {
    let subcommands: Vec<&Command> = of.get_subcommands().collect();
    if subcommands.is_empty() {
        return vec![words.trim().to_owned()];
    }
    let below = subcommands
        .into_iter()
        .map(|sub| commands(sub, &format!("{words} {}", sub.get_name())));
    below.flatten().collect()
}

#[test]
fn every_command_is_known_to_read_or_to_change() {
    let mut known = [&READS[..], &CHANGES, &[MIGRATE]].concat();
    known.sort_unstable();
    let mut all = commands(&Cli::command(), "");
    all.sort_unstable();
    assert_eq!(all, known);
}

#[tokio::test]
async fn every_command_that_changes_something_is_audited() {
    let fixture = Fixture::with_merchant().await;
    let kra = KraSimulator::start("legacy").await;
    kra.register("00", Some("0123456789abcdef0123456789abcdef"))
        .await;
    let cmc_key = fixture.file("cmc", "0123456789abcdef0123456789abcdef");
    fixture
        .add_device(&kra.url, "00", &["--cmc-key-file", &cmc_key])
        .await
        .ok();
    add_sale(&fixture).await;
    let paystack = [
        "provider",
        "add",
        "--merchant",
        "acme",
        "--provider",
        "paystack",
    ];
    let signing_key = fixture.file("key", "sk_test_0123456789abcdef0123456789abcdef01234567");
    let added = fixture
        .run(&[&paystack[..], &["--secret-key-file", &signing_key]].concat())
        .await
        .ok();
    let key_id = added["key_id"].as_str().expect("an id").to_owned();
    let remove = [
        "provider",
        "remove-key",
        "--merchant",
        "acme",
        "--provider",
        "paystack",
    ];
    for command in [
        [&remove[..], &["--key-id", &key_id, "--force"]].concat(),
        vec!["merchant", "rotate-secret", "--slug", "acme"],
        vec![
            "merchant",
            "update",
            "--slug",
            "acme",
            "--amount-max",
            "500000",
            "--reason",
            "no sale is larger",
        ],
        vec!["device", "verify", "acme"],
        vec!["codes", "sync", "acme"],
        vec![
            "buyer",
            "set",
            SALE,
            "--name",
            "Upendo",
            "--reason",
            "asked for",
        ],
        vec![
            "device",
            "update",
            "acme",
            "--serial",
            "RISITI/2",
            "--reason",
            "a new till",
        ],
        vec!["keys", "reencrypt"],
        vec!["prune", "--yes", "--reason", "old"],
    ] {
        fixture.run(&command).await.ok();
    }

    let audit = fixture.run(&["audit"]).await.lines();
    for command in CHANGES {
        let entries: Vec<&Value> = audit
            .iter()
            .filter(|entry| entry["command"] == command)
            .collect();
        assert!(!entries.is_empty(), "{command} left no row");
        for entry in entries {
            assert_eq!(entry["operator"], "wanjiru", "{entry}");
            assert!(
                entry["at"].is_string() && entry["ended_at"].is_string(),
                "{entry}"
            );
            let changes = entry["changes"].as_object().expect("old and new values");
            assert!(!changes.is_empty(), "{entry}");
            for change in changes.values() {
                let is_pair = change.as_array().is_some_and(|pair| pair.len() == 2);
                assert!(is_pair || change == "changed" || change == "new", "{entry}");
            }
        }
    }
}

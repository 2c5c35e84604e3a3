//! Every command that changes something leaves a row in the audit, with old and new values.

use clap::{Command, CommandFactory as _};
use risiti_replay::Cli;
use serde_json::Value;
use uuid::Uuid;

use crate::fixture::Fixture;

/// Commands that change nothing.
const READS: [&str; 5] = [
    "list",
    "show",
    "payments list",
    "payments show",
    "lanes list",
];
/// It takes evidence out and changes nothing, and leaves a row all the same.
const EXPORT: &str = "export";
const CHANGES: [&str; 8] = [
    "run",
    "discard",
    "payments settle",
    "payments dismiss",
    "lanes halt",
    "lanes resume",
    "lanes resolve",
    "lanes set-aside",
];

/// The commands that the program takes, each with the words that lead to it.
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

async fn flagged_payment(fixture: &Fixture) -> String {
    let id = Uuid::now_v7();
    let merchant = fixture.merchant;
    fixture
        .execute(&format!(
            "INSERT INTO payments (id, merchant_id, provider, money_key, receipt, amount, currency, method, state,
                 reason, conflict, authenticated_by, moved_by)
             VALUES ('{id}', '{merchant}', 'daraja', '{id}', 'R', 116, 'KES', 'mobile_money', 'pending', 'x', true,
                 'path', 'test');
             INSERT INTO events (id, merchant_id, provider, kind, delivery_key, facts_sha256, authenticated_by,
                 received_at, body, payment_id, conflict)
             VALUES ('{id}', '{merchant}', 'daraja', 'stk', '{id}', '', 'path', now(), '', '{id}', true);"
        ))
        .await;
    id.to_string()
}

#[test]
fn every_command_is_known_to_read_or_to_change() {
    let mut known = [&READS[..], &CHANGES, &[EXPORT]].concat();
    known.sort_unstable();
    let mut all = commands(&Cli::command(), "");
    all.sort_unstable();
    assert_eq!(all, known);
}

#[tokio::test]
async fn every_command_that_changes_something_is_audited() {
    let fixture = Fixture::new().await;
    let why = ["--reason", "a test"];
    let halt = [&["lanes", "halt", "acme"][..], &why].concat();
    let resolve = [
        "lanes",
        "resolve",
        "acme",
        "--invoice-no",
        "1",
        "--taken-elsewhere",
    ];
    let [settled, dismissed] = [
        flagged_payment(&fixture).await,
        flagged_payment(&fixture).await,
    ];
    for command in [
        halt.clone(),
        [&["lanes", "resume", "acme"][..], &why].concat(),
        halt,
        [&resolve[..], &why].concat(),
        [&["payments", "settle", "--yes", "--id", &settled][..], &why].concat(),
        [
            &["payments", "dismiss", "--yes", "--id", &dismissed][..],
            &why,
        ]
        .concat(),
    ] {
        fixture.replay(&command).await.expect_code(0);
    }
    let waiting = fixture.sale("pending").await.to_string();
    let set_aside = ["lanes", "set-aside", "acme", "--invoice", &waiting];
    fixture
        .replay(&[&set_aside[..], &why].concat())
        .await
        .expect_code(0);
    let refused = fixture.refused_sale("891").await.to_string();
    for command in [
        ["run", "--yes", "--id", &waiting],
        ["discard", "--yes", "--id", &refused],
    ] {
        fixture
            .replay(&[&command[..], &why].concat())
            .await
            .expect_code(0);
    }

    for command in CHANGES {
        let rows = fixture
            .query_text(&format!(
                "SELECT coalesce(jsonb_agg(to_jsonb(a)), '[]')::text FROM operator_actions a WHERE command = '{command}'"
            ))
            .await;
        let rows: Vec<Value> = serde_json::from_str(&rows).unwrap();
        assert!(!rows.is_empty(), "{command} left no row");
        for row in rows {
            assert_eq!(row["operator"], "jane", "{row}");
            assert_eq!(row["reason"], "a test", "{row}");
            assert!(
                row["at"].is_string() && row["ended_at"].is_string(),
                "{row}"
            );
            let changes = row["changes"].as_object().expect("old and new values");
            assert!(!changes.is_empty(), "{row}");
            let pairs = changes
                .values()
                .all(|change| change.as_array().is_some_and(|pair| pair.len() == 2));
            assert!(pairs, "{row}");
        }
    }
}

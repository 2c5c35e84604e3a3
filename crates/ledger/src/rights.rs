//! Which program runs which modules' statements, and the proof that its role may (migrations/V6__roles.sql).

use risiti_testkit::TestDatabase;

use crate::statements::{ALL, Statement};

const INGRESS: &[&[Statement]] = &[crate::listen::STATEMENTS, crate::pool::STATEMENTS];

const LEDGER_WORKER: &[&[Statement]] = &[
    crate::dead_letters::STATEMENTS,
    crate::events::STATEMENTS,
    crate::owing::STATEMENTS,
    crate::payment_rows::STATEMENTS,
    crate::pool::STATEMENTS,
    crate::reversal_rows::STATEMENTS,
    crate::stripes::STATEMENTS,
    crate::suspects::STATEMENTS,
    crate::tokens::STATEMENTS,
];

const ETIMS_WORKER: &[&[Statement]] = &[
    crate::adoption::STATEMENTS,
    crate::dead_letters::STATEMENTS,
    crate::devices::STATEMENTS,
    crate::hosts::STATEMENTS,
    crate::lane_gauges::STATEMENTS,
    crate::lane_settle::STATEMENTS,
    crate::lane_work::STATEMENTS,
    crate::lanes::STATEMENTS,
    crate::look_ups::STATEMENTS,
    crate::pool::STATEMENTS,
    crate::processes::STATEMENTS,
    crate::submissions::STATEMENTS,
    crate::tokens::STATEMENTS,
    crate::wake::STATEMENTS,
];

const REPLAY: &[&[Statement]] = &[
    crate::by_hand::STATEMENTS,
    crate::dead_letter_evidence::STATEMENTS,
    crate::dead_letter_list::STATEMENTS,
    crate::dead_letter_moves::STATEMENTS,
    crate::lane_by_hand::STATEMENTS,
    crate::lane_resolve::STATEMENTS,
    crate::lane_status::STATEMENTS,
    crate::pool::STATEMENTS,
    crate::replay_runs::STATEMENTS,
    crate::tokens::STATEMENTS,
];

const ADMIN: &[&[Statement]] = &[
    crate::credentials::STATEMENTS,
    crate::by_hand::STATEMENTS,
    crate::device_admin::STATEMENTS,
    crate::device_changes::STATEMENTS,
    crate::devices::STATEMENTS,
    crate::lane_status::STATEMENTS,
    crate::listen::STATEMENTS,
    crate::merchants::STATEMENTS,
    crate::pool::STATEMENTS,
    crate::provider_accounts::STATEMENTS,
    crate::verification::STATEMENTS,
];

#[test]
fn every_module_is_some_programs() {
    let listed = [INGRESS, LEDGER_WORKER, ETIMS_WORKER, REPLAY, ADMIN].concat();
    for module in ALL {
        let name = module[0].name;
        assert!(listed.iter().any(|listed| listed[0].name == name), "no program runs the module of {name}");
    }
}

/// Explaining a prepared statement checks the rights it needs, and runs nothing.
#[tokio::test]
async fn every_role_may_run_its_programs_statements() {
    let database = TestDatabase::create().await;
    crate::migrate(&database.url().into()).await.unwrap();
    let client = database.connect().await;
    let mut refused = Vec::new();
    for (role, modules) in [
        ("risiti_ingress", INGRESS),
        ("risiti_ledger_worker", LEDGER_WORKER),
        ("risiti_etims_worker", ETIMS_WORKER),
        ("risiti_replay", REPLAY),
        ("risiti_admin", ADMIN),
    ] {
        client.batch_execute(&format!("SET ROLE {role}")).await.unwrap();
        for statement in modules.iter().copied().flatten() {
            let nulls = vec!["NULL"; client.prepare(statement.sql).await.unwrap().params().len()].join(", ");
            let call = if nulls.is_empty() { String::new() } else { format!("({nulls})") };
            let explain = format!("PREPARE s AS {}; EXPLAIN EXECUTE s{call}; DEALLOCATE s", statement.sql);
            if let Err(error) = client.batch_execute(&explain).await {
                let why = error.as_db_error().map_or("no answer", |error| error.message());
                refused.push(format!("{role}: {}: {why}", statement.name));
                client.batch_execute("DEALLOCATE ALL").await.unwrap();
            }
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

/// What a stolen login of a program must not be able to do.
#[tokio::test]
async fn no_role_may_rewrite_history_or_reach_what_it_does_not_need() {
    let database = TestDatabase::create().await;
    crate::migrate(&database.url().into()).await.unwrap();
    let client = database.connect().await;
    for (role, statement) in [
        ("risiti_ingress", "UPDATE merchants SET name = 'x'"),
        ("risiti_ingress", "SELECT FROM payments"),
        ("risiti_ingress", "SELECT cmc_key_ciphertext FROM devices"),
        (
            "risiti_ledger_worker",
            "INSERT INTO transitions (subject, subject_id, to_state, actor)
            VALUES ('payment', gen_random_uuid(), 'success', 'x')",
        ),
        ("risiti_ledger_worker", "SELECT cmc_key_ciphertext FROM devices"),
        ("risiti_ledger_worker", "SELECT ciphertext FROM provider_keys"),
        ("risiti_etims_worker", "UPDATE payments SET state = 'success'"),
        ("risiti_etims_worker", "DELETE FROM transitions"),
        ("risiti_replay", "SELECT cmc_key_ciphertext FROM devices"),
        ("risiti_replay", "DELETE FROM dead_letters"),
        ("risiti_admin", "UPDATE invoices SET state = 'success'"),
        ("risiti_admin", "UPDATE payments SET state = 'success'"),
    ] {
        client.batch_execute(&format!("SET ROLE {role}")).await.unwrap();
        let error = client.batch_execute(statement).await.expect_err(statement);
        assert_eq!(error.code().map(|code| code.code()), Some("42501"), "{role}: {statement}");
        for view in ["report_events", "report_payments", "report_invoices", "report_transitions"] {
            client.batch_execute(&format!("SELECT FROM {view}")).await.unwrap();
        }
    }
}

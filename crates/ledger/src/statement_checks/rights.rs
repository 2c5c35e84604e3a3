//! Which program runs the statements of which modules, and whether its role may
//! (`migrations/V6__roles.sql`).

use super::{ALL, execute_with_nulls, migrated};
use crate::db::statements::Statement;

const INGRESS: &[&[Statement]] = &[
    crate::db::pool::STATEMENTS,
    crate::directory::listen::STATEMENTS,
];

const LEDGER_WORKER: &[&[Statement]] = &[
    crate::db::pool::STATEMENTS,
    crate::db::write_probe::STATEMENTS,
    crate::dead_letters::insert::STATEMENTS,
    crate::dead_letters::insert_many::STATEMENTS,
    crate::directory::credential_uses::STATEMENTS,
    crate::flagged::decide::STATEMENTS,
    crate::flagged::short_codes::STATEMENTS,
    crate::lanes::wake_ups::STATEMENTS,
    crate::recording::credit_notes::STATEMENTS,
    crate::recording::event_rows::STATEMENTS,
    crate::recording::owing::STATEMENTS,
    crate::recording::payment_rows::STATEMENTS,
    crate::recording::payment_writes::STATEMENTS,
    crate::recording::reversal_rows::STATEMENTS,
    crate::recording::stripes::STATEMENTS,
    crate::recording::suspects::STATEMENTS,
];

const ETIMS_WORKER: &[&[Statement]] = &[
    crate::db::pool::STATEMENTS,
    crate::dead_letters::insert::STATEMENTS,
    crate::directory::devices::STATEMENTS,
    crate::flagged::gauges::STATEMENTS,
    crate::lanes::adoption::STATEMENTS,
    crate::lanes::death::STATEMENTS,
    crate::lanes::gauges::STATEMENTS,
    crate::lanes::hosts::STATEMENTS,
    crate::lanes::late_look_ups::STATEMENTS,
    crate::lanes::leases::STATEMENTS,
    crate::lanes::settle::STATEMENTS,
    crate::lanes::shares::STATEMENTS,
    crate::lanes::submissions::STATEMENTS,
    crate::lanes::wake::STATEMENTS,
    crate::lanes::wake_ups::STATEMENTS,
    crate::lanes::work::STATEMENTS,
];

const REPLAY: &[&[Statement]] = &[
    crate::db::pool::STATEMENTS,
    crate::dead_letters::discard_waiting::STATEMENTS,
    crate::dead_letters::evidence::STATEMENTS,
    crate::dead_letters::groups::STATEMENTS,
    crate::dead_letters::insert::STATEMENTS,
    crate::dead_letters::list::STATEMENTS,
    crate::dead_letters::moves::STATEMENTS,
    crate::dead_letters::not_dead::STATEMENTS,
    crate::dead_letters::replay_lock::STATEMENTS,
    crate::dead_letters::runs::STATEMENTS,
    crate::dead_letters::waiting::STATEMENTS,
    crate::dead_letters::would_send::STATEMENTS,
    crate::directory::device_names::STATEMENTS,
    crate::flagged::contradictions::STATEMENTS,
    crate::flagged::decide::STATEMENTS,
    crate::flagged::evidence::STATEMENTS,
    crate::flagged::list::STATEMENTS,
    crate::lanes::death::STATEMENTS,
    crate::lanes::halt_by_hand::STATEMENTS,
    crate::lanes::hold::STATEMENTS,
    crate::lanes::lane_values::STATEMENTS,
    crate::lanes::resolve::STATEMENTS,
    crate::lanes::resolve_accepted::STATEMENTS,
    crate::lanes::resolve_through::STATEMENTS,
    crate::lanes::set_aside::STATEMENTS,
    crate::lanes::status::STATEMENTS,
    crate::lanes::wake_ups::STATEMENTS,
    crate::operator_actions::STATEMENTS,
    crate::overview::newest_webhook::STATEMENTS,
    crate::overview::outcomes::STATEMENTS,
    crate::overview::story::STATEMENTS,
    crate::recording::credit_notes::STATEMENTS,
    crate::recording::payment_rows::STATEMENTS,
    crate::recording::stripes::STATEMENTS,
];

const ADMIN: &[&[Statement]] = &[
    crate::db::credentials::STATEMENTS,
    crate::db::pool::STATEMENTS,
    crate::directory::device_changes::STATEMENTS,
    crate::directory::device_names::STATEMENTS,
    crate::directory::device_values::STATEMENTS,
    crate::directory::devices::STATEMENTS,
    crate::directory::listen::STATEMENTS,
    crate::directory::merchants::STATEMENTS,
    crate::directory::new_device::STATEMENTS,
    crate::directory::next_number::STATEMENTS,
    crate::directory::provider_accounts::STATEMENTS,
    crate::directory::provider_keys::STATEMENTS,
    crate::directory::tax_rates::STATEMENTS,
    crate::lanes::buyers::STATEMENTS,
    crate::lanes::hold::STATEMENTS,
    crate::lanes::lane_values::STATEMENTS,
    crate::lanes::status::STATEMENTS,
    crate::lanes::verification::STATEMENTS,
    crate::operator_actions::STATEMENTS,
    crate::overview::audit::STATEMENTS,
    crate::overview::newest_webhook::STATEMENTS,
    crate::overview::status::STATEMENTS,
    crate::overview::story::STATEMENTS,
    crate::retention::dead_letter_bodies::STATEMENTS,
    crate::retention::event_bodies::STATEMENTS,
    crate::retention::prune::STATEMENTS,
    crate::retention::submission_bodies::STATEMENTS,
];

#[test]
fn every_module_belongs_to_a_program() {
    let listed = [INGRESS, LEDGER_WORKER, ETIMS_WORKER, REPLAY, ADMIN].concat();
    for module in ALL {
        let name = module[0].name;
        assert!(
            listed.iter().any(|listed| listed[0].name == name),
            "no program runs the module of {name}"
        );
    }
}

/// Explaining a prepared statement checks the rights it needs, and runs nothing.
#[tokio::test]
async fn every_role_may_run_its_programs_statements() {
    let (_database, client) = migrated().await;
    let mut refused = Vec::new();
    for (role, modules) in [
        ("risiti_ingress", INGRESS),
        ("risiti_ledger_worker", LEDGER_WORKER),
        ("risiti_etims_worker", ETIMS_WORKER),
        ("risiti_replay", REPLAY),
        ("risiti_admin", ADMIN),
    ] {
        client
            .batch_execute(&format!("SET ROLE {role}"))
            .await
            .unwrap();
        for statement in modules.iter().copied().flatten() {
            let execute = execute_with_nulls(&client, "s", *statement).await;
            let explain = format!(
                "PREPARE s AS {}; EXPLAIN {execute}; DEALLOCATE s",
                statement.sql
            );
            if let Err(error) = client.batch_execute(&explain).await {
                let why = error
                    .as_db_error()
                    .map_or("no answer", |error| error.message());
                refused.push(format!("{role}: {}: {why}", statement.name));
                client.batch_execute("DEALLOCATE ALL").await.unwrap();
            }
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

//! Checks of every SQL statement of this crate against the migrated schema: it prepares, its
//! program's role may run it, and it finds its rows through an index. Beside it: what each role may
//! do, and what no role can make the schema's functions do.

mod decoys;
mod plans;
mod rights;
mod role_table;
mod roles;
mod schema_story;

use std::path::Path;

use risiti_testkit::TestDatabase;
use tokio_postgres::Client;

use crate::db::migrate::migrate;
use crate::db::statements::Statement;

/// The statements of every module that declares some. A test compares this list with the source
/// files.
const ALL: &[&[Statement]] = &[
    crate::db::credentials::STATEMENTS,
    crate::db::pool::STATEMENTS,
    crate::db::write_probe::STATEMENTS,
    crate::dead_letters::discard_waiting::STATEMENTS,
    crate::dead_letters::evidence::STATEMENTS,
    crate::dead_letters::groups::STATEMENTS,
    crate::dead_letters::insert::STATEMENTS,
    crate::dead_letters::insert_many::STATEMENTS,
    crate::dead_letters::list::STATEMENTS,
    crate::dead_letters::moves::STATEMENTS,
    crate::dead_letters::not_dead::STATEMENTS,
    crate::dead_letters::replay_lock::STATEMENTS,
    crate::dead_letters::runs::STATEMENTS,
    crate::dead_letters::waiting::STATEMENTS,
    crate::dead_letters::would_send::STATEMENTS,
    crate::directory::credential_uses::STATEMENTS,
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
    crate::flagged::contradictions::STATEMENTS,
    crate::flagged::decide::STATEMENTS,
    crate::flagged::evidence::STATEMENTS,
    crate::flagged::gauges::STATEMENTS,
    crate::flagged::list::STATEMENTS,
    crate::flagged::short_codes::STATEMENTS,
    crate::lanes::adoption::STATEMENTS,
    crate::lanes::buyers::STATEMENTS,
    crate::lanes::death::STATEMENTS,
    crate::lanes::gauges::STATEMENTS,
    crate::lanes::halt_by_hand::STATEMENTS,
    crate::lanes::hold::STATEMENTS,
    crate::lanes::hosts::STATEMENTS,
    crate::lanes::lane_values::STATEMENTS,
    crate::lanes::late_look_ups::STATEMENTS,
    crate::lanes::leases::STATEMENTS,
    crate::lanes::resolve::STATEMENTS,
    crate::lanes::resolve_accepted::STATEMENTS,
    crate::lanes::resolve_through::STATEMENTS,
    crate::lanes::set_aside::STATEMENTS,
    crate::lanes::settle::STATEMENTS,
    crate::lanes::shares::STATEMENTS,
    crate::lanes::status::STATEMENTS,
    crate::lanes::submissions::STATEMENTS,
    crate::lanes::verification::STATEMENTS,
    crate::lanes::wake::STATEMENTS,
    crate::lanes::wake_ups::STATEMENTS,
    crate::lanes::work::STATEMENTS,
    crate::operator_actions::STATEMENTS,
    crate::overview::audit::STATEMENTS,
    crate::overview::newest_webhook::STATEMENTS,
    crate::overview::outcomes::STATEMENTS,
    crate::overview::status::STATEMENTS,
    crate::overview::story::STATEMENTS,
    crate::recording::credit_notes::STATEMENTS,
    crate::recording::event_rows::STATEMENTS,
    crate::recording::owing::STATEMENTS,
    crate::recording::payment_rows::STATEMENTS,
    crate::recording::payment_writes::STATEMENTS,
    crate::recording::reversal_rows::STATEMENTS,
    crate::recording::stripes::STATEMENTS,
    crate::recording::suspects::STATEMENTS,
    crate::retention::dead_letter_bodies::STATEMENTS,
    crate::retention::event_bodies::STATEMENTS,
    crate::retention::prune::STATEMENTS,
    crate::retention::submission_bodies::STATEMENTS,
];

async fn migrated() -> (TestDatabase, Client) {
    let database = TestDatabase::create().await;
    migrate(&database.url().into()).await.unwrap();
    let client = database.connect().await;
    (database, client)
}

/// `EXECUTE` of a prepared statement with NULL for every parameter.
async fn execute_with_nulls(client: &Client, name: &str, statement: Statement) -> String {
    let params = client.prepare(statement.sql).await.unwrap().params().len();
    if params == 0 {
        return format!("EXECUTE {name}");
    }
    format!("EXECUTE {name}({})", vec!["NULL"; params].join(", "))
}

#[tokio::test]
async fn every_statement_fits_the_migrated_schema() {
    let (_database, client) = migrated().await;
    for statement in ALL.iter().copied().flatten() {
        if let Err(error) = client.prepare(statement.sql).await {
            panic!(
                "{}: {}",
                statement.name,
                error.as_db_error().map_or("no answer", |e| e.message())
            );
        }
    }
}

/// A module that declares statements without being in `ALL` would escape the checks.
#[test]
fn every_declaring_module_is_listed() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut declaring = Vec::new();
    collect_declaring_modules(&sources, "risiti_ledger", &mut declaring);
    for module in &declaring {
        assert!(
            ALL.iter()
                .any(|list| list[0].name.starts_with(module.as_str())),
            "{module} is not in statement_checks::ALL"
        );
    }
    assert_eq!(declaring.len(), ALL.len());
}

fn collect_declaring_modules(folder: &Path, parent: &str, declaring: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let module = format!("{parent}::{}", path.file_stem().unwrap().to_str().unwrap());

        if path.is_dir() {
            collect_declaring_modules(&path, &module, declaring);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        if text.lines().any(|line| line.starts_with("statements! {")) {
            declaring.push(format!("{module}::"));
        }
    }
}

//! Which program runs which modules' statements, and the proof that its role may
//! (migrations/V6__roles.sql).

use risiti_testkit::TestDatabase;

use super::ALL;
use crate::db::statements::Statement;

const INGRESS: &[&[Statement]] = &[
    crate::directory::listen::STATEMENTS,
    crate::db::pool::STATEMENTS,
];

const LEDGER_WORKER: &[&[Statement]] = &[
    crate::dead_letters::insert::STATEMENTS,
    crate::recording::event_rows::STATEMENTS,
    crate::recording::credit_notes::STATEMENTS,
    crate::recording::owing::STATEMENTS,
    crate::recording::payment_rows::STATEMENTS,
    crate::db::pool::STATEMENTS,
    crate::recording::reversal_rows::STATEMENTS,
    crate::recording::stripes::STATEMENTS,
    crate::recording::suspects::STATEMENTS,
    crate::lanes::wake_ups::STATEMENTS,
];

const ETIMS_WORKER: &[&[Statement]] = &[
    crate::lanes::adoption::STATEMENTS,
    crate::dead_letters::insert::STATEMENTS,
    crate::directory::devices::STATEMENTS,
    crate::lanes::hosts::STATEMENTS,
    crate::lanes::gauges::STATEMENTS,
    crate::lanes::settle::STATEMENTS,
    crate::lanes::work::STATEMENTS,
    crate::lanes::leases::STATEMENTS,
    crate::lanes::late_look_ups::STATEMENTS,
    crate::db::pool::STATEMENTS,
    crate::lanes::shares::STATEMENTS,
    crate::lanes::submissions::STATEMENTS,
    crate::lanes::wake_ups::STATEMENTS,
    crate::lanes::wake::STATEMENTS,
];

const REPLAY: &[&[Statement]] = &[
    crate::operator_actions::STATEMENTS,
    crate::dead_letters::evidence::STATEMENTS,
    crate::dead_letters::list::STATEMENTS,
    crate::dead_letters::moves::STATEMENTS,
    crate::dead_letters::replay_lock::STATEMENTS,
    crate::lanes::halt_by_hand::STATEMENTS,
    crate::lanes::resolve::STATEMENTS,
    crate::lanes::status::STATEMENTS,
    crate::db::pool::STATEMENTS,
    crate::dead_letters::runs::STATEMENTS,
    crate::lanes::wake_ups::STATEMENTS,
];

const ADMIN: &[&[Statement]] = &[
    crate::db::credentials::STATEMENTS,
    crate::operator_actions::STATEMENTS,
    crate::directory::new_device::STATEMENTS,
    crate::directory::device_changes::STATEMENTS,
    crate::directory::devices::STATEMENTS,
    crate::lanes::status::STATEMENTS,
    crate::directory::listen::STATEMENTS,
    crate::directory::merchants::STATEMENTS,
    crate::db::pool::STATEMENTS,
    crate::directory::provider_accounts::STATEMENTS,
    crate::directory::provider_keys::STATEMENTS,
    crate::lanes::verification::STATEMENTS,
];

#[test]
fn every_module_is_some_programs() {
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
        client
            .batch_execute(&format!("SET ROLE {role}"))
            .await
            .unwrap();
        for statement in modules.iter().copied().flatten() {
            let nulls = vec!["NULL"; client.prepare(statement.sql).await.unwrap().params().len()]
                .join(", ");
            let call = if nulls.is_empty() {
                String::new()
            } else {
                format!("({nulls})")
            };
            let explain = format!(
                "PREPARE s AS {}; EXPLAIN EXECUTE s{call}; DEALLOCATE s",
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
        (
            "risiti_ledger_worker",
            "SELECT cmc_key_ciphertext FROM devices",
        ),
        (
            "risiti_ledger_worker",
            "SELECT ciphertext FROM provider_keys",
        ),
        (
            "risiti_etims_worker",
            "UPDATE payments SET state = 'success'",
        ),
        ("risiti_etims_worker", "DELETE FROM transitions"),
        ("risiti_replay", "SELECT cmc_key_ciphertext FROM devices"),
        ("risiti_replay", "DELETE FROM dead_letters"),
        ("risiti_admin", "UPDATE invoices SET state = 'success'"),
        ("risiti_admin", "UPDATE payments SET state = 'success'"),
    ] {
        client
            .batch_execute(&format!("SET ROLE {role}"))
            .await
            .unwrap();
        let error = client.batch_execute(statement).await.expect_err(statement);
        assert_eq!(
            error.code().map(|code| code.code()),
            Some("42501"),
            "{role}: {statement}"
        );
        for view in [
            "report_events",
            "report_payments",
            "report_invoices",
            "report_transitions",
        ] {
            client
                .batch_execute(&format!("SELECT FROM {view}"))
                .await
                .unwrap();
        }
    }
}

const ROLES: [&str; 5] = [
    "risiti_ingress",
    "risiti_ledger_worker",
    "risiti_etims_worker",
    "risiti_replay",
    "risiti_admin",
];

async fn lines(client: &tokio_postgres::Client, question: &str) -> Vec<String> {
    client
        .query(question, &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect()
}

/// Asked of the catalogue, so that a table added later is asked about as well.
#[tokio::test]
async fn roles_own_nothing_truncate_nothing_and_leave_transitions_alone() {
    let database = TestDatabase::create().await;
    crate::migrate(&database.url().into()).await.unwrap();
    let client = database.connect().await;
    let tables = "FROM pg_class t, unnest($1::text[]) r
        WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind IN ('r', 'v', 'S', 'p')";
    let roles: Vec<&str> = ROLES.to_vec();
    for (what, condition) in [
        ("owns", "pg_has_role(r, t.relowner, 'MEMBER')"),
        (
            "may truncate",
            "t.relkind = 'r' AND has_table_privilege(r, t.oid, 'TRUNCATE, TRIGGER, REFERENCES')",
        ),
        (
            "may touch",
            "t.relname = 'transitions' AND has_table_privilege(r, t.oid, 'SELECT, INSERT, UPDATE, DELETE')",
        ),
        (
            "of ingress writes",
            "r = 'risiti_ingress' AND t.relkind IN ('r', 'v') AND has_table_privilege(r, t.oid, 'INSERT, UPDATE, DELETE')",
        ),
    ] {
        let found = client
            .query(
                &format!("SELECT r || ' ' || t.relname {tables} AND {condition}"),
                &[&roles],
            )
            .await
            .unwrap();
        let found: Vec<String> = found.iter().map(|row| row.get(0)).collect();
        assert!(found.is_empty(), "a role {what}: {found:?}");
    }
    let reads =
        "SELECT relname::text FROM pg_class t WHERE relnamespace = current_schema()::regnamespace
        AND relkind = 'r' AND has_table_privilege('risiti_ingress', t.oid, 'SELECT') ORDER BY 1";
    let directory = [
        "credentials_canary",
        "merchants",
        "provider_accounts",
        "provider_keys",
        "refinery_schema_history",
        "short_codes",
        "webhook_secrets",
    ];
    assert_eq!(
        lines(&client, reads).await,
        directory,
        "ingress reads the directory only"
    );
    let makes = "SELECT r FROM unnest(ARRAY['risiti_ingress', 'risiti_ledger_worker', 'risiti_etims_worker',
        'risiti_replay', 'risiti_admin']) r WHERE has_schema_privilege(r, current_schema(), 'CREATE')";
    assert_eq!(lines(&client, makes).await, [""; 0]);
}

/// `RESET ROLE` gives a program back what its login may. With a login of its own that is nothing
/// more.
#[tokio::test]
async fn a_login_of_its_own_cannot_step_out_of_its_role() {
    let database = TestDatabase::create().await;
    crate::migrate(&database.url().into()).await.unwrap();
    let client = database.connect().await;
    // Logins belong to the whole cluster: one of this test's own.
    let login = format!("login_{}", database.name());
    client
        .batch_execute(&format!(
            "CREATE ROLE {login} LOGIN PASSWORD 'x' IN ROLE risiti_ingress"
        ))
        .await
        .unwrap();
    let mut url: url::Url = database.url().parse().unwrap();
    url.set_username(&login).unwrap();
    url.set_password(Some("x")).unwrap();
    let settings = crate::DatabaseSettings {
        url: url.as_str().into(),
        pool_size: 1,
        role: Some("risiti_ingress"),
        application_name: "risiti-test",
    };
    let ledger = crate::Ledger::open(settings).unwrap();
    let loaded = ledger.directory().await;
    let (own, driver) = crate::db::connect::connect(&url.as_str().into(), "risiti-test")
        .await
        .unwrap();
    let driver = tokio::spawn(driver);
    own.batch_execute("SET ROLE risiti_ingress; RESET ROLE")
        .await
        .unwrap();
    let mut refused = Vec::new();
    for statement in [
        "SELECT FROM payments",
        "SET ROLE risiti_admin",
        "UPDATE merchants SET name = 'x'",
        "DROP TABLE merchants",
    ] {
        refused.push(
            own.batch_execute(statement)
                .await
                .err()
                .and_then(|error| error.code().cloned()),
        );
    }
    drop((own, ledger));
    driver.await.unwrap().ok();
    risiti_testkit::eventually(
        "the login is gone",
        std::time::Duration::from_secs(30),
        async || {
            client
                .batch_execute(&format!("DROP ROLE {login}"))
                .await
                .ok()
        },
    )
    .await;
    loaded.unwrap();
    let codes: Vec<_> = refused
        .iter()
        .map(|code| code.as_ref().map(|code| code.code()))
        .collect();
    assert_eq!(codes, [Some("42501"); 4]);
}

/// What `SET ROLE` on every connection comes to, as the server sees it.
#[tokio::test]
async fn programs_work_under_their_role() {
    let database = TestDatabase::create().await;
    crate::migrate(&database.url().into()).await.unwrap();
    for role in ROLES {
        let settings = crate::DatabaseSettings {
            url: database.url().into(),
            pool_size: 1,
            role: Some(role),
            application_name: "risiti-test",
        };
        let ledger = crate::Ledger::open(settings).unwrap();
        let connection = ledger.connection().await.unwrap();
        let statement = Statement {
            name: "CURRENT_ROLE",
            sql: "SELECT current_user::text",
        };
        let row = connection.query_one(statement, &[]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), role);
    }
}

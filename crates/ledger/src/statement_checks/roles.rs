//! What the programs' roles must not be able to do, and how programs take them.

use std::time::Duration;

use risiti_testkit::eventually;
use tokio_postgres::Client;
use url::Url;

use super::migrated;
use crate::db::connect::connect;
use crate::db::pool::{DatabaseSettings, Ledger};
use crate::db::statements::Statement;

/// The role of whoever reads the reporting views.
pub(super) const REPORT: &str = "risiti_report";

/// The roles of the programs.
pub(super) const ROLES: [&str; 5] = [
    "risiti_ingress",
    "risiti_ledger_worker",
    "risiti_etims_worker",
    "risiti_replay",
    "risiti_admin",
];

async fn lines(client: &Client, question: &str) -> Vec<String> {
    client
        .query(question, &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect()
}

/// What a stolen login of a program must not be able to do.
#[tokio::test]
async fn no_role_may_rewrite_history_or_reach_what_it_does_not_need() {
    let (_database, client) = migrated().await;
    for (role, statement) in [
        ("risiti_ingress", "UPDATE merchants SET name = 'x'"),
        ("risiti_ingress", "SELECT FROM payments"),
        ("risiti_ingress", "SELECT phone FROM report_payments"),
        ("risiti_ingress", "SELECT cmc_key_ciphertext FROM devices"),
        ("risiti_ledger_worker", "SELECT phone FROM report_payments"),
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
        (
            "risiti_replay",
            "UPDATE operator_actions SET operator = 'x'",
        ),
        ("risiti_admin", "UPDATE operator_actions SET reason = 'x'"),
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
    }
}

/// The catalogue is asked, so that a table added later is checked as well.
#[tokio::test]
async fn roles_own_nothing_and_leave_transitions_alone() {
    let (_database, client) = migrated().await;
    let tables = "FROM pg_class t, unnest($1::text[]) r
        WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind IN ('r', 'v', 'S', 'p')";
    let roles: Vec<&str> = ROLES.into_iter().chain([REPORT]).collect();
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
            "r = 'risiti_ingress' AND t.relkind IN ('r', 'v') AND (has_table_privilege(r, t.oid, 'DELETE')
                OR has_any_column_privilege(r, t.oid, 'INSERT, UPDATE'))",
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
        AND relkind = 'r' AND has_any_column_privilege('risiti_ingress', t.oid, 'SELECT') ORDER BY 1";
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
    let makes = "SELECT r FROM unnest($1::text[]) r WHERE has_schema_privilege(r, current_schema(), 'CREATE')
        OR has_database_privilege(r, current_database(), 'CREATE, TEMPORARY')";
    let makes = client.query(makes, &[&roles]).await.unwrap();
    assert!(makes.is_empty(), "a role may make {} objects", makes.len());
}

/// `RESET ROLE` gives a program back what its login may. With a login of its own that is nothing
/// more.
#[tokio::test]
async fn a_login_of_its_own_cannot_step_out_of_its_role() {
    let (database, client) = migrated().await;

    // Logins belong to the whole cluster, so this test makes one of its own.
    let login = format!("login_{}", database.name());
    client
        .batch_execute(&format!(
            "CREATE ROLE {login} LOGIN PASSWORD 'x' IN ROLE risiti_ingress"
        ))
        .await
        .unwrap();
    let mut url: Url = database.url().parse().unwrap();
    url.set_username(&login).unwrap();
    url.set_password(Some("x")).unwrap();
    let settings = DatabaseSettings {
        url: url.as_str().into(),
        pool_size: 1,
        role: Some("risiti_ingress"),
        application_name: "risiti-test",
    };
    let ledger = Ledger::open(settings).unwrap();
    let loaded = ledger.directory().await;
    let (own, driver) = connect(&url.as_str().into(), "risiti-test").await.unwrap();
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
    eventually("the login is gone", Duration::from_secs(30), async || {
        client
            .batch_execute(&format!("DROP ROLE {login}"))
            .await
            .ok()
    })
    .await;
    loaded.unwrap();
    let codes: Vec<_> = refused
        .iter()
        .map(|code| code.as_ref().map(|code| code.code()))
        .collect();
    assert_eq!(codes, [Some("42501"); 4]);
}

/// The role of a pooled connection, as the server sees it.
#[tokio::test]
async fn programs_work_under_their_role() {
    let (database, _client) = migrated().await;
    for role in ROLES {
        let settings = DatabaseSettings {
            url: database.url().into(),
            pool_size: 1,
            role: Some(role),
            application_name: "risiti-test",
        };
        let ledger = Ledger::open(settings).unwrap();
        let connection = ledger.connection().await.unwrap();
        let statement = Statement {
            name: "CURRENT_ROLE",
            sql: "SELECT current_user::text",
        };
        let row = connection.query_one(statement, &[]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), role);
    }
}

//! Migrations against a real server: once, repeated, at the same time, and by a login with few
//! rights.

use risiti_ledger::{AuditFilter, DatabaseSettings, Ledger, LedgerError, migrate};
use risiti_testkit::TestDatabase;

fn ledger(url: &str) -> Ledger {
    let settings = DatabaseSettings {
        url: url.into(),
        pool_size: 2,
        role: None,
        application_name: "test",
    };
    Ledger::open(settings).expect("a test's settings")
}

#[tokio::test]
async fn migrate_completes_a_missing_schema_once() {
    let database = TestDatabase::create().await;
    let ledger = ledger(database.url());
    let error = ledger.check_schema().await.unwrap_err();
    assert!(
        matches!(&error, LedgerError::Schema(text) if text.contains("risiti-admin migrate")),
        "{error}"
    );

    let first = migrate(&database.url().into()).await.unwrap();
    assert_eq!(first.applied[0], "V1__directory");
    ledger.check_schema().await.unwrap();

    let second = migrate(&database.url().into()).await.unwrap();
    assert!(second.applied.is_empty());
    assert_eq!(second.version, first.version);
}

/// The first migration makes the table that it would be written into.
#[tokio::test]
async fn later_migration_is_in_the_audit() {
    let database = TestDatabase::create().await;
    let ledger = ledger(database.url()).on_behalf_of("jane");
    let mut report = migrate(&database.url().into()).await.unwrap();
    assert_eq!(report.before, None);
    ledger.record_migration(&report).await.unwrap();
    let audit = async || {
        let filter = AuditFilter::default();
        ledger.audit_page(&filter, None, 10).await.unwrap()
    };
    assert_eq!(audit().await.len(), 0);

    report.before = Some(1);
    ledger.record_migration(&report).await.unwrap();
    let entry = audit().await.pop().expect("an entry");
    assert_eq!(
        (&entry.operator[..], &entry.command[..]),
        ("jane", "migrate")
    );
    let changes = serde_json::json!({ "schema_version": [1, report.version] });
    assert_eq!(entry.changes, Some(changes));
}

#[tokio::test]
async fn eight_at_once_apply_each_migration_once() {
    let database = TestDatabase::create().await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let url = database.url().to_owned();
            tokio::spawn(async move { migrate(&url.into()).await.unwrap() })
        })
        .collect();
    let mut applied = Vec::new();
    for task in tasks {
        applied.extend(task.await.unwrap().applied);
    }
    let mut once = applied.clone();
    once.sort();
    once.dedup();
    assert_eq!(applied.len(), once.len());
    ledger(database.url()).check_schema().await.unwrap();
}

/// Roles belong to the whole cluster, so databases that migrate at once can get in each other's
/// way.
#[tokio::test]
async fn many_databases_of_one_cluster_migrate_at_once() {
    let mut databases = Vec::new();
    for _ in 0..4 {
        databases.push(TestDatabase::create().await);
    }
    let tasks: Vec<_> = databases
        .iter()
        .map(|database| {
            let url = database.url().to_owned();
            tokio::spawn(async move { migrate(&url.into()).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_changed_or_unknown_migration_is_refused() {
    let database = TestDatabase::create().await;
    migrate(&database.url().into()).await.unwrap();
    let client = database.connect().await;
    client
        .batch_execute("UPDATE refinery_schema_history SET checksum = '1' WHERE version = 1")
        .await
        .unwrap();
    let error = ledger(database.url()).check_schema().await.unwrap_err();
    assert!(error.to_string().contains("other contents"), "{error}");
    assert!(matches!(
        migrate(&database.url().into()).await,
        Err(LedgerError::Migration(_))
    ));
}

/// The roles may exist already, made for another database. Then this login may not take them.
#[tokio::test]
async fn a_login_that_may_make_no_roles_migrates_with_a_warning() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    let login = format!("{}_login", database.name());
    let made = format!(
        "CREATE ROLE {login} LOGIN PASSWORD 'x' NOCREATEROLE; GRANT ALL ON SCHEMA public TO {login}; \
         GRANT {login} TO CURRENT_USER"
    );
    client.batch_execute(&made).await.unwrap();

    let mut url: url::Url = database.url().parse().unwrap();
    url.set_username(&login).unwrap();
    url.set_password(Some("x")).unwrap();
    let report = migrate(&url.to_string().into()).await;

    let removed = format!(
        "REASSIGN OWNED BY {login} TO CURRENT_USER; DROP OWNED BY {login}; DROP ROLE {login}"
    );
    client.batch_execute(&removed).await.unwrap();
    let report = report.unwrap();
    for missing in ["risiti_ingress", "REVOKE TEMPORARY ON DATABASE"] {
        assert!(
            report
                .warnings
                .iter()
                .any(|warning| warning.contains(missing)),
            "{missing}: {report:?}"
        );
    }
}

//! A transaction pooler in front of Postgres is recognised and named, before it can do harm.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod transaction_pooler;

use std::time::Duration;

use risiti_ledger::{DatabaseSettings, Ledger, LedgerError, migrate, watch_directory};
use risiti_testkit::{TestDatabase, eventually};
use tokio_util::sync::CancellationToken;

use transaction_pooler::TransactionPooler;

fn ledger(url: &str) -> Ledger {
    let settings = DatabaseSettings {
        url: url.into(),
        pool_size: 4,
        role: None,
        application_name: "test",
    };
    Ledger::open(settings).unwrap()
}

async fn migrated() -> TestDatabase {
    let database = TestDatabase::create().await;
    migrate(&database.url().into()).await.unwrap();
    database
}

#[tokio::test]
async fn transaction_pooler_is_named_and_nothing_is_asked_of_it() {
    let database = migrated().await;
    let pooler = TransactionPooler::in_front_of(database.url()).await;

    let pooled = ledger(pooler.url());
    for _ in 0..3 {
        let error = pooled.check_schema().await.unwrap_err();
        assert!(matches!(error, LedgerError::TransactionPooler), "{error:?}");
        // No message is at fault for it, so none may become a dead letter.
        assert!(error.is_transient());
        let text = error.to_string();
        assert!(
            text.contains("pooler") && text.contains("PgBouncer"),
            "{text}"
        );
    }
    let error = migrate(&pooler.url().into()).await.unwrap_err();
    assert!(matches!(error, LedgerError::TransactionPooler), "{error:?}");
}

#[tokio::test]
async fn directory_is_not_followed_through_a_transaction_pooler() {
    let database = migrated().await;
    let pooler = TransactionPooler::in_front_of(database.url()).await;
    let cancel = CancellationToken::new();
    let view = watch_directory(ledger(pooler.url()), Duration::from_secs(600), cancel);

    eventually(
        "the pooler is reported",
        Duration::from_secs(30),
        async || view.borrow().is_behind_pooler.then_some(()),
    )
    .await;
    assert!(view.borrow().directory.is_none());
}

/// Many programs may start at once, each with several connections.
#[tokio::test]
async fn server_without_a_pooler_is_never_taken_for_one() {
    let database = migrated().await;
    let ledger = ledger(database.url());
    let checks = (0..20).map(|_| {
        let ledger = ledger.clone();
        tokio::spawn(async move { ledger.check_schema().await })
    });
    for check in checks.collect::<Vec<_>>() {
        check.await.unwrap().unwrap();
    }
}

/// What happens without the check: the pooler's clients use each other's server processes.
#[tokio::test]
async fn fake_pooler_shares_server_processes() {
    let database = TestDatabase::create().await;
    let pooler = TransactionPooler::in_front_of(database.url()).await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        let connecting = tokio_postgres::connect(pooler.url(), tokio_postgres::NoTls);
        let (client, connection) = connecting.await.unwrap();
        tokio::spawn(connection);
        clients.push(client);
    }

    clients[0]
        .batch_execute("PREPARE p AS SELECT 1")
        .await
        .unwrap();
    clients[1].batch_execute("EXECUTE p").await.unwrap();
}

//! Bounds that hold while the server or the network is silent (protocol C10).

use std::time::Duration;

use risiti_ledger::{DatabaseSettings, Ledger, migrate};
use risiti_testkit::{Link, TestDatabase, eventually};

fn ledger(url: &str, role: Option<&'static str>) -> Ledger {
    let settings = DatabaseSettings {
        url: url.into(),
        pool_size: 1,
        role,
        application_name: "risiti-test",
    };
    Ledger::open(settings).expect("a test's settings")
}

#[tokio::test]
async fn absent_server_is_transient() {
    let error = ledger("postgres://u:p@127.0.0.1:1/d", None)
        .check_writable()
        .await
        .unwrap_err();
    assert!(error.is_transient(), "{error}");
}

#[tokio::test]
async fn refused_login_is_transient_and_not_quoted() {
    let database = TestDatabase::create().await;
    let mut url: url::Url = database.url().parse().unwrap();
    url.set_path("/no_such_database_hunter2");
    let error = ledger(url.as_ref(), None)
        .check_writable()
        .await
        .unwrap_err();
    assert!(error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn a_frozen_network_costs_one_deadline_and_the_connection() {
    let database = TestDatabase::create().await;
    let link = Link::to(database.url()).await;
    let ledger = ledger(link.url(), None);
    ledger.check_writable().await.unwrap();
    link.freeze();
    let error = tokio::time::timeout(Duration::from_secs(60), ledger.check_writable())
        .await
        .unwrap()
        .unwrap_err();
    assert!(error.is_transient(), "{error}");
    link.restore();
    // The frozen connection was closed, so the only place in the pool is free for a new one.
    eventually("an answer", Duration::from_secs(60), async || {
        ledger.check_writable().await.ok()
    })
    .await;
}

#[tokio::test]
async fn sessions_have_limits_a_name_and_the_programs_role() {
    let database = TestDatabase::create().await;
    risiti_ledger::migrate(&database.url().into())
        .await
        .unwrap();
    let ledger = ledger(database.url(), Some("risiti_ingress"));
    ledger.check_schema().await.unwrap();
    let look = "SELECT application_name, pid FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'risiti-test'";
    let rows = database.connect().await.query(look, &[]).await.unwrap();
    assert_eq!(rows.len(), 1);
    // The role may read the directory and little else. The tests of rights have the details.
    ledger.directory().await.unwrap();
    assert!(ledger.merchants().await.is_err());
}

#[tokio::test]
async fn cut_connections_are_replaced() {
    let database = TestDatabase::create().await;
    let ledger = ledger(database.url(), None);
    ledger.check_writable().await.unwrap();
    database.cut_connections().await;
    eventually("an answer", Duration::from_secs(30), async || {
        ledger.check_writable().await.ok()
    })
    .await;
}

#[tokio::test]
async fn read_only_server_is_left_for_another() {
    let database = TestDatabase::create().await;
    risiti_ledger::migrate(&database.url().into())
        .await
        .unwrap();
    let admin = database.connect().await;
    let read_only = async |on: bool| {
        let statement = format!(
            "ALTER DATABASE {} SET default_transaction_read_only = {on}",
            database.name()
        );
        // A session that was there before keeps its setting, so the one that undoes this can still
        // write.
        admin.batch_execute(&statement).await.unwrap();
    };
    let ledger = ledger(database.url(), None);
    read_only(true).await;
    let error = ledger.check_writable().await.unwrap_err();
    assert!(
        error.is_transient() && error.to_string().contains("takes no writes"),
        "{error}"
    );
    ledger
        .create_merchant("acme", "Acme Ltd", None)
        .await
        .unwrap_err();
    // Sessions keep what they began with, so only a new connection can write, as after a fail-over.
    read_only(false).await;
    ledger
        .create_merchant("acme", "Acme Ltd", None)
        .await
        .unwrap();
}

/// A row that is updated needs no new block of a full disk. A temporary file does.
#[tokio::test]
async fn write_probe_takes_blocks_of_the_disk_and_keeps_none() {
    let database = TestDatabase::create().await;
    migrate(&database.url().into()).await.unwrap();
    let ledger = ledger(database.url(), Some("risiti_ledger_worker"));
    ledger.check_stores_rows().await.unwrap();
    ledger.check_stores_rows().await.unwrap();

    let client = database.connect().await;
    let temporary = "SELECT temp_bytes FROM pg_stat_database WHERE datname = current_database()";
    eventually("temporary files", Duration::from_secs(60), async || {
        let bytes: i64 = client.query_one(temporary, &[]).await.ok()?.get(0);
        (bytes > 200_000).then_some(())
    })
    .await;
    let rows = client.query("SELECT FROM write_probe", &[]).await.unwrap();
    assert_eq!(rows.len(), 1);
}

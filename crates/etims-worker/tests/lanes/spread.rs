//! A thousand lanes that failed in the same second come back at different times (protocol D14).

use std::collections::BTreeMap;
use std::time::Duration;

use risiti_domain::DeviceId;
use risiti_etims::Backoff;
use risiti_ledger::{BreakerChange, DatabaseSettings, Ledger};
use risiti_testkit::TestDatabase;
use uuid::Uuid;

use crate::fixture::{DeviceRows, merchant_row, sale_rows};

const HOST: &str = "kra:443";

#[test]
fn backoff_spreads_a_thousand_lanes() {
    let backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(900));
    let mut seconds = BTreeMap::<u64, u32>::new();
    for _ in 0..1_000 {
        *seconds.entry(backoff.pause(5).as_secs()).or_default() += 1;
    }
    assert!(seconds.len() >= 8, "{seconds:?}");
    assert!(seconds.values().all(|lanes| *lanes <= 250), "{seconds:?}");
}

#[tokio::test]
async fn a_closing_breaker_spreads_a_thousand_lanes() {
    let database = TestDatabase::create().await;
    risiti_ledger::migrate(&database.url().into())
        .await
        .unwrap();
    let client = database.connect().await;
    client.batch_execute(&due_lanes()).await.unwrap();
    let ledger = Ledger::open(DatabaseSettings {
        url: database.url().into(),
        pool_size: 2,
        role: None,
        application_name: "test",
    })
    .unwrap();
    let worker = Uuid::now_v7();
    let open = async || {
        let change = ledger.open_breaker(HOST, worker, Duration::ZERO).await;
        change.unwrap()
    };
    assert_eq!(open().await, BreakerChange::Made);
    assert_eq!(open().await, BreakerChange::NotDue, "it is open already");

    let begin_trial = async |worker| {
        let limit = Duration::from_secs(60);
        ledger.begin_trial(HOST, worker, limit).await.unwrap()
    };
    assert_eq!(begin_trial(worker).await, BreakerChange::Made);
    assert_eq!(
        begin_trial(Uuid::now_v7()).await,
        BreakerChange::NotDue,
        "two trials"
    );

    let lane = DeviceId::from_uuid(worker);
    let close = async |worker| ledger.close_breaker(HOST, worker, lane).await.unwrap();
    assert_eq!(close(Uuid::now_v7()).await, BreakerChange::NotDue);
    assert_eq!(close(worker).await, BreakerChange::Made);

    let per_second = client
        .query(
            "SELECT floor(extract(epoch FROM retry_at - now()))::bigint, count(*) FROM lanes GROUP BY 1",
            &[],
        )
        .await
        .unwrap();
    let most = per_second
        .iter()
        .map(|row| row.get::<_, i64>(1))
        .max()
        .unwrap();
    assert!(
        per_second.len() >= 9 && most <= 200,
        "{} seconds, {most} lanes in one of them",
        per_second.len()
    );
}

/// A thousand lanes of one host that are due now, with a sale each.
fn due_lanes() -> String {
    let merchant = Uuid::now_v7();
    let mut sql = merchant_row(merchant);
    for number in 1..=1_000 {
        let device = DeviceRows::new(merchant, number, HOST);
        sql += &device.sql();
        sql += &sale_rows(merchant, device.id, Uuid::now_v7(), 100);
    }
    sql + "UPDATE lanes SET retry_at = now()"
}

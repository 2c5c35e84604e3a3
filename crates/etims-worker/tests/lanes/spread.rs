//! A thousand lanes that failed in the same second come back at different times (protocol D14).

use std::collections::BTreeMap;
use std::time::Duration;

use risiti_domain::DeviceId;
use risiti_etims::Backoff;
use risiti_ledger::{BreakerChange, DatabaseSettings, Ledger};
use risiti_testkit::TestDatabase;
use uuid::Uuid;

const HOST: &str = "kra:443";

#[test]
fn by_their_back_off() {
    let backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(900));
    let mut seconds = BTreeMap::<u64, u32>::new();
    for _ in 0..1_000 {
        *seconds.entry(backoff.pause(5).as_secs()).or_default() += 1;
    }
    assert!(seconds.len() >= 8, "{seconds:?}");
    assert!(seconds.values().all(|lanes| *lanes <= 250), "{seconds:?}");
}

#[tokio::test]
async fn when_the_breaker_closes() {
    let database = TestDatabase::create().await;
    risiti_ledger::migrate(&database.url().into())
        .await
        .unwrap();
    let client = database.connect().await;
    client.batch_execute(LANES).await.unwrap();
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

const LANES: &str = "
    INSERT INTO merchants (id, slug, name) VALUES ('00000000-0000-0000-0000-000000000001', 'acme', 'Acme');
    INSERT INTO devices (id, merchant_id, environment, dialect, base_url, pin, branch, serial, item_code, item_class,
        item_name, tax_type)
    SELECT gen_random_uuid(), '00000000-0000-0000-0000-000000000001', 'sandbox', 'legacy', 'http://kra',
           'P' || lpad(n::text, 9, '0') || 'A', '00', 'S', 'KE3NTNO0000001', '8111150100', 'Services', 'B'
    FROM generate_series(1, 1000) AS n;
    INSERT INTO lanes (device_id, host, retry_at) SELECT id, 'kra:443', now() FROM devices;
    INSERT INTO payments (id, merchant_id, provider, money_key, amount, currency, method, authenticated_by, state,
        settled_at, moved_by)
    SELECT id, merchant_id, 'daraja', id::text, 100, 'KES', 'other', 'path', 'success', now(), 'test' FROM devices;
    INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, moved_by)
    SELECT gen_random_uuid(), id, merchant_id, id, 'sale', 100, 'test' FROM devices;";

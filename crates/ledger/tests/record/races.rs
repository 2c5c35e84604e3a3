//! Two workers at once, and a database that goes away in the middle.

use std::time::Duration;

use futures_util::future::join_all;
use risiti_ledger::{DatabaseSettings, Delivery, IncomingEvent, Ledger};
use risiti_providers::ReversalOutcome::Done;
use risiti_testkit::eventually;
use secrecy::SecretString;

use crate::fixture::{Fixture, again};

/// Many rounds, because a race is lost only sometimes.
const ROUNDS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_racing_on_one_payment_make_one() {
    let fixture = Fixture::new().await;
    let other = second_worker(&fixture);
    let (merchant, _) = fixture.ordinary_merchant().await;
    let code = fixture.code_of(&merchant).await;
    for round in 0..ROUNDS {
        let checkout = format!("ws_CO_{round}");
        let receipt = format!("UIS{round}");
        let stk = merchant.stk(&checkout, 0, Some(&receipt), "5");
        let c2b = merchant.c2b(&receipt, "5", &code);
        let one = vec![stk.clone(), c2b.clone()];
        let two = vec![again(&c2b), again(&stk)];
        let (one, two) = tokio::join!(fixture.ledger.record_batch(&one), other.record_batch(&two));
        let new = one
            .unwrap()
            .iter()
            .chain(&two.unwrap())
            .filter(|r| r.delivery == Delivery::New)
            .count();
        assert_eq!(new, 2, "each key is new to one of the two");
    }
    let counts = "SELECT concat_ws(' ', state, count(*)) FROM payments WHERE merchant_id = $1 GROUP BY state";
    assert_eq!(
        fixture.lines(counts, &merchant).await,
        [format!("success {ROUNDS}")]
    );
    assert_eq!(fixture.invoices(&merchant).await.len(), ROUNDS);
}

/// Neither sees the other's row before it commits. Without the stripes the refund would wait for
/// ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_at_the_same_instant_as_its_payment_finds_it() {
    let fixture = Fixture::new().await;
    let other = second_worker(&fixture);
    let (merchant, _) = fixture.ordinary_merchant().await;
    for round in 0..ROUNDS {
        let receipt = format!("UIS{round}");
        let sale = [merchant.stk(&format!("ws_CO_{round}"), 0, Some(&receipt), "5")];
        let refund = [merchant.reversal(&format!("r{round}"), &receipt, None, Done)];
        let (sale, refund) = tokio::join!(
            fixture.ledger.record_batch(&sale),
            other.record_batch(&refund)
        );
        sale.unwrap();
        refund.unwrap();
    }
    let waiting = "SELECT count(*) FROM reversals WHERE merchant_id = $1 AND state <> 'applied'";
    assert_eq!(fixture.number(waiting, &merchant).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_that_share_payments_all_get_through() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    let code = fixture.code_of(&merchant).await;
    let stk: Vec<IncomingEvent> = (0..40)
        .map(|n| merchant.stk(&format!("ws_CO_{n}"), 0, Some(&format!("UIS{n}")), "5"))
        .collect();
    let mut c2b: Vec<IncomingEvent> = (0..40)
        .map(|n| merchant.c2b(&format!("UIS{n}"), "5", &code))
        .collect();
    c2b.reverse();
    let mixed: Vec<IncomingEvent> = stk
        .iter()
        .zip(&c2b)
        .flat_map(|(a, b)| [again(b), again(a)])
        .collect();
    let workers = [&stk, &c2b, &mixed].map(|batch| fixture.ledger.record_batch(batch));
    for recorded in join_all(workers).await {
        recorded.unwrap();
    }
    assert_eq!(fixture.invoices(&merchant).await.len(), 40);
}

#[tokio::test]
async fn cut_connection_is_transient_and_changes_nothing() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    let event = merchant.stk("ws_CO_1", 0, Some("UIS1"), "5");
    // The batch waits behind this lock until its connection is cut.
    fixture
        .client
        .batch_execute("BEGIN; LOCK TABLE payments IN EXCLUSIVE MODE")
        .await
        .unwrap();
    let batch = [event];
    let observer = fixture.database.connect().await;
    let cut = eventually("the batch waits", Duration::from_secs(20), async || {
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND application_name = 'risiti-test' AND wait_event_type = 'Lock'";
        (observer.execute(cut, &[]).await.unwrap() == 1).then_some(())
    });
    let (recorded, ()) = tokio::join!(fixture.ledger.record_batch(&batch), cut);
    assert!(recorded.unwrap_err().is_transient());
    fixture.client.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(
        fixture
            .number(
                "SELECT count(*) FROM events WHERE merchant_id = $1",
                &merchant
            )
            .await,
        0
    );
    // The pool may hand out the dead connection once more before it notices.
    let recorded = eventually("the pool recovers", Duration::from_secs(20), async || {
        fixture.ledger.record_batch(&batch).await.ok()
    });
    assert_eq!(recorded.await[0].delivery, Delivery::New);
}

#[tokio::test]
async fn refused_row_is_not_a_transient_error() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    let good = merchant.stk("ws_CO_1", 0, Some("UIS1"), "5");
    let mut bad = merchant.stk("ws_CO_2", 0, Some("UIS2"), "5");
    bad.event.kind = "nul \0".to_owned();
    let batch = [good.clone(), bad.clone()];
    assert!(
        !fixture
            .ledger
            .record_batch(&batch)
            .await
            .unwrap_err()
            .is_transient()
    );
    assert!(
        !fixture
            .ledger
            .record_batch(&[bad])
            .await
            .unwrap_err()
            .is_transient()
    );
    assert_eq!(fixture.record(&[good]).await[0].delivery, Delivery::New);
}

fn second_worker(fixture: &Fixture) -> Ledger {
    Ledger::open(DatabaseSettings {
        url: SecretString::from(fixture.database.url()),
        pool_size: 2,
        role: Some("risiti_ledger_worker"),
        application_name: "risiti-test-2",
    })
    .unwrap()
}

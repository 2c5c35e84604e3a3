//! A pile of late look-ups holds up no sale (protocol D10).

use risiti_testkit::eventually;

use crate::fixture::{BOUND, Fault, Fixture, look_up_calls, terminate};

#[tokio::test]
async fn sales_go_before_a_pile_of_late_look_ups() {
    let fixture = Fixture::new().await;
    let device = fixture.add_device(1).await;
    fixture.add_sales(&device, 20).await;
    // Half of them died after a send that was never answered, under numbers long past.
    fixture
        .sql(
            "WITH dead AS (
                 UPDATE invoices SET state = 'dead', look_up_no = 900, look_up_due_at = now()
                 WHERE id IN (SELECT id FROM invoices ORDER BY position LIMIT 10) RETURNING id, device_id
             )
             INSERT INTO submissions (invoice_id, device_id, invoice_no, claim_id, body, outcome, sent_at)
             SELECT id, device_id, 900, id, '', 'unknown', now() - interval '2 days' FROM dead",
        )
        .await;
    fixture
        .simulator
        .fail(look_up_calls(), Fault::Slow { ms: 1_000 })
        .await;
    let worker = fixture.worker().start();
    fixture.until_filed(10).await;
    let made = fixture.simulator.stats().await["calls"]["lookup"].clone();
    assert!(
        made.as_u64().unwrap_or(0) <= 1,
        "{made} look-ups before the sales"
    );
    eventually("all are looked up", BOUND, async || {
        let due = "SELECT count(*) FROM invoices WHERE look_up_due_at IS NOT NULL";
        (fixture.count(due).await == 0).then_some(())
    })
    .await;
    terminate(worker).await;
}

/// A look-up that a host does not answer is tried less and less often.
#[tokio::test]
async fn an_unanswered_late_look_up_waits_longer_each_time() {
    let fixture = Fixture::new().await;
    let device = fixture.add_device(1).await;
    fixture.add_sales(&device, 1).await;
    let due = "UPDATE invoices SET state = 'dead', look_up_no = 900, look_up_due_at = now()";
    fixture.sql(due).await;
    let worker = fixture.worker().start();
    for tries in 1..=3 {
        fixture
            .simulator
            .fail(
                look_up_calls().first(1),
                Fault::code("999", "Unknown error"),
            )
            .await;
        fixture
            .sql("UPDATE invoices SET look_up_due_at = now()")
            .await;
        let later = format!(
            "SELECT count(*) FROM invoices WHERE look_up_tries = {tries}
             AND look_up_due_at > now() + interval '30 seconds' * {}",
            1 << (tries - 1)
        );
        fixture.until_one("the look-up is due later", &later).await;
    }
    terminate(worker).await;
}

//! A gauge that cannot be read freezes no other, and does not look current.

use risiti_testkit::eventually;

use crate::fixture::{BOUND, Fixture, metric, terminate};

#[tokio::test]
async fn a_gauge_that_cannot_be_read_freezes_no_other() {
    let fixture = Fixture::new().await;
    // The statement takes longer than any limit.
    fixture
        .sql("CREATE OR REPLACE FUNCTION lane_state(device uuid, halted boolean) RETURNS text LANGUAGE sql VOLATILE
             AS $$ SELECT pg_sleep(600)::text $$")
        .await;
    let device = fixture.add_device(1).await;
    let mut worker = fixture.worker().env("RUST_LOG", "info").start();
    let ops = worker.address_after("ops listener on ").await;
    fixture.add_sales(&device, 3).await;
    fixture.until_filed(3).await;

    eventually("the other gauges", BOUND, async || {
        (metric(ops, "risiti_invoices{state=\"success\"}").await? == 3).then_some(())
    })
    .await;
    eventually("the age of the gauge that is not read", BOUND, async || {
        let stuck = metric(ops, "risiti_gauge_reading_age_seconds{reading=\"lanes\"}").await?;
        let read = metric(
            ops,
            "risiti_gauge_reading_age_seconds{reading=\"oldest_pending\"}",
        )
        .await?;
        (stuck >= 8 && read < stuck).then_some(())
    })
    .await;
    let log = worker.log();
    assert_eq!(log.matches("gauge not read").count(), 1, "{log}");
    terminate(worker).await;
}

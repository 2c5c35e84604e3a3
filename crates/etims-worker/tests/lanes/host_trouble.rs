//! One cause must not halt every lane: trouble of a host is its breaker's, and a wrong key is the
//! worker's (protocol D12, D13).

use risiti_testkit::eventually;

use crate::fixture::{BOUND, Fault, Fixture, any_call, metric, sale_calls, terminate};

#[tokio::test]
async fn a_host_that_refuses_access_to_all_halts_no_lane() {
    for status in [403, 404] {
        let fixture = Fixture::with("gateway", &[]).await;
        let devices = fixture.add_devices(0..6).await;
        fixture
            .simulator
            .fail(any_call(), Fault::status(status))
            .await;
        fixture.add_sales_to_all(&devices, 2).await;
        let worker = fixture.worker().start();
        let open = "SELECT count(*) FROM hosts WHERE breaker <> 'closed' AND retry_step >= 3";
        fixture.until_one("the breaker stays open", open).await;

        fixture.simulator.clear_faults().await;
        fixture.until_filed(12).await;
        let halted = "SELECT count(*) FROM transitions WHERE to_state = 'halted'";
        assert_eq!(fixture.count(halted).await, 0, "{status}");
        assert_eq!(fixture.count_in_state("dead").await, 0, "{status}");
        fixture.assert_receipts_are_kras().await;
        terminate(worker).await;
    }
}

/// Each lane fails once and then waits, so that neither worker sees enough failures by itself.
#[tokio::test]
async fn failures_seen_by_two_workers_open_the_breaker_of_both() {
    let fixture = Fixture::with("legacy", &["--latency", "200ms"]).await;
    let devices = fixture.add_devices(0..4).await;
    fixture.simulator.fail(any_call(), Fault::status(503)).await;
    let start = || {
        let worker = fixture.worker().env("RUST_LOG", "info");
        worker
            .env("RISITI_CONCURRENCY", "4")
            .env("RISITI_BREAKER_FAILURES", "4")
            .env("RISITI_BREAKER_PAUSE", "1h")
            .env("RISITI_RETRY_FIRST", "4h")
            .env("RISITI_RETRY_MAX", "4h")
            .start()
    };
    let mut workers = [start(), start()];
    let mut ops = Vec::new();
    for worker in &mut workers {
        ops.push(worker.address_after("ops listener on ").await);
    }
    eventually("both take wake-ups", BOUND, async || {
        let consumers = metric(ops[0], "risiti_queue_consumers{queue=\"lanes\"}").await?;
        (consumers == 2).then_some(())
    })
    .await;

    fixture.add_sales_to_all(&devices, 1).await;
    let open = "SELECT count(*) FROM hosts WHERE breaker = 'open'";
    fixture.until_one("the breaker is open", open).await;
    let host = fixture.text("SELECT host FROM hosts").await;
    let breaker = format!("risiti_breaker_state{{host=\"{host}\"}}");
    for ops in ops {
        eventually("it is open in each worker", BOUND, async || {
            (metric(ops, &breaker).await? == 2).then_some(())
        })
        .await;
        let calls = "risiti_etims_call_seconds_count{call=\"sale\"}";
        let calls = metric(ops, calls).await;
        assert!(
            (Some(1)..=Some(3)).contains(&calls),
            "{calls:?} of four calls"
        );
    }
    for worker in workers {
        terminate(worker).await;
    }
}

/// The host takes the sales of others, so that each death is proven. The third in a row is the
/// device's.
#[tokio::test]
async fn a_device_that_fails_every_sale_halts_after_three() {
    let fixture = Fixture::new().await;
    let devices = fixture.add_devices(0..2).await;
    fixture
        .simulator
        .fail(
            sale_calls().device(&devices[0].pin),
            Fault::code("999", "Unknown error"),
        )
        .await;
    fixture.add_sales(&devices[0], 6).await;
    let worker = fixture.worker().env("RISITI_STRIKES_MAX", "1").start();
    let halted = format!(
        "SELECT count(*) FROM lanes WHERE halted_at IS NOT NULL AND device_id = '{}'",
        devices[0].id
    );
    eventually("the lane is halted", BOUND, async || {
        // In each round KRA accepts a sale of the other device. That is the proof.
        fixture.add_sales(&devices[1], 1).await;
        (fixture.count(&halted).await == 1).then_some(())
    })
    .await;
    let reason = fixture.until_halted(&devices[0]).await;
    assert!(reason.contains("3 invoices in a row"), "{reason}");
    assert_eq!(fixture.count_in_state("dead").await, 3);

    fixture.simulator.clear_faults().await;
    fixture.lanes_command(&devices[0], &["resume"]).await;
    fixture.replay(&["run", "--yes"]).await;
    let filed = format!(
        "SELECT count(*) FROM invoices WHERE state = 'success' AND device_id = '{}'",
        devices[0].id
    );
    eventually("all six are filed", BOUND, async || {
        (fixture.count(&filed).await == 6).then_some(())
    })
    .await;
    terminate(worker).await;
}

/// Somebody sealed all secrets anew and forgot this worker.
#[tokio::test]
async fn a_worker_with_an_old_key_ends_and_halts_no_lane() {
    let fixture = Fixture::new().await;
    fixture.plant_canary().await;
    let device = fixture.add_device(1).await;
    let first = fixture.add_sales(&device, 1).await[0];
    let mut worker = fixture.worker().start();
    fixture.until_state(first, "success").await;

    fixture
        .sql(
            "UPDATE credentials_canary SET ciphertext = '\\x01';
             UPDATE devices SET cmc_key_ciphertext = '\\x01'",
        )
        .await;
    fixture.add_sales(&device, 1).await;
    let status = worker.exit(BOUND).await;
    assert_eq!(status.code(), Some(2), "{}", worker.log());
    assert!(
        worker.log().contains("RISITI_CREDENTIALS_KEY"),
        "{}",
        worker.log()
    );
    let halted = "SELECT count(*) FROM lanes WHERE halted_at IS NOT NULL";
    assert_eq!(fixture.count(halted).await, 0);
}

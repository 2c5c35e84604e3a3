//! A failing invoice must not block its lane, and an outage must not make dead letters
//! (protocol D12, D13).

use risiti_testkit::eventually;

use crate::fixture::{BOUND, Fault, Fixture, sale_calls, terminate};

fn unknown_error() -> Fault {
    Fault::code("999", "Unknown error")
}

#[tokio::test]
async fn a_failing_invoice_is_given_up_on_proof() {
    let fixture = Fixture::new().await;
    let devices = fixture.add_devices(0..2).await;
    fixture
        .simulator
        .fail(
            sale_calls().device(&devices[0].pin).amount("116"),
            unknown_error(),
        )
        .await;
    let failing = fixture.add_sales(&devices[0], 3).await[0];
    let worker = fixture.worker().start();
    let mut others = 2;
    eventually("the failing invoice is given up", BOUND, async || {
        // In each round KRA accepts a sale of another device. That is the proof.
        fixture.add_sales(&devices[1], 1).await;
        others += 1;
        (fixture.invoice_state(failing).await == "dead").then_some(())
    })
    .await;
    fixture.until_filed(others).await;
    assert_eq!(
        fixture
            .text("SELECT cause || ' ' || code FROM dead_letters")
            .await,
        "exhausted 999"
    );
    assert_eq!(
        fixture
            .count("SELECT strikes::bigint FROM invoices WHERE state = 'dead'")
            .await,
        5
    );
    fixture.assert_ledger_matches_kra().await;
    terminate(worker).await;
}

#[tokio::test]
async fn without_proof_a_failing_invoice_is_deferred() {
    let fixture = Fixture::new().await;
    let device = fixture.add_device(1).await;
    fixture
        .simulator
        .fail(sale_calls().amount("116"), unknown_error())
        .await;
    let sales = fixture.add_sales(&device, 4).await;
    let worker = fixture.worker().start();
    fixture.until_filed(3).await;
    assert_ne!(fixture.invoice_state(sales[0]).await, "dead");
    fixture.simulator.clear_faults().await;
    fixture.until_filed(4).await;
    assert_eq!(fixture.invoice_number(sales[0]).await, 4);
    fixture.assert_ledger_matches_kra().await;
    terminate(worker).await;
}

#[tokio::test]
async fn a_host_that_fails_all_sales_makes_no_dead_letters() {
    for fault in [unknown_error(), Fault::DropBeforeAccept] {
        let fixture = Fixture::new().await;
        let devices = fixture.add_devices(0..5).await;
        let rule = fixture.simulator.fail(sale_calls(), fault.clone()).await;
        fixture.add_sales_to_all(&devices, 2).await;
        let worker = fixture.worker().start();
        eventually("the host fails a dozen sales", BOUND, async || {
            let faults = fixture.simulator.get("/_sim/faults").await;
            let rules = faults.as_array().or(faults["faults"].as_array())?;
            let hits = rules.iter().find(|posted| posted["id"] == rule)?["hits"].as_u64()?;
            (hits >= 12).then_some(())
        })
        .await;
        let opened = fixture
            .count("SELECT count(*) FROM hosts WHERE opened_at IS NOT NULL OR retry_step > 0")
            .await;
        assert_eq!(opened, 1, "{fault:?}: the breaker never opened");
        assert_eq!(fixture.count_in_state("dead").await, 0, "{fault:?}");
        assert_eq!(
            fixture
                .count("SELECT coalesce(max(strikes), 0)::bigint FROM invoices")
                .await,
            0,
            "{fault:?}"
        );
        fixture.simulator.clear_faults().await;
        fixture.until_filed(10).await;
        fixture.assert_ledger_matches_kra().await;
        terminate(worker).await;
    }
}

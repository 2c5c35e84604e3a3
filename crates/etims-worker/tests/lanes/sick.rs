//! A sick invoice must not block its lane, and an outage must not kill invoices (protocol D12, D13).

use risiti_testkit::eventually;
use serde_json::{Value, json};

use crate::stage::{BOUND, Stage, end};

fn broken() -> Value {
    json!({ "envelope": { "code": "999", "message": "Unknown error" } })
}

#[tokio::test]
async fn a_sick_invoice_among_healthy_ones_is_given_up_on_proof() {
    let stage = Stage::new().await;
    let devices = stage.devices(0..2).await;
    stage
        .fault(
            json!({ "call": "sale", "device": devices[0].pin, "amount": "116" }),
            broken(),
        )
        .await;
    let sick = stage.owe(&devices[0], 3).await[0];
    let worker = stage.worker().start();
    let mut healthy = 2;
    eventually("the sick invoice is given up", BOUND, async || {
        // Each round somebody else's sale is taken: that is the proof.
        stage.owe(&devices[1], 1).await;
        healthy += 1;
        (stage.state(sick).await == "dead").then_some(())
    })
    .await;
    stage.until_filed(healthy).await;
    assert_eq!(
        stage
            .text("SELECT cause || ' ' || code FROM dead_letters")
            .await,
        "exhausted 999"
    );
    assert_eq!(
        stage
            .count("SELECT strikes::bigint FROM invoices WHERE state = 'dead'")
            .await,
        5
    );
    stage.books_balance().await;
    end(worker).await;
}

#[tokio::test]
async fn in_a_lane_of_its_own_a_sick_invoice_steps_aside() {
    let stage = Stage::new().await;
    let device = stage.device(1).await;
    stage
        .fault(json!({ "call": "sale", "amount": "116" }), broken())
        .await;
    let sales = stage.owe(&device, 4).await;
    let worker = stage.worker().start();
    stage.until_filed(3).await;
    assert_ne!(stage.state(sales[0]).await, "dead");
    stage.mend().await;
    stage.until_filed(4).await;
    assert_eq!(
        stage
            .count(&format!(
                "SELECT invoice_no FROM invoices WHERE id = '{}'",
                sales[0]
            ))
            .await,
        4
    );
    stage.books_balance().await;
    end(worker).await;
}

#[tokio::test]
async fn a_host_that_fails_everybody_for_a_while_kills_nothing() {
    for fault in [broken(), json!("drop_before_accept")] {
        let stage = Stage::new().await;
        let devices = stage.devices(0..5).await;
        let rule = stage.fault(json!({ "call": "sale" }), fault.clone()).await;
        stage.owe_all(&devices, 2).await;
        let worker = stage.worker().start();
        eventually("the host fails a dozen sales", BOUND, async || {
            let faults = stage.get("/_sim/faults").await;
            let rules = faults.as_array().or(faults["faults"].as_array())?;
            let hits = rules.iter().find(|posted| posted["id"] == rule)?["hits"].as_u64()?;
            (hits >= 12).then_some(())
        })
        .await;
        let opened = stage
            .count("SELECT count(*) FROM hosts WHERE opened_at IS NOT NULL OR retry_step > 0")
            .await;
        assert_eq!(opened, 1, "{fault}: the breaker never opened");
        assert_eq!(stage.in_state("dead").await, 0, "{fault}");
        assert_eq!(
            stage
                .count("SELECT coalesce(max(strikes), 0)::bigint FROM invoices")
                .await,
            0,
            "{fault}"
        );
        stage.mend().await;
        stage.until_filed(10).await;
        stage.books_balance().await;
        end(worker).await;
    }
}

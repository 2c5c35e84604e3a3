//! Lost answers, in pairs: what arrived and what did not look the same from here (protocol D7, D8).

use serde_json::json;

use crate::stage::{Stage, end};

#[tokio::test]
async fn an_answer_lost_is_looked_up_and_adopted() {
    let stage = Stage::new().await;
    let device = stage.device(1).await;
    stage
        .fault(
            json!({ "call": "sale", "count": 1 }),
            json!("accept_then_drop"),
        )
        .await;
    let sale = stage.owe(&device, 1).await[0];
    let worker = stage.worker().start();
    stage.until_state(sale, "success").await;
    assert_eq!(stage.stats().await["calls"]["sale"], 1, "it was sent again");
    assert_eq!(
        stage.text("SELECT outcome FROM submissions").await,
        "unknown"
    );
    stage.books_balance().await;
    end(worker).await;
}

#[tokio::test]
async fn a_request_lost_goes_out_again_byte_for_byte_under_its_number() {
    let stage = Stage::new().await;
    let device = stage.device(1).await;
    stage
        .fault(
            json!({ "call": "sale", "count": 2 }),
            json!("drop_before_accept"),
        )
        .await;
    let sale = stage.owe(&device, 1).await[0];
    let worker = stage.worker().start();
    stage.until_state(sale, "success").await;
    assert_eq!(stage.count("SELECT count(*) FROM submissions").await, 3);
    assert_eq!(
        stage
            .count("SELECT count(DISTINCT (body, invoice_no)) FROM submissions")
            .await,
        1
    );
    stage.books_balance().await;
    end(worker).await;
}

#[tokio::test]
async fn a_number_stays_held_while_look_ups_bring_nothing() {
    let stage = Stage::new().await;
    let device = stage.device(1).await;
    stage
        .fault(
            json!({ "call": "sale", "count": 1 }),
            json!("accept_then_drop"),
        )
        .await;
    stage
        .fault(
            json!({ "call": "lookup", "count": 3 }),
            json!({ "status": { "code": 502 } }),
        )
        .await;
    let sales = stage.owe(&device, 2).await;
    let worker = stage.worker().start();
    stage.until_filed(2).await;
    let no = format!("SELECT invoice_no FROM invoices WHERE id = '{}'", sales[0]);
    assert_eq!(stage.count(&no).await, 1);
    assert_eq!(stage.stats().await["calls"]["sale"], 2);
    stage.books_balance().await;
    end(worker).await;
}

#[tokio::test]
async fn every_fault_at_once_loses_nothing_and_doubles_nothing() {
    for dialect in ["legacy", "gateway"] {
        let stage = Stage::with(dialect, &[]).await;
        let devices = stage.devices(0..4).await;
        for (seed, (call, fault)) in [
            ("sale", json!("accept_then_drop")),
            ("sale", json!("drop_before_accept")),
            ("sale", json!({ "status": { "code": 503, "accept": true } })),
            ("sale", json!({ "html": { "accept": true } })),
            ("sale", json!({ "deliver_late": { "ms": 300 } })),
            ("sale", json!({ "lookup_lag": { "count": 2 } })),
            ("lookup", json!({ "status": { "code": 504 } })),
            ("any", json!({ "slow": { "ms": 50 } })),
        ]
        .into_iter()
        .enumerate()
        {
            stage
                .fault(
                    json!({ "call": call, "probability": 0.12, "seed": seed }),
                    fault,
                )
                .await;
        }
        stage.owe_all(&devices, 12).await;
        let workers = [stage.worker().start(), stage.worker().start()];
        stage.until_filed(48).await;
        stage.books_balance().await;
        for worker in workers {
            end(worker).await;
        }
    }
}

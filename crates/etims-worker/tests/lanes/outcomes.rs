//! What each class of answer does to the invoice and its lane.

use risiti_queue::{Broker, Target, Topology};
use risiti_testkit::{amqp_url, eventually};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::stage::{BOUND, Stage, end};

#[tokio::test]
async fn a_refusal_is_a_dead_letter_and_its_number_goes_to_the_next() {
    let stage = Stage::new().await;
    let device = stage.device(1).await;
    let refused = json!({ "envelope": { "code": "910", "message": "required: <itemClsCd>" } });
    stage
        .fault(json!({ "call": "sale", "amount": "116" }), refused)
        .await;
    let sales = stage.owe(&device, 2).await;
    let worker = stage.worker().start();
    stage.until_state(sales[0], "dead").await;
    stage.until_state(sales[1], "success").await;
    assert_eq!(
        stage
            .count("SELECT invoice_no FROM invoices WHERE state = 'success'")
            .await,
        1
    );
    assert_eq!(
        stage
            .text("SELECT look_up_due_at::text FROM invoices WHERE state = 'dead'")
            .await,
        ""
    );
    assert_eq!(
        stage
            .text("SELECT cause || ' ' || code FROM dead_letters")
            .await,
        "refused 910"
    );
    assert_eq!(
        stage.stats().await["calls"].get("lookup"),
        None,
        "a plain refusal needs no look-up"
    );
    let message = dead_letter(&stage).await;
    assert_eq!(message.headers["risiti-invoice"], sales[0].to_string());
    assert_eq!(message.headers["risiti-cause"], "refused");
    assert!(
        String::from_utf8_lossy(&message.body).contains(&sales[0].to_string()),
        "not the request's body"
    );
    stage.books_balance().await;
    end(worker).await;
}

async fn dead_letter(stage: &Stage) -> risiti_queue::Message {
    let topology = Topology::new(stage.namespace.name()).unwrap();
    let broker = Broker::start(&amqp_url(), topology, "test", CancellationToken::new()).unwrap();
    eventually("a dead letter", BOUND, async || {
        broker.wait_up().await;
        let delivery = broker.get(Target::Dead).await.ok()??;
        Some(delivery.message.clone())
    })
    .await
}

#[tokio::test]
async fn trouble_of_device_credentials_or_address_halts_and_names_the_remedy() {
    for (dialect, fault) in [
        ("legacy", json!({ "envelope": { "code": "901" } })),
        ("legacy", json!({ "envelope": { "code": "900" } })),
        ("legacy", json!({ "status": { "code": 404 } })),
        ("gateway", json!({ "status": { "code": 403 } })),
    ] {
        let stage = Stage::with(dialect, &[]).await;
        let device = stage.device(1).await;
        stage.fault(json!({ "call": "sale" }), fault.clone()).await;
        let sale = stage.owe(&device, 1).await[0];
        let worker = stage.worker().start();
        let reason = stage.halt_reason(&device).await;
        assert!(
            reason.contains(&format!("risiti-admin device update {}", device.id)),
            "{fault}: {reason}"
        );
        assert_eq!(stage.state(sale).await, "submitting", "{fault}");
        assert_eq!(stage.count("SELECT count(*) FROM dead_letters").await, 0);

        stage.mend().await;
        stage
            .sql("UPDATE lanes SET halted_at = NULL, halt_reason = NULL")
            .await;
        stage.until_state(sale, "success").await;
        stage.books_balance().await;
        end(worker).await;
    }
}

#[tokio::test]
async fn counters_out_of_step_halt_and_nothing_is_adopted_blindly() {
    let stage = Stage::with("gateway", &[]).await;
    let device = stage.device(1).await;
    let drifted = json!({ "envelope": { "message": "Invalid invcNo sequence, expected: 7 but found: 1", "status": 400 } });
    stage.fault(json!({ "call": "sale" }), drifted).await;
    stage.owe(&device, 1).await;
    let worker = stage.worker().start();
    let reason = stage.halt_reason(&device).await;
    let command = format!("risiti-replay lanes resolve {} --invoice-no 1", device.id);
    assert!(
        reason.contains(&command) && reason.contains('7'),
        "{reason}"
    );
    assert_eq!(stage.count("SELECT next_invoice_no FROM lanes").await, 1);
    end(worker).await;
}

#[tokio::test]
async fn a_device_whose_secrets_do_not_open_halts_its_lane_alone() {
    let stage = Stage::new().await;
    let devices = stage.devices(0..2).await;
    stage
        .sql(&format!(
            "UPDATE devices SET cmc_key_ciphertext = '\\x01' WHERE id = '{}'",
            devices[0].id
        ))
        .await;
    stage.owe(&devices[0], 1).await;
    let healthy = stage.owe(&devices[1], 1).await[0];
    let worker = stage.worker().start();
    let reason = stage.halt_reason(&devices[0]).await;
    assert!(
        reason.contains("device update") && reason.contains("lanes resume"),
        "{reason}"
    );
    stage.until_state(healthy, "success").await;
    end(worker).await;
}

#[tokio::test]
async fn a_vscu_that_took_it_already_halts_for_a_person() {
    let stage = Stage::with("vscu", &[]).await;
    let device = stage.device(1).await;
    stage
        .fault(
            json!({ "call": "sale", "count": 1 }),
            json!("accept_then_drop"),
        )
        .await;
    let sale = stage.owe(&device, 1).await[0];
    let worker = stage.worker().start();
    let reason = stage.halt_reason(&device).await;
    assert!(
        reason.contains("probably accepted, receipt lost"),
        "{reason}"
    );
    assert!(reason.contains("lanes resolve"), "{reason}");
    assert_eq!(stage.state(sale).await, "submitting");
    assert_eq!(stage.stats().await["doubled"], json!([]));
    end(worker).await;
}

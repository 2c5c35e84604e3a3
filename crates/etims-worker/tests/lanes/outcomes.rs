//! The effect of each class of answer on the invoice and its lane.

use risiti_queue::{Broker, Target, Topology};
use risiti_testkit::{amqp_url, eventually};
use tokio_util::sync::CancellationToken;

use crate::fixture::{BOUND, Fault, Fixture, sale_calls, terminate};

#[tokio::test]
async fn a_refused_invoice_is_a_dead_letter_and_frees_its_number() {
    let fixture = Fixture::new().await;
    let device = fixture.add_device(1).await;
    let refused = Fault::code("910", "required: <itemClsCd>");
    fixture
        .simulator
        .fail(sale_calls().amount("116"), refused)
        .await;
    let sales = fixture.add_sales(&device, 2).await;
    let worker = fixture.worker().start();
    fixture.until_state(sales[0], "dead").await;
    fixture.until_state(sales[1], "success").await;
    assert_eq!(
        fixture
            .count("SELECT invoice_no FROM invoices WHERE state = 'success'")
            .await,
        1
    );
    assert_eq!(
        fixture
            .text("SELECT look_up_due_at::text FROM invoices WHERE state = 'dead'")
            .await,
        ""
    );
    assert_eq!(
        fixture
            .text("SELECT cause || ' ' || code FROM dead_letters")
            .await,
        "refused 910"
    );
    assert_eq!(
        fixture.simulator.stats().await["calls"].get("lookup"),
        None,
        "a plain refusal needs no look-up"
    );
    let message = take_dead_letter(&fixture).await;
    assert_eq!(message.headers["risiti-invoice"], sales[0].to_string());
    assert_eq!(message.headers["risiti-cause"], "refused");
    assert!(
        String::from_utf8_lossy(&message.body).contains(&sales[0].to_string()),
        "it lacks the request's body"
    );
    fixture.assert_ledger_matches_kra().await;
    terminate(worker).await;
}

/// Takes the one message in the dead-letter queue.
async fn take_dead_letter(fixture: &Fixture) -> risiti_queue::Message {
    let topology = Topology::new(fixture.namespace.name()).unwrap();
    let broker = Broker::start(&amqp_url(), topology, "test", CancellationToken::new()).unwrap();
    eventually("a dead letter", BOUND, async || {
        broker.wait_up().await;
        let delivery = broker.get(Target::Dead).await.ok()??;
        Some(delivery.message.clone())
    })
    .await
}

#[tokio::test]
async fn a_wrong_device_credential_or_address_halts() {
    for (dialect, fault) in [
        ("legacy", Fault::code_alone("901")),
        ("legacy", Fault::code_alone("900")),
        ("legacy", Fault::status(404)),
        ("gateway", Fault::status(403)),
    ] {
        let fixture = Fixture::with(dialect, &[]).await;
        let device = fixture.add_device(1).await;
        fixture.simulator.fail(sale_calls(), fault.clone()).await;
        let sale = fixture.add_sales(&device, 1).await[0];
        let worker = fixture.worker().start();
        let reason = fixture.until_halted(&device).await;
        assert!(
            reason.contains(&format!("risiti-admin device update {}", device.id)),
            "{fault:?}: {reason}"
        );
        assert_eq!(fixture.invoice_state(sale).await, "submitting", "{fault:?}");
        assert_eq!(fixture.count("SELECT count(*) FROM dead_letters").await, 0);

        fixture.simulator.clear_faults().await;
        fixture
            .sql("UPDATE lanes SET halted_at = NULL, halt_reason = NULL")
            .await;
        fixture.until_state(sale, "success").await;
        fixture.assert_ledger_matches_kra().await;
        terminate(worker).await;
    }
}

#[tokio::test]
async fn a_secret_that_does_not_open_halts_that_lane_only() {
    let fixture = Fixture::new().await;
    let devices = fixture.add_devices(0..2).await;
    fixture
        .sql(&format!(
            "UPDATE devices SET cmc_key_ciphertext = '\\x01' WHERE id = '{}'",
            devices[0].id
        ))
        .await;
    fixture.add_sales(&devices[0], 1).await;
    let healthy = fixture.add_sales(&devices[1], 1).await[0];
    let worker = fixture.worker().start();
    let reason = fixture.until_halted(&devices[0]).await;
    assert!(reason.contains("device update"), "{reason}");
    fixture.until_state(healthy, "success").await;
    terminate(worker).await;
}

//! A number is whose the remark says it is: late requests, foreign sales, look-ups that lag (protocol D8–D10).

use risiti_etims::{
    Client, ClientSettings, DeviceProfile, Item, SaleDocument, SendOutcome, TaxRates, sale_body,
};
use risiti_testkit::eventually;
use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;

use crate::stage::{BOUND, Device, Stage, end};

/// Unknown, sent again, refused, looked up, absent, dead; and only then the first request arrives.
async fn dead_before_its_request_arrived(stage: &Stage, device: &Device) -> Uuid {
    stage
        .fault(
            json!({ "call": "sale", "count": 1 }),
            json!({ "deliver_late": { "ms": 1500 } }),
        )
        .await;
    stage
        .fault(
            json!({ "call": "sale", "count": 1 }),
            json!({ "envelope": { "code": "910", "message": "<x>" } }),
        )
        .await;
    let sale = stage.owe(device, 1).await[0];
    stage.until_state(sale, "dead").await;
    sale
}

async fn until_late_sale_arrived(stage: &Stage) {
    eventually("the late request arrives", BOUND, async || {
        let sales = stage.get("/_sim/sales").await;
        (sales["sales"].as_array()?.len() == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_number_of_the_dead_is_looked_up_again_and_adopted() {
    let stage = Stage::new().await;
    let device = stage.device(1).await;
    let worker = stage.worker().start();
    let sale = dead_before_its_request_arrived(&stage, &device).await;
    let due =
        "SELECT count(*) FROM invoices i JOIN submissions s ON s.invoice_id = i.id AND s.outcome = 'unknown'
               WHERE i.look_up_due_at = s.sent_at + interval '15 minutes'";
    assert_eq!(stage.count(due).await, 1);

    until_late_sale_arrived(&stage).await;
    stage
        .sql("UPDATE invoices SET look_up_due_at = now()")
        .await;
    stage.until_state(sale, "success").await;
    assert_eq!(
        stage.text("SELECT solved_as FROM dead_letters").await,
        "adopted"
    );
    stage.books_balance().await;
    end(worker).await;
}

#[tokio::test]
async fn whoever_gets_the_number_of_the_dead_next_asks_first() {
    let stage = Stage::new().await;
    let device = stage.device(1).await;
    let worker = stage.worker().start();
    let dead = dead_before_its_request_arrived(&stage, &device).await;
    until_late_sale_arrived(&stage).await;
    let next = stage.owe(&device, 1).await[0];
    stage.until_state(next, "success").await;
    given_to_its_owner(&stage, dead, next).await;
    stage.books_balance().await;
    end(worker).await;
}

/// As above, had the request arrived a moment after the look-up.
#[tokio::test]
async fn whoever_meets_the_number_of_the_dead_gives_it_to_its_owner() {
    let stage = Stage::new().await;
    let device = stage.device(1).await;
    let worker = stage.worker().start();
    let dead = dead_before_its_request_arrived(&stage, &device).await;
    until_late_sale_arrived(&stage).await;
    stage
        .fault(
            json!({ "call": "lookup", "count": 1 }),
            json!({ "lookup_lag": { "count": 1 } }),
        )
        .await;
    let next = stage.owe(&device, 1).await[0];
    stage.until_state(next, "success").await;
    given_to_its_owner(&stage, dead, next).await;
    assert_eq!(stage.stats().await["refusals"]["clash"], 1);
    assert_eq!(stage.stats().await["doubled"], json!([]));
    end(worker).await;
}

async fn given_to_its_owner(stage: &Stage, dead: Uuid, next: Uuid) {
    assert_eq!(stage.state(dead).await, "success");
    let no = |id| format!("SELECT invoice_no FROM invoices WHERE id = '{id}'");
    assert_eq!(
        (stage.count(&no(dead)).await, stage.count(&no(next)).await),
        (1, 2)
    );
    assert_eq!(
        stage.text("SELECT solved_as FROM dead_letters").await,
        "adopted"
    );
}

#[tokio::test]
async fn a_discard_waits_for_the_look_up_and_the_second_look_up_is_the_last() {
    let stage = Stage::new().await;
    let device = stage.device(1).await;
    let lost = json!({ "call": "sale", "count": 1 });
    stage.fault(lost.clone(), json!("drop_before_accept")).await;
    stage
        .fault(
            lost,
            json!({ "envelope": { "code": "910", "message": "<x>" } }),
        )
        .await;
    let sale = stage.owe(&device, 1).await[0];
    let worker = stage.worker().start();
    stage.until_state(sale, "dead").await;

    stage
        .sql("UPDATE invoices SET look_up_due_at = now()")
        .await;
    let second = "SELECT count(*) FROM invoices WHERE look_up_due_at > now() + interval '23 hours'";
    eventually("the second look-up", BOUND, async || {
        (stage.count(second).await == 1).then_some(())
    })
    .await;

    stage
        .sql("UPDATE invoices SET look_up_due_at = now(), discard_wish = 'jane: paid back in cash'")
        .await;
    stage.until_state(sale, "discarded").await;
    assert_eq!(
        stage.text("SELECT solved_as FROM dead_letters").await,
        "discarded"
    );
    assert_eq!(stage.count(second).await, 1, "its request may arrive yet");

    stage
        .sql("UPDATE submissions SET sent_at = sent_at - interval '24 hours'")
        .await;
    stage
        .sql("UPDATE invoices SET look_up_due_at = now()")
        .await;
    let none = "SELECT count(*) FROM invoices WHERE state = 'discarded' AND look_up_due_at IS NULL";
    eventually("the last look-up", BOUND, async || {
        (stage.count(none).await == 1).then_some(())
    })
    .await;
    end(worker).await;
}

#[tokio::test]
async fn a_look_up_that_lags_is_asked_again_and_nothing_is_given_back() {
    let stage = Stage::new().await;
    let device = stage.device(1).await;
    let first = json!({ "call": "sale", "count": 1 });
    stage.fault(first.clone(), json!("accept_then_drop")).await;
    stage
        .fault(first, json!({ "lookup_lag": { "count": 4 } }))
        .await;
    let sale = stage.owe(&device, 1).await[0];
    let worker = stage.worker().start();
    stage.until_state(sale, "success").await;
    let stats = stage.stats().await;
    assert_eq!(
        stats["calls"]["sale"], 2,
        "after the number was called taken nothing is sent"
    );
    assert_eq!(stats["calls"]["lookup"], 5);
    stage.books_balance().await;
    end(worker).await;
}

#[tokio::test]
async fn a_number_taken_and_never_shown_halts_after_a_quarter_of_an_hour() {
    let stage = Stage::new().await;
    let device = stage.device(1).await;
    let first = json!({ "call": "sale", "count": 1 });
    stage.fault(first.clone(), json!("accept_then_drop")).await;
    stage
        .fault(first, json!({ "lookup_lag": { "ms": 3_600_000 } }))
        .await;
    stage.owe(&device, 1).await;
    let worker = stage.worker().start();
    let hidden = "SELECT count(*) FROM invoices WHERE hidden_since IS NOT NULL";
    eventually("the number is hidden", BOUND, async || {
        (stage.count(hidden).await == 1).then_some(())
    })
    .await;
    stage
        .sql("UPDATE invoices SET hidden_since = hidden_since - interval '15 minutes'")
        .await;
    let reason = stage.halt_reason(&device).await;
    assert!(reason.contains("lanes resolve"), "{reason}");
    assert_eq!(stage.count("SELECT next_invoice_no FROM lanes").await, 1);
    end(worker).await;
}

#[tokio::test]
async fn a_foreign_sale_under_our_number_halts_until_somebody_says_whose_it_is() {
    let stage = Stage::new().await;
    let device = stage.device(1).await;
    file_elsewhere(&stage, &device).await;
    let sale = stage.owe(&device, 1).await[0];
    let worker = stage.worker().start();
    let reason = stage.halt_reason(&device).await;
    assert!(
        reason.contains(&format!("lanes resolve {} --invoice-no 1", device.id)),
        "{reason}"
    );
    assert_eq!(stage.state(sale).await, "submitting");

    let resolve = format!(
        "INSERT INTO foreign_invoice_numbers (device_id, invoice_no, operator, reason) VALUES ('{0}', 1, 'jane', 'the old till');
         UPDATE invoices SET state = 'pending', invoice_no = NULL, unknown_since = NULL, hidden_since = NULL WHERE id = '{sale}';
         UPDATE lanes SET next_invoice_no = 2, halted_at = NULL, halt_reason = NULL WHERE device_id = '{0}'",
        device.id
    );
    stage.sql(&resolve).await;
    stage.until_state(sale, "success").await;
    assert_eq!(
        stage
            .count(&format!(
                "SELECT invoice_no FROM invoices WHERE id = '{sale}'"
            ))
            .await,
        2
    );
    end(worker).await;
}

/// Another system files a sale of its own under number 1.
async fn file_elsewhere(stage: &Stage, device: &Device) {
    let profile = DeviceProfile {
        dialect: risiti_domain::Dialect::Legacy,
        environment: risiti_domain::Environment::Sandbox,
        base_url: stage.sim_url().parse().unwrap(),
        portal_url: None,
        token: None,
        pin: device.pin.clone(),
        branch: "00".to_owned(),
        serial: "RISITI/1".to_owned(),
        cmc_key: Some(SecretString::from("cmc-key-1")),
        sdc_id: None,
        trade_name: None,
        item: Item {
            code: "KE3NTNO0000001".to_owned(),
            class: "8111150100".to_owned(),
            name: "Services".to_owned(),
            tax_type: risiti_domain::TaxType::B,
        },
        tax_rates: TaxRates::default(),
    };
    let now = jiff::Timestamp::now();
    let document = SaleDocument {
        invoice_id: risiti_domain::InvoiceId::from_uuid(Uuid::now_v7()),
        invoice_no: 1,
        kind: risiti_domain::InvoiceKind::Sale,
        original_invoice_no: None,
        trader_invoice_no: "TILL-1".to_owned(),
        total: 500.into(),
        phone: None,
        method: risiti_domain::PaymentMethod::Other,
        occurred_at: now,
        refunded_at: None,
        first_sent_at: now,
    };
    let client = Client::new(ClientSettings::default()).unwrap();
    let outcome = client
        .send(&profile, &sale_body(&profile, &document), 1)
        .await;
    assert!(matches!(outcome, SendOutcome::Ok(_)), "{outcome:?}");
}

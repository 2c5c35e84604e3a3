//! A number belongs to the invoice that the remark names: late requests, foreign sales, slow
//! look-ups (protocol D8–D10).

use jiff::Timestamp;
use risiti_domain::{Buyer, Dialect, Environment, InvoiceId, InvoiceKind, PaymentMethod, TaxType};
use risiti_etims::{
    Client, ClientSettings, DeviceProfile, Item, SaleDocument, SendOutcome, TaxRates, sale_body,
};
use risiti_testkit::eventually;
use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;

use crate::fixture::{BOUND, Device, Fault, Fixture, look_up_calls, sale_calls, terminate};

/// Adds a sale whose first request is late. It is sent again, refused, looked up as absent, and a
/// dead letter before that request arrives.
async fn dead_sale_with_late_request(fixture: &Fixture, device: &Device) -> Uuid {
    fixture
        .simulator
        .fail(sale_calls().first(1), Fault::DeliverLate { ms: 1_500 })
        .await;
    fixture
        .simulator
        .fail(sale_calls().first(1), Fault::code("910", "<x>"))
        .await;
    let sale = fixture.add_sales(device, 1).await[0];
    fixture.until_state(sale, "dead").await;
    sale
}

async fn until_late_sale_arrived(fixture: &Fixture) {
    eventually("the late request arrives", BOUND, async || {
        let sales = fixture.simulator.get("/_sim/sales").await;
        (sales["sales"].as_array()?.len() == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_dead_sale_found_later_is_adopted() {
    let fixture = Fixture::new().await;
    let device = fixture.add_device(1).await;
    let worker = fixture.worker().start();
    let sale = dead_sale_with_late_request(&fixture, &device).await;
    let due =
        "SELECT count(*) FROM invoices i JOIN submissions s ON s.invoice_id = i.id AND s.outcome = 'unknown'
               WHERE i.look_up_due_at = s.sent_at + interval '15 minutes'";
    assert_eq!(fixture.count(due).await, 1);

    until_late_sale_arrived(&fixture).await;
    fixture
        .sql("UPDATE invoices SET look_up_due_at = now()")
        .await;
    fixture.until_state(sale, "success").await;
    assert_eq!(
        fixture.text("SELECT solved_as FROM dead_letters").await,
        "adopted"
    );
    fixture.assert_ledger_matches_kra().await;
    terminate(worker).await;
}

#[tokio::test]
async fn the_next_holder_of_a_dead_number_looks_it_up_first() {
    let fixture = Fixture::new().await;
    let device = fixture.add_device(1).await;
    let worker = fixture.worker().start();
    let dead = dead_sale_with_late_request(&fixture, &device).await;
    until_late_sale_arrived(&fixture).await;
    let next = fixture.add_sales(&device, 1).await[0];
    fixture.until_state(next, "success").await;
    assert_given_to_its_owner(&fixture, dead, next).await;
    fixture.assert_ledger_matches_kra().await;
    terminate(worker).await;
}

/// Here the late request arrives just after the look-up.
#[tokio::test]
async fn the_next_holder_of_a_dead_number_gives_it_back() {
    let fixture = Fixture::new().await;
    let device = fixture.add_device(1).await;
    let worker = fixture.worker().start();
    let dead = dead_sale_with_late_request(&fixture, &device).await;
    until_late_sale_arrived(&fixture).await;
    fixture
        .simulator
        .fail(look_up_calls().first(1), Fault::hidden_from_look_ups(1))
        .await;
    let next = fixture.add_sales(&device, 1).await[0];
    fixture.until_state(next, "success").await;
    assert_given_to_its_owner(&fixture, dead, next).await;
    assert_eq!(fixture.simulator.stats().await["refusals"]["clash"], 1);
    assert_eq!(fixture.simulator.stats().await["doubled"], json!([]));
    terminate(worker).await;
}

async fn assert_given_to_its_owner(fixture: &Fixture, dead: Uuid, next: Uuid) {
    assert_eq!(fixture.invoice_state(dead).await, "success");
    assert_eq!(fixture.invoice_number(dead).await, 1);
    assert_eq!(fixture.invoice_number(next).await, 2);
    assert_eq!(
        fixture.text("SELECT solved_as FROM dead_letters").await,
        "adopted"
    );
}

#[tokio::test]
async fn a_discard_waits_for_a_look_up_and_the_second_is_last() {
    let fixture = Fixture::new().await;
    let device = fixture.add_device(1).await;
    let first = sale_calls().first(1);
    fixture
        .simulator
        .fail(first.clone(), Fault::DropBeforeAccept)
        .await;
    fixture
        .simulator
        .fail(first, Fault::code("910", "<x>"))
        .await;
    let sale = fixture.add_sales(&device, 1).await[0];
    let worker = fixture.worker().start();
    fixture.until_state(sale, "dead").await;

    fixture
        .sql("UPDATE invoices SET look_up_due_at = now()")
        .await;
    let second = "SELECT count(*) FROM invoices WHERE look_up_due_at > now() + interval '23 hours'";
    fixture.until_one("the second look-up is due", second).await;

    fixture
        .sql("UPDATE invoices SET look_up_due_at = now(), discard_wish = 'jane: paid back in cash'")
        .await;
    fixture.until_state(sale, "discarded").await;
    assert_eq!(
        fixture.text("SELECT solved_as FROM dead_letters").await,
        "discarded"
    );
    assert_eq!(
        fixture.count(second).await,
        1,
        "its request may still arrive"
    );

    fixture
        .sql("UPDATE submissions SET sent_at = sent_at - interval '24 hours'")
        .await;
    fixture
        .sql("UPDATE invoices SET look_up_due_at = now()")
        .await;
    let none = "SELECT count(*) FROM invoices WHERE state = 'discarded' AND look_up_due_at IS NULL";
    fixture.until_one("the last look-up is done", none).await;
    terminate(worker).await;
}

#[tokio::test]
async fn a_slow_look_up_is_repeated_and_the_number_kept() {
    let fixture = Fixture::new().await;
    let device = fixture.add_device(1).await;
    let first = sale_calls().first(1);
    fixture
        .simulator
        .fail(first.clone(), Fault::AcceptThenDrop)
        .await;
    fixture
        .simulator
        .fail(first, Fault::hidden_from_look_ups(4))
        .await;
    let sale = fixture.add_sales(&device, 1).await[0];
    let worker = fixture.worker().start();
    fixture.until_state(sale, "success").await;
    let stats = fixture.simulator.stats().await;
    assert_eq!(
        stats["calls"]["sale"], 2,
        "nothing is sent once KRA calls the number taken"
    );
    assert_eq!(stats["calls"]["lookup"], 5);
    fixture.assert_ledger_matches_kra().await;
    terminate(worker).await;
}

#[tokio::test]
async fn a_taken_number_never_shown_halts_after_15_minutes() {
    let fixture = Fixture::new().await;
    let device = fixture.add_device(1).await;
    let first = sale_calls().first(1);
    fixture
        .simulator
        .fail(first.clone(), Fault::AcceptThenDrop)
        .await;
    fixture
        .simulator
        .fail(first, Fault::hidden_for_an_hour())
        .await;
    fixture.add_sales(&device, 1).await;
    let worker = fixture.worker().start();
    let hidden = "SELECT count(*) FROM invoices WHERE hidden_since IS NOT NULL";
    fixture.until_one("the number is hidden", hidden).await;
    fixture
        .sql("UPDATE invoices SET hidden_since = hidden_since - interval '15 minutes'")
        .await;
    let reason = fixture.until_halted(&device).await;
    assert!(reason.contains("lanes resolve"), "{reason}");
    assert_eq!(fixture.count("SELECT next_invoice_no FROM lanes").await, 1);
    terminate(worker).await;
}

#[tokio::test]
async fn a_foreign_sale_under_our_number_halts_until_resolved() {
    let fixture = Fixture::new().await;
    let device = fixture.add_device(1).await;
    file_elsewhere(&fixture, &device, 1).await;
    let sale = fixture.add_sales(&device, 1).await[0];
    let worker = fixture.worker().start();
    let reason = fixture.until_halted(&device).await;
    assert!(
        reason.contains(&format!("lanes resolve {} --invoice-no 1", device.id)),
        "{reason}"
    );
    assert_eq!(fixture.invoice_state(sale).await, "submitting");

    let resolve = format!(
        "INSERT INTO foreign_invoice_numbers (device_id, invoice_no, operator, reason) VALUES ('{0}', 1, 'jane', 'the old till');
         UPDATE invoices SET state = 'pending', invoice_no = NULL, unknown_since = NULL, hidden_since = NULL WHERE id = '{sale}';
         UPDATE lanes SET next_invoice_no = 2, halted_at = NULL, halt_reason = NULL WHERE device_id = '{0}'",
        device.id
    );
    fixture.sql(&resolve).await;
    fixture.until_state(sale, "success").await;
    assert_eq!(fixture.invoice_number(sale).await, 2);
    terminate(worker).await;
}

/// Another system files a sale of its own.
pub(crate) async fn file_elsewhere(fixture: &Fixture, device: &Device, invoice_no: i64) {
    let profile = DeviceProfile {
        dialect: Dialect::Legacy,
        environment: Environment::Sandbox,
        base_url: fixture.simulator.url().parse().unwrap(),
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
            tax_type: TaxType::B,
        },
        tax_rates: TaxRates::default(),
    };
    let now = Timestamp::now();
    let document = SaleDocument {
        invoice_id: InvoiceId::from_uuid(Uuid::now_v7()),
        invoice_no,
        kind: InvoiceKind::Sale,
        original_invoice_no: None,
        trader_invoice_no: format!("TILL-{invoice_no}"),
        total: 500.into(),
        buyer: Buyer::default(),
        phone: None,
        method: PaymentMethod::Other,
        occurred_at: now,
        refunded_at: None,
        first_sent_at: now,
    };
    let client = Client::new(ClientSettings::default()).unwrap();
    let outcome = client
        .send(&profile, &sale_body(&profile, &document), invoice_no)
        .await;
    assert!(matches!(outcome, SendOutcome::Ok(_)), "{outcome:?}");
}

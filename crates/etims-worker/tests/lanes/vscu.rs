//! A VSCU has no look-up, and every lane of one still has a way out (protocol D9, D16).

use serde_json::json;
use uuid::Uuid;

use crate::fixture::{Device, Fault, Fixture, sale_calls, terminate};

/// A VSCU that loses the first request or its answer, as `first` says.
async fn vscu_that_loses(first: Fault) -> (Fixture, Device, Uuid) {
    let fixture = Fixture::with("vscu", &[]).await;
    let device = fixture.add_device(1).await;
    fixture.simulator.fail(sale_calls().first(1), first).await;
    let sale = fixture.add_sales(&device, 1).await[0];
    (fixture, device, sale)
}

#[tokio::test]
async fn a_number_taken_at_a_vscu_halts_for_a_person() {
    let (fixture, device, sale) = vscu_that_loses(Fault::AcceptThenDrop).await;
    let worker = fixture.worker().start();
    let reason = fixture.until_halted(&device).await;
    assert!(
        reason.contains("probably accepted, receipt lost"),
        "{reason}"
    );
    assert!(reason.contains("lanes resolve"), "{reason}");
    assert_eq!(fixture.invoice_state(sale).await, "submitting");
    assert_eq!(fixture.simulator.stats().await["doubled"], json!([]));
    terminate(worker).await;
}

/// The person's word closes the lost send. The refusal that follows is then final.
#[tokio::test]
async fn a_lost_send_refused_again_ends_after_not_accepted() {
    let (fixture, device, sale) = vscu_that_loses(Fault::DropBeforeAccept).await;
    let refused = Fault::code("910", "required: <itemClsCd>");
    fixture.simulator.fail(sale_calls(), refused).await;
    let worker = fixture.worker().start();
    let reason = fixture.until_halted(&device).await;
    assert!(reason.contains("was never answered"), "{reason}");

    let resolve = ["resolve", "--invoice-no", "1", "--not-accepted"];
    fixture.lanes_command(&device, &resolve).await;
    fixture.until_state(sale, "dead").await;
    let cause = "SELECT cause || ' ' || code FROM dead_letters";
    assert_eq!(fixture.text(cause).await, "refused 910");

    fixture.simulator.clear_faults().await;
    let next = fixture.add_sales(&device, 1).await[0];
    fixture.until_state(next, "success").await;
    assert_eq!(fixture.invoice_number(next).await, 1);
    terminate(worker).await;
}

#[tokio::test]
async fn not_accepted_builds_the_body_anew() {
    let (fixture, device, sale) = vscu_that_loses(Fault::DropBeforeAccept).await;
    fixture
        .simulator
        .fail(sale_calls(), Fault::code("910", "required: <itemNm>"))
        .await;
    let worker = fixture.worker().start();
    fixture.until_halted(&device).await;
    fixture
        .sql("UPDATE devices SET item_name = 'Services, mended'")
        .await;
    fixture.simulator.clear_faults().await;
    let resolve = ["resolve", "--invoice-no", "1", "--not-accepted"];
    fixture.lanes_command(&device, &resolve).await;
    fixture.until_state(sale, "success").await;
    let bodies = "SELECT count(DISTINCT body) FROM submissions";
    assert_eq!(fixture.count(bodies).await, 2);
    let outcomes = "SELECT string_agg(outcome, ' ' ORDER BY id) FROM submissions";
    assert_eq!(fixture.text(outcomes).await, "resolved refused ok");
    terminate(worker).await;
}

#[tokio::test]
async fn a_vscu_that_answers_999_for_an_hour_halts() {
    let fixture = Fixture::with("vscu", &[]).await;
    let device = fixture.add_device(1).await;
    fixture
        .simulator
        .fail(sale_calls(), Fault::code("999", "Unknown error"))
        .await;
    let sales = fixture.add_sales(&device, 2).await;
    let worker = fixture.worker().start();
    let unknown = "SELECT count(*) FROM invoices WHERE unknown_since IS NOT NULL";
    fixture.until_one("the sale is unknown", unknown).await;
    fixture
        .sql("UPDATE invoices SET unknown_since = unknown_since - interval '1 hour' WHERE state = 'submitting'")
        .await;
    let reason = fixture.until_halted(&device).await;
    assert!(
        reason.contains("999") && reason.contains(&format!("set-aside {}", device.id)),
        "{reason}"
    );

    let invoice = sales[0].to_string();
    let set_aside = ["set-aside", "--invoice", &invoice];
    fixture.lanes_command(&device, &set_aside).await;
    fixture.simulator.clear_faults().await;
    fixture.lanes_command(&device, &["resume"]).await;
    fixture.until_state(sales[1], "success").await;
    assert_eq!(fixture.invoice_state(sales[0]).await, "dead");
    assert_eq!(fixture.invoice_number(sales[1]).await, 1);
    terminate(worker).await;
}

/// Nothing can be asked, so that the person's wish is carried out.
#[tokio::test]
async fn a_discard_at_a_vscu_waits_for_no_look_up() {
    let (fixture, device, sale) = vscu_that_loses(Fault::DropBeforeAccept).await;
    fixture
        .simulator
        .fail(sale_calls(), Fault::code("910", "required: <itemNm>"))
        .await;
    let worker = fixture.worker().start();
    fixture.until_halted(&device).await;
    let invoice = sale.to_string();
    fixture
        .lanes_command(&device, &["set-aside", "--invoice", &invoice])
        .await;
    let due = "SELECT count(*) FROM invoices WHERE state = 'dead' AND look_up_due_at IS NOT NULL";
    assert_eq!(fixture.count(due).await, 1, "its request may still arrive");
    fixture.lanes_command(&device, &["resume"]).await;

    let discard = ["discard", "--yes", "--id", &invoice, "--reason", "a test"];
    fixture.replay(&discard).await;
    fixture.until_state(sale, "discarded").await;
    let left = "SELECT count(*) FROM invoices WHERE look_up_due_at IS NOT NULL";
    assert_eq!(fixture.count(left).await, 0);
    assert_eq!(fixture.simulator.stats().await["calls"].get("lookup"), None);
    terminate(worker).await;
}

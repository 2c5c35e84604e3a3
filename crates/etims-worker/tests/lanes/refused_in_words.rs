//! Refusals in words that are on no list: the gateway has no code to go by (protocol D10).

use crate::fixture::{Fault, Fixture, sale_calls, terminate};

const TOO_MANY: &str = "The maximum number of credit notes for this invoice has been reached";

/// Such a credit note was once sent 44 times before it died.
#[tokio::test]
async fn a_credit_note_refused_in_new_words_is_soon_dead() {
    let fixture = Fixture::with("gateway", &[]).await;
    let device = fixture.add_device(1).await;
    let sale = fixture.add_sales(&device, 1).await[0];
    let worker = fixture.worker().start();
    fixture.until_state(sale, "success").await;

    let refused = Fault::refused_by_gateway(TOO_MANY);
    fixture
        .simulator
        .fail(sale_calls().amount("40"), refused)
        .await;
    let note = fixture.add_credit_note(sale, 40).await;
    fixture
        .sql("UPDATE payments SET state = 'reversed', moved_by = 'test'")
        .await;
    fixture.until_state(note, "dead").await;
    let letter = "SELECT cause || ': ' || message FROM dead_letters WHERE code IS NULL";
    assert_eq!(fixture.text(letter).await, format!("refused: {TOO_MANY}"));
    let sends = "SELECT count(*) FROM submissions s JOIN invoices i ON i.id = s.invoice_id AND i.kind = 'credit_note'";
    assert_eq!(fixture.count(sends).await, 1);
    let reported = "SELECT state || ': ' || reason FROM report_payments";
    assert_eq!(
        fixture.text(reported).await,
        format!("reversed: KRA has not accepted the credit note: {TOO_MANY}")
    );

    let next = fixture.add_sales(&device, 1).await[0];
    fixture.until_state(next, "success").await;
    assert_eq!(fixture.invoice_number(next).await, 2, "the lane goes on");

    let id = note.to_string();
    fixture.simulator.clear_faults().await;
    fixture.replay(&["run", "--yes", "--id", &id]).await;
    fixture.until_state(note, "success").await;
    assert_eq!(
        fixture
            .text("SELECT coalesce(reason, 'none') FROM report_payments WHERE state = 'reversed'")
            .await,
        "none"
    );
    fixture.assert_receipts_are_kras().await;
    terminate(worker).await;
}

/// A program in front of KRA may answer for it. The look-up tells what KRA has.
#[tokio::test]
async fn a_sale_that_kra_has_is_found_before_it_is_dead() {
    let fixture = Fixture::with("gateway", &[]).await;
    let device = fixture.add_device(1).await;
    let refused = Fault::accepted_but_refused("The request could not be processed");
    fixture.simulator.fail(sale_calls().first(1), refused).await;
    let sale = fixture.add_sales(&device, 1).await[0];
    let worker = fixture.worker().start();
    fixture.until_state(sale, "success").await;
    assert_eq!(fixture.simulator.stats().await["calls"]["sale"], 1);
    assert_eq!(fixture.count("SELECT count(*) FROM dead_letters").await, 0);
    fixture.assert_ledger_matches_kra().await;
    terminate(worker).await;
}

/// Case 06: the front refuses the sale's trader number on any other document.
#[tokio::test]
async fn credit_notes_have_trader_numbers_of_their_own() {
    let fixture = Fixture::with("gateway", &["--strict-trader-numbers", "true"]).await;
    let device = fixture.add_device(1).await;
    let sale = fixture.add_sales(&device, 1).await[0];
    let worker = fixture.worker().start();
    for amount in [40, 76] {
        let note = fixture.add_credit_note(sale, amount).await;
        fixture.until_state(note, "success").await;
    }
    let filed = fixture.simulator.get("/_sim/sales").await;
    let numbers: Vec<&str> = filed["sales"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|sale| sale["trdInvcNo"].as_str())
        .collect();
    assert!(
        numbers[1].starts_with(&format!("CN-{}", &numbers[0][..30])),
        "{numbers:?}"
    );
    assert_ne!(numbers[1], numbers[2]);
    terminate(worker).await;
}

/// All stricter rules, among them that no document repeats another's trader number.
#[tokio::test]
async fn credit_notes_pass_a_kra_that_is_strict_about_them() {
    let strict = [
        "--strict-credit-names",
        "true",
        "--strict-credit-count",
        "true",
        "--strict-credit-age",
        "true",
        "--strict-trader-numbers",
        "true",
    ];
    let fixture = Fixture::with("gateway", &strict).await;
    let device = fixture.add_device(1).await;
    let sales = fixture.add_sales(&device, 2).await;
    let worker = fixture.worker().start();
    fixture.until_filed(2).await;
    let half = fixture.add_credit_note(sales[0], 58).await;
    fixture.until_state(half, "success").await;
    let rest = fixture.add_credit_note(sales[0], 58).await;
    fixture.until_state(rest, "success").await;

    let part = fixture.add_credit_note(sales[1], 32).await;
    fixture.until_state(part, "success").await;
    let another = fixture.add_credit_note(sales[1], 100).await;
    fixture.until_state(another, "dead").await;
    let words = "SELECT message FROM dead_letters";
    assert!(
        fixture.text(words).await.contains("remaining amount"),
        "{}",
        fixture.text(words).await
    );
    terminate(worker).await;
}

//! Whom invoices name as their buyer.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::{Fault, Fixture, sale_calls, terminate};

const STRICT: [&str; 2] = ["--strict-credit-names", "true"];

async fn name_buyer(fixture: &Fixture, sale: Uuid, name: &str, pin: &str) {
    fixture
        .sql(&format!(
            "UPDATE invoices SET buyer_name = '{name}', buyer_pin = '{pin}' WHERE id = '{sale}'"
        ))
        .await;
}

/// Name and PIN of each document that KRA has, in the order of their numbers.
async fn buyers_at_kra(fixture: &Fixture) -> Vec<[Value; 2]> {
    let filed = fixture.simulator.get("/_sim/sales").await;
    let sales = filed["sales"].as_array().unwrap().iter();
    sales
        .map(|sale| [sale["custNm"].clone(), sale["custTin"].clone()])
        .collect()
}

#[tokio::test]
async fn a_credit_note_repeats_the_buyer_of_its_sale() {
    for dialect in ["legacy", "gateway", "vscu"] {
        let fixture = Fixture::with(dialect, &STRICT).await;
        let device = fixture.add_device(1).await;
        let sales = fixture.add_sales(&device, 2).await;
        name_buyer(&fixture, sales[0], "Upendo Traders Ltd", "P059876543Z").await;
        let worker = fixture.worker().start();
        fixture.until_filed(2).await;
        // What was sent counts, and not what a walk-in buyer would be named by now.
        fixture
            .sql("UPDATE devices SET walk_in_buyer = 'Cash customer'")
            .await;
        for sale in &sales {
            let note = fixture.add_credit_note(*sale, 40).await;
            fixture.until_state(note, "success").await;
        }
        let later = fixture.add_sales(&device, 1).await[0];
        fixture.until_state(later, "success").await;

        let known = [json!("Upendo Traders Ltd"), json!("P059876543Z")];
        let walk_in = [json!("N/A"), Value::Null];
        let renamed = [json!("Cash customer"), Value::Null];
        assert_eq!(
            buyers_at_kra(&fixture).await,
            [known.clone(), walk_in.clone(), known, walk_in, renamed],
            "{dialect}"
        );
        let reported =
            "SELECT string_agg(coalesce(original_invoice_no::text, '-') || ' ' || buyer_name || ' '
            || coalesce(buyer_pin, '-'), ', ' ORDER BY invoice_no) FROM report_invoices";
        assert_eq!(
            fixture.text(reported).await,
            "- Upendo Traders Ltd P059876543Z, - N/A -, 1 Upendo Traders Ltd P059876543Z, 2 N/A -, \
             - Cash customer -"
        );
        fixture.assert_ledger_matches_kra().await;
        terminate(worker).await;
    }
}

#[tokio::test]
async fn a_sale_found_by_look_up_keeps_the_buyer_that_kra_has() {
    let fixture = Fixture::with("gateway", &STRICT).await;
    let device = fixture.add_device(1).await;
    fixture
        .simulator
        .fail(sale_calls().first(1), Fault::AcceptThenDrop)
        .await;
    let sale = fixture.add_sales(&device, 1).await[0];
    name_buyer(&fixture, sale, "Upendo Traders Ltd", "P059876543Z").await;
    let worker = fixture.worker().start();
    fixture.until_state(sale, "success").await;
    let stored = "SELECT buyer_name || ' ' || buyer_pin FROM invoices";
    assert_eq!(fixture.text(stored).await, "Upendo Traders Ltd P059876543Z");
    let note = fixture.add_credit_note(sale, 50).await;
    fixture.until_state(note, "success").await;
    fixture.assert_ledger_matches_kra().await;
    terminate(worker).await;
}

/// KRA refuses the PIN, a person corrects it, and the replayed sale is built anew.
#[tokio::test]
async fn a_refused_buyer_is_corrected_before_the_replay() {
    let fixture = Fixture::with("gateway", &[]).await;
    let device = fixture.add_device(1).await;
    let refused = Fault::refused_by_gateway("Customer PIN not registered on eTIMS");
    fixture.simulator.fail(sale_calls().first(1), refused).await;
    let sale = fixture.add_sales(&device, 1).await[0];
    name_buyer(&fixture, sale, "Upendo Traders Ltd", "P000000000Z").await;
    let worker = fixture.worker().start();
    fixture.until_state(sale, "dead").await;
    name_buyer(&fixture, sale, "Upendo Traders Ltd", "P059876543Z").await;
    fixture.replay(&["run", "--yes"]).await;
    fixture.until_state(sale, "success").await;
    assert_eq!(
        buyers_at_kra(&fixture).await,
        [[json!("Upendo Traders Ltd"), json!("P059876543Z")]]
    );
    terminate(worker).await;
}

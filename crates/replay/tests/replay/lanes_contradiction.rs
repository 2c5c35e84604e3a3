//! What a person says about a number, where KRA said something else.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::command_output::CommandOutput;
use crate::fixture::Fixture;
use crate::lanes_resolve::sent_without_answer;

/// Halts the lane over a sale that a look-up showed under number 1.
async fn halt_over(fixture: &Fixture, ours: Option<Uuid>) {
    let found = json!({
        "invoice_no": 1, "invoice_id": ours, "amount": "888.00", "trader_number": "TILL-9",
        "issued_at": "2026-11-28T08:31:00Z", "receipt_no": 398, "looked_up_at": "2026-11-28T09:00:00Z",
    });
    fixture
        .execute(&format!(
            "UPDATE lanes SET halted_at = now(), halt_reason = 'x', halt_remedy = 'lanes resolve', found = '{found}'"
        ))
        .await;
}

async fn resolve(fixture: &Fixture, how: &[&str]) -> CommandOutput {
    let args = [
        &["lanes", "resolve", "acme", "--json", "--reason", "seen"][..],
        &["--invoice-no", "1"],
        how,
    ];
    fixture.replay(&args.concat()).await
}

#[tokio::test]
async fn false_receipt_number_is_refused_until_it_is_forced() {
    let fixture = Fixture::new().await;
    let invoice = sent_without_answer(&fixture).await;
    halt_over(&fixture, Some(invoice)).await;
    let list = fixture.replay(&["lanes", "list"]).await.stdout;
    let accepted = format!(
        "first: risiti-replay lanes resolve {} --invoice-no 1 --accepted --invoice {invoice} --receipt-no 398",
        fixture.device
    );
    assert!(list.contains(&accepted), "{list}");

    let accept = |receipt| ["--accepted", "--receipt-no", receipt];
    for how in [
        &accept("999999")[..],
        &["--not-accepted"],
        &["--taken-elsewhere"],
        &[&accept("999999")[..], &["--dry-run"]].concat(),
    ] {
        let refused = resolve(&fixture, how).await.expect_code(1);
        assert!(refused.stderr.contains("receipt 398"), "{}", refused.stderr);
    }
    assert_eq!(fixture.lane().await, "1 true");
    assert_eq!(fixture.count_actions("lanes resolve").await, 0);

    let forced = [&accept("999999")[..], &["--force"]].concat();
    resolve(&fixture, &forced).await.expect_code(0);
    assert_eq!(fixture.lane().await, "2 false");
    let kept = "SELECT filter->>'forced_against' FROM operator_actions";
    assert!(fixture.query_text(kept).await.contains("receipt 398"));
}

#[tokio::test]
async fn what_agrees_with_kra_needs_no_force() {
    let fixture = Fixture::new().await;
    let invoice = sent_without_answer(&fixture).await;
    halt_over(&fixture, Some(invoice)).await;
    resolve(&fixture, &["--accepted", "--receipt-no", "398", "--force"])
        .await
        .expect_code(0);
    let kept = "SELECT coalesce(filter->>'forced_against', 'nothing') FROM operator_actions";
    assert_eq!(fixture.query_text(kept).await, "nothing");

    let changes = fixture
        .query_text("SELECT changes::text FROM operator_actions")
        .await;
    let changes: Value = serde_json::from_str(&changes).unwrap();
    assert_eq!(
        changes,
        json!({
            "halted": [true, false], "halt_reason": ["x", null], "next_invoice_no": [1, 2],
            "invoice_state": ["submitting", "success"], "receipt_no": [null, 398],
        })
    );
}

/// KRA has two sales of one invoice of ours. Nothing but the other number can be settled.
#[tokio::test]
async fn number_of_an_invoice_filed_under_another_is_passed() {
    let fixture = Fixture::new().await;
    let filed = fixture.sale("submitting").await;
    fixture
        .execute(&format!(
            "UPDATE invoices SET state = 'success', receipt_no = 7, invoice_no = 9 WHERE id = '{filed}'"
        ))
        .await;
    halt_over(&fixture, Some(filed)).await;
    let list = fixture.replay(&["lanes", "list"]).await.stdout;
    let first = format!("first: risiti-admin find {filed}");
    assert!(list.contains(&first), "{list}");
    resolve(&fixture, &["--taken-elsewhere"])
        .await
        .expect_code(0);
    assert_eq!(fixture.lane().await, "2 false");
}

/// Without a look-up the receipts before are all that is known.
#[tokio::test]
async fn receipt_number_follows_those_before_it() {
    let fixture = Fixture::new().await;
    let filed = fixture.sale("submitting").await;
    fixture
        .execute(&format!(
            "UPDATE invoices SET state = 'success', receipt_no = 397 WHERE id = '{filed}'; UPDATE lanes SET next_invoice_no = 3"
        ))
        .await;
    let invoice = fixture.sale("submitting").await;
    let device = fixture.device;
    fixture
        .execute(&format!(
            "INSERT INTO submissions (invoice_id, device_id, invoice_no, claim_id, body, outcome)
             VALUES ('{invoice}', '{device}', 3, '{device}', '{{}}', 'unknown')"
        ))
        .await;
    fixture.halt_lane().await;
    let accept = async |receipt| {
        let args = [
            "lanes",
            "resolve",
            "acme",
            "--reason",
            "seen",
            "--invoice-no",
            "3",
            "--accepted",
        ];
        let receipt = ["--receipt-no", receipt];
        fixture.replay(&[&args[..], &receipt].concat()).await
    };
    for wrong in ["397", "400", "999999"] {
        let refused = accept(wrong).await.expect_code(1);
        let words = "number 1 has receipt 397, so that 3 has one from 398 to 399";
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
    accept("399").await.expect_code(0);
    assert_eq!(fixture.lane().await, "4 false");
}

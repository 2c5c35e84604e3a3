//! What `lanes list` shows as the lane's last answer.

use crate::fixture::Fixture;

/// Adds a send under a number with its answer.
async fn add_send(fixture: &Fixture, invoice_no: i64, outcome: &str, code: &str) {
    let invoice = fixture.sale("dead").await;
    let device = fixture.device;
    fixture
        .execute(&format!(
            "INSERT INTO submissions (invoice_id, device_id, invoice_no, claim_id, body, outcome, code, message,
                 answered_at)
             VALUES ('{invoice}', '{device}', {invoice_no}, '{device}', '', '{outcome}', {code}, {code}, now())"
        ))
        .await;
}

async fn last_answer(fixture: &Fixture) -> String {
    let output = fixture.replay(&["lanes", "list", "--json"]).await;
    let lane = &output.expect_code(0).lines()[0];
    format!("{} {}", lane["last_send"]["invoice_no"], lane["last_code"])
}

/// A person sets the next number back to 1, and KRA then accepts 1 and 2. The refusal of 3 is older.
#[tokio::test]
async fn old_refusal_of_the_next_number_is_not_the_last_answer() {
    let fixture = Fixture::new().await;
    add_send(&fixture, 3, "refused", "'910'").await;
    add_send(&fixture, 1, "ok", "NULL").await;
    add_send(&fixture, 2, "ok", "NULL").await;
    fixture
        .execute("UPDATE lanes SET next_invoice_no = 3, last_outcome = 'ok'")
        .await;
    assert_eq!(last_answer(&fixture).await, "2 null");

    add_send(&fixture, 3, "refused", "'891'").await;
    fixture
        .execute("UPDATE lanes SET last_outcome = 'refused'")
        .await;
    assert_eq!(last_answer(&fixture).await, "3 \"891\"");
    // A look-up that found the sale has no send of its own.
    fixture
        .execute("UPDATE lanes SET last_outcome = 'ok'")
        .await;
    assert_eq!(last_answer(&fixture).await, "3 null");
}

//! The command `lanes resolve --through`.

use crate::command_output::CommandOutput;
use crate::fixture::Fixture;
use crate::lanes_resolve::sent_without_answer;

async fn resolve_through(fixture: &Fixture, through: &str, more: &[&str]) -> CommandOutput {
    let device = fixture.device.to_string();
    let args = [
        "lanes",
        "resolve",
        &device,
        "--taken-elsewhere",
        "--json",
        "--reason",
        "the old till",
        "--through",
        through,
    ];
    fixture.replay(&[&args, more].concat()).await
}

#[tokio::test]
async fn all_numbers_of_another_system_are_settled_at_once() {
    let fixture = Fixture::new().await;
    let invoice = sent_without_answer(&fixture).await;
    resolve_through(&fixture, "411", &[]).await.expect_code(1);
    fixture.halt_lane().await;

    let shown = resolve_through(&fixture, "411", &["--dry-run"])
        .await
        .expect_code(0);
    let shown = &shown.lines()[0];
    assert_eq!(shown["invoice_id"], invoice.to_string());
    assert_eq!(shown["unanswered"][0]["invoice_no"], 1);
    assert_eq!(fixture.lane().await, "1 true", "a dry run changes nothing");
    assert_eq!(fixture.count_actions("lanes resolve").await, 0);

    resolve_through(&fixture, "411", &[]).await.expect_code(0);
    assert_eq!(fixture.lane().await, "412 false");
    let foreign = "SELECT count(*) FROM foreign_invoice_numbers WHERE operator = 'jane'";
    assert_eq!(fixture.query_number(foreign).await, 411);
    let settled = "SELECT i.state || ' ' || s.outcome FROM invoices i JOIN submissions s ON s.invoice_id = i.id";
    assert_eq!(fixture.query_text(settled).await, "pending resolved");
    let action = "SELECT (filter->>'from') || ' ' || (filter->>'through') FROM operator_actions";
    assert_eq!(fixture.query_text(action).await, "1 411");
}

#[tokio::test]
async fn a_range_is_bounded_and_holds_no_receipt_of_ours() {
    let fixture = Fixture::new().await;
    fixture.halt_lane().await;
    fixture
        .execute("UPDATE lanes SET next_invoice_no = 5")
        .await;
    for through in ["4", "100005"] {
        let output = resolve_through(&fixture, through, &[]).await.expect_code(1);
        assert!(
            output.stderr.contains("at most 100000"),
            "{}",
            output.stderr
        );
    }
    let device = fixture.device.to_string();
    let without_owner = [
        "lanes",
        "resolve",
        &device,
        "--reason",
        "x",
        "--through",
        "9",
        "--not-accepted",
    ];
    fixture.replay(&without_owner).await.expect_code(2);

    let filed = fixture.sale("submitting").await;
    fixture
        .execute(&format!(
            "UPDATE invoices SET state = 'success', receipt_no = 7, invoice_no = 8 WHERE id = '{filed}'"
        ))
        .await;
    let output = resolve_through(&fixture, "9", &[]).await.expect_code(1);
    assert!(output.stderr.contains("number 8 is"), "{}", output.stderr);
    assert_eq!(fixture.lane().await, "5 true");
    resolve_through(&fixture, "7", &[]).await.expect_code(0);
    assert_eq!(fixture.lane().await, "8 false");
}

/// The longest range that one command takes.
#[tokio::test]
async fn a_hundred_thousand_numbers_are_settled_by_one_command() {
    let fixture = Fixture::new().await;
    fixture.halt_lane().await;
    resolve_through(&fixture, "100000", &[])
        .await
        .expect_code(0);
    assert_eq!(fixture.lane().await, "100001 false");
}

//! The commands `discard`, `show` and `export`.

use std::os::unix::fs::PermissionsExt as _;

use risiti_queue::Target;
use uuid::Uuid;

use crate::fixture::Fixture;

/// Adds a send of the invoice that was never answered.
pub(crate) async fn add_unanswered_send(fixture: &Fixture, invoice: Uuid) {
    let device = fixture.device;
    fixture
        .execute(&format!(
            "INSERT INTO submissions (invoice_id, device_id, invoice_no, claim_id, body, outcome, code)
             VALUES ('{invoice}', '{device}', 1, '{device}', '{{\"invcNo\":1}}', 'unknown', '999')"
        ))
        .await;
}

/// Adds a credit note to the sale, which is not filed yet.
pub(crate) async fn add_credit_note(fixture: &Fixture, sale: Uuid) -> Uuid {
    let id = Uuid::now_v7();
    let merchant = fixture.merchant;
    let device = fixture.device;
    fixture
        .execute(&format!(
            "INSERT INTO events (id, merchant_id, provider, kind, delivery_key, facts_sha256, authenticated_by,
                 received_at, body)
             VALUES ('{id}', '{merchant}', 'daraja', 'reversal_result', '{id}', '', 'path', now(), '');
             INSERT INTO reversals (id, merchant_id, provider, reversal_key, of_money_key, state, credited, event_id)
             VALUES ('{id}', '{merchant}', 'daraja', '{id}', '{sale}', 'applied', 116, '{id}');
             INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, sale_id, reversal_id, moved_by)
             VALUES ('{id}', '{sale}', '{merchant}', '{device}', 'credit_note', 116, '{sale}', '{id}', 'test');"
        ))
        .await;
    id
}

#[tokio::test]
async fn discard_needs_a_reason() {
    let fixture = Fixture::new().await;
    fixture.refused_sale("891").await;
    let output = fixture.replay(&["discard", "--yes"]).await.expect_code(2);
    assert!(output.stderr.contains("--reason"), "{}", output.stderr);
    fixture
        .replay(&["discard", "--reason", "test payment"])
        .await
        .expect_code(2);
    assert_eq!(fixture.count_invoices("dead").await, 1);
}

#[tokio::test]
async fn credit_notes_are_discarded_and_replayed_with_their_sale() {
    let fixture = Fixture::new().await;
    let sale = fixture.refused_sale("891").await;
    add_credit_note(&fixture, sale).await;
    let unreadable = fixture.unreadable_webhook("{").await;
    let output = fixture
        .replay(&["discard", "--yes", "--json", "--reason", "test payment"])
        .await
        .expect_code(0);
    assert_eq!(output.counts("discarded"), [2, 2, 0, 0]);
    assert_eq!(
        (
            fixture.count_invoices("discarded").await,
            fixture.count_invoices("dead").await
        ),
        (2, 0)
    );
    fixture.wait_for_depth(Target::Dead, 0).await;
    let solved =
        "SELECT count(*) FROM dead_letters WHERE solved_as = 'discarded' AND solved_by = 'jane'
        AND solved_reason = 'test payment'";
    assert_eq!(fixture.query_number(solved).await, 2);

    let output = fixture
        .replay(&["run", "--yes", "--json"])
        .await
        .expect_code(0);
    assert_eq!(
        output.counts("replayed"),
        [0, 0, 0, 0],
        "what was discarded stays discarded"
    );
    let id = sale.to_string();
    let output = fixture
        .replay(&["run", "--yes", "--json", "--discarded", "--id", &id])
        .await
        .expect_code(0);
    assert_eq!(output.counts("replayed"), [1, 1, 0, 0]);
    assert_eq!(
        (
            fixture.count_invoices("pending").await,
            fixture.count_invoices("discarded").await
        ),
        (2, 0)
    );
    let left = fixture
        .replay(&["list", "--json", "--discarded"])
        .await
        .expect_code(0);
    assert_eq!(left.lines()[0]["dead_letter_id"], unreadable.to_string());
    assert_eq!(left.lines().len(), 1);
}

#[tokio::test]
async fn invoice_that_kra_may_have_is_looked_up_before_discard() {
    let fixture = Fixture::new().await;
    let invoice = fixture.refused_sale("891").await;
    add_unanswered_send(&fixture, invoice).await;
    let id = invoice.to_string();
    let output = fixture
        .replay(&["discard", "--yes", "--json", "--reason", "test payment"])
        .await
        .expect_code(0);
    assert_eq!(output.counts("discarded"), [1, 0, 0, 0]);
    assert_eq!(output.lines()[0]["looked_up_first"], 1);
    assert_eq!(output.lines()[0]["looked_up_first_ids"][0], id);
    let wish = "SELECT state || ' ' || look_up_no || ' ' || (look_up_due_at <= now()) || ' ' || discard_wish FROM invoices";
    assert_eq!(
        fixture.query_text(wish).await,
        "dead 1 true test payment (discarded by jane)"
    );
    assert_eq!(
        fixture
            .query_number("SELECT count(*) FROM dead_letters WHERE solved_at IS NULL")
            .await,
        1
    );
    fixture.take(Target::Lanes).await;

    let output = fixture
        .replay(&["run", "--yes", "--json"])
        .await
        .expect_code(0);
    assert_eq!(
        output.counts("replayed"),
        [0, 0, 0, 0],
        "a run over all takes no wish back"
    );
    assert!(output.stderr.contains("1 left alone"), "{}", output.stderr);
    let wished = "SELECT count(*) FROM invoices WHERE state = 'dead' AND discard_wish IS NOT NULL";
    assert_eq!(fixture.query_number(wished).await, 1);
    for command in [&["list"][..], &["show", &id]] {
        let output = fixture.replay(command).await.expect_code(0);
        assert!(output.stdout.contains("test payment"), "{}", output.stdout);
    }

    fixture
        .replay(&["run", "--yes", "--json", "--id", &id])
        .await
        .expect_code(0);
    let kept = "SELECT state || ' ' || look_up_no || ' ' || (discard_wish IS NULL) FROM invoices";
    assert_eq!(
        fixture.query_text(kept).await,
        "pending 1 true",
        "a replay by name takes the wish back, and the look-up stays due"
    );
}

#[tokio::test]
async fn show_prints_sends_and_transitions_without_personal_data() {
    let fixture = Fixture::new().await;
    let invoice = fixture.refused_sale("891").await;
    add_unanswered_send(&fixture, invoice).await;
    fixture
        .execute("UPDATE payments SET phone = '254708374149'")
        .await;
    let id = invoice.to_string();
    let output = fixture
        .replay(&["show", &id, "--json"])
        .await
        .expect_code(0);
    let record = &output.lines()[0];
    assert_eq!(record["dead_letter"]["merchant"], "acme");
    for row in ["dead_letter", "invoice", "payment"] {
        assert!(record[row]["amount"].is_string(), "{}", record[row]);
    }
    assert_eq!(record["submissions"][0]["outcome"], "unknown");
    assert_eq!(record["transitions"].as_array().unwrap().len(), 3);
    assert!(!output.stdout.contains("254708374149") && !output.stdout.contains("invcNo"));
    let output = fixture.replay(&["show", "--id", &id]).await.expect_code(0);
    assert!(
        output.stdout.contains("submitting → dead"),
        "{}",
        output.stdout
    );
    fixture
        .replay(&["show", &Uuid::now_v7().to_string()])
        .await
        .expect_code(1);
}

#[tokio::test]
async fn export_is_private_and_never_overwrites_a_file() {
    let fixture = Fixture::new().await;
    let invoice = fixture.refused_sale("891").await;
    add_unanswered_send(&fixture, invoice).await;
    fixture.unreadable_webhook("{\"a\":").await;
    let folder = std::env::temp_dir().join(format!("risiti-export-{}", Uuid::now_v7()));
    let path = folder.to_str().unwrap();
    fixture
        .replay(&["export", "--out", path, "--reason", "for the auditor"])
        .await
        .expect_code(0);
    let text = std::fs::read_to_string(path).unwrap();
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    fixture
        .replay(&["export", "--out", path])
        .await
        .expect_code(1);
    let again = std::fs::read_to_string(path).unwrap();
    std::fs::remove_file(path).unwrap();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(text, again);
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["submissions"][0]["body"], "{\"invcNo\":1}");
    assert_eq!(lines[1]["body_base64"], "eyJhIjo=");
    let action =
        "SELECT command || ' ' || reason || ' ' || done FROM operator_actions ORDER BY at LIMIT 1";
    assert_eq!(fixture.query_text(action).await, "export for the auditor 2");
    assert_eq!(fixture.broker.depth(Target::Dead).await.unwrap(), 2);
}

#[tokio::test]
async fn message_without_its_body_is_not_replayed() {
    let fixture = Fixture::new().await;
    let id = fixture.unreadable_webhook("{").await.to_string();
    fixture
        .replay(&["discard", "--id", &id, "--reason", "test", "--yes"])
        .await
        .expect_code(0);
    fixture
        .execute(
            "UPDATE dead_letters SET solved_at = now() - interval '400 days';
             UPDATE dead_letters SET body = NULL, headers = NULL, body_removed_at = now()",
        )
        .await;
    let output = fixture
        .replay(&["run", "--yes", "--json", "--discarded", "--id", &id])
        .await
        .expect_code(1);
    assert_eq!(output.counts("replayed"), [1, 0, 0, 1]);
    assert!(output.stderr.contains("was removed"), "{}", output.stderr);
    fixture
        .replay(&["show", &id, "--json"])
        .await
        .expect_code(0);
}

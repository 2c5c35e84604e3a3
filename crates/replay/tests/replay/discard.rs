//! `discard`, `show` and `export`.

use std::os::unix::fs::PermissionsExt as _;

use risiti_queue::Target;
use uuid::Uuid;

use crate::stage::Stage;

/// A send of the invoice that was never answered.
async fn unanswered(stage: &Stage, invoice: Uuid) {
    let device = stage.device;
    stage
        .sql(&format!(
            "INSERT INTO submissions (invoice_id, device_id, invoice_no, claim_id, body, outcome, code)
             VALUES ('{invoice}', '{device}', 1, '{device}', '{{\"invcNo\":1}}', 'unknown', '999')"
        ))
        .await;
}

/// A refund of the sale, not filed yet.
async fn credit_note(stage: &Stage, sale: Uuid) -> Uuid {
    let (id, merchant, device) = (Uuid::now_v7(), stage.merchant, stage.device);
    stage
        .sql(&format!(
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
async fn a_discard_needs_a_reason() {
    let stage = Stage::new().await;
    stage.refused("891").await;
    let told = stage.replay(&["discard", "--yes"]).await.ended(2);
    assert!(told.err.contains("--reason"), "{}", told.err);
    stage
        .replay(&["discard", "--reason", "test payment"])
        .await
        .ended(2);
    assert_eq!(stage.invoices("dead").await, 1);
}

#[tokio::test]
async fn a_discarded_sale_takes_its_credit_notes_along_and_brings_them_back() {
    let stage = Stage::new().await;
    let sale = stage.refused("891").await;
    credit_note(&stage, sale).await;
    let unread = stage.unreadable("{").await;
    let told = stage
        .replay(&["discard", "--yes", "--json", "--reason", "test payment"])
        .await
        .ended(0);
    assert_eq!(told.tally("discarded"), [2, 2, 0, 0]);
    assert_eq!(
        (
            stage.invoices("discarded").await,
            stage.invoices("dead").await
        ),
        (2, 0)
    );
    stage.depth_becomes(Target::Dead, 0).await;
    let solved =
        "SELECT count(*) FROM dead_letters WHERE solved_as = 'discarded' AND solved_by = 'jane'
        AND solved_reason = 'test payment'";
    assert_eq!(stage.number(solved).await, 2);

    let told = stage.replay(&["run", "--yes", "--json"]).await.ended(0);
    assert_eq!(
        told.tally("replayed"),
        [0, 0, 0, 0],
        "what was discarded stays discarded"
    );
    let id = sale.to_string();
    let told = stage
        .replay(&["run", "--yes", "--json", "--discarded", "--id", &id])
        .await
        .ended(0);
    assert_eq!(told.tally("replayed"), [1, 1, 0, 0]);
    assert_eq!(
        (
            stage.invoices("pending").await,
            stage.invoices("discarded").await
        ),
        (2, 0)
    );
    let left = stage
        .replay(&["list", "--json", "--discarded"])
        .await
        .ended(0);
    assert_eq!(left.lines()[0]["dead_letter_id"], unread.to_string());
    assert_eq!(left.lines().len(), 1);
}

#[tokio::test]
async fn an_invoice_that_kra_may_have_is_looked_up_by_its_lane_first() {
    let stage = Stage::new().await;
    let invoice = stage.refused("891").await;
    unanswered(&stage, invoice).await;
    let told = stage
        .replay(&["discard", "--yes", "--json", "--reason", "test payment"])
        .await
        .ended(0);
    assert_eq!(told.tally("discarded"), [1, 0, 0, 0]);
    assert_eq!(told.lines()[0]["looked_up_first"], 1);
    let wish = "SELECT state || ' ' || look_up_no || ' ' || (look_up_due_at <= now()) || ' ' || discard_wish FROM invoices";
    assert_eq!(
        stage.text(wish).await,
        "dead 1 true test payment (discarded by jane)"
    );
    assert_eq!(
        stage
            .number("SELECT count(*) FROM dead_letters WHERE solved_at IS NULL")
            .await,
        1
    );
    stage.take(Target::Lanes).await;

    stage.replay(&["run", "--yes", "--json"]).await.ended(0);
    let kept = "SELECT state || ' ' || look_up_no || ' ' || (discard_wish IS NULL) FROM invoices";
    assert_eq!(
        stage.text(kept).await,
        "pending 1 true",
        "a replay takes the wish back, and the look-up stays due"
    );
}

#[tokio::test]
async fn show_tells_the_story_of_one() {
    let stage = Stage::new().await;
    let invoice = stage.refused("891").await;
    unanswered(&stage, invoice).await;
    stage
        .sql("UPDATE payments SET phone = '254708374149'")
        .await;
    let id = invoice.to_string();
    let told = stage.replay(&["show", &id, "--json"]).await.ended(0);
    let record = &told.lines()[0];
    assert_eq!(record["dead_letter"]["merchant"], "acme");
    assert_eq!(record["submissions"][0]["outcome"], "unknown");
    assert_eq!(record["transitions"].as_array().unwrap().len(), 3);
    assert!(!told.out.contains("254708374149") && !told.out.contains("invcNo"));
    let told = stage.replay(&["show", "--id", &id]).await.ended(0);
    assert!(told.out.contains("submitting → dead"), "{}", told.out);
    stage
        .replay(&["show", &Uuid::now_v7().to_string()])
        .await
        .ended(1);
}

#[tokio::test]
async fn an_export_is_for_its_owners_eyes_and_never_overwrites() {
    let stage = Stage::new().await;
    let invoice = stage.refused("891").await;
    unanswered(&stage, invoice).await;
    stage.unreadable("{\"a\":").await;
    let folder = std::env::temp_dir().join(format!("risiti-export-{}", Uuid::now_v7()));
    let path = folder.to_str().unwrap();
    stage
        .replay(&["export", "--out", path, "--reason", "for the auditor"])
        .await
        .ended(0);
    let text = std::fs::read_to_string(path).unwrap();
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    stage.replay(&["export", "--out", path]).await.ended(1);
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
    assert_eq!(stage.text(action).await, "export for the auditor 2");
    assert_eq!(stage.broker.depth(Target::Dead).await.unwrap(), 2);
}

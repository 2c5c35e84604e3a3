//! `lanes`.

use risiti_queue::Target;
use uuid::Uuid;

use crate::stage::{Stage, Told};

const LANE: &str = "SELECT next_invoice_no || ' ' || (halted_at IS NOT NULL) FROM lanes";

async fn halted(stage: &Stage) {
    stage.sql("UPDATE lanes SET halted_at = now(), halt_reason = 'numbers out of step: lanes resolve'").await;
}

/// Out under number 1, and nobody knows whether it arrived.
async fn out_and_unknown(stage: &Stage) -> Uuid {
    let (invoice, device) = (stage.sale("submitting").await, stage.device);
    stage
        .sql(&format!(
            "UPDATE invoices SET unknown_since = now(), hidden_since = now();
             INSERT INTO submissions (invoice_id, device_id, invoice_no, claim_id, body, outcome)
             VALUES ('{invoice}', '{device}', 1, '{device}', '{{}}', 'unknown')"
        ))
        .await;
    invoice
}

async fn resolve(stage: &Stage, number: &str, more: &[&str]) -> Told {
    let device = stage.device.to_string();
    let mut args = vec![
        "lanes",
        "resolve",
        &device,
        "--json",
        "--reason",
        "seen",
        "--invoice-no",
        number,
    ];
    args.extend_from_slice(more);
    stage.replay(&args).await
}

async fn actions(stage: &Stage, command: &str) -> i64 {
    stage
        .number(&format!(
            "SELECT count(*) FROM operator_actions WHERE command = '{command}'"
        ))
        .await
}

#[tokio::test]
async fn list_has_the_keys_scripts_rely_on() {
    let stage = Stage::new().await;
    stage.sale("pending").await;
    halted(&stage).await;
    let told = stage.replay(&["lanes", "list", "--json"]).await.ended(0);
    let lane = &told.lines()[0];
    let mut expected = vec![
        "device_id",
        "merchant",
        "environment",
        "dialect",
        "pin",
        "branch",
        "serial",
        "base_url",
        "lane_state",
        "halt_reason",
        "next_invoice_no",
        "pending",
        "submitting",
        "dead",
        "oldest_pending_seconds",
        "last_outcome",
        "last_call_at",
        "retry_at",
    ];
    expected.sort_unstable();
    let mut keys: Vec<&str> = lane
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(
        (lane["lane_state"].as_str(), lane["pending"].as_i64()),
        (Some("halted"), Some(1))
    );
    assert!(
        stage
            .replay(&["lanes", "list"])
            .await
            .ended(0)
            .out
            .contains("numbers out of step")
    );
}

#[tokio::test]
async fn a_lane_is_halted_and_resumed_by_name_and_reason() {
    let stage = Stage::new().await;
    stage.sale("pending").await;
    let device = stage.device.to_string();
    stage.replay(&["lanes", "halt", &device]).await.ended(2);
    stage
        .replay(&["lanes", "resume", &device, "--reason", "x"])
        .await
        .ended(1);
    stage
        .replay(&["lanes", "halt", &device, "--reason", "KRA moves"])
        .await
        .ended(0);
    let reason = stage.text("SELECT halt_reason FROM lanes").await;
    assert!(
        reason.contains("KRA moves") && reason.contains("jane") && reason.contains("lanes resume"),
        "{reason}"
    );
    let told = stage
        .replay(&["lanes", "halt", &device, "--reason", "again"])
        .await
        .ended(1);
    assert!(told.err.contains("KRA moves"), "{}", told.err);
    stage
        .replay(&["lanes", "resume", &device, "--reason", "moved"])
        .await
        .ended(0);
    assert_eq!(stage.text(LANE).await, "1 false");
    let token = stage.take(Target::Lanes).await;
    assert_eq!(token.headers["risiti-device"], device);
    let moves = "SELECT string_agg(actor || ' ' || to_state, ', ' ORDER BY id) FROM transitions WHERE subject = 'device'";
    assert_eq!(stage.text(moves).await, "jane halted, jane waiting");
    assert_eq!(
        (
            actions(&stage, "lanes halt").await,
            actions(&stage, "lanes resume").await
        ),
        (1, 1)
    );
    stage
        .replay(&[
            "lanes",
            "halt",
            &Uuid::now_v7().to_string(),
            "--reason",
            "x",
        ])
        .await
        .ended(1);
}

#[tokio::test]
async fn a_number_taken_elsewhere_is_passed_and_our_invoice_waits_again() {
    let stage = Stage::new().await;
    let invoice = out_and_unknown(&stage).await;
    halted(&stage).await;
    let told = resolve(&stage, "1", &["--taken-elsewhere"]).await.ended(0);
    assert_eq!(told.lines()[0]["next_invoice_no"], 2);
    assert_eq!(told.lines()[0]["invoice_id"], invoice.to_string());
    let state =
        "SELECT state || ' ' || (invoice_no IS NULL) || ' ' || (unknown_since IS NULL) || ' '
        || (hidden_since IS NULL) FROM invoices";
    assert_eq!(stage.text(state).await, "pending true true true");
    assert_eq!(stage.text(LANE).await, "2 false");
    let foreign =
        "SELECT invoice_no || ' ' || operator || ' ' || reason FROM foreign_invoice_numbers";
    assert_eq!(stage.text(foreign).await, "1 jane seen");
    let last = "SELECT actor || ': ' || reason FROM transitions WHERE subject = 'invoice' ORDER BY id DESC LIMIT 1";
    assert_eq!(
        stage.text(last).await,
        "jane: its number is another sale's: seen"
    );
    assert_eq!(actions(&stage, "lanes resolve").await, 1);
    stage.take(Target::Lanes).await;
}

#[tokio::test]
async fn an_accepted_number_gives_the_invoice_its_receipt() {
    let stage = Stage::new().await;
    out_and_unknown(&stage).await;
    halted(&stage).await;
    resolve(&stage, "1", &["--accepted"]).await.ended(2);
    let more = [
        "--accepted",
        "--receipt-no",
        "77",
        "--signature",
        "S",
        "--internal-data",
        "D",
    ];
    resolve(&stage, "1", &more).await.ended(0);
    let receipt =
        "SELECT state || ' ' || invoice_no || ' ' || receipt_no || ' ' || receipt_signature || ' '
        || internal_data FROM invoices";
    assert_eq!(stage.text(receipt).await, "success 1 77 S D");
    assert_eq!(stage.text(LANE).await, "2 false");
}

#[tokio::test]
async fn an_accepted_number_finds_the_dead_invoice_last_sent_under_it() {
    let stage = Stage::new().await;
    let (invoice, device) = (stage.refused("891").await, stage.device);
    stage
        .sql(&format!(
            "INSERT INTO submissions (invoice_id, device_id, invoice_no, claim_id, body, outcome)
             VALUES ('{invoice}', '{device}', 1, '{device}', '{{}}', 'unknown')"
        ))
        .await;
    halted(&stage).await;
    resolve(&stage, "1", &["--accepted", "--receipt-no", "77"])
        .await
        .ended(0);
    assert_eq!(
        stage
            .text("SELECT state || ' ' || receipt_no FROM invoices")
            .await,
        "success 77"
    );
    assert_eq!(
        stage
            .text("SELECT solved_as || ' ' || solved_by FROM dead_letters")
            .await,
        "adopted jane"
    );
    assert_eq!(stage.text(LANE).await, "2 false");
}

#[tokio::test]
async fn a_number_not_accepted_comes_back() {
    let stage = Stage::new().await;
    out_and_unknown(&stage).await;
    halted(&stage).await;
    resolve(&stage, "1", &["--not-accepted"]).await.ended(0);
    let state = "SELECT state || ' ' || (invoice_no IS NULL) || ' ' || (unknown_since IS NULL) FROM invoices";
    assert_eq!(stage.text(state).await, "pending true true");
    assert_eq!(stage.text(LANE).await, "1 false");
}

#[tokio::test]
async fn only_the_number_in_question_of_a_halted_lane_that_nobody_holds_can_be_settled() {
    let stage = Stage::new().await;
    out_and_unknown(&stage).await;
    let told = resolve(&stage, "1", &["--taken-elsewhere"]).await.ended(1);
    assert!(told.err.contains("not halted"), "{}", told.err);
    halted(&stage).await;
    let told = resolve(&stage, "2", &["--taken-elsewhere"]).await.ended(1);
    assert!(told.err.contains("next number is 1"), "{}", told.err);
    resolve(&stage, "1", &["--taken-elsewhere", "--not-accepted"])
        .await
        .ended(2);
    resolve(&stage, "1", &[]).await.ended(2);
    let lease = |until: &str| {
        let device = stage.device;
        format!(
            "INSERT INTO lane_leases (device_id, claim_id, worker_id, lease_until)
             VALUES ('{device}', '{device}', '{device}', now() + interval '{until}')
             ON CONFLICT (device_id) DO UPDATE SET lease_until = excluded.lease_until"
        )
    };
    stage.sql(&lease("1 hour")).await;
    let told = resolve(&stage, "1", &["--taken-elsewhere"]).await.ended(1);
    assert!(told.err.contains("holds the lane"), "{}", told.err);
    assert_eq!(stage.text(LANE).await, "1 true");
    assert_eq!(
        (
            stage.invoices("submitting").await,
            actions(&stage, "lanes resolve").await
        ),
        (1, 0)
    );

    stage.sql(&lease("-1 hour")).await;
    resolve(&stage, "1", &["--taken-elsewhere"]).await.ended(0);
    assert_eq!(
        stage.number("SELECT count(*) FROM lane_leases").await,
        0,
        "a frozen worker writes nothing more"
    );
}

#[tokio::test]
async fn a_number_nothing_was_sent_under_cannot_have_been_accepted() {
    let stage = Stage::new().await;
    halted(&stage).await;
    let told = resolve(&stage, "1", &["--accepted", "--receipt-no", "1"])
        .await
        .ended(1);
    assert!(told.err.contains("no invoice of ours"), "{}", told.err);
    resolve(&stage, "1", &["--taken-elsewhere"]).await.ended(0);
    assert_eq!(stage.text(LANE).await, "2 false");
}

//! The command `lanes resolve`.

use risiti_queue::Target;
use uuid::Uuid;

use crate::command_output::CommandOutput;
use crate::fixture::Fixture;

/// Makes an invoice that was sent under number 1 and never answered.
pub(crate) async fn sent_without_answer(fixture: &Fixture) -> Uuid {
    let invoice = fixture.sale("submitting").await;
    let device = fixture.device;
    fixture
        .execute(&format!(
            "UPDATE invoices SET unknown_since = now(), hidden_since = now();
             INSERT INTO submissions (invoice_id, device_id, invoice_no, claim_id, body, outcome)
             VALUES ('{invoice}', '{device}', 1, '{device}', '{{}}', 'unknown')"
        ))
        .await;
    invoice
}

async fn resolve(fixture: &Fixture, number: &str, more: &[&str]) -> CommandOutput {
    let device = fixture.device.to_string();
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
    fixture.replay(&args).await
}

#[tokio::test]
async fn number_taken_elsewhere_sends_our_invoice_back_to_wait() {
    let fixture = Fixture::new().await;
    let invoice = sent_without_answer(&fixture).await;
    fixture.halt_lane().await;
    let output = resolve(&fixture, "1", &["--taken-elsewhere"])
        .await
        .expect_code(0);
    assert_eq!(output.lines()[0]["next_invoice_no"], 2);
    assert_eq!(output.lines()[0]["invoice_id"], invoice.to_string());
    let state =
        "SELECT state || ' ' || (invoice_no IS NULL) || ' ' || (unknown_since IS NULL) || ' '
        || (hidden_since IS NULL) FROM invoices";
    assert_eq!(fixture.query_text(state).await, "pending true true true");
    assert_eq!(fixture.lane().await, "2 false");
    let foreign =
        "SELECT invoice_no || ' ' || operator || ' ' || reason FROM foreign_invoice_numbers";
    assert_eq!(fixture.query_text(foreign).await, "1 jane seen");
    let last = "SELECT actor || ': ' || reason FROM transitions WHERE subject = 'invoice' ORDER BY id DESC LIMIT 1";
    assert_eq!(
        fixture.query_text(last).await,
        "jane: its number is another sale's: seen"
    );
    assert_eq!(fixture.count_actions("lanes resolve").await, 1);
    fixture.take(Target::Lanes).await;
}

#[tokio::test]
async fn accepted_number_gives_the_invoice_its_receipt() {
    let fixture = Fixture::new().await;
    sent_without_answer(&fixture).await;
    fixture.halt_lane().await;
    resolve(&fixture, "1", &["--accepted"]).await.expect_code(2);
    let more = [
        "--accepted",
        "--receipt-no",
        "77",
        "--signature",
        "S",
        "--internal-data",
        "D",
    ];
    resolve(&fixture, "1", &more).await.expect_code(0);
    let receipt =
        "SELECT state || ' ' || invoice_no || ' ' || receipt_no || ' ' || receipt_signature || ' '
        || internal_data FROM invoices";
    assert_eq!(fixture.query_text(receipt).await, "success 1 77 S D");
    assert_eq!(fixture.lane().await, "2 false");
}

#[tokio::test]
async fn accepted_number_finds_the_dead_invoice_last_sent_under_it() {
    let fixture = Fixture::new().await;
    let invoice = fixture.refused_sale("891").await;
    let device = fixture.device;
    fixture
        .execute(&format!(
            "INSERT INTO submissions (invoice_id, device_id, invoice_no, claim_id, body, outcome)
             VALUES ('{invoice}', '{device}', 1, '{device}', '{{}}', 'unknown')"
        ))
        .await;
    fixture.halt_lane().await;
    resolve(&fixture, "1", &["--accepted", "--receipt-no", "77"])
        .await
        .expect_code(0);
    assert_eq!(
        fixture
            .query_text("SELECT state || ' ' || receipt_no FROM invoices")
            .await,
        "success 77"
    );
    assert_eq!(
        fixture
            .query_text("SELECT solved_as || ' ' || solved_by FROM dead_letters")
            .await,
        "adopted jane"
    );
    assert_eq!(fixture.lane().await, "2 false");
}

/// The last to be sent need not be the one that KRA has.
#[tokio::test]
async fn accepted_asks_which_of_several_invoices_kra_has() {
    let fixture = Fixture::new().await;
    let dead = fixture.refused_sale("891").await;
    let device = fixture.device;
    fixture
        .execute(&format!(
            "INSERT INTO submissions (invoice_id, device_id, invoice_no, claim_id, body, outcome)
             VALUES ('{dead}', '{device}', 1, '{device}', '{{}}', 'unknown')"
        ))
        .await;
    let holder = sent_without_answer(&fixture).await;
    fixture.halt_lane().await;
    let accepted = ["--accepted", "--receipt-no", "77"];
    let output = resolve(&fixture, "1", &accepted).await.expect_code(1);
    for id in [dead, holder] {
        assert!(output.stderr.contains(&id.to_string()), "{}", output.stderr);
    }
    let stranger = Uuid::now_v7().to_string();
    let output = resolve(
        &fixture,
        "1",
        &[&accepted[..], &["--invoice", &stranger]].concat(),
    )
    .await
    .expect_code(1);
    assert!(output.stderr.contains("never sent"), "{}", output.stderr);

    let named = dead.to_string();
    resolve(
        &fixture,
        "1",
        &[&accepted[..], &["--invoice", &named]].concat(),
    )
    .await
    .expect_code(0);
    let states = "SELECT string_agg(state || coalesce(' ' || invoice_no, ''), ', ' ORDER BY state) FROM invoices";
    assert_eq!(fixture.query_text(states).await, "pending, success 1");
    assert_eq!(fixture.lane().await, "2 false");
}

#[tokio::test]
async fn number_not_accepted_is_used_again() {
    let fixture = Fixture::new().await;
    sent_without_answer(&fixture).await;
    fixture.halt_lane().await;
    resolve(&fixture, "1", &["--not-accepted"])
        .await
        .expect_code(0);
    let state = "SELECT state || ' ' || (invoice_no IS NULL) || ' ' || (unknown_since IS NULL) FROM invoices";
    assert_eq!(fixture.query_text(state).await, "pending true true");
    assert_eq!(fixture.lane().await, "1 false");
    let sends = "SELECT string_agg(s.outcome, ' ') FROM submissions s JOIN invoices i ON s.id <= i.stale_submission";
    assert_eq!(
        fixture.query_text(sends).await,
        "resolved",
        "the person's word counts, and the body is built anew"
    );
}

#[tokio::test]
async fn resolve_needs_a_halted_lane_and_its_next_number() {
    let fixture = Fixture::new().await;
    sent_without_answer(&fixture).await;
    let output = resolve(&fixture, "1", &["--taken-elsewhere"])
        .await
        .expect_code(1);
    assert!(output.stderr.contains("not halted"), "{}", output.stderr);
    fixture.halt_lane().await;
    let output = resolve(&fixture, "2", &["--taken-elsewhere"])
        .await
        .expect_code(1);
    assert!(
        output.stderr.contains("next number is 1"),
        "{}",
        output.stderr
    );
    resolve(&fixture, "1", &["--taken-elsewhere", "--not-accepted"])
        .await
        .expect_code(2);
    resolve(&fixture, "1", &[]).await.expect_code(2);
    let lease = |until: &str| {
        let device = fixture.device;
        format!(
            "INSERT INTO lane_leases (device_id, claim_id, worker_id, lease_until)
             VALUES ('{device}', '{device}', '{device}', now() + interval '{until}')
             ON CONFLICT (device_id) DO UPDATE SET lease_until = excluded.lease_until"
        )
    };
    fixture.execute(&lease("1 hour")).await;
    let output = resolve(&fixture, "1", &["--taken-elsewhere"])
        .await
        .expect_code(1);
    assert!(
        output.stderr.contains("holds the lane"),
        "{}",
        output.stderr
    );
    assert_eq!(fixture.lane().await, "1 true");
    assert_eq!(
        (
            fixture.count_invoices("submitting").await,
            fixture.count_actions("lanes resolve").await
        ),
        (1, 0)
    );

    fixture.execute(&lease("-1 hour")).await;
    resolve(&fixture, "1", &["--taken-elsewhere"])
        .await
        .expect_code(0);
    assert_eq!(
        fixture
            .query_number("SELECT count(*) FROM lane_leases")
            .await,
        0,
        "a frozen worker writes nothing more"
    );
}

#[tokio::test]
async fn number_nothing_was_sent_under_cannot_be_accepted() {
    let fixture = Fixture::new().await;
    fixture.halt_lane().await;
    let output = resolve(&fixture, "1", &["--accepted", "--receipt-no", "1"])
        .await
        .expect_code(1);
    assert!(
        output.stderr.contains("no invoice of ours"),
        "{}",
        output.stderr
    );
    resolve(&fixture, "1", &["--taken-elsewhere"])
        .await
        .expect_code(0);
    assert_eq!(fixture.lane().await, "2 false");
}

//! The command `lanes set-aside`.

use risiti_queue::Target;
use uuid::Uuid;

use crate::command_output::CommandOutput;
use crate::fixture::Fixture;

async fn set_aside(fixture: &Fixture, invoice: Uuid) -> CommandOutput {
    let device = fixture.device.to_string();
    let invoice = invoice.to_string();
    let args = [
        "lanes",
        "set-aside",
        &device,
        "--invoice",
        &invoice,
        "--reason",
        "a typing error",
        "--json",
    ];
    fixture.replay(&args).await
}

/// Makes an invoice that was sent under number 1 and never answered.
async fn sent_without_answer(fixture: &Fixture) -> Uuid {
    let invoice = fixture.sale("submitting").await;
    let device = fixture.device;
    fixture
        .execute(&format!(
            "UPDATE invoices SET unknown_since = now(), last_code = '999', last_error = 'Unknown error';
             UPDATE lanes SET retry_at = now() + interval '1 hour';
             INSERT INTO submissions (invoice_id, device_id, invoice_no, claim_id, body, outcome)
             VALUES ('{invoice}', '{device}', 1, '{device}', '{{\"a\":1}}', 'unknown')"
        ))
        .await;
    invoice
}

#[tokio::test]
async fn invoice_that_holds_a_number_gives_it_back_and_is_dead() {
    let fixture = Fixture::new().await;
    let invoice = sent_without_answer(&fixture).await;
    let output = set_aside(&fixture, invoice).await.expect_code(0);
    let printed = &output.lines()[0];
    assert_eq!(
        (&printed["invoice_no"], &printed["halted"]),
        (&1.into(), &false.into())
    );

    let dead = "SELECT state || ' ' || (invoice_no IS NULL) || ' ' || look_up_no FROM invoices
        WHERE look_up_due_at > now()";
    assert_eq!(fixture.query_text(dead).await, "dead true 1");
    let letter =
        "SELECT cause || ', ' || code || ', ' || message FROM dead_letters WHERE solved_at IS NULL";
    assert_eq!(
        fixture.query_text(letter).await,
        "set_aside, 999, a typing error (KRA said last: Unknown error)"
    );
    let message = fixture.take(Target::Dead).await;
    assert_eq!(message.headers["risiti-cause"], "set_aside");
    assert_eq!(message.headers["risiti-invoice"], invoice.to_string());
    assert_eq!(&message.body[..], b"{\"a\":1}");

    let due = "SELECT count(*) FROM lanes WHERE retry_at IS NULL AND next_invoice_no = 1";
    assert_eq!(fixture.query_number(due).await, 1);
    let last = "SELECT actor || ': ' || reason FROM transitions WHERE subject = 'invoice' ORDER BY id DESC LIMIT 1";
    assert_eq!(
        fixture.query_text(last).await,
        "jane: set aside: a typing error"
    );
    assert_eq!(fixture.count_actions("lanes set-aside").await, 1);
}

#[tokio::test]
async fn invoice_that_waits_is_set_aside_in_a_halted_lane() {
    let fixture = Fixture::new().await;
    let invoice = fixture.sale("pending").await;
    fixture.halt_lane().await;
    let output = set_aside(&fixture, invoice).await.expect_code(0);
    assert_eq!(output.lines()[0]["halted"], true);
    assert_eq!(fixture.count_invoices("dead").await, 1);
    assert_eq!(fixture.lane().await, "1 true", "the halt is not ended");

    fixture
        .replay(&["run", "--yes", "--cause", "set_aside"])
        .await
        .expect_code(0);
    assert_eq!(fixture.count_invoices("pending").await, 1);
}

/// Its sale decides what becomes of it. Alone it would wait for a discarded sale for ever.
#[tokio::test]
async fn credit_note_that_waits_for_its_sale_is_left_alone() {
    let fixture = Fixture::new().await;
    let sale = fixture.sale("pending").await;
    let merchant = fixture.merchant;
    let note = Uuid::now_v7();
    fixture
        .execute(&format!(
            "INSERT INTO events (id, merchant_id, provider, kind, delivery_key, facts_sha256, authenticated_by,
                 received_at, body)
             VALUES ('{note}', '{merchant}', 'daraja', 'reversal_result', '{note}', '\\x00', 'path', now(), '\\x00');
             INSERT INTO reversals (id, merchant_id, provider, reversal_key, of_money_key, state, credited, payment_id,
                 event_id)
             VALUES ('{note}', '{merchant}', 'daraja', '{note}', '{sale}', 'applied', 50, '{sale}', '{note}');
             INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, sale_id, reversal_id, moved_by)
             SELECT '{note}', payment_id, merchant_id, device_id, 'credit_note', 50, id, '{note}', 'test'
             FROM invoices WHERE id = '{sale}'"
        ))
        .await;
    let output = set_aside(&fixture, note).await.expect_code(1);
    assert!(
        output.stderr.contains("waits for its sale"),
        "{}",
        output.stderr
    );
    set_aside(&fixture, sale).await.expect_code(0);
}

#[tokio::test]
async fn only_what_no_worker_has_and_waits_is_set_aside() {
    let fixture = Fixture::new().await;
    let invoice = sent_without_answer(&fixture).await;
    let device = fixture.device;
    fixture
        .execute(&format!(
            "INSERT INTO lane_leases (device_id, claim_id, worker_id, lease_until)
             VALUES ('{device}', '{device}', '{device}', now() + interval '1 hour')"
        ))
        .await;
    let output = set_aside(&fixture, invoice).await.expect_code(1);
    assert!(
        output.stderr.contains("holds the lane"),
        "{}",
        output.stderr
    );
    let unknown = set_aside(&fixture, Uuid::now_v7()).await.expect_code(1);
    assert!(
        unknown.stderr.contains("has no invoice"),
        "{}",
        unknown.stderr
    );

    fixture
        .execute("UPDATE lane_leases SET lease_until = now()")
        .await;
    set_aside(&fixture, invoice).await.expect_code(0);
    let again = set_aside(&fixture, invoice).await.expect_code(1);
    assert!(again.stderr.contains("is dead"), "{}", again.stderr);
    assert_eq!(fixture.count_actions("lanes set-aside").await, 1);
    let claims = "SELECT count(*) FROM lane_leases";
    assert_eq!(
        fixture.query_number(claims).await,
        0,
        "a frozen worker writes nothing more"
    );
}

//! Flagged payments, and what a person says of them.

use uuid::Uuid;

use crate::fixture::Fixture;

/// A payment of 116 shillings in `state` that a message calls paid, flagged for `reason`.
pub(crate) async fn flagged(fixture: &Fixture, state: &str, reason: &str) -> String {
    flagged_by(fixture, state, reason, "").await
}

/// The same, with the body of the message.
pub(crate) async fn flagged_by(fixture: &Fixture, state: &str, reason: &str, body: &str) -> String {
    let id = Uuid::now_v7();
    let merchant = fixture.merchant;
    let settled = if state == "success" { "now()" } else { "NULL" };
    fixture
        .execute(&format!(
            "INSERT INTO payments (id, merchant_id, provider, money_key, receipt, amount, currency, method, state,
                 reason, conflict, authenticated_by, settled_at, moved_by)
             VALUES ('{id}', '{merchant}', 'daraja', '{id}', 'R', 116, 'KES', 'mobile_money', '{state}',
                 '{reason}', true, 'path', {settled}, 'test');
             INSERT INTO events (id, merchant_id, provider, kind, delivery_key, facts_sha256, authenticated_by,
                 received_at, body, payment_id, conflict)
             VALUES ('{id}', '{merchant}', 'daraja', 'stk', '{id}', '', 'path', now(), convert_to('{body}', 'UTF8'),
                 '{id}', true);"
        ))
        .await;
    id.to_string()
}

/// Adds the sale of a paid payment, and a refund that was left to a person.
async fn add_refund(fixture: &Fixture, payment: &str, state: &str, amount: &str) {
    let merchant = fixture.merchant;
    let device = fixture.device;
    fixture
        .execute(&format!(
            "INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, moved_by)
             VALUES ('{payment}', '{payment}', '{merchant}', '{device}', 'sale', 116, 'test');
             INSERT INTO reversals (id, merchant_id, provider, reversal_key, of_money_key, amount, currency, state,
                 payment_id, event_id)
             VALUES (gen_random_uuid(), '{merchant}', 'daraja', 'refund:{payment}', '{payment}', {amount},
                 CASE WHEN {amount} IS NOT NULL THEN 'KES' END, '{state}', '{payment}', '{payment}');"
        ))
        .await;
}

pub(crate) async fn payment(fixture: &Fixture, id: &str) -> String {
    fixture
        .query_text(&format!(
            "SELECT concat_ws(' ', state, CASE WHEN flagged THEN 'flagged' END, reason)
             FROM report_payments WHERE payment_id = '{id}'"
        ))
        .await
}

#[tokio::test]
async fn flagged_payments_are_listed_with_what_settling_does() {
    let fixture = Fixture::new().await;
    let pending = flagged(&fixture, "pending", "may be a free trial").await;
    let paid = flagged(&fixture, "success", "another amount").await;
    let output = fixture.replay(&["payments", "list"]).await.expect_code(0);
    for words in [&pending[..], "counts as paid", "may be a free trial", &paid] {
        assert!(output.stdout.contains(words), "{words}\n{}", output.stdout);
    }
    let output = fixture
        .replay(&[
            "payments",
            "list",
            "--merchant",
            "acme",
            "--since",
            "1h",
            "--json",
        ])
        .await
        .expect_code(0);
    let lines: Vec<serde_json::Value> = output
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let settling: Vec<_> = lines.iter().map(|line| &line["settling"]).collect();
    assert_eq!(settling, ["counts_it_as_paid", "nothing"]);
    assert_eq!(lines[0]["payment_id"], pending.as_str());
    assert_eq!(lines[0]["amount"], "116.00");

    let output = fixture
        .replay(&["payments", "show", &pending])
        .await
        .expect_code(0);
    assert!(output.stdout.contains("flagged"), "{}", output.stdout);
    fixture
        .replay(&["payments", "show", &Uuid::now_v7().to_string()])
        .await
        .expect_code(1);
}

#[tokio::test]
async fn settled_payment_counts_and_owes_its_receipt() {
    let fixture = Fixture::new().await;
    let id = flagged(&fixture, "pending", "may be a free trial").await;
    let settle = ["payments", "settle", "--id", &id, "--reason", "charged"];
    // Nobody can be asked here.
    fixture.replay(&settle).await.expect_code(2);
    let dry_run = [&settle[..], &["--dry-run"]].concat();
    fixture.replay(&dry_run).await.expect_code(0);
    assert_eq!(
        payment(&fixture, &id).await,
        "pending flagged may be a free trial"
    );

    let yes = [&settle[..], &["--yes", "--json"]].concat();
    let output = fixture.replay(&yes).await.expect_code(0);
    assert_eq!(
        output.stdout.trim(),
        r#"{"failed":0,"matched":1,"settled":1,"skipped":0}"#
    );
    assert_eq!(payment(&fixture, &id).await, "success");
    assert_eq!(fixture.count_invoices("pending").await, 1);
    let moved = format!(
        "SELECT string_agg(concat_ws(' ', to_state, actor, reason), ', ' ORDER BY at)
         FROM report_transitions WHERE subject_id = '{id}'"
    );
    assert_eq!(
        fixture.query_text(&moved).await,
        "pending test, success jane charged"
    );
    let action =
        "SELECT concat_ws(' ', operator, reason, filter->>'payment_id', filter->'from'->>'state',
            filter->'from'->>'reason', filter->'to'->>'state')
        FROM operator_actions WHERE command = 'payments settle'";
    assert_eq!(
        fixture.query_text(action).await,
        format!("jane charged {id} pending may be a free trial success")
    );
    let flags = "SELECT count(*) FROM events WHERE conflict";
    assert_eq!(fixture.query_number(flags).await, 0);

    let output = fixture.replay(&yes).await.expect_code(0);
    assert!(
        output.stdout.contains(r#""matched":0"#),
        "{}",
        output.stdout
    );
    assert_eq!(fixture.count_actions("payments settle").await, 1);
}

#[tokio::test]
async fn dismissed_payment_keeps_who_said_why() {
    let fixture = Fixture::new().await;
    let pending = flagged(&fixture, "pending", "may be a free trial").await;
    let paid = flagged(&fixture, "success", "another amount").await;
    let dismiss = [
        "payments",
        "dismiss",
        "--merchant",
        "acme",
        "--reason",
        "seen",
    ];
    let yes = [&dismiss[..], &["--yes"]].concat();
    let output = fixture.replay(&yes).await.expect_code(0);
    assert!(output.stdout.contains("2 dismissed"), "{}", output.stdout);
    assert_eq!(
        payment(&fixture, &pending).await,
        "failed dismissed by jane: seen"
    );
    assert_eq!(
        payment(&fixture, &paid).await,
        "success dismissed by jane: seen"
    );
    assert_eq!(fixture.count_actions("payments dismiss").await, 2);
    // The state of the paid one stays, and its history shows the decision.
    let moved = format!(
        "SELECT concat_ws(' ', from_state, to_state, actor, reason) FROM report_transitions
         WHERE subject_id = '{paid}' ORDER BY at DESC LIMIT 1"
    );
    assert_eq!(
        fixture.query_text(&moved).await,
        "success success jane seen"
    );
}

#[tokio::test]
async fn what_cannot_be_settled_says_why() {
    let fixture = Fixture::new().await;
    let paid = flagged(&fixture, "success", "another amount").await;
    let settle = [
        "payments", "settle", "--id", &paid, "--reason", "x", "--yes",
    ];
    let output = fixture.replay(&settle).await.expect_code(1);
    assert!(
        output.stderr.contains("nothing of it waits to be settled"),
        "{}",
        output.stderr
    );
    assert_eq!(
        payment(&fixture, &paid).await,
        "success flagged another amount"
    );
    assert_eq!(fixture.count_actions("payments settle").await, 0);
}

#[tokio::test]
async fn part_refund_is_credited_once_its_amount_is_said() {
    let fixture = Fixture::new().await;
    let id = flagged(&fixture, "success", "part of it went back").await;
    add_refund(&fixture, &id, "unstated", "NULL").await;
    let settle = [
        "payments", "settle", "--id", &id, "--reason", "asked", "--yes",
    ];
    let output = fixture.replay(&settle).await.expect_code(1);
    assert!(
        output.stderr.contains("--refunded AMOUNT"),
        "{}",
        output.stderr
    );
    for (amount, code) in [("116.01", 1), ("16.00", 0)] {
        let with_amount = [&settle[..], &["--refunded", amount]].concat();
        fixture.replay(&with_amount).await.expect_code(code);
    }
    assert_eq!(payment(&fixture, &id).await, "success");
    let notes = "SELECT concat_ws(' ', i.state, i.amount, r.state, r.credited) FROM invoices i
        JOIN reversals r ON r.id = i.reversal_id WHERE i.kind = 'credit_note'";
    assert_eq!(
        fixture.query_text(notes).await,
        "pending 16.00 applied 16.00"
    );
}

#[tokio::test]
async fn dismissed_refund_gets_no_credit_note() {
    let fixture = Fixture::new().await;
    let id = flagged(&fixture, "success", "more went back").await;
    add_refund(&fixture, &id, "excess", "16").await;
    let dismiss = [
        "payments",
        "dismiss",
        "--id",
        &id,
        "--reason",
        "the same money",
        "--yes",
    ];
    fixture.replay(&dismiss).await.expect_code(0);
    let state = fixture.query_text("SELECT state FROM reversals").await;
    assert_eq!(state, "dismissed");
    let notes = "SELECT count(*) FROM invoices WHERE kind = 'credit_note'";
    assert_eq!(fixture.query_number(notes).await, 0);
}

/// A payment that is reversed in the books is not yet so at KRA.
#[tokio::test]
async fn reversed_payment_tells_what_kra_has_of_its_note() {
    let fixture = Fixture::new().await;
    let id = flagged(&fixture, "success", "more went back").await;
    add_refund(&fixture, &id, "excess", "116").await;
    let settle = [
        "payments", "settle", "--id", &id, "--reason", "it did", "--yes",
    ];
    fixture.replay(&settle).await.expect_code(0);
    for (change, expected) in [
        ("", "reversed waiting the credit note is not filed yet"),
        (
            "UPDATE invoices SET state = 'submitting', invoice_no = 2 WHERE kind = 'credit_note';
             UPDATE invoices SET state = 'dead', invoice_no = NULL WHERE kind = 'credit_note';",
            "reversed not_accepted KRA has not accepted the credit note",
        ),
        (
            "UPDATE invoices SET state = 'success', invoice_no = 2, receipt_no = 1 WHERE kind = 'credit_note';",
            "reversed filed",
        ),
    ] {
        fixture.execute(change).await;
        let told = format!(
            "SELECT concat_ws(' ', state, credit_note_state, reason) FROM report_payments WHERE payment_id = '{id}'"
        );
        assert_eq!(fixture.query_text(&told).await, expected);
    }
}

/// A dry run makes the checks of the real run, and the list promises nothing that it refuses.
#[tokio::test]
async fn dry_run_of_settle_tells_what_fits_the_sale() {
    let fixture = Fixture::new().await;
    for (amount, settling, words) in [
        ("70", "credits_what_went_back", "would credit KES 70.00"),
        ("200", "nothing", "does not fit what is left of the sale"),
    ] {
        let id = flagged(
            &fixture,
            "success",
            "more money went back than the sale was",
        )
        .await;
        add_refund(&fixture, &id, "excess", amount).await;
        let list = fixture.replay(&["payments", "list", "--json"]).await;
        let listed = list.expect_code(0).lines();
        let listed = listed.iter().find(|line| line["payment_id"] == id.as_str());
        assert_eq!(listed.unwrap()["settling"], settling);

        let settle = ["payments", "settle", "--id", &id, "--reason", "it did"];
        let dry_run = [&settle[..], &["--dry-run"]].concat();
        let output = fixture.replay(&dry_run).await.expect_code(0);
        assert!(output.stdout.contains(words), "{}", output.stdout);
        assert_eq!(fixture.count_invoices("pending").await, 1);

        let yes = [&settle[..], &["--yes"]].concat();
        let refused = settling == "nothing";
        fixture.replay(&yes).await.expect_code(refused.into());
        fixture
            .execute("UPDATE invoices SET state = 'discarded' WHERE state = 'pending'")
            .await;
    }
}

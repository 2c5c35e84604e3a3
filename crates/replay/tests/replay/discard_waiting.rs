//! The command `discard --waiting`, and what is said of an id that is no dead letter.

use risiti_testkit::eventually;
use uuid::Uuid;

use crate::discard::{add_credit_note, add_unanswered_send};
use crate::fixture::{Fixture, WAIT_MAX};

const WAITING: [&str; 5] = ["discard", "--waiting", "--json", "--reason", "test traffic"];

#[tokio::test]
async fn waiting_invoices_are_discarded_with_their_credit_notes() {
    let fixture = Fixture::new().await;
    fixture.halt_lane().await;
    let sale = fixture.sale("pending").await;
    add_credit_note(&fixture, sale).await;
    fixture.sale("pending").await;
    fixture.replay(&WAITING).await.expect_code(2);

    let listed = fixture.replay(&["list", "--waiting", "--json"]).await;
    let listed = listed.expect_code(0).lines();
    assert_eq!(listed.len(), 2, "the credit note goes with its sale");
    assert_eq!(listed[0]["invoice_id"], sale.to_string());
    assert_eq!(listed[0]["may_be_at_kra"], false);

    let dry_run = [&WAITING[..], &["--dry-run"]].concat();
    let output = fixture.replay(&dry_run).await.expect_code(0);
    assert_eq!(output.lines()[0]["matched"], 2);
    assert_eq!(output.lines()[0]["amount"], "232.00");
    assert_eq!(fixture.count_invoices("pending").await, 3);

    let yes = [&WAITING[..], &["--yes"]].concat();
    let output = fixture.replay(&yes).await.expect_code(0);
    assert_eq!(output.counts("discarded"), [2, 2, 0, 0]);
    assert_eq!(fixture.count_invoices("discarded").await, 3);
    let moved = "SELECT count(*) FROM report_transitions WHERE from_state = 'pending' AND to_state = 'discarded'
        AND actor = 'jane' AND reason IN ('test traffic', 'its sale was discarded')";
    assert_eq!(fixture.query_number(moved).await, 3);
    let action =
        "SELECT concat_ws(' ', command, operator, reason, filter->>'waiting', matched, done)
        FROM operator_actions";
    assert_eq!(
        fixture.query_text(action).await,
        "discard jane test traffic true 2 2"
    );

    let back = ["run", "--discarded", "--yes", "--id", &sale.to_string()];
    fixture.replay(&back).await.expect_code(0);
    assert_eq!(fixture.count_invoices("pending").await, 2);
}

#[tokio::test]
async fn invoice_that_kra_may_have_is_left_and_named() {
    let fixture = Fixture::new().await;
    let out = fixture.sale("submitting").await;
    let deferred = fixture.sale("pending").await;
    add_unanswered_send(&fixture, deferred).await;
    fixture.sale("pending").await;
    let yes = [&WAITING[..], &["--yes"]].concat();
    let output = fixture.replay(&yes).await.expect_code(1);
    assert_eq!(output.counts("discarded"), [1, 1, 0, 0]);
    assert_eq!(output.lines()[0]["left"], 2);
    assert_eq!(fixture.count_invoices("discarded").await, 1);

    let text = ["discard", "--waiting", "--reason", "test", "--yes"];
    let output = fixture.replay(&text).await.expect_code(1);
    for invoice in [out, deferred] {
        let wanted = format!(
            "risiti-replay lanes set-aside {} --invoice {invoice}",
            fixture.device
        );
        assert!(output.stdout.contains(&wanted), "{}", output.stdout);
    }
}

#[tokio::test]
async fn filters_and_limit_bound_what_is_discarded() {
    let fixture = Fixture::new().await;
    let first = fixture.sale("pending").await.to_string();
    fixture.sale("pending").await;
    fixture.sale("pending").await;
    let device = fixture.device.to_string();
    for (filter, matched) in [
        (["--merchant", "nobody"], 0),
        (["--since", "2099-01-01T00:00:00Z"], 0),
        (["--device", &device], 3),
        (["--id", &first], 1),
        (["--limit", "2"], 2),
    ] {
        let dry_run = [&WAITING[..], &["--dry-run"], &filter[..]].concat();
        let output = fixture.replay(&dry_run).await.expect_code(0);
        assert_eq!(output.lines()[0]["matched"], matched, "{filter:?}");
    }
    let limited = [&WAITING[..], &["--yes", "--limit", "1"]].concat();
    fixture.replay(&limited).await.expect_code(0);
    let left = "SELECT string_agg(state, ' ' ORDER BY created_at, id) FROM invoices";
    assert_eq!(
        fixture.query_text(left).await,
        "discarded pending pending",
        "the oldest goes first"
    );
    let of_dead_letters = [&WAITING[..], &["--yes", "--cause", "refused"]].concat();
    fixture.replay(&of_dead_letters).await.expect_code(2);
}

/// One transaction takes 200.
#[tokio::test]
async fn more_than_one_batch_is_discarded() {
    let fixture = Fixture::new().await;
    let (merchant, device) = (fixture.merchant, fixture.device);
    fixture
        .execute(&format!(
            "INSERT INTO payments (id, merchant_id, provider, money_key, receipt, amount, currency, method, state,
                 authenticated_by, settled_at, moved_by)
             SELECT md5('p' || n)::uuid, '{merchant}', 'daraja', 'k' || n, 'R' || n, 116, 'KES', 'mobile_money',
                 'success', 'path', now(), 'test' FROM generate_series(1, 450) n;
             INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, moved_by)
             SELECT md5('p' || n)::uuid, md5('p' || n)::uuid, '{merchant}', '{device}', 'sale', 116, 'test'
             FROM generate_series(1, 450) n;"
        ))
        .await;
    let yes = [&WAITING[..], &["--yes"]].concat();
    let output = fixture.replay(&yes).await.expect_code(0);
    assert_eq!(output.counts("discarded"), [450, 450, 0, 0]);
    assert_eq!(fixture.count_invoices("discarded").await, 450);
    let batches = "SELECT count(DISTINCT xmin::text) FROM invoices";
    assert_eq!(fixture.query_number(batches).await, 3);
}

/// A worker that has begun to send is waited for, and its invoice is left.
#[tokio::test]
async fn invoice_that_is_sent_meanwhile_is_left() {
    let fixture = Fixture::new().await;
    let invoice = fixture.sale("pending").await;
    fixture
        .execute(&format!(
            "BEGIN; UPDATE invoices SET state = 'submitting', invoice_no = 1 WHERE id = '{invoice}';"
        ))
        .await;
    let yes = [&WAITING[..], &["--yes"]].concat();
    let discard = fixture.program(&yes);
    let discarding = tokio::spawn(async move { discard.output().await });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'risiti-replay'
        AND datname = current_database() AND wait_event_type = 'Lock'";
    eventually("a discard that waits", WAIT_MAX, async || {
        // A transaction sees the activity as it was when it first looked.
        fixture.execute("SELECT pg_stat_clear_snapshot()").await;
        (fixture.query_number(waits).await > 0).then_some(())
    })
    .await;
    fixture.execute("COMMIT").await;
    let output = crate::command_output::CommandOutput::from(discarding.await.unwrap());
    let output = output.expect_code(1);
    assert_eq!(output.counts("discarded"), [0, 0, 0, 0]);
    assert_eq!(fixture.count_invoices("submitting").await, 1);
}

#[tokio::test]
async fn id_that_is_no_dead_letter_is_told_apart() {
    let fixture = Fixture::new().await;
    let filed = fixture.sale("submitting").await;
    fixture
        .execute("UPDATE invoices SET state = 'success', receipt_no = 7; UPDATE lanes SET next_invoice_no = 2;")
        .await;
    let discarded = fixture.refused_sale("891").await;
    let waiting = fixture.sale("pending").await;
    let sent = fixture.sale("submitting").await;
    let note = add_credit_note(&fixture, waiting).await;
    let give_up = ["discard", "--yes", "--reason", "gone", "--id"];
    fixture
        .replay(&[&give_up[..], &[&discarded.to_string()]].concat())
        .await
        .expect_code(0);

    let lane = fixture.device;
    let set_aside = format!("risiti-replay lanes set-aside {lane} --invoice");
    for (id, words) in [
        (
            waiting,
            format!(
                "{waiting} is no dead letter: it waits to be filed in lane {lane}. Take it out first: {set_aside} {waiting}"
            ),
        ),
        (
            sent,
            format!("{sent} is no dead letter: it was sent as number 2"),
        ),
        (
            filed,
            format!("{filed} is no dead letter: it is filed as number 1, KRA's receipt 7"),
        ),
        (
            note,
            format!(
                "{note} is no dead letter: it is a credit note that waits for its sale {waiting}"
            ),
        ),
        (
            discarded,
            format!("{discarded} is no dead letter: it was discarded by jane: gone"),
        ),
        (lane, format!("there is no dead letter or invoice {lane}")),
    ] {
        let id = id.to_string();
        let output = fixture
            .replay(&[&give_up[..], &[&id]].concat())
            .await
            .expect_code(1);
        assert!(output.stderr.contains(&words), "{words}\n{}", output.stderr);
        for command in [&["run", "--yes", "--id", &id][..], &["show", "--id", &id]] {
            if command[0] == "show" && discarded.to_string() == id {
                fixture.replay(command).await.expect_code(0);
                continue;
            }
            let output = fixture.replay(command).await.expect_code(1);
            assert!(
                output.stderr.contains(&id),
                "{command:?}\n{}",
                output.stderr
            );
        }
    }
    assert_eq!(fixture.count_invoices("pending").await, 2);
}

/// What can be done is done, also where another id is wrong.
#[tokio::test]
async fn dead_letter_beside_a_wrong_id_is_discarded() {
    let fixture = Fixture::new().await;
    let dead = fixture.refused_sale("891").await.to_string();
    let wrong = Uuid::now_v7().to_string();
    let discard = [
        "discard", "--yes", "--json", "--reason", "x", "--id", &dead, "--id", &wrong,
    ];
    let output = fixture.replay(&discard).await.expect_code(1);
    assert_eq!(output.counts("discarded"), [1, 1, 0, 0]);
    let waiting = fixture.sale("pending").await.to_string();
    let not_waiting = [&WAITING[..], &["--yes", "--id", &dead, "--id", &waiting]].concat();
    let output = fixture.replay(&not_waiting).await.expect_code(1);
    assert_eq!(output.counts("discarded"), [1, 1, 0, 0]);
    assert!(output.stderr.contains(&dead), "{}", output.stderr);
}

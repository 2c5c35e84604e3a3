//! The command `run`.

use risiti_providers::Envelope;
use risiti_queue::Target;

use crate::fixture::Fixture;

const STK: &str = r#"{"Body":{"stkCallback":{"MerchantRequestID":"1-2-3","CheckoutRequestID":"ws_CO_1","ResultCode":1032,
    "ResultDesc":"Request cancelled by user"}}}"#;

#[tokio::test]
async fn dry_run_moves_nothing() {
    let fixture = Fixture::new().await;
    fixture.refused_sale("891").await;
    fixture.unreadable_webhook(STK).await;
    let output = fixture
        .replay(&["run", "--dry-run", "--json"])
        .await
        .expect_code(0);
    assert_eq!(output.counts("replayed"), [2, 0, 0, 0]);
    assert_eq!(output.lines()[0]["causes"][0]["count"], 1);
    assert_eq!(output.lines()[0]["sample"].as_array().unwrap().len(), 2);
    assert!(
        fixture
            .replay(&["run", "--dry-run", "--limit", "1"])
            .await
            .expect_code(0)
            .stdout
            .starts_with("1 matched")
    );
    assert_eq!(
        (
            fixture.count_invoices("dead").await,
            fixture.broker.depth(Target::Dead).await.unwrap()
        ),
        (1, 2)
    );
    assert_eq!(
        fixture
            .query_number("SELECT count(*) FROM dead_letters WHERE solved_at IS NULL")
            .await,
        2
    );
    assert_eq!(
        fixture
            .query_number("SELECT count(*) FROM operator_actions")
            .await,
        0
    );
}

#[tokio::test]
async fn run_without_terminal_and_yes_moves_nothing() {
    let fixture = Fixture::new().await;
    fixture.refused_sale("891").await;
    let output = fixture.replay(&["run", "--json"]).await.expect_code(2);
    assert!(
        output.stdout.is_empty() && output.stderr.contains("--yes"),
        "{}",
        output.stderr
    );
    assert_eq!(
        (
            fixture.count_invoices("dead").await,
            fixture.broker.depth(Target::Dead).await.unwrap()
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn replayed_invoice_waits_in_its_lane_which_is_woken() {
    let fixture = Fixture::new().await;
    let invoice = fixture.refused_sale("891").await;
    let waiting = fixture.sale("pending").await;
    let output = fixture
        .replay(&["run", "--yes", "--json", "--reason", "code registered"])
        .await
        .expect_code(0);
    assert_eq!(output.counts("replayed"), [1, 1, 0, 0]);
    assert_eq!(fixture.broker.depth(Target::Dead).await.unwrap(), 0);
    let wake_up = fixture.take(Target::Lanes).await;
    assert_eq!(wake_up.headers["risiti-device"], fixture.device.to_string());
    let last = "SELECT actor || ': ' || reason FROM transitions WHERE to_state = 'pending' ORDER BY id DESC LIMIT 1";
    assert_eq!(fixture.query_text(last).await, "jane: code registered");
    let first = fixture
        .query_text(
            "SELECT id::text FROM invoices WHERE state = 'pending' ORDER BY position LIMIT 1",
        )
        .await;
    assert_eq!(first, waiting.to_string(), "it goes behind what waits");
    let row = "SELECT solved_as || ' ' || solved_by || ' ' || replays FROM dead_letters";
    assert_eq!(fixture.query_text(row).await, "replayed jane 1");
    let action = "SELECT command || ' ' || operator || ' ' || done || ' ' || (ended_at IS NOT NULL) FROM operator_actions";
    assert_eq!(fixture.query_text(action).await, "run jane 1 true");
    assert_ne!(invoice, waiting);

    let again = fixture
        .replay(&["run", "--yes", "--json"])
        .await
        .expect_code(0);
    assert_eq!(again.counts("replayed"), [0, 0, 0, 0]);
    assert_eq!(fixture.count_invoices("pending").await, 2);
}

#[tokio::test]
async fn dead_letters_outside_the_filter_stay_in_the_queue() {
    let fixture = Fixture::new().await;
    let wanted = fixture.refused_sale("891").await;
    let other = fixture.refused_sale("892").await;
    let unreadable = fixture.unreadable_webhook("{").await;
    let output = fixture
        .replay(&["run", "--yes", "--json", "--code", "891"])
        .await
        .expect_code(0);
    assert_eq!(output.counts("replayed"), [1, 1, 0, 0]);
    assert_eq!(fixture.count_invoices("dead").await, 1);
    fixture.wait_for_depth(Target::Dead, 2).await;
    let left = [
        fixture.take(Target::Dead).await,
        fixture.take(Target::Dead).await,
    ];
    let mut ids = left.map(|message| message.headers["risiti-dead-letter-id"].clone());
    ids.sort();
    let mut expected = [other.to_string(), unreadable.to_string()];
    expected.sort();
    assert_eq!(ids, expected);
    assert_ne!(wanted, other);
}

/// AMQP cannot take one message out of the middle. The message is dropped by the next full pass.
#[tokio::test]
async fn named_dead_letter_moves_no_other_message() {
    let fixture = Fixture::new().await;
    let mut letters = Vec::new();
    for _ in 0..3 {
        letters.push(fixture.refused_sale("891").await);
    }
    let named = letters[1].to_string();
    let run_named = ["run", "--yes", "--json", "--id", &named];
    let output = fixture.replay(&run_named).await.expect_code(0);
    assert_eq!(output.counts("replayed"), [1, 1, 0, 0]);
    assert_eq!(fixture.count_invoices("pending").await, 1);
    fixture.wait_for_depth(Target::Dead, 3).await;
    let again = fixture.replay(&run_named).await.expect_code(1);
    assert_eq!(again.counts("replayed"), [0, 0, 0, 0]);
    assert!(again.stderr.contains("needs no replay"), "{}", again.stderr);

    let all = fixture
        .replay(&["run", "--yes", "--json", "--limit", "2"])
        .await
        .expect_code(0);
    assert_eq!(
        all.counts("replayed"),
        [2, 1, 1, 0],
        "the order has changed"
    );
    fixture.wait_for_depth(Target::Dead, 1).await;
    let last = fixture.take(Target::Dead).await;
    assert_eq!(
        last.headers["risiti-dead-letter-id"],
        letters[2].to_string()
    );
}

#[tokio::test]
async fn named_dead_letter_that_dies_again_is_replayed_again() {
    let fixture = Fixture::new().await;
    let letter = fixture.refused_sale("891").await;
    let named = letter.to_string();
    let run_named = ["run", "--yes", "--json", "--id", &named];
    fixture.replay(&run_named).await.expect_code(0);
    fixture.execute(&format!(
        "UPDATE invoices SET state = 'submitting', invoice_no = (SELECT next_invoice_no FROM lanes) WHERE id = '{letter}';
         UPDATE invoices SET state = 'dead', invoice_no = NULL WHERE id = '{letter}';
         UPDATE dead_letters SET solved_at = NULL, solved_as = NULL, dead_at = now()"
    ))
    .await;
    fixture.publish_dead_letter(letter).await;

    let output = fixture
        .replay(&["run", "--yes", "--json"])
        .await
        .expect_code(0);
    assert_eq!(output.counts("replayed"), [2, 1, 1, 0]);
    fixture.wait_for_depth(Target::Dead, 0).await;
    let replays = "SELECT count(*) FROM transitions WHERE from_state = 'dead'";
    assert_eq!(fixture.query_number(replays).await, 2);
}

#[tokio::test]
async fn eight_dead_letters_are_handled_at_once() {
    let fixture = Fixture::new().await;
    for _ in 0..16 {
        fixture.refused_sale("891").await;
    }
    // None ends before seven others have come as far. The statement times out if they do not.
    let wait_for_eight = "
        CREATE SEQUENCE arrived;
        CREATE FUNCTION wait_for_eight() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
        DECLARE awaited bigint := ceil(nextval('arrived') / 8.0) * 8;
        BEGIN
            WHILE (SELECT last_value FROM arrived) < awaited LOOP PERFORM pg_sleep(0.01); END LOOP;
            RETURN NEW;
        END $$;
        CREATE TRIGGER wait_for_eight BEFORE UPDATE ON dead_letters
            FOR EACH ROW EXECUTE FUNCTION wait_for_eight()";
    fixture.client.batch_execute(wait_for_eight).await.unwrap();
    let output = fixture
        .replay(&["run", "--yes", "--json"])
        .await
        .expect_code(0);
    assert_eq!(output.counts("replayed"), [16, 16, 0, 0]);
    fixture.wait_for_depth(Target::Dead, 0).await;
}

#[tokio::test]
async fn limit_leaves_the_rest() {
    let fixture = Fixture::new().await;
    for _ in 0..3 {
        fixture.refused_sale("891").await;
    }
    let output = fixture
        .replay(&["run", "--yes", "--json", "--limit", "2"])
        .await
        .expect_code(0);
    assert_eq!(output.counts("replayed"), [2, 2, 0, 0]);
    fixture.wait_for_depth(Target::Dead, 1).await;
    assert_eq!(fixture.count_invoices("dead").await, 1);
}

#[tokio::test]
async fn row_whose_message_was_lost_is_replayed() {
    let fixture = Fixture::new().await;
    fixture.refused_sale_without_message("891").await;
    let output = fixture
        .replay(&["run", "--yes", "--json"])
        .await
        .expect_code(0);
    assert_eq!(output.counts("replayed"), [1, 1, 0, 0]);
    assert_eq!(fixture.count_invoices("pending").await, 1);
}

#[tokio::test]
async fn second_message_of_a_dead_letter_is_skipped() {
    let fixture = Fixture::new().await;
    let invoice = fixture.refused_sale("891").await;
    fixture.publish_dead_letter(invoice).await;
    let output = fixture
        .replay(&["run", "--yes", "--json"])
        .await
        .expect_code(0);
    assert_eq!(output.counts("replayed"), [2, 1, 1, 0]);
    assert_eq!(
        (
            fixture.count_invoices("pending").await,
            fixture.broker.depth(Target::Dead).await.unwrap()
        ),
        (1, 0)
    );
}

#[tokio::test]
async fn message_without_a_row_stays() {
    let fixture = Fixture::new().await;
    fixture.publish_dead_letter(uuid::Uuid::now_v7()).await;
    let output = fixture
        .replay(&["run", "--yes", "--json"])
        .await
        .expect_code(0);
    assert_eq!(output.counts("replayed"), [0, 0, 0, 0]);
    fixture.wait_for_depth(Target::Dead, 1).await;
}

#[tokio::test]
async fn only_a_webhook_that_can_now_be_read_is_replayed() {
    let fixture = Fixture::new().await;
    let readable = fixture.unreadable_webhook(STK).await;
    let hopeless = fixture
        .unreadable_webhook("{\"PhoneNumber\": 254708374149")
        .await;
    let output = fixture
        .replay(&["run", "--yes", "--json"])
        .await
        .expect_code(1);
    assert_eq!(output.counts("replayed"), [2, 1, 0, 1]);
    assert!(
        output.stderr.contains(&hopeless.to_string()) && !output.stderr.contains("254708374149"),
        "{}",
        output.stderr
    );
    let payment = fixture.take(Target::Payments).await;
    assert_eq!(&payment.body[..], STK.as_bytes());
    let envelope = Envelope::from_headers(&payment.headers).unwrap();
    assert_eq!(envelope.kind.as_deref(), Some("stk"));
    assert_eq!(envelope.unreadable, None);
    assert_eq!(payment.headers["risiti-replays"], "1");
    assert!(!payment.headers.contains_key("risiti-dead-letter-id"));
    let solved =
        format!("SELECT coalesce(solved_as, '-') FROM dead_letters WHERE id = '{readable}'");
    assert_eq!(fixture.query_text(&solved).await, "replayed");
    fixture.wait_for_depth(Target::Dead, 1).await;
    let left = fixture.take(Target::Dead).await;
    assert_eq!(left.headers["risiti-dead-letter-id"], hopeless.to_string());

    let without_message = fixture
        .replay(&["run", "--yes", "--json"])
        .await
        .expect_code(1);
    assert_eq!(without_message.counts("replayed"), [1, 0, 0, 1]);
}

/// Only Risiti publishes to this queue. A foreign message there must neither end a run nor be lost.
#[tokio::test]
async fn foreign_message_stays_and_does_not_end_the_run() {
    let fixture = Fixture::new().await;
    let bodies = [&b""[..], b"\0", b"{}", &[0xff; 300]];
    for (body, header_bytes) in bodies.into_iter().zip([0, 300, 70_000, 0]) {
        fixture
            .namespace
            .publish_strange("dead", body, header_bytes)
            .await;
    }
    fixture.refused_sale("891").await;
    for _ in 0..2 {
        fixture
            .namespace
            .publish_strange("dead", b"after", 70_000)
            .await;
    }
    let output = fixture
        .replay(&[
            "run", "--code", "891", "--reason", "mended", "--yes", "--json",
        ])
        .await
        .expect_code(0);
    assert_eq!(output.counts("replayed"), [1, 1, 0, 0]);
    assert_eq!(fixture.count_invoices("pending").await, 1);
    fixture.wait_for_depth(Target::Dead, 6).await;
    let mut left = Vec::new();
    for _ in 0..6 {
        left.push(fixture.take(Target::Dead).await.body);
    }
    for body in bodies.into_iter().chain([&b"after"[..]]) {
        assert!(left.iter().any(|left| left == body), "{body:?}");
    }
}

/// As the ledger worker stores the many unreadable messages of one merchant: rows alone.
#[tokio::test]
async fn dead_letters_without_a_message_are_replayed_by_their_rows() {
    let fixture = Fixture::new().await;
    fixture.unreadable_webhook(STK).await;
    fixture.take(Target::Dead).await;
    let output = fixture
        .replay(&["run", "--yes", "--json"])
        .await
        .expect_code(0);
    assert_eq!(output.counts("replayed"), [1, 1, 0, 0]);
    assert_eq!(
        &fixture.take(Target::Payments).await.body[..],
        STK.as_bytes()
    );
    assert_eq!(fixture.broker.depth(Target::Dead).await.unwrap(), 0);
}

//! `list` and `run`.

use risiti_queue::Target;

use crate::stage::Stage;

const STK: &str = r#"{"Body":{"stkCallback":{"MerchantRequestID":"1-2-3","CheckoutRequestID":"ws_CO_1","ResultCode":1032,
    "ResultDesc":"Request cancelled by user"}}}"#;

#[tokio::test]
async fn list_shows_what_is_there_and_takes_nothing() {
    let stage = Stage::new().await;
    let refused = stage.refused("891").await;
    let unreadable = stage.unreadable("{").await;
    let told = stage.replay(&["list", "--json"]).await.ended(0);
    let lines = told.lines();
    assert_eq!(lines.len(), 2);
    let keys: Vec<&str> = lines[0]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let mut expected = vec![
        "dead_letter_id",
        "merchant",
        "device_id",
        "cause",
        "code",
        "message",
        "attempts",
        "invoice_id",
        "event_id",
        "amount",
        "currency",
        "dead_at",
        "replays",
    ];
    expected.sort_unstable();
    assert_eq!(
        {
            let mut keys = keys;
            keys.sort_unstable();
            keys
        },
        expected
    );
    assert_eq!(lines[0]["dead_letter_id"], refused.to_string());
    assert_eq!(
        (lines[0]["merchant"].as_str(), lines[0]["code"].as_str()),
        (Some("acme"), Some("891"))
    );
    assert_eq!(lines[1]["dead_letter_id"], unreadable.to_string());
    assert_eq!(
        (lines[1]["cause"].as_str(), lines[1]["code"].as_str()),
        (Some("unreadable"), None)
    );
    assert!(lines[1]["invoice_id"].is_null());
    for (filter, count) in [
        (["--cause", "refused"], 1),
        (["--code", "891"], 1),
        (["--code", "892"], 0),
        (["--merchant", "acme"], 2),
        (["--merchant", "nobody"], 0),
        (["--since", "1h"], 2),
        (["--since", "2099-01-01T00:00:00Z"], 0),
        (["--limit", "1"], 1),
        (["--id", &unreadable.to_string()], 1),
    ] {
        let told = stage
            .replay(&["list", "--json", filter[0], filter[1]])
            .await
            .ended(0);
        assert_eq!(told.lines().len(), count, "{filter:?}");
    }
    assert!(
        stage
            .replay(&["list"])
            .await
            .ended(0)
            .out
            .contains("item not known")
    );
    assert_eq!(stage.broker.depth(Target::Dead).await.unwrap(), 2);
}

#[tokio::test]
async fn a_dry_run_moves_nothing() {
    let stage = Stage::new().await;
    stage.refused("891").await;
    stage.unreadable(STK).await;
    let told = stage.replay(&["run", "--dry-run", "--json"]).await.ended(0);
    assert_eq!(told.tally("replayed"), [2, 0, 0, 0]);
    assert_eq!(told.lines()[0]["causes"][0]["count"], 1);
    assert_eq!(told.lines()[0]["sample"].as_array().unwrap().len(), 2);
    assert!(
        stage
            .replay(&["run", "--dry-run", "--limit", "1"])
            .await
            .ended(0)
            .out
            .starts_with("1 matched")
    );
    assert_eq!(
        (
            stage.invoices("dead").await,
            stage.broker.depth(Target::Dead).await.unwrap()
        ),
        (1, 2)
    );
    assert_eq!(
        stage
            .number("SELECT count(*) FROM dead_letters WHERE solved_at IS NULL")
            .await,
        2
    );
    assert_eq!(
        stage.number("SELECT count(*) FROM operator_actions").await,
        0
    );
}

#[tokio::test]
async fn without_a_terminal_and_without_yes_nothing_moves() {
    let stage = Stage::new().await;
    stage.refused("891").await;
    let told = stage.replay(&["run", "--json"]).await.ended(2);
    assert!(
        told.out.is_empty() && told.err.contains("--yes"),
        "{}",
        told.err
    );
    assert_eq!(
        (
            stage.invoices("dead").await,
            stage.broker.depth(Target::Dead).await.unwrap()
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn a_replayed_invoice_waits_in_its_lane_with_a_token_and_says_who_sent_it_there() {
    let stage = Stage::new().await;
    let invoice = stage.refused("891").await;
    let waiting = stage.sale("pending").await;
    let told = stage
        .replay(&["run", "--yes", "--json", "--reason", "code registered"])
        .await
        .ended(0);
    assert_eq!(told.tally("replayed"), [1, 1, 0, 0]);
    assert_eq!(stage.broker.depth(Target::Dead).await.unwrap(), 0);
    let token = stage.take(Target::Lanes).await;
    assert_eq!(token.headers["risiti-device"], stage.device.to_string());
    let last = "SELECT actor || ': ' || reason FROM transitions WHERE to_state = 'pending' ORDER BY id DESC LIMIT 1";
    assert_eq!(stage.text(last).await, "jane: code registered");
    let first = stage
        .text("SELECT id::text FROM invoices WHERE state = 'pending' ORDER BY position LIMIT 1")
        .await;
    assert_eq!(first, waiting.to_string(), "it goes behind what waits");
    let row = "SELECT solved_as || ' ' || solved_by || ' ' || replays FROM dead_letters";
    assert_eq!(stage.text(row).await, "replayed jane 1");
    let action = "SELECT command || ' ' || operator || ' ' || done || ' ' || (ended_at IS NOT NULL) FROM operator_actions";
    assert_eq!(stage.text(action).await, "run jane 1 true");
    assert_ne!(invoice, waiting);

    let again = stage.replay(&["run", "--yes", "--json"]).await.ended(0);
    assert_eq!(again.tally("replayed"), [0, 0, 0, 0]);
    assert_eq!(stage.invoices("pending").await, 2);
}

#[tokio::test]
async fn what_the_filter_does_not_take_stays_in_place_and_in_the_queue() {
    let stage = Stage::new().await;
    let wanted = stage.refused("891").await;
    let other = stage.refused("892").await;
    let unread = stage.unreadable("{").await;
    let told = stage
        .replay(&["run", "--yes", "--json", "--code", "891"])
        .await
        .ended(0);
    assert_eq!(told.tally("replayed"), [1, 1, 0, 0]);
    assert_eq!(stage.invoices("dead").await, 1);
    stage.depth_becomes(Target::Dead, 2).await;
    let left = [
        stage.take(Target::Dead).await,
        stage.take(Target::Dead).await,
    ];
    let mut ids = left.map(|message| message.headers["risiti-dead-letter-id"].clone());
    ids.sort();
    let mut expected = [other.to_string(), unread.to_string()];
    expected.sort();
    assert_eq!(ids, expected);
    assert_ne!(wanted, other);
}

#[tokio::test]
async fn a_limit_leaves_the_rest() {
    let stage = Stage::new().await;
    for _ in 0..3 {
        stage.refused("891").await;
    }
    let told = stage
        .replay(&["run", "--yes", "--json", "--limit", "2"])
        .await
        .ended(0);
    assert_eq!(told.tally("replayed"), [2, 2, 0, 0]);
    stage.depth_becomes(Target::Dead, 1).await;
    assert_eq!(stage.invoices("dead").await, 1);
}

#[tokio::test]
async fn a_row_whose_message_was_lost_is_replayed_too() {
    let stage = Stage::new().await;
    stage.refused_row("891").await;
    let told = stage.replay(&["run", "--yes", "--json"]).await.ended(0);
    assert_eq!(told.tally("replayed"), [1, 1, 0, 0]);
    assert_eq!(stage.invoices("pending").await, 1);
}

#[tokio::test]
async fn a_second_message_of_the_same_death_is_skipped() {
    let stage = Stage::new().await;
    let invoice = stage.refused("891").await;
    stage.dead_message(invoice).await;
    let told = stage.replay(&["run", "--yes", "--json"]).await.ended(0);
    assert_eq!(told.tally("replayed"), [2, 1, 1, 0]);
    assert_eq!(
        (
            stage.invoices("pending").await,
            stage.broker.depth(Target::Dead).await.unwrap()
        ),
        (1, 0)
    );
}

#[tokio::test]
async fn a_message_without_a_row_stays() {
    let stage = Stage::new().await;
    stage.dead_message(uuid::Uuid::now_v7()).await;
    let told = stage.replay(&["run", "--yes", "--json"]).await.ended(0);
    assert_eq!(told.tally("replayed"), [0, 0, 0, 0]);
    stage.depth_becomes(Target::Dead, 1).await;
}

#[tokio::test]
async fn what_can_be_read_by_now_goes_to_the_ledger_and_the_rest_stays_and_fails() {
    let stage = Stage::new().await;
    let readable = stage.unreadable(STK).await;
    let hopeless = stage.unreadable("{\"PhoneNumber\": 254708374149").await;
    let told = stage.replay(&["run", "--yes", "--json"]).await.ended(1);
    assert_eq!(told.tally("replayed"), [2, 1, 0, 1]);
    assert!(
        told.err.contains(&hopeless.to_string()) && !told.err.contains("254708374149"),
        "{}",
        told.err
    );
    let payment = stage.take(Target::Payments).await;
    assert_eq!(&payment.body[..], STK.as_bytes());
    assert_eq!(payment.headers["risiti-kind"], "stk");
    assert_eq!(payment.headers["risiti-replays"], "1");
    assert!(!payment.headers.contains_key("risiti-unreadable-field"));
    assert!(!payment.headers.contains_key("risiti-dead-letter-id"));
    let solved =
        format!("SELECT coalesce(solved_as, '-') FROM dead_letters WHERE id = '{readable}'");
    assert_eq!(stage.text(&solved).await, "replayed");
    stage.depth_becomes(Target::Dead, 1).await;
    let left = stage.take(Target::Dead).await;
    assert_eq!(left.headers["risiti-dead-letter-id"], hopeless.to_string());

    let without_message = stage.replay(&["run", "--yes", "--json"]).await.ended(1);
    assert_eq!(without_message.tally("replayed"), [1, 0, 0, 1]);
}

/// Nobody but us writes there; who does nevertheless ends no run and loses nothing.
#[tokio::test]
async fn what_is_no_dead_letter_of_ours_stays_and_stops_nobody() {
    let stage = Stage::new().await;
    let bodies = [&b""[..], b"\0", b"{}", &[0xff; 300]];
    for (body, header_bytes) in bodies.into_iter().zip([0, 300, 70_000, 0]) {
        stage
            .namespace
            .publish_strange("dead", body, header_bytes)
            .await;
    }
    stage.refused("891").await;
    for _ in 0..2 {
        stage
            .namespace
            .publish_strange("dead", b"after", 70_000)
            .await;
    }
    let told = stage
        .replay(&[
            "run", "--code", "891", "--reason", "mended", "--yes", "--json",
        ])
        .await
        .ended(0);
    assert_eq!(told.tally("replayed"), [1, 1, 0, 0]);
    assert_eq!(stage.invoices("pending").await, 1);
    stage.depth_becomes(Target::Dead, 6).await;
    let mut left = Vec::new();
    for _ in 0..6 {
        left.push(stage.take(Target::Dead).await.body);
    }
    for body in bodies.into_iter().chain([&b"after"[..]]) {
        assert!(left.iter().any(|left| left == body), "{body:?}");
    }
}

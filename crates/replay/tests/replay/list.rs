//! The command `list`.

use risiti_queue::Target;

use crate::fixture::Fixture;

#[tokio::test]
async fn list_shows_dead_letters_and_consumes_nothing() {
    let fixture = Fixture::new().await;
    let refused = fixture.refused_sale("891").await;
    let unreadable = fixture.unreadable_webhook("{").await;
    let output = fixture.replay(&["list", "--json"]).await.expect_code(0);
    let lines = output.lines();
    assert_eq!(lines.len(), 2);
    let mut keys: Vec<&str> = lines[0]
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
        "discard_wish",
        "receipt",
    ];
    expected.sort_unstable();
    keys.sort_unstable();
    assert_eq!(keys, expected);

    assert_eq!(lines[0]["dead_letter_id"], refused.to_string());
    assert_eq!(lines[0]["receipt"], "R");
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
        (["--message", "ITEM not"], 1),
        (["--message", "other words"], 0),
        (["--device", &fixture.device.to_string()], 1),
        (["--merchant", "acme"], 2),
        (["--merchant", "nobody"], 0),
        (["--since", "1h"], 2),
        (["--since", "2099-01-01T00:00:00Z"], 0),
        (["--limit", "1"], 1),
        (["--id", &unreadable.to_string()], 1),
    ] {
        let output = fixture
            .replay(&["list", "--json", filter[0], filter[1]])
            .await
            .expect_code(0);
        assert_eq!(output.lines().len(), count, "{filter:?}");
    }
    assert!(
        fixture
            .replay(&["list"])
            .await
            .expect_code(0)
            .stdout
            .contains("item not known")
    );
    assert_eq!(fixture.broker.depth(Target::Dead).await.unwrap(), 2);
}

#[tokio::test]
async fn list_groups_equal_reasons_and_begins_with_the_newest_on_demand() {
    let fixture = Fixture::new().await;
    let refused = fixture.refused_sale("891").await;
    let mut unreadable = Vec::new();
    for n in 0..3 {
        let id = fixture.unreadable_webhook(&format!("{{\"a\": {n}")).await;
        unreadable.push(id.to_string());
    }

    let output = fixture.replay(&["list", "--group", "--json"]).await;
    let groups = output.expect_code(0).lines();
    assert_eq!(groups.len(), 2, "{groups:?}");
    assert_eq!(
        (
            groups[0]["merchant"].as_str(),
            groups[0]["cause"].as_str(),
            groups[0]["count"].as_i64(),
        ),
        (Some("acme"), Some("unreadable"), Some(3))
    );
    let sample = groups[0]["sample"].as_str().unwrap();
    assert!(unreadable.iter().any(|id| id == sample), "{sample}");
    assert!(groups[0]["oldest"].as_str() <= groups[0]["newest"].as_str());
    assert_eq!(groups[1]["sample"], refused.to_string());
    let text = fixture.replay(&["list", "--group"]).await.expect_code(0);
    assert!(text.stdout.contains("unreadable"), "{}", text.stdout);

    let ids = async |args: &[&str]| {
        let output = fixture.replay(args).await.expect_code(0);
        let id = |line: &serde_json::Value| line["dead_letter_id"].to_string();
        output.lines().iter().map(id).collect::<Vec<_>>()
    };
    let mut newest_first = ids(&["list", "--newest", "--json"]).await;
    assert_eq!(
        ids(&["list", "--newest", "--limit", "2", "--json"]).await,
        newest_first[..2]
    );
    newest_first.reverse();
    assert_eq!(ids(&["list", "--json"]).await, newest_first);
}

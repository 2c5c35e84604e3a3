//! Which lanes the commands of `lanes` take, and what they show of them.

use crate::fixture::Fixture;

/// A second lane of acme, at another host.
async fn second_lane(fixture: &Fixture) -> String {
    let device = fixture
        .query_text(
            "WITH added AS (INSERT INTO devices (id, merchant_id, environment, dialect, base_url, pin, branch, serial,
                item_code, item_class, item_name, tax_type)
             SELECT gen_random_uuid(), merchant_id, environment, dialect, 'https://kra.test', pin, '01', serial,
                item_code, item_class, item_name, tax_type FROM devices RETURNING id)
             SELECT id::text FROM added",
        )
        .await;
    fixture
        .execute(&format!(
            "INSERT INTO lanes (device_id, host) VALUES ('{device}', 'https://kra.test:443')"
        ))
        .await;
    device
}

async fn listed(fixture: &Fixture, filter: &[&str]) -> Vec<String> {
    let args = [&["lanes", "list", "--json"], filter].concat();
    let lines = fixture.replay(&args).await.expect_code(0).lines();
    let device = |lane: &serde_json::Value| lane["device_id"].as_str().unwrap().to_owned();
    lines.iter().map(device).collect()
}

#[tokio::test]
async fn list_takes_halted_waiting_merchant_and_host() {
    let fixture = Fixture::new().await;
    let first = fixture.device.to_string();
    fixture.halt_lane().await;
    fixture.sale("pending").await;
    let second = second_lane(&fixture).await;
    assert_eq!(listed(&fixture, &["--halted"]).await, [first.as_str()]);
    assert_eq!(
        listed(&fixture, &["--host", "kra.test"]).await,
        [second.as_str()]
    );
    assert_eq!(listed(&fixture, &["--merchant", "acme"]).await.len(), 2);
    assert_eq!(listed(&fixture, &["--merchant", "nobody"]).await.len(), 0);
    assert_eq!(listed(&fixture, &["--waiting"]).await.len(), 0);
    fixture
        .execute("UPDATE lanes SET halted_at = NULL, halt_reason = NULL")
        .await;
    assert_eq!(listed(&fixture, &["--waiting"]).await, [first.as_str()]);
}

#[tokio::test]
async fn oldest_counts_the_invoice_that_is_out() {
    let fixture = Fixture::new().await;
    fixture.sale("submitting").await;
    fixture
        .execute(
            "UPDATE invoices SET created_at = now() - interval '1 hour';
             INSERT INTO submissions (invoice_id, device_id, invoice_no, claim_id, body, outcome, code, message)
             SELECT id, device_id, invoice_no, gen_random_uuid(), '', 'unknown', '999', 'try later' FROM invoices",
        )
        .await;
    let lane = &fixture
        .replay(&["lanes", "list", "--json"])
        .await
        .expect_code(0)
        .lines()[0];
    assert!(lane["oldest_seconds"].as_i64().unwrap() >= 3_600, "{lane}");
    assert!(lane["oldest_pending_seconds"].is_null(), "{lane}");
    let text = fixture
        .replay(&["lanes", "list"])
        .await
        .expect_code(0)
        .stdout;
    assert!(text.contains("999 try later"), "{text}");
}

#[tokio::test]
async fn halted_lane_shows_evidence_and_one_first_action() {
    let fixture = Fixture::new().await;
    let invoice = fixture.sale("submitting").await;
    fixture.halt_lane().await;
    let text = fixture
        .replay(&["lanes", "list"])
        .await
        .expect_code(0)
        .stdout;
    for words in [
        "numbers out of step",
        &format!("out as number 1: invoice {invoice}, KES 116.00, customer's receipt R"),
        "first: look number 1 up on KRA's portal for PIN P051234567X branch 00",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[tokio::test]
async fn merchant_with_one_device_stands_for_it() {
    let fixture = Fixture::new().await;
    let halt = ["lanes", "halt", "acme", "--reason", "x"];
    fixture.replay(&halt).await.expect_code(0);
    assert_eq!(fixture.lane().await, "1 true");

    second_lane(&fixture).await;
    let refused = fixture.replay(&halt).await.expect_code(1);
    assert!(
        refused.stderr.contains("acme has 2 devices"),
        "{}",
        refused.stderr
    );
    let unknown = ["lanes", "halt", "nobody", "--reason", "x"];
    fixture.replay(&unknown).await.expect_code(1);
}

#[tokio::test]
async fn everything_stops_and_starts_again_by_reason() {
    let fixture = Fixture::new().await;
    second_lane(&fixture).await;
    let halt = ["lanes", "halt", "--all", "--reason", "wrong tax rate"];
    fixture.replay(&halt).await.expect_code(2);
    fixture
        .replay(&[&halt[..], &["--dry-run"]].concat())
        .await
        .expect_code(0);
    assert_eq!(fixture.count_actions("lanes halt").await, 0);

    let halted = fixture
        .replay(&[&halt[..], &["--yes", "--json"]].concat())
        .await
        .expect_code(0);
    assert_eq!(halted.lines()[0]["done"], 2);
    let halted_lanes = "SELECT count(*) FROM lanes WHERE halted_at IS NOT NULL";
    assert_eq!(fixture.query_number(halted_lanes).await, 2);

    let resume = ["lanes", "resume", "--reason", "mended", "--yes", "--json"];
    let none = ["--reason-like", "other words"];
    let resumed = fixture
        .replay(&[&resume[..], &none].concat())
        .await
        .expect_code(0);
    assert_eq!(resumed.lines()[0]["matched"], 0);
    let some = ["--reason-like", "wrong tax rate"];
    let resumed = fixture
        .replay(&[&resume[..], &some].concat())
        .await
        .expect_code(0);
    assert_eq!(resumed.lines()[0]["done"], 2);
    assert_eq!(fixture.query_number(halted_lanes).await, 0);
    fixture
        .replay(&["lanes", "halt", "--reason", "no lane named"])
        .await
        .expect_code(2);
}

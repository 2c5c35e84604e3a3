//! What `run` tells before and after it moves something.

use uuid::Uuid;

use crate::fixture::Fixture;

async fn dry_run(fixture: &Fixture) -> serde_json::Value {
    let output = fixture.replay(&["run", "--dry-run", "--json"]).await;
    output.expect_code(0).lines().remove(0)
}

#[tokio::test]
async fn dry_run_groups_by_words_without_their_numbers() {
    let fixture = Fixture::new().await;
    for words in ["invcNo 4 is used", "invcNo 17 is used", "no item"] {
        let invoice = fixture.refused_sale_without_message("891").await;
        fixture
            .execute(&format!(
                "UPDATE dead_letters SET message = '{words}' WHERE id = '{invoice}'"
            ))
            .await;
    }
    let report = dry_run(&fixture).await;
    let group = |place: usize| {
        let cause = &report["causes"][place];
        (
            cause["message"].as_str().unwrap(),
            cause["count"].as_i64().unwrap(),
        )
    };
    assert_eq!(
        [group(0), group(1)],
        [("invcNo N is used", 2), ("no item", 1)]
    );
}

#[tokio::test]
async fn dry_run_tells_what_nobody_has_corrected() {
    let fixture = Fixture::new().await;
    fixture.refused_sale_without_message("891").await;
    assert_eq!(dry_run(&fixture).await["unchanged_refusals"], 1);
    fixture
        .execute(
            "INSERT INTO operator_actions (id, operator, command, filter)
             SELECT gen_random_uuid(), 'jane', 'device update', jsonb_build_object('device_id', id) FROM devices",
        )
        .await;
    assert_eq!(dry_run(&fixture).await["unchanged_refusals"], 0);
}

#[tokio::test]
async fn dry_run_tells_what_would_be_sent() {
    let fixture = Fixture::new().await;
    for _ in 0..3 {
        fixture.refused_sale_without_message("891").await;
    }
    let report = dry_run(&fixture).await;
    let device = &report["would_send"][0];
    assert_eq!(device["device_id"], fixture.device.to_string());
    assert_eq!(device["sales"], 3);
    assert_eq!(device["sold"], "348.00");
    assert_eq!(device["credit_notes"], 0);

    let two = ["run", "--dry-run", "--limit", "2"];
    let output = fixture.replay(&two).await.expect_code(0);
    let wanted = format!(
        "would send for device {}: 2 sales of KES 232.00, under numbers from 1 on; its lane is idle",
        fixture.device
    );
    assert!(output.stdout.contains(&wanted), "{}", output.stdout);
}

#[tokio::test]
async fn nothing_matched_hints_at_discarded_ones() {
    let fixture = Fixture::new().await;
    let invoice = fixture.refused_sale("891").await.to_string();
    let discard = ["discard", "--id", &invoice, "--reason", "x", "--yes"];
    fixture.replay(&discard).await.expect_code(0);
    let run = fixture.replay(&["run", "--yes"]).await.expect_code(0);
    assert!(
        run.stderr.contains("1 discarded ones match"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("--discarded"), "{}", run.stderr);
}

#[tokio::test]
async fn run_that_waits_tells_what_became_of_each_invoice() {
    let fixture = Fixture::new().await;
    let invoice: Uuid = fixture.refused_sale("891").await;
    let run = ["run", "--yes", "--json", "--wait", "600ms"];
    let lines = fixture.replay(&run).await.expect_code(0).lines();
    assert_eq!(lines[0]["invoice_id"], invoice.to_string());
    assert_eq!(lines[0]["state"], "pending");
    assert_eq!(lines[1]["replayed"], 1);
}

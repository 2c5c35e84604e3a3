//! The commands `lanes list`, `lanes halt` and `lanes resume`.

use risiti_queue::Target;
use uuid::Uuid;

use crate::fixture::Fixture;

#[tokio::test]
async fn lanes_list_has_the_documented_keys() {
    let fixture = Fixture::new().await;
    fixture.sale("pending").await;
    fixture.halt_lane().await;
    let output = fixture
        .replay(&["lanes", "list", "--json"])
        .await
        .expect_code(0);
    let lane = &output.lines()[0];
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
        "host",
        "breaker",
        "host_retry_at",
        "halted_at",
        "oldest_seconds",
        "last_code",
        "last_message",
        "last_send",
        "held",
        "halt_remedy",
        "found",
        "expected_invoice_no",
        "looked_up_until",
        "progress",
        "evidence",
        "first_action",
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
        fixture
            .replay(&["lanes", "list"])
            .await
            .expect_code(0)
            .stdout
            .contains("numbers out of step")
    );
}

#[tokio::test]
async fn halt_and_resume_keep_operator_and_reason() {
    let fixture = Fixture::new().await;
    fixture.sale("pending").await;
    let device = fixture.device.to_string();
    fixture
        .replay(&["lanes", "halt", &device])
        .await
        .expect_code(2);
    fixture
        .replay(&["lanes", "resume", &device, "--reason", "x"])
        .await
        .expect_code(1);
    fixture
        .replay(&["lanes", "halt", &device, "--reason", "KRA moves"])
        .await
        .expect_code(0);
    let reason = fixture.query_text("SELECT halt_reason FROM lanes").await;
    assert!(
        reason.contains("KRA moves") && reason.contains("jane") && reason.contains("lanes resume"),
        "{reason}"
    );
    let output = fixture
        .replay(&["lanes", "halt", &device, "--reason", "again"])
        .await
        .expect_code(1);
    assert!(output.stderr.contains("KRA moves"), "{}", output.stderr);
    fixture
        .replay(&["lanes", "resume", &device, "--reason", "moved"])
        .await
        .expect_code(0);
    assert_eq!(fixture.lane().await, "1 false");
    let wake_up = fixture.take(Target::Lanes).await;
    assert_eq!(wake_up.headers["risiti-device"], device);
    let moves = "SELECT string_agg(actor || ' ' || to_state, ', ' ORDER BY id) FROM transitions WHERE subject = 'device'";
    assert_eq!(fixture.query_text(moves).await, "jane halted, jane waiting");
    assert_eq!(
        (
            fixture.count_actions("lanes halt").await,
            fixture.count_actions("lanes resume").await
        ),
        (1, 1)
    );
    fixture
        .replay(&[
            "lanes",
            "halt",
            &Uuid::now_v7().to_string(),
            "--reason",
            "x",
        ])
        .await
        .expect_code(1);
}

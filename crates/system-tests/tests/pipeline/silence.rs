//! What no program may print, even at the `trace` level (architecture §9.6).

use crate::fixture::{CREDENTIALS_KEY, DEADLINE, Fixture, stk};

/// Texts that no output may hold. The test adds the path secret, which differs each time.
const FORBIDDEN: [&str; 7] = [
    CREDENTIALS_KEY,
    "0123456789ABCDEF",
    "sk_test_of_the_silent_one",
    "708374149",
    "ws_CO_",
    // Quoted as in a body, since the problem of an unreadable body names its field without quotes.
    "\"stkCallback\"",
    "\"CallbackMetadata\"",
];

#[tokio::test]
async fn no_output_of_any_program_holds_a_secret_or_phone() {
    let fixture = Fixture::new().await;
    let add = [
        "provider",
        "add",
        "--merchant",
        "acme",
        "--provider",
        "paystack",
        "--secret-key-env",
        "TEST_PAYSTACK_KEY",
    ];
    let key = [
        ("TEST_PAYSTACK_KEY", "sk_test_of_the_silent_one"),
        ("RUST_LOG", "trace"),
    ];
    let mut outputs = vec![fixture.output_of("risiti-admin", &add, &key).await];
    fixture
        .sim_post(
            "/_sim/faults",
            &serde_json::json!({"match": {"call": "sale", "every_nth": 2}, "fault": {"refused_under_200": {"message": "Invalid taxblAmtB"}}}),
        )
        .await;

    let mut running = Vec::new();
    for name in [
        "risiti-ingress",
        "risiti-ledger-worker",
        "risiti-etims-worker",
    ] {
        running.push(fixture.start_with(name, &[("RUST_LOG", "trace")]).await);
    }
    let webhooks = running[0].webhooks().await;
    for n in 1..=4 {
        assert_eq!(
            fixture.post(webhooks, "stk", &stk(n, "1160.00")).await.0,
            200
        );
        assert_eq!(
            fixture.post(webhooks, "stk", &stk(n, "1160.00")).await.0,
            200
        );
    }
    let unreadable = r#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_708374149","PhoneNumber":254708374149}}}"#;
    let (status, problem) = fixture.post(webhooks, "stk", unreadable).await;
    assert_eq!(status, 422);
    outputs.push(problem);
    fixture
        .wait_for_count(
            "SELECT count(*) FROM report_invoices WHERE state IN ('success', 'dead')",
            4,
        )
        .await;
    fixture
        .wait_for_count(
            "SELECT count(*) FROM dead_letters WHERE cause = 'unreadable'",
            1,
        )
        .await;

    for args in [
        &["list"][..],
        &["list", "--json"],
        &["run", "--yes"],
        &["lanes", "list"],
    ] {
        outputs.push(
            fixture
                .output_of("risiti-replay", args, &[("RUST_LOG", "trace")])
                .await,
        );
    }
    for args in [
        &["merchant", "list"][..],
        &["provider", "list", "--merchant", "acme"],
        &["device", "list"],
        &["status"],
        &["audit"],
        &["find", "1"],
    ] {
        outputs.push(
            fixture
                .output_of("risiti-admin", args, &[("RUST_LOG", "trace")])
                .await,
        );
    }
    for mut program in running {
        outputs.push(program.metrics().await);
        program.process.terminate();
        program.process.exit(DEADLINE).await;
        outputs.push(program.process.log());
    }
    let password = url::Url::parse(&risiti_testkit::amqp_url())
        .unwrap()
        .password()
        .map(|p| format!(":{p}@"));
    for text in &outputs {
        assert!(!text.is_empty());
        for word in FORBIDDEN
            .iter()
            .copied()
            .chain([fixture.secret.as_str()])
            .chain(password.as_deref())
        {
            assert!(!text.contains(word), "{word} in:\n{text}");
        }
    }
}

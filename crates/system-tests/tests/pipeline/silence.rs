//! What no program may say, however much it is asked to say (architecture §9.6).

use crate::stack::{CREDENTIALS_KEY, PATIENCE, Stack, stk};

/// The path secret is added by the test: it is another one each time.
const NEVER: [&str; 7] = [
    CREDENTIALS_KEY,
    "0123456789ABCDEF",
    "sk_test_of_the_silent",
    "708374149",
    "ws_CO_",
    // As a body has them; the problem of an unreadable one names its field without quotes.
    "\"stkCallback\"",
    "\"CallbackMetadata\"",
];

#[tokio::test]
async fn no_log_metric_or_output_of_any_program_holds_a_secret_or_a_phone() {
    let stack = Stack::new().await;
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
        ("TEST_PAYSTACK_KEY", "sk_test_of_the_silent"),
        ("RUST_LOG", "trace"),
    ];
    let mut told = vec![stack.told_by("risiti-admin", &add, &key).await];
    stack
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
        running.push(stack.start_with(name, &[("RUST_LOG", "trace")]).await);
    }
    let webhooks = running[0].webhooks().await;
    for n in 1..=4 {
        assert_eq!(stack.post(webhooks, "stk", &stk(n, "1160.00")).await.0, 200);
        assert_eq!(stack.post(webhooks, "stk", &stk(n, "1160.00")).await.0, 200);
    }
    let unreadable = r#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_708374149","PhoneNumber":254708374149}}}"#;
    let (status, problem) = stack.post(webhooks, "stk", unreadable).await;
    assert_eq!(status, 422);
    told.push(problem);
    stack
        .becomes(
            "SELECT count(*) FROM report_invoices WHERE state IN ('success', 'dead')",
            4,
        )
        .await;
    stack
        .becomes(
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
        told.push(
            stack
                .told_by("risiti-replay", args, &[("RUST_LOG", "trace")])
                .await,
        );
    }
    for args in [
        &["merchant", "list"][..],
        &["provider", "list", "--merchant", "acme"],
        &["device", "list"],
    ] {
        told.push(
            stack
                .told_by("risiti-admin", args, &[("RUST_LOG", "trace")])
                .await,
        );
    }
    for mut program in running {
        told.push(program.metrics().await);
        program.process.terminate();
        program.process.exit(PATIENCE).await;
        told.push(program.process.log());
    }
    let password = url::Url::parse(&risiti_testkit::amqp_url())
        .unwrap()
        .password()
        .map(|p| format!(":{p}@"));
    for text in &told {
        assert!(!text.is_empty());
        for word in NEVER
            .iter()
            .copied()
            .chain([stack.secret.as_str()])
            .chain(password.as_deref())
        {
            assert!(!text.contains(word), "{word} in:\n{text}");
        }
    }
}

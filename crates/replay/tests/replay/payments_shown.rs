//! What is shown of flagged payments, and how they are named.

use crate::fixture::Fixture;
use crate::payments::{flagged, flagged_by, payment};

fn stk_body(amount: &str) -> String {
    format!(
        r#"{{"Body":{{"stkCallback":{{"MerchantRequestID":"1","CheckoutRequestID":"ws_CO_1","ResultCode":0,
        "ResultDesc":"ok","CallbackMetadata":{{"Item":[{{"Name":"Amount","Value":{amount}}},
        {{"Name":"MpesaReceiptNumber","Value":"UIS4000001"}},{{"Name":"TransactionDate","Value":20261128023757}},
        {{"Name":"PhoneNumber","Value":254708374149}}]}}}}}}}}"#
    )
}

#[tokio::test]
async fn contradiction_is_shown_with_the_facts_that_differ() {
    let fixture = Fixture::new().await;
    let reason = "a message came again with other facts";
    let id = flagged_by(&fixture, "success", reason, &stk_body("100.00")).await;
    let again = stk_body("150.00");
    fixture
        .execute(&format!(
            "INSERT INTO event_conflicts (event_id, facts_sha256, delivered_as, received_at, body)
             VALUES ('{id}', '', gen_random_uuid(), '2026-11-28T02:37:57Z', convert_to('{again}', 'UTF8'));
             UPDATE payments SET reference = 'ORDER-1';"
        ))
        .await;
    let wanted = "2026-11-28T02:37:57Z told: KES 150.00; the books have KES 100.00";
    for command in [
        &["payments", "show", "ORDER-1"][..],
        &["payments", "show", &id],
        &["show", "ORDER-1"],
    ] {
        let output = fixture.replay(command).await.expect_code(0);
        assert!(output.stdout.contains(wanted), "{}", output.stdout);
        assert!(!output.stdout.contains("254708374149"), "{}", output.stdout);
    }
    let json = ["payments", "show", "ORDER-1", "--json"];
    let record = fixture.replay(&json).await.expect_code(0).lines().remove(0);
    assert_eq!(record["contradictions"][0]["told"]["amount"], "KES 150.00");
    assert!(record["contradictions"][0]["told"]["receipt"].is_null());

    // A provider may send other facts again and again.
    fixture
        .execute(&format!(
            "INSERT INTO event_conflicts (event_id, facts_sha256, delivered_as, received_at, body)
             SELECT '{id}', sha256(n::text::bytea), gen_random_uuid(), now(), convert_to('{again}', 'UTF8')
             FROM generate_series(1, 25) n"
        ))
        .await;
    let record = fixture.replay(&json).await.expect_code(0).lines().remove(0);
    assert_eq!(record["contradictions"].as_array().unwrap().len(), 20);
}

#[tokio::test]
async fn payment_is_named_by_what_leads_to_it_alone() {
    let fixture = Fixture::new().await;
    let id = flagged(&fixture, "pending", "may be a free trial").await;
    let other = flagged(&fixture, "pending", "may be a free trial").await;
    fixture
        .execute("UPDATE payments SET reference = 'ORDER-1'")
        .await;
    let settle = [
        "payments", "settle", "ORDER-1", "--reason", "charged", "--yes",
    ];
    let output = fixture.replay(&settle).await.expect_code(1);
    assert!(
        output.stderr.contains("leads to 2 payments"),
        "{}",
        output.stderr
    );
    let nobody = ["payments", "dismiss", "ORDER-2", "--reason", "x", "--yes"];
    fixture.replay(&nobody).await.expect_code(1);
    assert!(payment(&fixture, &id).await.starts_with("pending flagged"));

    fixture
        .execute(&format!(
            "UPDATE payments SET reference = 'ORDER-2' WHERE id = '{other}'"
        ))
        .await;
    fixture.replay(&settle).await.expect_code(0);
    assert_eq!(payment(&fixture, &id).await, "success");
    assert!(
        payment(&fixture, &other)
            .await
            .starts_with("pending flagged")
    );
}

#[tokio::test]
async fn unregistered_short_code_names_the_command_that_registers_it() {
    let fixture = Fixture::new().await;
    let reason = "the short code is not registered for this merchant";
    let id = flagged(&fixture, "pending", reason).await;
    fixture
        .execute("UPDATE payments SET short_code = '500099'")
        .await;
    let wanted = "the short code 500099 is not registered: risiti-admin provider add --merchant acme \
                  --provider daraja --shortcode 500099";
    for command in [
        &["payments", "list"][..],
        &["payments", "show", &id],
        &["show", &id],
    ] {
        let output = fixture.replay(command).await.expect_code(0);
        assert!(output.stdout.contains(wanted), "{}", output.stdout);
        assert!(
            !output.stdout.contains("counts as paid"),
            "{}",
            output.stdout
        );
        assert!(!output.stdout.contains("contradicts"), "{}", output.stdout);
    }
}

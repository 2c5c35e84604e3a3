//! The command `find`.

use risiti_testkit::Program;
use serde_json::Value;

use crate::fixture::{CommandResult, Fixture, run_to_end};

const PAYMENT: &str = "01890a5d-ac96-774b-bcce-000000000001";
const EVENT: &str = "01890a5d-ac96-774b-bcce-000000000002";
const SALE: &str = "01890a5d-ac96-774b-bcce-000000000003";
const PHONE: &str = "254708374149";
const CHECKOUT_ID: &str = "ws_CO_270120260708374149";

/// A sale of acme that is filed as number 1.
async fn filed_sale() -> Fixture {
    let fixture = Fixture::with_merchant().await;
    fixture
        .add_device("http://127.0.0.1:1", "00", &[])
        .await
        .ok();
    fixture
        .sql(&format!(
            "INSERT INTO payments (id, merchant_id, provider, money_key, checkout_id, reference, receipt, amount,
                currency, phone, phone_is_full, method, state, authenticated_by, settled_at, moved_by)
             SELECT '{PAYMENT}', id, 'daraja', 'UIS4000001', '{CHECKOUT_ID}', '{PHONE}', 'UIS4000001', 116, 'KES',
                '{PHONE}', true, 'mobile_money', 'success', 'path', now(), 'test' FROM merchants;
             INSERT INTO events (id, merchant_id, provider, kind, delivery_key, facts_sha256, authenticated_by,
                received_at, body, payment_id)
             SELECT '{EVENT}', id, 'daraja', 'stk', '{CHECKOUT_ID}:0', '', 'path', now(), '{PHONE}', '{PAYMENT}'
             FROM merchants;
             INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, event_id, moved_by)
             SELECT '{SALE}', '{PAYMENT}', merchant_id, id, 'sale', 116, '{EVENT}', 'test' FROM devices;
             UPDATE invoices SET state = 'submitting', invoice_no = 1;
             INSERT INTO submissions (invoice_id, device_id, invoice_no, claim_id, body, outcome)
             SELECT '{SALE}', id, 1, gen_random_uuid(), '{PHONE}', 'ok' FROM devices;
             UPDATE invoices SET state = 'success', receipt_no = 398;"
        ))
        .await;
    fixture
}

async fn find(fixture: &Fixture, text: &str) -> CommandResult {
    fixture.run(&["find", text]).await
}

#[tokio::test]
async fn any_name_of_a_payment_finds_its_story() {
    let fixture = filed_sale().await;
    for text in [
        "UIS4000001",
        "uis4000001",
        CHECKOUT_ID,
        PHONE,
        PAYMENT,
        EVENT,
        SALE,
        "1",
    ] {
        let story = find(&fixture, text).await.ok();
        assert_eq!(story["payment"]["payment_id"], PAYMENT, "{text}");
        assert_eq!(story["events"][0]["event_id"], EVENT);
        assert_eq!(story["payment"]["amount"], "116.00");
        let sale = &story["invoices"][0];
        assert_eq!(sale["amount"], "116.00");
        assert_eq!(sale["receipt_no"], 398);
        assert_eq!(sale["sends"][0]["outcome"], "ok");
        assert_eq!(
            sale["moves"].as_array().map(Vec::len),
            Some(3),
            "{}",
            sale["moves"]
        );
    }
    find(&fixture, "UIS9999999")
        .await
        .refused(1, "nothing is recorded under that");
    let elsewhere = ["find", "1", "--merchant", "nobody"];
    fixture.run(&elsewhere).await.refused(1, "nothing");
}

#[tokio::test]
async fn found_story_names_no_payer() {
    let fixture = filed_sale().await;
    let as_json = find(&fixture, PAYMENT).await;
    let as_text = text_of(&fixture, &["find", PAYMENT]).await;
    for output in [&as_json.stdout, &as_text.stdout] {
        assert!(
            !output.contains(PHONE) && !output.contains("708374149"),
            "{output}"
        );
    }
    assert!(
        as_text
            .stdout
            .contains("filed as number 1, KRA's receipt 398"),
        "{as_text:?}"
    );
}

#[tokio::test]
async fn payment_that_owes_none_says_why() {
    let fixture = Fixture::with_merchant().await;
    fixture
        .sql(
            "INSERT INTO payments (id, merchant_id, provider, money_key, receipt, amount, currency, method, state,
                authenticated_by, settled_at, reason, moved_by)
             SELECT gen_random_uuid(), id, 'gumroad', 'A==', '524459935', 10, 'USD', 'card', 'success', 'path', now(),
                'owes no receipt: not in KES', 'test' FROM merchants",
        )
        .await;
    let found = text_of(&fixture, &["find", "524459935"]).await;
    assert!(
        found
            .stdout
            .contains("no invoice: owes no receipt: not in KES"),
        "{found:?}"
    );
}

#[tokio::test]
async fn search_shows_twenty_and_says_there_are_more() {
    let fixture = Fixture::with_merchant().await;
    fixture
        .sql(
            "INSERT INTO payments (id, merchant_id, provider, reference, method, moved_by)
             SELECT gen_random_uuid(), m.id, 'daraja', 'RENT', 'mobile_money', 'test'
             FROM merchants m, generate_series(1, 25)",
        )
        .await;
    let found = find(&fixture, "RENT").await;
    assert_eq!(found.lines().len(), 20);
    assert!(found.stderr.contains("There are more"), "{found:?}");
}

#[tokio::test]
async fn unreadable_webhook_is_found_by_its_event() {
    let fixture = Fixture::with_merchant().await;
    fixture
        .sql(&format!(
            "INSERT INTO dead_letters (id, cause, merchant_id, event_id, provider, body, body_sha256, headers, message)
             SELECT gen_random_uuid(), 'unreadable', id, '{EVENT}', 'daraja', '{PHONE}', sha256('{PHONE}'), '{{}}',
                'Body.stkCallback.ResultCode: is missing' FROM merchants"
        ))
        .await;
    let story: Value = find(&fixture, EVENT).await.ok();
    assert_eq!(story["dead_letter"]["cause"], "unreadable");
    assert!(!story.to_string().contains(PHONE));
}

/// What a person sees.
async fn text_of(fixture: &Fixture, args: &[&str]) -> CommandResult {
    let program: Program = Program::built("risiti-admin")
        .args(args.iter().copied())
        .env("DATABASE_URL", fixture.database.url());
    run_to_end(program).await
}

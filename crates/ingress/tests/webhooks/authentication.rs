//! Who may send a webhook: signatures, path secrets, and lists of source ranges.

use risiti_ledger::NewAccount;
use risiti_providers::Envelope;

use crate::fixture::{Fixture, Ingress, JSON, daraja_account, json_of, stk_path_of, stk_success};
use crate::raw_http::exchange;

const SIGNED: &str =
    include_str!("../../../providers/fixtures/paystack/charge.success_kes_mobile_money.json");
const SIGNATURE: (&str, &str) = (
    "x-paystack-signature",
    "d21fea24486bf72a34edcfa0167ca2bb749a57c40b8b44703b738e06f3df6e0b06591b7dd803d941078160d1b5d874dae28562981cb6faf11a686a5bb0f93940",
);

/// Posts a webhook to this merchant, which must have the key of its signature.
pub(crate) async fn post_signed(ingress: &Ingress, slug: &str) -> reqwest::Response {
    let path = format!("/webhooks/paystack/{slug}");
    ingress.post_with(&path, SIGNED, &[JSON, SIGNATURE]).await
}

#[tokio::test]
async fn signature_is_checked_over_the_raw_bytes() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().ready().await;
    let path = "/webhooks/paystack/acme";

    let first = ingress.post_with(path, SIGNED, &[JSON, SIGNATURE]).await;
    assert_eq!(first.status(), 200);
    assert_eq!(json_of(first).await["status"], "accepted");
    let again = ingress.post_with(path, SIGNED, &[JSON, SIGNATURE]).await;
    assert_eq!(json_of(again).await["status"], "duplicate");

    let changed = format!("{SIGNED}\n");
    for (body, headers) in [
        (changed.as_str(), vec![JSON, SIGNATURE]),
        (SIGNED, vec![JSON, (SIGNATURE.0, "zz")]),
        (
            SIGNED,
            vec![("content-type", "text/plain"), (SIGNATURE.0, "zz")],
        ),
    ] {
        let answer = ingress.post_with(path, body, &headers).await;
        assert_eq!(answer.status(), 401);
    }
    assert_eq!(fixture.queued().await, 1);
}

#[tokio::test]
async fn unknown_secret_is_answered_like_any_unknown_path() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().ready().await;

    let unknown_secret = stk_path_of(&"f".repeat(32));
    let wrong_provider = format!("/webhooks/mpesa/{}", fixture.secret);
    let mut answers = Vec::new();
    for path in [
        unknown_secret.as_str(),
        &wrong_provider,
        "/webhooks/elsewhere",
        "/",
    ] {
        let answer = ingress.post(path, "{}").await;
        let mut headers = answer.headers().clone();
        headers.remove("date");
        answers.push((answer.status(), headers, answer.text().await.unwrap()));
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
}

/// Slugs can be guessed, so what they are answered must not tell which exist.
#[tokio::test]
async fn unknown_slug_is_answered_like_one_with_another_key() {
    let fixture = Fixture::start().await;
    fixture.add_merchant("without-paystack", "Without").await;
    let ingress = fixture.ingress().ready().await;

    let wrong = "0".repeat(128);
    let text = ("content-type", "text/plain");
    for headers in [
        vec![JSON],
        vec![text],
        vec![JSON, (SIGNATURE.0, "zz")],
        vec![JSON, (SIGNATURE.0, wrong.as_str())],
        vec![text, (SIGNATURE.0, wrong.as_str())],
    ] {
        let mut answers = Vec::new();
        for slug in ["acme", "nobody", "without-paystack"] {
            let path = format!("/webhooks/paystack/{slug}");
            let answer = ingress.post_with(&path, SIGNED, &headers).await;
            assert_eq!(answer.status(), 401, "{slug} {headers:?}");
            let mut seen = answer.headers().clone();
            seen.remove("date");
            answers.push((seen, answer.text().await.unwrap()));
        }
        assert!(
            answers.iter().all(|answer| *answer == answers[0]),
            "{answers:?}"
        );
    }
    // Who signs rightly learns what is wrong with the content type.
    let answer = ingress
        .post_with("/webhooks/paystack/acme", SIGNED, &[text, SIGNATURE])
        .await;
    assert_eq!(answer.status(), 415);
    assert_eq!(fixture.queued().await, 0);
}

#[tokio::test]
async fn secret_opens_only_the_routes_of_its_merchant() {
    let fixture = Fixture::start().await;
    let secret = fixture.add_merchant("baraka", "Baraka Mini Mart").await;
    let paystack = NewAccount::Paystack {
        key: "sk_test_of_another_merchant".into(),
    };
    fixture.add_account("baraka", paystack).await;
    let ingress = fixture.ingress().ready().await;

    // Acme has Daraja and Gumroad accounts, and Baraka has neither.
    for route in [format!("daraja/{secret}/stk"), format!("gumroad/{secret}")] {
        let path = format!("/webhooks/{route}");
        let answer = ingress.post(&path, stk_success("UIS4000060")).await;
        assert_eq!(answer.status(), 404, "{route}");
    }

    // A signature with Acme's key does not authenticate a webhook to Baraka.
    let path = "/webhooks/paystack/baraka";
    let answer = ingress.post_with(path, SIGNED, &[JSON, SIGNATURE]).await;
    assert_eq!(answer.status(), 401);
    assert_eq!(fixture.queued().await, 0);
}

#[tokio::test]
async fn unlisted_source_is_recorded_and_refused_when_enforced() {
    let fixture = Fixture::start().await;
    let ranges = ["196.201.0.0/16"];

    let recorded = daraja_account(&ranges, false);
    fixture.add_account("acme", recorded).await;
    let recording = fixture.ingress().ready().await;
    let answer = recording.post_stk(stk_success("UIS4000030")).await;
    assert_eq!(answer.status(), 200);
    let queued = fixture.next_queued().await;
    let envelope = Envelope::from_headers(&queued.message.headers).unwrap();
    assert_eq!(envelope.authenticated_by.as_str(), "path+unlisted_source");

    let enforced = daraja_account(&ranges, true);
    fixture.add_account("acme", enforced).await;
    let enforcing = fixture
        .ingress()
        .env("RISITI_TRUSTED_PROXIES", "127.0.0.0/8")
        .ready()
        .await;
    let path = fixture.stk_path();
    let body = stk_success("UIS4000031");
    assert_eq!(enforcing.post_stk(body.clone()).await.status(), 403);

    // The sender wrote the first line. Our proxy appended the hop to the second one, which has a
    // byte that is not text.
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n"
    );
    let forwarded = b"x-forwarded-for: 196.201.214.200\r\nx-forwarded-for: \xff, 9.9.9.9\r\n";
    let rest = format!("content-length: {}\r\n\r\n{body}", body.len());
    let spoofed = [head.as_bytes(), forwarded, rest.as_bytes()].concat();
    let answers = exchange(enforcing.address, &[&spoofed]).await;
    assert_eq!(answers.statuses(), [403]);

    let listed = [JSON, ("x-forwarded-for", "9.9.9.9, 196.201.214.200")];
    let answer = enforcing.post_with(&path, body, &listed).await;
    assert_eq!(answer.status(), 200);
}

/// The id tells which secret is still in use. It is no secret itself.
#[tokio::test]
async fn envelope_names_the_credential_that_let_the_webhook_in() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().ready().await;
    let headers = [JSON, SIGNATURE];
    ingress
        .post_with("/webhooks/paystack/acme", SIGNED, &headers)
        .await;
    let signed = fixture.next_queued().await;
    ingress
        .post(&fixture.stk_path(), stk_success("UIS4000009"))
        .await;
    let by_path = fixture.next_queued().await;

    let directory = fixture.ledger.directory().await.unwrap();
    let known = directory
        .known_secret(&fixture.secret, jiff::Timestamp::now())
        .unwrap();
    let key = known.merchant.paystack.as_ref().unwrap().keys[0].id;
    let credential = |delivery: &risiti_queue::Delivery| {
        let envelope = Envelope::from_headers(&delivery.message.headers).unwrap();
        envelope.credential.map(|id| id.uuid())
    };
    assert_eq!(credential(&signed), Some(key));
    assert_eq!(credential(&by_path), known.id.map(|id| id.uuid()));
    assert!(known.id.is_some());
}

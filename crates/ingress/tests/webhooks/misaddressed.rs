//! Webhooks with a right path secret whose path or content type is not as it should be.
//!
//! Daraja sends once, and C2B addresses are registered once. So ingress takes what it can, and
//! whatever it cannot take wakes somebody.

use std::time::Duration;

use risiti_ledger::NewAccount;

use crate::fixture::{DEADLINE, Fixture, Ingress, JSON, stk_success};
use crate::raw_http::{exchange, take_queued};
use risiti_testkit::eventually;

const PING: &str = include_str!("../../../providers/fixtures/gumroad/sale_ping.txt");
const CHARGE: &str =
    include_str!("../../../providers/fixtures/paystack/charge.success_kes_mobile_money.json");
const SIGNATURE: (&str, &str) = (
    "x-paystack-signature",
    "d21fea24486bf72a34edcfa0167ca2bb749a57c40b8b44703b738e06f3df6e0b06591b7dd803d941078160d1b5d874dae28562981cb6faf11a686a5bb0f93940",
);

/// Posts a body with this content type, or with none.
async fn post(ingress: &Ingress, path: &str, body: &str, content_type: Option<&str>) -> u16 {
    let mut headers = vec![SIGNATURE];
    headers.extend(content_type.map(|value| ("content-type", value)));
    let answer = ingress.post_with(path, body, &headers).await;
    answer.status().as_u16()
}

async fn misaddressed(ingress: &Ingress, provider: &str) -> f64 {
    let series = format!(r#"risiti_webhooks_misaddressed_total{{provider="{provider}"}}"#);
    ingress.metric(&series).await
}

fn confirmation(receipt: &str) -> String {
    include_str!("../../../providers/fixtures/daraja/c2b_confirmation_v1.json")
        .replace("UIS5000001", receipt)
}

#[tokio::test]
async fn slashes_and_blanks_too_many_are_forgiven() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().ready().await;

    let secret = &fixture.secret;
    let paths = [
        format!("/webhooks/daraja/{secret}/c2b/confirmation/"),
        format!("//webhooks/daraja/{secret}/c2b/confirmation"),
        format!("/webhooks/daraja//{secret}/c2b//confirmation"),
        format!("/webhooks/daraja/{secret}/c2b/confirmation%20"),
        format!("/webhooks/daraja/{secret}/c2b/confirmation%20/"),
        format!("/webhooks/daraja/{secret}/c2b/confirmation/%20?x=1"),
    ];
    for (number, path) in paths.iter().enumerate() {
        let body = confirmation(&format!("UIS61{number:05}"));
        let answer = ingress.post(path, body).await;
        assert_eq!(answer.status(), 200, "{path}");
    }
    assert_eq!(fixture.queued().await, paths.len() as u64);

    // The same rule for all providers is the easiest to remember.
    let ping = format!("/webhooks/gumroad/{secret}/");
    let form = Some("application/x-www-form-urlencoded");
    assert_eq!(post(&ingress, &ping, PING, form).await, 200);
    let charge = "/webhooks//paystack/acme%20";
    assert_eq!(post(&ingress, charge, CHARGE, Some(JSON.1)).await, 200);
    assert_eq!(misaddressed(&ingress, "daraja").await, 0.0);
}

/// A raw blank ends the path of a request line, so what follows is no version of HTTP. The HTTP
/// library answers before any of our code runs, and no HTTP client sends such a request.
#[tokio::test]
async fn raw_blank_in_the_path_is_not_http() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().ready().await;
    let body = stk_success("UIS6200001");
    let request = format!(
        "POST {}  HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
        fixture.stk_path(),
        body.len()
    );
    let answers = exchange(ingress.address, &[request.as_bytes()]).await;
    assert_eq!(answers.statuses(), [400]);
}

#[tokio::test]
async fn wrong_content_type_costs_no_message_that_comes_once() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().ready().await;

    let stk = fixture.stk_path();
    let ping = format!("/webhooks/gumroad/{}", fixture.secret);
    let charge = "/webhooks/paystack/acme".to_owned();
    let body = stk_success("UIS6300001");
    // Paystack sends for 72 hours and shows the refusal in its dashboard. Gumroad sends for 15
    // minutes. Their bodies are read as the type says, so another type is refused.
    for (content_type, daraja, paystack, gumroad) in [
        (None, 200, 200, 200),
        (Some("text/plain"), 200, 415, 415),
        (Some(""), 200, 415, 415),
        (Some("application/xml;charset=\"x"), 200, 415, 415),
        (Some("multipart/form-data; boundary=x"), 200, 415, 415),
    ] {
        let answers = [
            post(&ingress, &stk, &body, content_type).await,
            post(&ingress, &charge, CHARGE, content_type).await,
            post(&ingress, &ping, PING, content_type).await,
        ];
        assert_eq!(answers, [daraja, paystack, gumroad], "{content_type:?}");
    }
    assert_eq!(fixture.queued().await, 3);

    // A form is not what Daraja documents. It is kept as a dead letter.
    let form = Some("application/x-www-form-urlencoded");
    assert_eq!(post(&ingress, &stk, "TransID=UIS63", form).await, 422);
    let queued = take_queued(&fixture).await;
    assert_eq!(queued.last(), Some(&(b"TransID=UIS63".to_vec(), false)));
}

#[tokio::test]
async fn unknown_path_below_a_secret_is_counted_and_logged() {
    let fixture = Fixture::start().await;
    let bare = fixture.add_merchant("baraka", "Baraka Mini Mart").await;
    let mut ingress = fixture.ingress().ready().await;

    let secret = &fixture.secret;
    for (path, provider) in [
        (
            format!("/webhooks/daraja/{secret}/C2B/Confirmation"),
            "daraja",
        ),
        (format!("/webhooks/daraja/{secret}"), "daraja"),
        (
            format!("/webhooks/daraja/{secret}/stk/254708374149"),
            "daraja",
        ),
        (format!("/webhooks/gumroad/{secret}/ping"), "gumroad"),
        (format!("/webhooks/paystack/{secret}"), "paystack"),
        (format!("/webhooks/mpesa/{secret}/stk"), "unknown"),
        (format!("/daraja/{secret}/stk"), "unknown"),
        // Baraka has no account of this provider.
        (format!("/webhooks/daraja/{bare}/stk"), "daraja"),
    ] {
        let before = misaddressed(&ingress, provider).await;
        let answer = ingress.post(&path, stk_success("UIS6400001")).await;
        // A slug is answered in one way, whether or not it exists.
        let expected = if provider == "paystack" { 401 } else { 404 };
        assert_eq!(answer.status(), expected, "{path}");
        let counted = misaddressed(&ingress, provider).await - before;
        assert_eq!(counted, 1.0, "{path}");
    }

    // Nobody's secret, and a look at an address with a browser, wake nobody.
    let unknown = format!("/webhooks/daraja/{}/C2B/Confirmation", "f".repeat(40));
    assert_eq!(ingress.post(&unknown, "{}").await.status(), 404);
    let url = format!("http://{}/webhooks/daraja/{secret}", ingress.address);
    assert_eq!(fixture.client.get(url).send().await.unwrap().status(), 404);
    assert_eq!(misaddressed(&ingress, "daraja").await, 4.0);
    assert_eq!(fixture.queued().await, 0);

    ingress.stop().await;
    let log = ingress.process.log();
    assert!(
        log.contains("acme") && log.contains("baraka") && log.contains("C2B/Confirmation"),
        "{log}"
    );
    assert!(
        !log.contains(secret) && !log.contains(&bare) && !log.contains("2547"),
        "{log}"
    );
}

/// Until somebody adds the account, its webhooks are lost. From then on they are taken.
#[tokio::test]
async fn added_account_ends_the_alarm() {
    let fixture = Fixture::start().await;
    let secret = fixture.add_merchant("baraka", "Baraka Mini Mart").await;
    let ingress = fixture.ingress().ready().await;

    let path = format!("/webhooks/gumroad/{secret}");
    let form = Some("application/x-www-form-urlencoded");
    assert_eq!(post(&ingress, &path, PING, form).await, 404);
    assert_eq!(misaddressed(&ingress, "gumroad").await, 1.0);

    let gumroad = NewAccount::Gumroad {
        seller_id: "s".into(),
    };
    fixture.add_account("baraka", gumroad).await;
    eventually("the account is known", DEADLINE, async || {
        (post(&ingress, &path, PING, form).await == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn webhook_to_an_expired_secret_is_told_of_by_merchant() {
    let fixture = Fixture::start().await;
    let mut ingress = fixture.ingress().ready().await;
    ingress.accept("UISH000001").await;
    let ending = r#"risiti_webhooks_ending_secret_total{merchant="acme"}"#;
    let expired = r#"risiti_webhooks_expired_secret_total{merchant="acme"}"#;

    let rotate = async |overlap| {
        fixture
            .ledger
            .rotate_path_secret("acme", overlap)
            .await
            .unwrap()
    };
    rotate(Duration::from_secs(3_600)).await;
    eventually("the secret is ending", DEADLINE, async || {
        ingress.post_stk(stk_success("UISH000002")).await;
        (ingress.metric_if_any(ending).await? >= 1.0).then_some(())
    })
    .await;
    rotate(Duration::ZERO).await;
    eventually("the secret has ended", DEADLINE, async || {
        let answer = ingress.post_stk(stk_success("UISH000003")).await;
        (answer.status() == 404).then_some(())
    })
    .await;
    assert!(ingress.metric_if_any(expired).await >= Some(1.0));
    ingress.stop().await;
}

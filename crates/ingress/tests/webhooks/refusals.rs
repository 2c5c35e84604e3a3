//! Every refusal, what it leaves behind, and what it must not leave in the log.

use std::io::{Read, Write};
use std::net::TcpStream;

use risiti_providers::Envelope;
use risiti_queue::Target;

use crate::stage::{PATIENCE, Stage, json_of, stk_success};

const SIGNED: &str =
    include_str!("../../../providers/fixtures/paystack/charge.success_kes_mobile_money.json");
const SIGNATURE: &str = "d21fea24486bf72a34edcfa0167ca2bb749a57c40b8b44703b738e06f3df6e0b06591b7dd803d941078160d1b5d874dae28562981cb6faf11a686a5bb0f93940";

#[tokio::test]
async fn a_signature_is_checked_over_the_raw_bytes() {
    let stage = Stage::set().await;
    let ingress = stage.ingress().await;
    let json = ("content-type", "application/json");
    let path = "/webhooks/paystack/acme";
    let signed = ingress
        .post_with(
            &stage,
            path,
            SIGNED,
            &[json, ("x-paystack-signature", SIGNATURE)],
        )
        .await;
    assert_eq!(signed.status(), 200);
    assert_eq!(json_of(signed).await["status"], "accepted");
    let again = ingress
        .post_with(
            &stage,
            path,
            SIGNED,
            &[json, ("x-paystack-signature", SIGNATURE)],
        )
        .await;
    assert_eq!(json_of(again).await["status"], "duplicate");

    let changed = format!("{SIGNED}\n");
    for (body, headers) in [
        (
            changed.as_str(),
            vec![json, ("x-paystack-signature", SIGNATURE)],
        ),
        (SIGNED, vec![json, ("x-paystack-signature", "zz")]),
        (SIGNED, vec![json]),
    ] {
        assert_eq!(
            ingress
                .post_with(&stage, path, body, &headers)
                .await
                .status(),
            401
        );
    }
    assert_eq!(stage.queued().await, 1);
}

#[tokio::test]
async fn each_refusal_has_its_status_and_queues_nothing() {
    let stage = Stage::set().await;
    let ingress = stage
        .ingress_with(|program| program.env("RISITI_BODY_LIMIT", "1KiB"))
        .await;
    let body = stk_success("UIS4000020");
    let unknown = format!("/webhooks/daraja/{}/stk", "f".repeat(32));
    for (path, body, content_type, expected) in [
        (unknown.as_str(), body.as_str(), "application/json", 404),
        ("/webhooks/paystack/nobody", &body, "application/json", 404),
        ("/webhooks/mpesa", &body, "application/json", 404),
        (&stage.stk(), &body, "text/plain", 415),
        (
            &stage.stk(),
            &format!("{body}{}", " ".repeat(1024)),
            "application/json",
            413,
        ),
    ] {
        let answer = ingress
            .post_with(&stage, path, body, &[("content-type", content_type)])
            .await;
        assert_eq!(answer.status(), expected, "{path} {content_type}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
    let get = stage
        .client
        .get(format!("http://{}{}", ingress.address, stage.stk()))
        .send()
        .await
        .unwrap();
    assert_eq!(get.status(), 405);
    assert_eq!(stage.queued().await, 0);
}

#[tokio::test]
async fn an_unknown_secret_is_answered_like_any_unknown_path() {
    let stage = Stage::set().await;
    let ingress = stage.ingress().await;
    let unknown = format!("/webhooks/daraja/{}/stk", "f".repeat(32));
    let mut answers = Vec::new();
    // A secret of nobody, a merchant of nobody, a secret where a slug belongs, and paths that are none.
    let as_slug = format!("/webhooks/paystack/{}", stage.secret);
    for path in [
        unknown.as_str(),
        "/webhooks/paystack/nobody",
        &as_slug,
        "/webhooks/elsewhere",
        "/",
    ] {
        let answer = ingress.post(&stage, path, "{}").await;
        let mut headers = answer.headers().clone();
        headers.remove("date");
        answers.push((answer.status(), headers, answer.text().await.unwrap()));
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
}

#[tokio::test]
async fn a_merchants_secret_opens_its_own_routes_only() {
    let stage = Stage::set().await;
    let vault = risiti_ledger::Vault::new(&crate::stage::KEY.into(), None).unwrap();
    let (_, secret) = stage
        .ledger
        .create_merchant("baraka", "Baraka Mini Mart")
        .await
        .unwrap();
    let key = risiti_ledger::NewAccount::Paystack {
        key: "sk_test_of_another_merchant".into(),
    };
    stage
        .ledger
        .add_account("baraka", &key, Some(&vault))
        .await
        .unwrap();
    let ingress = stage.ingress().await;
    // Acme takes Daraja and Gumroad, Baraka neither.
    let theirs = secrecy::ExposeSecret::expose_secret(&secret);
    for route in [format!("daraja/{theirs}/stk"), format!("gumroad/{theirs}")] {
        let answer = ingress
            .post(
                &stage,
                &format!("/webhooks/{route}"),
                stk_success("UIS4000060"),
            )
            .await;
        assert_eq!(answer.status(), 404, "{route}");
    }
    // What Acme's key signed is nothing to Baraka.
    let signed = [
        ("content-type", "application/json"),
        ("x-paystack-signature", SIGNATURE),
    ];
    let answer = ingress
        .post_with(&stage, "/webhooks/paystack/baraka", SIGNED, &signed)
        .await;
    assert_eq!(answer.status(), 401);
    assert_eq!(stage.queued().await, 0);
}

#[tokio::test]
async fn an_unreadable_body_is_kept_then_refused() {
    let stage = Stage::set().await;
    let ingress = stage.ingress().await;
    let body = include_str!("../../../providers/fixtures/daraja/stk_malformed_null_fields.json");
    let answer = ingress.post(&stage, &stage.stk(), body).await;
    assert_eq!(answer.status(), 422);
    let problem = json_of(answer).await;
    assert!(
        problem["field"]
            .as_str()
            .unwrap()
            .starts_with("Body.stkCallback"),
        "{problem}"
    );

    let kept = stage
        .broker
        .get(Target::Payments)
        .await
        .unwrap()
        .expect("kept as evidence");
    let envelope = Envelope::from_headers(&kept.message.headers).unwrap();
    assert!(envelope.unreadable.is_some());
    assert_eq!(kept.message.body, body.as_bytes());
}

#[tokio::test]
async fn a_queue_time_out_echo_loses_its_credentials_before_it_is_queued() {
    let stage = Stage::set().await;
    let ingress = stage.ingress().await;
    let echo = r#"{"OriginatorConversationID":"feb5-1","InitiatorName":"hunter","SecurityCredential":"hunter2==","Amount":10}"#;
    let answer = ingress
        .post(
            &stage,
            &format!("/webhooks/daraja/{}/timeout", stage.secret),
            echo,
        )
        .await;
    assert_eq!(answer.status(), 200);
    let kept = stage.broker.get(Target::Payments).await.unwrap().unwrap();
    assert!(!String::from_utf8_lossy(&kept.message.body).contains("hunter"));
}

#[tokio::test]
async fn a_body_that_dawdles_gets_408() {
    let stage = Stage::set().await;
    let ingress = stage
        .ingress_with(|program| program.env("RISITI_BODY_TIMEOUT", "300ms"))
        .await;
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{",
        stage.stk()
    );
    let address = ingress.address;
    let answer = tokio::task::spawn_blocking(move || {
        let mut connection = TcpStream::connect(address).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        connection.write_all(head.as_bytes()).unwrap();
        let mut answer = [0; 12];
        connection.read_exact(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    })
    .await
    .unwrap();
    assert_eq!(answer, "HTTP/1.1 408");
}

#[tokio::test]
async fn an_enforced_source_list_refuses_and_a_plain_one_notes() {
    let stage = Stage::set().await;
    let vault = risiti_ledger::Vault::new(&crate::stage::KEY.into(), None).unwrap();
    let list = |enforce| risiti_ledger::NewAccount::Daraja {
        short_codes: vec!["600000".into()],
        allow_cidrs: vec!["196.201.0.0/16".into()],
        enforce,
    };
    stage
        .ledger
        .add_account("acme", &list(false), Some(&vault))
        .await
        .unwrap();
    let noting = stage.ingress().await;
    assert_eq!(
        noting
            .post(&stage, &stage.stk(), stk_success("UIS4000030"))
            .await
            .status(),
        200
    );
    let kept = stage.broker.get(Target::Payments).await.unwrap().unwrap();
    let envelope = Envelope::from_headers(&kept.message.headers).unwrap();
    assert_eq!(envelope.authenticated_by.as_str(), "path+unlisted_source");

    stage
        .ledger
        .add_account("acme", &list(true), Some(&vault))
        .await
        .unwrap();
    let enforcing = stage
        .ingress_with(|p| p.env("RISITI_TRUSTED_PROXIES", "127.0.0.0/8"))
        .await;
    let body = stk_success("UIS4000031");
    assert_eq!(
        enforcing
            .post(&stage, &stage.stk(), body.clone())
            .await
            .status(),
        403
    );
    // What the sender wrote, a byte that is no text in it, and what our proxy appended.
    let client = TcpStream::connect(enforcing.address);
    let spoofed = [
        format!(
            "POST {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n",
            stage.stk()
        )
        .into_bytes(),
        b"x-forwarded-for: 196.201.214.200\r\nx-forwarded-for: \xff, 9.9.9.9\r\n".to_vec(),
        format!("content-length: {}\r\n\r\n{body}", body.len()).into_bytes(),
    ]
    .concat();
    let answer = tokio::task::spawn_blocking(move || {
        let mut client = client.unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(&spoofed).unwrap();
        let mut answer = [0; 12];
        client.read_exact(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    });
    assert_eq!(answer.await.unwrap(), "HTTP/1.1 403");
    let listed = [
        ("content-type", "application/json"),
        ("x-forwarded-for", "9.9.9.9, 196.201.214.200"),
    ];
    assert_eq!(
        enforcing
            .post_with(&stage, &stage.stk(), body, &listed)
            .await
            .status(),
        200
    );
}

#[tokio::test]
async fn the_log_holds_no_secret_phone_body_or_checkout_id() {
    let stage = Stage::set().await;
    let mut ingress = stage
        .ingress_with(|program| program.env("RUST_LOG", "trace"))
        .await;
    for body in [
        stk_success("UIS4000040").as_str(),
        r#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_708374149"}}}"#,
    ] {
        ingress.post(&stage, &stage.stk(), body).await;
    }
    ingress.process.terminate();
    ingress.process.exit(PATIENCE).await;
    let log = ingress.process.log();
    assert!(log.contains("webhook accepted"), "{log}");
    for word in [
        stage.secret.as_str(),
        "708374149",
        "ws_CO_",
        "stkCallback",
        crate::stage::KEY,
    ] {
        assert!(!log.contains(word), "{word} in the log");
    }
}

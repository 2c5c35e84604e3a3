//! The real program over real HTTP, with a real broker and database.
#![expect(
    clippy::unwrap_used,
    reason = "a stage that cannot be set fails its test"
)]

mod away;
mod draining;
mod framing;
mod heads;
mod https;
mod links;
mod opening;
mod raw;
mod refusals;
mod script;
mod slow;
mod stage;

use risiti_providers::Envelope;
use risiti_queue::Target;
use risiti_testkit::{Link, eventually};
use serde_json::json;
use stage::{Ingress, PATIENCE, Stage, json_of, stk_success};

#[tokio::test]
async fn a_webhook_is_queued_untouched_and_then_acknowledged() {
    let stage = Stage::set().await;
    let ingress = stage.ingress().await;
    let body = stk_success("UIS4000004");
    let answer = ingress.post(&stage, &stage.stk(), body.clone()).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(
        json_of(answer).await,
        json!({"ResultCode": 0, "ResultDesc": "Accepted"})
    );

    let delivery = stage
        .broker
        .get(Target::Payments)
        .await
        .unwrap()
        .expect("queued before the answer");
    assert_eq!(delivery.message.body, body.as_bytes());
    let envelope = Envelope::from_headers(&delivery.message.headers).unwrap();
    assert_eq!(envelope.kind.as_deref(), Some("stk"));
    assert_eq!(envelope.event_id.uuid(), delivery.message.id);
}

#[tokio::test]
async fn parallel_duplicates_publish_once() {
    let stage = Stage::set().await;
    let ingress = stage.ingress().await;
    let path = stage.stk();
    let body = stk_success("UIS4000005");
    let answers =
        futures_util::future::join_all((0..40).map(|_| ingress.post(&stage, &path, body.clone())))
            .await;
    let mut accepted = 0;
    for answer in answers {
        assert_eq!(answer.status(), 200);
        match json_of(answer).await["ResultDesc"].as_str().unwrap() {
            "Accepted" => accepted += 1,
            other => assert_eq!(other, "Duplicate ignored"),
        }
    }
    assert_eq!((accepted, stage.queued().await), (1, 1));
}

#[tokio::test]
async fn without_a_spool_a_webhook_is_refused_while_the_broker_is_away_and_later_taken() {
    let stage = Stage::set().await;
    let link = Link::to(&risiti_testkit::amqp_url()).await;
    let ingress = stage
        .ingress_with(|program| program.env("AMQP_URL", link.url()))
        .await;
    link.cut();
    let body = stk_success("UIS4000006");
    let answer = ingress.post(&stage, &stage.stk(), body.clone()).await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "5");

    link.restore();
    ingress.ready().await;
    let answer = ingress.post(&stage, &stage.stk(), body).await;
    assert_eq!(json_of(answer).await["ResultDesc"], "Accepted");
    assert_eq!(stage.queued().await, 1);
}

#[tokio::test]
async fn without_a_spool_a_confirm_that_is_lost_is_no_acknowledgement() {
    let stage = Stage::set().await;
    let link = Link::to(&risiti_testkit::amqp_url()).await;
    let ingress = stage
        .ingress_with(|program| {
            program
                .env("AMQP_URL", link.url())
                .env("RISITI_PUBLISH_TIMEOUT", "500ms")
        })
        .await;
    link.lose_answers();
    let answer = ingress
        .post(&stage, &stage.stk(), stk_success("UIS4000007"))
        .await;
    assert_eq!(answer.status(), 503);
}

#[tokio::test]
async fn without_a_spool_a_message_that_no_queue_takes_is_no_acknowledgement() {
    let stage = Stage::set().await;
    let ingress = stage.ingress().await;
    stage.namespace.lose_queue("payments").await;
    let body = stk_success("UIS4000015");
    assert_eq!(
        ingress
            .post(&stage, &stage.stk(), body.clone())
            .await
            .status(),
        503
    );
    // The topology is declared again, and the sender's next try is the first that counts.
    eventually("the webhook is taken", PATIENCE, async || {
        (ingress
            .post(&stage, &stage.stk(), body.clone())
            .await
            .status()
            == 200)
            .then_some(())
    })
    .await;
    assert_eq!(stage.queued().await, 1);
}

#[tokio::test]
async fn replicas_share_what_they_saw_through_redis() {
    let stage = Stage::set().await;
    let shared = |program: risiti_testkit::Program| {
        program.env("RISITI_REDIS_URL", risiti_testkit::redis_url())
    };
    let (one, two) = (
        stage.ingress_with(shared).await,
        stage.ingress_with(shared).await,
    );
    let body = stk_success("UIS4000008");
    let seen = async |ingress: &Ingress| {
        let answer = ingress.post(&stage, &stage.stk(), body.clone()).await;
        json_of(answer).await["ResultDesc"] == "Duplicate ignored"
    };
    assert!(!seen(&one).await);
    assert!(seen(&two).await);
    assert_eq!(stage.queued().await, 1);
}

/// Were that disk lost, whoever sends it again must not be told that we have it.
#[tokio::test]
async fn what_only_one_replicas_disk_has_is_no_duplicate_to_another() {
    let stage = Stage::set().await;
    let shared = |program: risiti_testkit::Program| {
        program.env("RISITI_REDIS_URL", risiti_testkit::redis_url())
    };
    let link = Link::to(&risiti_testkit::amqp_url()).await;
    link.cut();
    let cut_off = stage
        .ingress_with(|program| away::spooling(shared(program)).env("AMQP_URL", link.url()))
        .await;
    let other = stage.ingress_with(shared).await;
    let body = || stk_success("UIS9C00001");
    for (ingress, said) in [
        (&cut_off, "Accepted"),
        (&cut_off, "Duplicate ignored"),
        (&other, "Accepted"),
    ] {
        let answer = ingress.post(&stage, &stage.stk(), body()).await;
        assert_eq!(json_of(answer).await["ResultDesc"], said);
    }
}

#[tokio::test]
async fn redis_away_costs_nothing_but_a_duplicate() {
    let stage = Stage::set().await;
    let link = Link::to(&risiti_testkit::redis_url()).await;
    let ingress = stage
        .ingress_with(|program| program.env("RISITI_REDIS_URL", link.url()))
        .await;
    link.freeze();
    for receipt in ["UIS4000011", "UIS4000012", "UIS4000013", "UIS4000014"] {
        assert_eq!(
            ingress
                .post(&stage, &stage.stk(), stk_success(receipt))
                .await
                .status(),
            200
        );
    }
    assert_eq!(stage.queued().await, 4);
}

#[tokio::test]
async fn a_restart_serves_from_the_copy_on_disk_with_postgres_away() {
    let stage = Stage::set().await;
    let first = stage.ingress().await;
    let copy = first.data.path().join("directory.json");
    eventually("the directory is on disk", PATIENCE, async || {
        copy.exists().then_some(())
    })
    .await;
    let text = std::fs::read_to_string(&copy).unwrap();
    assert!(!text.contains(&stage.secret) && !text.contains(stage::PAYSTACK_KEY));

    let gone = Link::to(stage.database.url()).await;
    gone.cut();
    let second = stage
        .ingress_with(|program| {
            program
                .env("DATABASE_URL", gone.url())
                .env("RISITI_DATA_DIR", first.data.path().to_str().unwrap())
        })
        .await;
    let body = stk_success("UIS4000009");
    assert_eq!(
        second
            .post(&stage, &stage.stk(), body.clone())
            .await
            .status(),
        200
    );
    // Whether this merchant exists cannot be told now: our trouble, not the sender's.
    let unknown = format!("/webhooks/daraja/{}/stk", "0".repeat(32));
    assert_eq!(second.post(&stage, &unknown, body).await.status(), 503);
}

#[tokio::test]
async fn a_foreign_credentials_key_ends_the_program_with_2() {
    let stage = Stage::set().await;
    let other = "//////////////////////////////////////////8=";
    let data = tempfile::tempdir().unwrap();
    let mut process = stage
        .program(&data)
        .env("RISITI_CREDENTIALS_KEY", other)
        .start();
    assert_eq!(process.exit(PATIENCE).await.code(), Some(2));
    assert!(
        process.log().contains("RISITI_CREDENTIALS_KEY"),
        "{}",
        process.log()
    );
}

#[tokio::test]
async fn a_key_replaced_while_it_runs_costs_no_webhook() {
    let stage = Stage::set().await;
    let ingress = stage.ingress().await;
    let (old, new) = (stage::KEY, "//////////////////////////////////////////8=");
    let vault = risiti_ledger::Vault::new(&new.into(), Some(&old.into())).unwrap();
    stage.ledger.reencrypt(&vault).await.unwrap();
    eventually("readiness says that the key is old", PATIENCE, async || {
        (risiti_testkit::http_status(ingress.ops, "/readyz").await? == 503).then_some(())
    })
    .await;
    let known = ingress
        .post(&stage, &stage.stk(), stk_success("UIS4000016"))
        .await;
    assert_eq!(known.status(), 200);
    let unknown = format!("/webhooks/daraja/{}/stk", "0".repeat(32));
    assert_eq!(ingress.post(&stage, &unknown, "{}").await.status(), 503);
}

#[tokio::test]
async fn a_signal_ends_it_with_0_and_what_was_acknowledged_is_queued() {
    let stage = Stage::set().await;
    let mut ingress = stage.ingress().await;
    let answer = ingress
        .post(&stage, &stage.stk(), stk_success("UIS4000010"))
        .await;
    assert_eq!(answer.status(), 200);
    ingress.process.terminate();
    assert!(ingress.process.exit(PATIENCE).await.success());
    assert_eq!(stage.queued().await, 1);
}

#[tokio::test]
async fn a_changed_directory_is_noticed() {
    let stage = Stage::set().await;
    let ingress = stage.ingress().await;
    let (_, secret) = stage
        .ledger
        .create_merchant("baraka", "Baraka Mini Mart")
        .await
        .unwrap();
    let vault = risiti_ledger::Vault::new(&stage::KEY.into(), None).unwrap();
    let account = risiti_ledger::NewAccount::Gumroad {
        seller_id: "s".into(),
    };
    stage
        .ledger
        .add_account("baraka", &account, Some(&vault))
        .await
        .unwrap();
    let path = format!(
        "/webhooks/gumroad/{}",
        secrecy::ExposeSecret::expose_secret(&secret)
    );
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let ping = include_str!("../../../providers/fixtures/gumroad/sale_ping.txt");
    eventually("the new merchant is served", PATIENCE, async || {
        (ingress.post_with(&stage, &path, ping, &form).await.status() == 200).then_some(())
    })
    .await;
}

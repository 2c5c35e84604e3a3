//! TLS from ingress to the servers behind it.

use risiti_queue::Target;
use risiti_testkit::{Authority, Program, TlsFront, eventually};

use crate::stage::{Ingress, PATIENCE, Stage, json_of, stk_success};

fn trusting(program: Program, authority: &Authority) -> Program {
    program.env("SSL_CERT_FILE", authority.root().to_str().unwrap())
}

#[tokio::test]
async fn broker_database_and_redis_may_all_be_behind_tls() {
    let (stage, authority) = (Stage::set().await, Authority::new());
    let amqp = TlsFront::to(&risiti_testkit::amqp_url(), &authority, "localhost").await;
    let postgres = TlsFront::to(stage.database.url(), &authority, "localhost").await;
    let redis = TlsFront::to(&risiti_testkit::redis_url(), &authority, "localhost").await;
    let behind_tls = |program: Program| {
        trusting(program, &authority)
            .env("AMQP_URL", amqp.url("amqps"))
            .env(
                "DATABASE_URL",
                format!("{}?sslmode=verify-full", postgres.url("postgres")),
            )
            .env("RISITI_REDIS_URL", redis.url("rediss"))
    };
    let (one, two) = (
        stage.ingress_with(behind_tls).await,
        stage.ingress_with(behind_tls).await,
    );
    let body = stk_success("UIS4000201");
    let told = async |ingress: &Ingress, body: &str| {
        json_of(ingress.post(&stage, &stage.stk(), body).await).await["ResultDesc"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(told(&one, &body).await, "Accepted");
    let kept = stage
        .broker
        .get(Target::Payments)
        .await
        .unwrap()
        .expect("queued before the answer");
    assert_eq!(kept.message.body, body.as_bytes());
    // Only Redis can have told the other one. Its first connection may take longer than a look is given.
    let mut next = 300;
    eventually("replicas share what they saw", PATIENCE, async || {
        next += 1;
        let body = stk_success(&format!("UIS4000{next}"));
        assert_eq!(told(&one, &body).await, "Accepted");
        (told(&two, &body).await == "Duplicate ignored").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_broker_that_cannot_prove_itself_is_not_spoken_to() {
    let (stage, authority) = (Stage::set().await, Authority::new());
    let amqp = risiti_testkit::amqp_url();
    let elsewhere = TlsFront::to(&amqp, &authority, "elsewhere.test").await;
    let unknown = TlsFront::to(&amqp, &Authority::new(), "localhost").await;
    for (what, front) in [("another name", elsewhere), ("another authority", unknown)] {
        // Without a spool, which would take what the broker does not.
        let url = front.url("amqps");
        let program = |program| {
            trusting(program, &authority)
                .env("AMQP_URL", url)
                .env("RISITI_SPOOL_LIMIT", "0")
        };
        let mut ingress = stage.start(program).await;
        let why = ingress
            .process
            .line_with("failed to connect to the broker", PATIENCE)
            .await;
        assert!(why.contains("certificate"), "{what}: {why}");
        let url = format!("http://{}/readyz", ingress.ops);
        let ready = stage.client.get(url).send().await.unwrap();
        assert_eq!(ready.status(), 503, "{what}");
        let missing = ready.text().await.unwrap();
        assert!(missing.contains("broker"), "{what}: {missing}");
        assert_eq!(
            ingress
                .post(&stage, &stage.stk(), stk_success("UIS4000202"))
                .await
                .status(),
            503
        );
        ingress.process.terminate();
        assert!(ingress.process.exit(PATIENCE).await.success(), "{what}");
        let password = url::Url::parse(&amqp)
            .unwrap()
            .password()
            .unwrap_or("guest")
            .to_owned();
        assert!(
            !ingress.process.log().contains(&format!(":{password}@")),
            "{what}"
        );
    }
    assert_eq!(stage.queued().await, 0);
}

#[tokio::test]
async fn a_redis_that_must_not_be_verified_is_a_bad_setting() {
    let stage = Stage::set().await;
    let data = tempfile::tempdir().unwrap();
    let url = "rediss://:hunter2@localhost:1/#insecure";
    let mut process = stage.program(&data).env("RISITI_REDIS_URL", url).start();
    assert_eq!(process.exit(PATIENCE).await.code(), Some(2));
    let log = process.log();
    assert!(
        log.contains("RISITI_REDIS_URL") && !log.contains("hunter2"),
        "{log}"
    );
}

//! The broker away, in each of its ways: webhooks go to disk, are answered, and arrive later, once each.

use std::collections::HashSet;

use risiti_queue::Target;
use risiti_testkit::{Link, Program, eventually, http_status};

use crate::stage::{Ingress, PATIENCE, Stage, json_of, stk_success};

impl Ingress {
    pub(crate) async fn number(&self, stage: &Stage, series: &str) -> f64 {
        let answer = stage
            .client
            .get(format!("http://{}/metrics", self.ops))
            .send()
            .await
            .unwrap();
        let text = answer.text().await.unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in {text}"))
            .parse()
            .unwrap()
    }

    /// Posts successes of these receipts, all at once; each must be accepted.
    pub(crate) async fn take(&self, stage: &Stage, receipts: &[String]) {
        let path = stage.stk();
        let posts = receipts
            .iter()
            .map(|receipt| self.post(stage, &path, stk_success(receipt)));
        for answer in futures_util::future::join_all(posts).await {
            assert_eq!(answer.status(), 200);
            assert_eq!(json_of(answer).await["ResultDesc"], "Accepted");
        }
    }

    pub(crate) async fn drained(&self, stage: &Stage) {
        eventually("the spool is empty", PATIENCE, async || {
            (self.number(stage, "risiti_spool_entries").await == 0.0).then_some(())
        })
        .await;
    }
}

pub(crate) fn spooling(program: Program) -> Program {
    program.env("RISITI_SPOOL_LIMIT", "1GiB")
}

pub(crate) fn receipts(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}{n:06}")).collect()
}

/// What the queue holds, in order, each receipt's first.
async fn queued(stage: &Stage, count: usize) -> (Vec<String>, HashSet<uuid::Uuid>) {
    let (mut told, mut ids) = (Vec::new(), HashSet::new());
    for _ in 0..count {
        let delivery = stage
            .broker
            .get(Target::Payments)
            .await
            .unwrap()
            .expect("as many as were accepted");
        let body: serde_json::Value = serde_json::from_slice(&delivery.message.body).unwrap();
        let receipt = &body["Body"]["stkCallback"]["CallbackMetadata"]["Item"][1]["Value"];
        told.push(receipt.as_str().unwrap().to_owned());
        ids.insert(delivery.message.id);
        delivery.ack().await.unwrap();
    }
    (told, ids)
}

pub(crate) async fn behind_a_link(stage: &Stage) -> (Link, Ingress) {
    let link = Link::to(&risiti_testkit::amqp_url()).await;
    let ingress = stage
        .ingress_with(|program| spooling(program).env("AMQP_URL", link.url()))
        .await;
    eventually("the broker is reached", PATIENCE, async || {
        ingress
            .process
            .log()
            .contains("connected to the broker")
            .then_some(())
    })
    .await;
    (link, ingress)
}

#[tokio::test]
async fn a_broker_cut_off_costs_nobody_an_answer_and_nothing_its_place() {
    let stage = Stage::set().await;
    let (link, ingress) = behind_a_link(&stage).await;
    link.cut();
    let receipts = receipts("UIS5", 30);
    for receipt in &receipts {
        ingress.take(&stage, std::slice::from_ref(receipt)).await;
    }
    let again = ingress
        .post(&stage, &stage.stk(), stk_success(&receipts[0]))
        .await;
    assert_eq!(json_of(again).await["ResultDesc"], "Duplicate ignored");
    assert_eq!(http_status(ingress.ops, "/readyz").await, Some(200));
    let spooled = r#"risiti_webhooks_total{outcome="spooled",provider="daraja"}"#;
    assert_eq!(ingress.number(&stage, spooled).await, 30.0);

    link.restore();
    ingress.drained(&stage).await;
    assert_eq!(stage.queued().await, 30);
    let (told, ids) = queued(&stage, 30).await;
    let mut sorted = told.clone();
    sorted.sort();
    assert_eq!((sorted, ids.len()), (receipts.clone(), 30));
    // Sixteen are under way at once, and none is further from its place than that.
    let place = |receipt: &String| receipts.iter().position(|r| r == receipt).unwrap();
    assert!(
        told.iter()
            .enumerate()
            .all(|(n, receipt)| place(receipt).abs_diff(n) < 16),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_broker_that_hangs_is_waited_for_once_and_not_by_everybody() {
    let stage = Stage::set().await;
    let (link, ingress) = behind_a_link(&stage).await;
    link.freeze();
    ingress.take(&stage, &receipts("UIS6", 1)).await;
    let publishes = ingress.number(&stage, "risiti_publish_seconds_count").await;
    ingress.take(&stage, &receipts("UIS7", 100)).await;
    assert_eq!(
        ingress.number(&stage, "risiti_publish_seconds_count").await,
        publishes
    );
    link.cut();
    link.restore();
    ingress.drained(&stage).await;
    eventually(
        "live webhooks go straight to the broker again",
        PATIENCE,
        async || {
            ingress
                .take(&stage, &[format!("UIS8{}", uuid::Uuid::now_v7().simple())])
                .await;
            let straight = r#"risiti_webhooks_total{outcome="accepted",provider="daraja"}"#;
            (ingress.number(&stage, straight).await > 0.0).then_some(())
        },
    )
    .await;
}

#[tokio::test]
async fn a_burst_costs_few_commits() {
    let stage = Stage::set().await;
    let (link, ingress) = behind_a_link(&stage).await;
    link.cut();
    ingress.take(&stage, &receipts("UIS9", 500)).await;
    let commits = ingress.number(&stage, "risiti_spool_commits_total").await;
    assert!(commits < 250.0, "{commits} commits for 500 webhooks");
}

#[tokio::test]
async fn a_full_spool_says_so_and_takes_again_when_it_was_drained() {
    let stage = Stage::set().await;
    let link = Link::to(&risiti_testkit::amqp_url()).await;
    link.cut();
    let ingress = stage
        .ingress_with(|program| {
            program
                .env("AMQP_URL", link.url())
                .env("RISITI_SPOOL_LIMIT", "4KiB")
        })
        .await;
    let mut taken = 0;
    let refused = loop {
        let body = stk_success(&format!("UISA{taken:06}"));
        let answer = ingress.post(&stage, &stage.stk(), body).await;
        if answer.status() != 200 {
            break answer;
        }
        taken += 1;
        assert!(taken < 10, "4 KiB hold no ten webhooks");
    };
    assert!(taken > 0);
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["retry-after"]),
        (503, &"5".parse().unwrap())
    );
    assert!(ingress.process.log().contains("THE SPOOL IS FULL"));
    eventually("readiness says so", PATIENCE, async || {
        (http_status(ingress.ops, "/readyz").await? == 503).then_some(())
    })
    .await;
    assert!(
        ingress
            .number(&stage, r#"risiti_spool_refused_total{reason="full"}"#)
            .await
            >= 1.0
    );

    link.restore();
    ingress.drained(&stage).await;
    assert_eq!(stage.queued().await, taken);
    link.cut();
    eventually("it takes webhooks again", PATIENCE, async || {
        let answer = ingress
            .post(&stage, &stage.stk(), stk_success("UISA999999"))
            .await;
        (answer.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn killed_while_it_spools_and_started_with_everything_away() {
    let stage = Stage::set().await;
    let (link, ingress) = behind_a_link(&stage).await;
    let data = ingress.data.path().to_owned();
    let copy = data.join("directory.json");
    eventually("the directory is on disk", PATIENCE, async || {
        copy.exists().then_some(())
    })
    .await;
    link.cut();
    ingress.take(&stage, &receipts("UISB", 40)).await;
    ingress.process.kill();
    let Ingress {
        mut process,
        data: _kept,
        ..
    } = ingress;
    process.exit(PATIENCE).await;

    let gone = Link::to(stage.database.url()).await;
    gone.cut();
    let second = stage
        .ingress_with(|program| {
            program
                .env("RISITI_SPOOL_LIMIT", "1GiB")
                .env("AMQP_URL", link.url())
                .env("DATABASE_URL", gone.url())
                .env("RISITI_DATA_DIR", data.to_str().unwrap())
        })
        .await;
    second.take(&stage, &receipts("UISC", 5)).await;
    assert_eq!(second.number(&stage, "risiti_spool_entries").await, 45.0);
    for file in std::fs::read_dir(&data).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let holds = |secret: &str| {
            bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes())
        };
        assert!(
            !holds(&stage.secret)
                && !holds(crate::stage::PAYSTACK_KEY)
                && !holds(crate::stage::KEY)
        );
    }
    link.restore();
    second.drained(&stage).await;
    let (told, ids) = queued(&stage, 45).await;
    assert_eq!(
        (told.iter().collect::<HashSet<_>>().len(), ids.len()),
        (45, 45)
    );
    assert_eq!(stage.queued().await, 0);
}

#[tokio::test]
async fn two_replicas_cannot_share_a_directory() {
    let stage = Stage::set().await;
    let ingress = stage.ingress_with(spooling).await;
    let mut second = spooling(stage.program(&ingress.data)).start();
    assert_eq!(second.exit(PATIENCE).await.code(), Some(2));
    assert!(second.log().contains("RISITI_DATA_DIR"), "{}", second.log());
}

/// A client that hung up before the 200 sends again, as gateways do.
#[tokio::test]
async fn an_answer_that_was_lost_makes_no_second_event() {
    let stage = Stage::set().await;
    let (link, ingress) = behind_a_link(&stage).await;
    let way = Link::to(&format!("http://{}", ingress.address)).await;
    way.lose_answers();
    link.freeze();
    let receipts = receipts("UISD", 20);
    let lost = receipts.iter().map(|receipt| async {
        let url = format!("http://{}{}", way.address(), stage.stk());
        let body = stk_success(receipt);
        stage
            .client
            .post(url)
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
    });
    let misses = r#"risiti_dedup_total{outcome="miss",tier="memory"}"#;
    tokio::select! {
        answers = futures_util::future::join_all(lost) => panic!("somebody was answered: {answers:?}"),
        () = eventually("all are under way", PATIENCE, async || {
            (ingress.number(&stage, misses).await == 20.0).then_some(())
        }) => {}
    }
    // Dropped above: half of them send again while the first try still waits for the broker or the disk.
    let again = async |receipt: &String| {
        let answer = ingress
            .post(&stage, &stage.stk(), stk_success(receipt))
            .await;
        assert_eq!(answer.status(), 200);
        assert_eq!(json_of(answer).await["ResultDesc"], "Duplicate ignored");
    };
    futures_util::future::join_all(receipts[..10].iter().map(again)).await;
    eventually("all are on disk", PATIENCE, async || {
        (ingress.number(&stage, "risiti_spool_entries").await == 20.0).then_some(())
    })
    .await;
    futures_util::future::join_all(receipts[10..].iter().map(again)).await;

    link.cut();
    link.restore();
    ingress.drained(&stage).await;
    let (told, ids) = queued(&stage, usize::try_from(stage.queued().await).unwrap()).await;
    let told: HashSet<_> = told.into_iter().collect();
    assert_eq!((told, ids.len()), (receipts.into_iter().collect(), 20));
}

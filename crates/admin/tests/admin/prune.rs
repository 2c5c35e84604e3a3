use std::time::Duration;

use serde_json::Value;

use crate::fixture::{Fixture, run_to_end};

/// Webhooks of payments that owe no receipt, recorded 500 days ago, with bodies of 1,000 bytes. The
/// ids rise, as those of real events do.
const OLD_WEBHOOKS: &str = "
    INSERT INTO payments (id, merchant_id, provider, method, money_key, amount, currency, authenticated_by, state,
        settled_at, moved_by)
    SELECT md5('p' || n)::uuid, m.id, 'daraja', 'mobile_money', 'QK' || n, 10, 'KES', 'path', 'success', now(), 'test'
    FROM merchants m, generate_series(1, COUNT) n;
    INSERT INTO events (id, merchant_id, provider, kind, delivery_key, facts_sha256, authenticated_by, received_at,
        recorded_at, body, payment_id)
    SELECT ('00000000-0000-0000-0000-' || lpad(to_hex(n), 12, '0'))::uuid, m.id, 'daraja', 'stk', 'k' || n, 'f', 'path',
        now(), now() - interval '500 days', convert_to(repeat('x', 1000), 'UTF8'), md5('p' || n)::uuid
    FROM merchants m, generate_series(1, COUNT) n;";

async fn with_old_webhooks(count: u32) -> Fixture {
    let fixture = Fixture::with_merchant().await;
    fixture
        .sql(&OLD_WEBHOOKS.replace("COUNT", &count.to_string()))
        .await;
    fixture
}

async fn bodies_left(fixture: &Fixture) -> u32 {
    let count = fixture.value("SELECT count(*) FROM events WHERE body IS NOT NULL");
    count.await.expect("a row").parse().expect("a count")
}

fn events(object: &Value) -> (u64, u64) {
    let number = |key: &str| object["events"][key].as_u64().expect("a count");
    (number("bodies"), number("bytes"))
}

#[tokio::test]
async fn dry_run_counts_what_a_run_then_removes() {
    let fixture = with_old_webhooks(450).await;
    let counted = fixture.run(&["prune", "--dry-run"]).await.ok();
    assert_eq!(events(&counted), (450, 450_000));
    assert_eq!(counted["dry_run"], true);
    assert_eq!(bodies_left(&fixture).await, 450);
    let actions = "SELECT count(*) FROM operator_actions WHERE command = 'prune'";
    assert_eq!(fixture.value(actions).await.unwrap(), "0");

    let too_young = fixture
        .run(&["prune", "--yes", "--older-than", "501d"])
        .await
        .ok();
    assert_eq!(events(&too_young), (0, 0));
    let removed = fixture
        .run(&["prune", "--yes", "--reason", "yearly"])
        .await
        .ok();
    assert_eq!(events(&removed), (450, 450_000));
    assert_eq!(bodies_left(&fixture).await, 0);
    let again = fixture.run(&["prune", "--yes"]).await.ok();
    assert_eq!(again["bodies"], 0);

    let action = "SELECT concat_ws(' ', operator, reason, filter->>'older_than_days',
            filter->>'filed_older_than_days', matched, done, ended_at IS NOT NULL)
        FROM operator_actions WHERE reason = 'yearly'";
    assert_eq!(
        fixture.value(action).await.unwrap(),
        "wanjiru yearly 400 2200 450 450 t"
    );
}

#[tokio::test]
async fn prune_needs_yes_and_a_safe_age() {
    let fixture = with_old_webhooks(1).await;
    for (args, words) in [
        (&["prune"][..], "--dry-run"),
        (&["prune", "--yes", "--dry-run"], "cannot be used with"),
        (&["prune", "--yes", "--older-than", "179d"], "180d"),
        (&["prune", "--yes", "--filed-older-than", "30d"], "180d"),
    ] {
        fixture.run(args).await.refused(2, words);
    }
    assert_eq!(bodies_left(&fixture).await, 1);
}

#[tokio::test]
async fn killed_run_is_taken_up_by_the_next() {
    let fixture = with_old_webhooks(2_000).await;
    let mut killed = fixture.program(&["prune", "--yes"]).start();
    risiti_testkit::eventually("some are removed", Duration::from_secs(60), async || {
        (bodies_left(&fixture).await < 2_000).then_some(())
    })
    .await;
    killed.kill();
    killed.exit(Duration::from_secs(60)).await;
    // The server may still be at the last statement of the program.
    let sessions = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'risiti-admin'";
    risiti_testkit::eventually("its sessions ended", Duration::from_secs(60), async || {
        (fixture.value(sessions).await? == "0").then_some(())
    })
    .await;

    let left = bodies_left(&fixture).await;
    let rest = fixture.run(&["prune", "--yes"]).await.ok();
    assert_eq!(rest["bodies"], left);
    assert_eq!(bodies_left(&fixture).await, 0);
    let half = "SELECT count(*) FROM events WHERE body_removed_at IS NULL OR body_sha256 IS NULL";
    assert_eq!(fixture.value(half).await.unwrap(), "0");
}

#[tokio::test]
async fn interrupted_run_writes_down_how_far_it_came() {
    let fixture = with_old_webhooks(4_000).await;
    let mut process = fixture.program(&["prune", "--yes"]).start();
    risiti_testkit::eventually("some are removed", Duration::from_secs(60), async || {
        (bodies_left(&fixture).await < 4_000).then_some(())
    })
    .await;
    process.terminate();
    process.exit(Duration::from_secs(60)).await;
    let written =
        "SELECT done = (SELECT count(*) FROM events WHERE body IS NULL) FROM operator_actions
        WHERE command = 'prune' AND ended_at IS NOT NULL";
    assert_eq!(fixture.value(written).await.unwrap(), "t");
}

#[tokio::test]
async fn prune_says_what_it_removed_to_a_person() {
    let fixture = with_old_webhooks(3).await;
    let program = risiti_testkit::Program::built("risiti-admin")
        .args(["prune", "--yes"])
        .env("DATABASE_URL", fixture.database.url());
    let said = run_to_end(program).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.stdout.contains("events        3 bodies, 3000 bytes"),
        "{said:?}"
    );
}

//! Ingress against the bare handler, which only publishes and confirms.

use crate::audit::{Audit, empty_queue};
use crate::ground::Ground;
use crate::measures::rounds::{Found, ROUNDS, Side, compare, median};
use crate::results::{Aim, Row};
use crate::site::Site;
use crate::yardsticks;

pub(crate) async fn connections_64(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let row = against_bare(ground, "ingress_64", 64, &[]).await?;
    Ok(vec![row.aims(&[Aim::RatioAtLeast(0.9)])])
}

pub(crate) async fn connections_64_redis(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let redis = [("RISITI_REDIS_URL", ground.servers.redis_url())];
    let row = against_bare(ground, "ingress_64_redis", 64, &redis).await?;
    Ok(vec![row.aims(&[Aim::RatioAtLeast(0.8)])])
}

pub(crate) async fn connections_64_warn(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let row = against_bare(ground, "ingress_64_warn", 64, &[("RUST_LOG", "warn")]).await?;
    Ok(vec![row.aims(&[Aim::RatioAtLeast(0.9)])])
}

pub(crate) async fn connections_256(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let row = against_bare(ground, "ingress_256", 256, &[]).await?;
    Ok(rate_and_p99(row))
}

pub(crate) async fn connections_256_redis(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let redis = [("RISITI_REDIS_URL", ground.servers.redis_url())];
    let row = against_bare(ground, "ingress_256_redis", 256, &redis).await?;
    Ok(rate_and_p99(row))
}

/// Splits a comparison into a row for its rate and one for its 99th percentile.
fn rate_and_p99(row: Row) -> Vec<Row> {
    let p99 = |ms: Option<f64>| ms.unwrap_or(f64::NAN);
    let latency = Row::new(&format!("{}_p99", row.name), "ms", p99(row.p99_ms))
        .against("bare handler", p99(row.yardstick_p99_ms))
        .aims(&[Aim::RatioAtMost(1.3)]);
    vec![row.aims(&[Aim::RatioAtLeast(0.9)]), latency]
}

async fn against_bare(
    ground: &Ground,
    name: &str,
    connections: usize,
    settings: &[(&str, &str)],
) -> anyhow::Result<Row> {
    let site = Site::new(ground, 1).await?;
    let ingress = site.ingress(settings).await?;
    let bare = yardsticks::start_handler(ground).await?;

    let queue = Some(site.payments_queue());
    let sides = [
        &Side::of_ingress(&ingress, queue),
        &Side::of_yardstick(&bare),
    ];
    let order = || ground.numbers.distinct();
    let found = compare(ground, connections, sides, order).await?;
    ingress.end().await?;
    Ok(row(name, found, "bare handler"))
}

/// The rates of ingress and of a yardstick, with latency and CPU.
fn row(name: &str, [ours, theirs]: [Found; 2], beside: &str) -> Row {
    let mut row = Row::new(name, "webhooks/s", ours.rate())
        .against(beside, theirs.rate())
        .audited(ours.audit);
    row.p50_ms = Some(ours.tally.percentile_ms(50.0));
    row.p99_ms = Some(ours.tally.percentile_ms(99.0));
    row.yardstick_p50_ms = Some(theirs.tally.percentile_ms(50.0));
    row.yardstick_p99_ms = Some(theirs.tally.percentile_ms(99.0));
    row.cpu_us = Some(ours.cpu_us());
    row.yardstick_cpu_us = Some(theirs.cpu_us());
    row
}

pub(crate) async fn duplicates(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let site = Site::new(ground, 1).await?;
    let ingress = site.ingress(&[]).await?;
    let echo = yardsticks::start_echo(ground).await?;

    // One payment for all rounds: only its first webhook is published.
    let order = ground.numbers.same();
    let sides = [
        &Side::of_ingress(&ingress, None),
        &Side::of_yardstick(&echo),
    ];
    let found = compare(ground, 64, sides, || order.again()).await?;
    ingress.end().await?;

    let published = empty_queue(ground.servers.amqp_url(), &site.payments_queue()).await?;
    let row = row("duplicates", found, "bare echo")
        .aims(&[Aim::RatioAtLeast(0.6)])
        .audited(Audit::of(vec![order.first()], published));
    Ok(vec![row])
}

/// The bare handler against the bare publisher, which tells how much of the yardstick is HTTP.
pub(crate) async fn bare_handler(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let bare = yardsticks::start_handler(ground).await?;
    let side = Side::of_yardstick(&bare);
    let mut found = Found::new();
    let mut publisher = Vec::new();
    for _ in 0..ROUNDS {
        let queue = format!("publisher-{}", ground.count());
        let pace = yardsticks::pace(ground, &["publisher", "--queue", &queue]).await?;
        publisher.push(pace.per_second());
        found
            .add_round(ground, &side, 64, ground.numbers.distinct())
            .await?;
    }
    let row = Row::new("bare_handler", "webhooks/s", found.rate())
        .against("bare publisher", median(&publisher));
    Ok(vec![row])
}

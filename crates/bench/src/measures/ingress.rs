//! Ingress against the bare handler, which only publishes and confirms.

use crate::ground::Ground;
use crate::measures::rounds::{Side, compare};
use crate::results::{Aim, Row};
use crate::site::Site;
use crate::yardsticks;

pub(crate) async fn connections_64(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let site = Site::new(ground).await?;
    let merchant = site.merchant(1).await?;
    let ingress = site.ingress(&merchant, &[]).await?;
    let bare = yardsticks::start_handler(ground).await?;

    let sides = [
        &Side {
            target: ingress.target.clone(),
            pid: ingress.running.pid(),
            queue: Some(site.payments_queue()),
        },
        &Side {
            target: bare.target.clone(),
            pid: bare.process.id(),
            queue: bare.queue.clone(),
        },
    ];
    let order = || ground.numbers.distinct();
    let [ours, theirs] = compare(ground, 64, sides, order).await?;

    let mut row = Row::new("ingress_64", "webhooks/s", ours.rate())
        .against("bare handler", theirs.rate())
        .aims(&[Aim::RatioAtLeast(0.9)])
        .audited(ours.audit);
    row.p50_ms = Some(ours.tally.percentile_ms(50.0));
    row.p99_ms = Some(ours.tally.percentile_ms(99.0));
    row.yardstick_p50_ms = Some(theirs.tally.percentile_ms(50.0));
    row.yardstick_p99_ms = Some(theirs.tally.percentile_ms(99.0));
    row.cpu_us = Some(ours.cpu_us());
    row.yardstick_cpu_us = Some(theirs.cpu_us());
    Ok(vec![row])
}

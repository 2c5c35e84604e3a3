//! Resident memory of ingress after many different webhooks, each of which its cache remembers.

use std::time::Duration;

use anyhow::ensure;

use crate::audit::{Audit, empty_queue};
use crate::cpu;
use crate::ground::Ground;
use crate::load::Closed;
use crate::programs::{Ingress, await_empty_spool};
use crate::results::{Aim, Row};
use crate::site::Site;

const CONNECTIONS: usize = 64;
const WEBHOOKS: u32 = 200_000;
/// The default size of the cache.
const FULL_CACHE: u32 = 1_000_000;
const MIB: f64 = 1024.0 * 1024.0;
const AIM: Aim = Aim::ValueAtMost(64.0);

pub(crate) async fn resident(ground: &Ground) -> anyhow::Result<Vec<Row>> {
    let site = Site::new(ground, 1).await?;
    let ingress = site.ingress(&[]).await?;
    let empty = cpu::resident_bytes(ingress.running.pid())? as f64 / MIB;

    let mut audit = Audit::default();
    let mut rows = Vec::new();
    let steps = match ground.full {
        true => &[WEBHOOKS, FULL_CACHE][..],
        false => &[WEBHOOKS],
    };
    let mut sent = 0;
    for &step in steps {
        while sent < step {
            let part = (step - sent).min(WEBHOOKS);
            audit.add(send(&site, &ingress, part).await?);
            sent += part;
        }
        let resident = cpu::resident_bytes(ingress.running.pid())? as f64 / MIB;
        let row = Row::new(&format!("ingress_memory_{}k", step / 1000), "MiB", resident)
            .aims(&[AIM])
            .audited(audit)
            .note(format!(
                "{empty:.0} MiB before the first webhook; {:.0} bytes for each",
                (resident - empty) * MIB / f64::from(step)
            ));
        rows.push(row);
    }
    ingress.end().await?;
    Ok(rows)
}

async fn send(site: &Site<'_>, ingress: &Ingress, count: u32) -> anyhow::Result<Audit> {
    let closed = Closed {
        target: ingress.target.clone(),
        connections: CONNECTIONS,
        lasts: Duration::from_secs(3600),
        order: site.ground.numbers.count(count),
    };
    let tally = closed.run().await?;
    ensure!(tally.not_kept() == 0, "{} were refused", tally.not_kept());
    await_empty_spool(ingress.running.ops).await;
    let amqp_url = site.ground.servers.amqp_url();
    let found = empty_queue(amqp_url, &site.payments_queue()).await?;
    Ok(Audit::of(tally.kept, found))
}

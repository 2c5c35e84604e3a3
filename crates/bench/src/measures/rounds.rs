//! A program and its yardstick in turns, so that whatever else the machine does meets both.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;

use crate::audit::{Audit, empty_queue};
use crate::cpu;
use crate::ground::Ground;
use crate::load::{Closed, Order, Tally, Target};
use crate::programs::{Ingress, await_empty_spool};
use crate::yardsticks::Server;

/// Rounds of a comparison. Its figures are the medians.
pub(crate) const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(4);
const WARM_UP: Duration = Duration::from_secs(1);

/// One side of a comparison.
pub(crate) struct Side {
    pub(crate) target: Target,
    pub(crate) pid: u32,
    /// Where an ingress tells what is in its spool.
    ops: Option<SocketAddr>,
    /// Where its messages go. `None` for a side that publishes nothing.
    pub(crate) queue: Option<String>,
}

impl Side {
    pub(crate) fn of_ingress(ingress: &Ingress, queue: Option<String>) -> Self {
        Self {
            target: ingress.target.clone(),
            pid: ingress.running.pid(),
            ops: Some(ingress.running.ops),
            queue,
        }
    }

    pub(crate) fn of_yardstick(server: &Server) -> Self {
        Self {
            target: server.target.clone(),
            pid: server.process.id(),
            ops: None,
            queue: server.queue.clone(),
        }
    }

    /// Loads it once and returns the CPU seconds too.
    async fn load(
        &self,
        ground: &Ground,
        connections: usize,
        lasts: Duration,
        order: Order,
    ) -> anyhow::Result<(Tally, f64, Audit)> {
        let closed = Closed {
            target: self.target.clone(),
            connections,
            lasts,
            order,
        };
        let before = cpu::seconds(self.pid)?;
        let mut tally = closed.run().await?;
        let cpu_seconds = cpu::seconds(self.pid)? - before;

        if let Some(ops) = self.ops {
            await_empty_spool(ops).await;
        }
        let audit = match &self.queue {
            Some(queue) => {
                let found = empty_queue(ground.servers.amqp_url(), queue).await?;
                Audit::of(std::mem::take(&mut tally.kept), found)
            }
            None => Audit::default(),
        };
        Ok((tally, cpu_seconds, audit))
    }
}

/// What the rounds of one side found.
pub(crate) struct Found {
    rates: Vec<f64>,
    cpu_us: Vec<f64>,
    pub(crate) tally: Tally,
    pub(crate) audit: Audit,
}

impl Found {
    pub(crate) fn new() -> Self {
        Self {
            rates: Vec::new(),
            cpu_us: Vec::new(),
            tally: Tally::new(Duration::ZERO),
            audit: Audit::default(),
        }
    }

    pub(crate) async fn add_round(
        &mut self,
        ground: &Ground,
        side: &Side,
        connections: usize,
        order: Order,
    ) -> anyhow::Result<()> {
        let (tally, cpu_seconds, audit) = side.load(ground, connections, ROUND, order).await?;
        ensure!(tally.answers() > 0, "nothing was answered");
        self.rates.push(tally.rate());
        self.cpu_us.push(cpu_seconds * 1e6 / tally.answers() as f64);
        self.audit.add(audit);
        self.tally.add(tally);
        Ok(())
    }

    /// Answers 200 a second.
    pub(crate) fn rate(&self) -> f64 {
        median(&self.rates)
    }

    /// CPU microseconds of the program for each answer.
    pub(crate) fn cpu_us(&self) -> f64 {
        median(&self.cpu_us)
    }
}

/// Loads both sides in turns.
pub(crate) async fn compare(
    ground: &Ground,
    connections: usize,
    sides: [&Side; 2],
    order: impl Fn() -> Order,
) -> anyhow::Result<[Found; 2]> {
    for side in sides {
        side.load(ground, connections, WARM_UP, order()).await?;
    }
    let mut found = [Found::new(), Found::new()];
    for round in 0..ROUNDS {
        // Who is first changes, because a second load may meet what the first left behind.
        for turn in 0..2 {
            let at = (round + turn) % 2;
            found[at]
                .add_round(ground, sides[at], connections, order())
                .await?;
        }
    }
    Ok(found)
}

/// The middle one of some figures.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0]), 2.5);
        assert!(median(&[]).is_nan());
    }
}

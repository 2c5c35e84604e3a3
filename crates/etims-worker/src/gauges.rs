//! The gauges that are read from the database.

use std::time::{Duration, Instant};

use risiti_service::DatabaseHealth;

use crate::lane::Lanes;

const INTERVAL: Duration = Duration::from_secs(5);
/// The reading takes whole tables: it may use one part in so many of the time.
const IDLE_PARTS: u32 = 50;

pub(crate) async fn run(lanes: &Lanes, health: &DatabaseHealth) {
    let up = health.subscribe();
    let mut pause = Duration::from_millis(500);
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = lanes.shutdown.cancelled() => return,
        }
        if !*up.borrow() {
            continue;
        }
        let started = Instant::now();
        match lanes.ledger.lane_gauges().await {
            Ok(gauges) => lanes.metrics.show(&gauges),
            Err(error) => tracing::debug!(%error, "gauges not read"),
        }
        pause = pause_after(started.elapsed());
    }
}

fn pause_after(took: Duration) -> Duration {
    INTERVAL.max(took.saturating_mul(IDLE_PARTS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_that_takes_long_is_done_seldom() {
        assert_eq!(pause_after(Duration::from_millis(10)), INTERVAL);
        assert_eq!(
            pause_after(Duration::from_secs(3)),
            Duration::from_secs(150)
        );
        assert_eq!(pause_after(Duration::MAX), Duration::MAX);
    }
}

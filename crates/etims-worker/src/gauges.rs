//! The gauges that are read from the database.

use std::time::{Duration, Instant};

use risiti_service::DatabaseHealth;

use crate::lane::Lanes;

const INTERVAL: Duration = Duration::from_secs(5);
/// The pause is at least this many times as long as a reading, because a reading takes whole
/// tables.
const IDLE_PARTS: u32 = 50;

pub(crate) async fn run(lanes: &Lanes, health: &DatabaseHealth) {
    let database_available = health.subscribe();
    // The first reading comes soon after the start.
    let mut pause = Duration::from_millis(500);
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = lanes.shutdown.cancelled() => return,
        }
        if !*database_available.borrow() {
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
    fn a_slow_reading_is_repeated_seldom() {
        assert_eq!(pause_after(Duration::from_millis(10)), INTERVAL);
        assert_eq!(
            pause_after(Duration::from_secs(3)),
            Duration::from_secs(150)
        );
        assert_eq!(pause_after(Duration::MAX), Duration::MAX);
    }
}

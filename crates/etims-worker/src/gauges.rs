//! The gauges that are read from the database.

use std::time::{Duration, Instant};

use crate::database::Database;
use crate::lane::Lanes;

const INTERVAL: Duration = Duration::from_secs(5);
/// The reading takes whole tables: it may use one part in so many of the time.
const IDLE_PARTS: u32 = 50;

pub(crate) async fn run(lanes: &Lanes, database: &Database) {
    let up = database.follow();
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
        pause = INTERVAL.max(started.elapsed() * IDLE_PARTS);
    }
}

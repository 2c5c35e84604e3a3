//! Sending by the clock: a request leaves when it is due, whether or not earlier ones were answered, so that
//! a slow answer is not hidden by the requests that waited for it.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::cli::StormArgs;
use crate::delivery::Delivery;
use crate::record::{Line, Skipped};
use crate::storm::{Deliveries, UnderWay};

/// How many seconds of deliveries have their order mixed.
const WINDOW_SECONDS: u32 = 5;

#[derive(Clone, Copy)]
pub(crate) struct Pace {
    per_second: NonZeroU32,
    duration: Duration,
}

impl StormArgs {
    pub(crate) fn pace(&self) -> Option<Pace> {
        Some(Pace {
            per_second: self.rate?,
            duration: self.duration?,
        })
    }
}

impl Pace {
    pub(crate) fn window(self) -> usize {
        self.per_second.get().saturating_mul(WINDOW_SECONDS) as usize
    }

    /// When each request is due, since the beginning.
    fn due(self) -> impl Iterator<Item = Duration> {
        let rate = u64::from(self.per_second.get());
        let at = move |number: u64| Duration::from_nanos(number % rate * 1_000_000_000 / rate);
        (0..)
            .map(move |number| Duration::from_secs(number / rate) + at(number))
            .take_while(move |due| *due < self.duration)
    }

    pub(crate) async fn send(
        self,
        deliveries: &mut Deliveries<'_>,
        under_way: &mut UnderWay,
    ) -> anyhow::Result<()> {
        for due in self.due() {
            tokio::time::sleep_until((under_way.post.began + due).into()).await;
            let Some(delivery) = deliveries.next().await? else {
                break;
            };
            if under_way.has_room() {
                under_way.start(Delivery {
                    due: Some(due),
                    ..delivery
                });
            } else {
                let Delivery {
                    story,
                    message,
                    copy,
                    ..
                } = delivery;
                let at_ms = under_way.post.now_ms();
                let skipped = Skipped {
                    story,
                    message,
                    copy,
                    at_ms,
                };
                under_way.post.lines.send(Line::Skipped(skipped)).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(per_second: u32, seconds: u64) -> Pace {
        let per_second = NonZeroU32::new(per_second).unwrap();
        Pace {
            per_second,
            duration: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn requests_are_due_evenly_until_the_end() {
        let due: Vec<Duration> = pace(3, 2).due().collect();
        let nanos: Vec<u128> = due.iter().map(Duration::as_nanos).collect();
        assert_eq!(
            nanos,
            [
                0,
                333_333_333,
                666_666_666,
                1_000_000_000,
                1_333_333_333,
                1_666_666_666
            ]
        );
        assert_eq!(pace(100, 60).due().count(), 6000);
    }
}

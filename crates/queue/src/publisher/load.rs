//! How much a publisher has under way, for those who decide whether to wait for it.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The instant from which ages are counted in whole milliseconds.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);
/// Stands for no unconfirmed publish.
const NONE: u64 = u64::MAX;

/// What a publisher has under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishLoad {
    /// Publishes that are sent and not confirmed, or wait to be sent.
    pub in_flight: usize,
    /// Age of the oldest publish that is under way. It grows while a broker hangs.
    pub oldest: Duration,
}

/// The same for one channel.
pub(super) struct ChannelLoad {
    in_flight: AtomicUsize,
    bytes: AtomicUsize,
    oldest_since: AtomicU64,
}

impl PublishLoad {
    pub(super) fn of<'a>(channels: impl Iterator<Item = &'a ChannelLoad>) -> Self {
        let now = millis(Instant::now());
        channels.fold(Self::default(), |sum, channel| {
            let since = channel.oldest_since.load(Ordering::Relaxed);
            let age = if since == NONE {
                0
            } else {
                now.saturating_sub(since)
            };
            Self {
                in_flight: sum.in_flight + channel.in_flight.load(Ordering::Relaxed),
                oldest: sum.oldest.max(Duration::from_millis(age)),
            }
        })
    }
}

impl Default for ChannelLoad {
    fn default() -> Self {
        LazyLock::force(&EPOCH);
        Self {
            in_flight: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            oldest_since: AtomicU64::new(NONE),
        }
    }
}

impl ChannelLoad {
    /// Counts a publish, unless its channel would then hold more than `bytes_max` bytes. An empty
    /// channel takes a body of any size.
    pub(super) fn try_add(&self, bytes: usize, bytes_max: usize) -> bool {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before > 0 && before + bytes > bytes_max {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        if self.in_flight.fetch_add(1, Ordering::Relaxed) == 0 {
            // It may wait for a channel that is still opening.
            self.set_oldest(Some(Instant::now()));
        }
        true
    }

    pub(super) fn remove(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Sets when the oldest publish was asked for. With `None`, what is left waits to be sent.
    pub(super) fn set_oldest(&self, requested_at: Option<Instant>) {
        let waiting = || self.in_flight.load(Ordering::Relaxed) > 0;
        let since = requested_at.or_else(|| waiting().then(Instant::now));
        let since = since.map_or(NONE, millis);
        self.oldest_since.store(since, Ordering::Relaxed);
    }
}

fn millis(at: Instant) -> u64 {
    let elapsed = at.saturating_duration_since(*EPOCH);
    u64::try_from(elapsed.as_millis()).unwrap_or(NONE - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_a_channel_are_bounded_and_given_back() {
        let load = ChannelLoad::default();
        assert!(load.try_add(200, 100), "an empty channel takes any body");
        assert!(!load.try_add(1, 100));
        load.remove(200);
        assert!(load.try_add(60, 100) && load.try_add(40, 100) && !load.try_add(1, 100));
        assert_eq!(PublishLoad::of([&load].into_iter()).in_flight, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn oldest_publish_of_all_channels_is_reported() {
        let channels = [ChannelLoad::default(), ChannelLoad::default()];
        assert_eq!(PublishLoad::of(channels.iter()).oldest, Duration::ZERO);
        channels[0].set_oldest(Some(Instant::now()));
        tokio::time::advance(Duration::from_millis(700)).await;
        channels[1].set_oldest(Some(Instant::now()));
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(
            PublishLoad::of(channels.iter()).oldest,
            Duration::from_millis(800)
        );
        channels[0].set_oldest(None);
        assert_eq!(
            PublishLoad::of(channels.iter()).oldest,
            Duration::from_millis(100)
        );
    }
}

//! How much a broker's publishers have under way: its bounds, and a reading for those who decide
//! whether to wait for it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

/// The instant from which ages are counted in whole milliseconds.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);
/// Stands for no unconfirmed publish.
const NONE: u64 = u64::MAX;

/// What all publishers of a broker have under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishLoad {
    /// Publishes that are sent and not confirmed, or wait to be sent.
    pub in_flight: usize,
    /// Age of the oldest publish that is under way. It grows while a broker hangs.
    pub oldest: Duration,
}

/// What all publishers of a broker have under way. It bounds their number and their bytes.
pub(crate) struct TotalLoad {
    in_flight: AtomicUsize,
    bytes: AtomicUsize,
    in_flight_max: usize,
    bytes_max: usize,
    channels: Mutex<Vec<Weak<ChannelLoad>>>,
}

/// The part of it that one channel has.
pub(super) struct ChannelLoad {
    total: Arc<TotalLoad>,
    in_flight: AtomicUsize,
    oldest_since: AtomicU64,
}

/// The share of one publish. It is given back on drop, whatever becomes of the publish.
pub(super) struct LoadShare {
    channel: Arc<ChannelLoad>,
    bytes: usize,
}

impl TotalLoad {
    pub(crate) fn new(in_flight_max: usize, bytes_max: usize) -> Self {
        LazyLock::force(&EPOCH);
        Self {
            in_flight: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            in_flight_max,
            bytes_max,
            channels: Mutex::default(),
        }
    }

    /// Begins to count a new channel.
    pub(super) fn channel(self: &Arc<Self>) -> Arc<ChannelLoad> {
        let channel = Arc::new(ChannelLoad {
            total: self.clone(),
            in_flight: AtomicUsize::new(0),
            oldest_since: AtomicU64::new(NONE),
        });
        let mut channels = self.channels();
        channels.retain(|channel| channel.strong_count() > 0);
        channels.push(Arc::downgrade(&channel));
        channel
    }

    pub(super) fn read(&self) -> PublishLoad {
        let now = millis(Instant::now());
        let channels = self.channels();
        let ages = channels
            .iter()
            .filter_map(Weak::upgrade)
            .map(|channel| channel.age(now));
        PublishLoad {
            in_flight: self.in_flight.load(Ordering::Relaxed),
            oldest: ages.max().unwrap_or_default(),
        }
    }

    fn channels(&self) -> MutexGuard<'_, Vec<Weak<ChannelLoad>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a publish, unless there are too many or too many bytes. A body of any size is taken
    /// while there is no other.
    fn try_add(&self, bytes: usize) -> bool {
        let in_flight = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = before == 0 || before + bytes <= self.bytes_max;
        if in_flight < self.in_flight_max && fits {
            return true;
        }
        self.remove(bytes);
        false
    }

    fn remove(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ChannelLoad {
    /// Counts a publish, unless the broker's publishers have too much under way.
    pub(super) fn try_add(self: &Arc<Self>, bytes: usize) -> Option<LoadShare> {
        if !self.total.try_add(bytes) {
            return None;
        }
        if self.in_flight.fetch_add(1, Ordering::Relaxed) == 0 {
            // It may wait for a channel that is still opening.
            self.set_oldest(Some(Instant::now()));
        }
        Some(LoadShare {
            channel: self.clone(),
            bytes,
        })
    }

    /// Sets when the oldest publish was asked for. With `None`, what is left waits to be sent.
    pub(super) fn set_oldest(&self, requested_at: Option<Instant>) {
        let waiting = || self.in_flight.load(Ordering::Relaxed) > 0;
        let since = requested_at.or_else(|| waiting().then(Instant::now));
        let since = since.map_or(NONE, millis);
        self.oldest_since.store(since, Ordering::Relaxed);
    }

    /// Nothing is old where nothing is under way. A publish that was refused before it was sent
    /// leaves its time behind.
    fn age(&self, now: u64) -> Duration {
        if self.in_flight.load(Ordering::Relaxed) == 0 {
            return Duration::ZERO;
        }
        match self.oldest_since.load(Ordering::Relaxed) {
            NONE => Duration::ZERO,
            since => Duration::from_millis(now.saturating_sub(since)),
        }
    }
}

impl Drop for LoadShare {
    fn drop(&mut self) {
        self.channel.total.remove(self.bytes);
        self.channel.in_flight.fetch_sub(1, Ordering::Relaxed);
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
    fn publishes_and_bytes_are_bounded_and_given_back() {
        let total = Arc::new(TotalLoad::new(3, 100));
        let channels = [total.channel(), total.channel()];

        let large = channels[0].try_add(200);
        assert!(large.is_some(), "a body of any size is taken alone");
        assert!(channels[1].try_add(1).is_none());
        drop(large);
        let halves = [channels[0].try_add(60), channels[1].try_add(40)];
        assert!(halves.iter().all(Option::is_some));
        assert!(channels[1].try_add(1).is_none());
        drop(halves);

        let all = [1, 1, 1].map(|bytes| channels[0].try_add(bytes));
        assert!(all.iter().all(Option::is_some));
        assert!(channels[1].try_add(1).is_none());
        assert_eq!(total.read().in_flight, 3);
        drop(all);
        assert_eq!(total.read().in_flight, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn oldest_publish_of_all_channels_is_reported() {
        let total = Arc::new(TotalLoad::new(10, 100));
        let channels = [total.channel(), total.channel()];
        assert_eq!(total.read().oldest, Duration::ZERO);

        let [first_share, _second_share] = channels.each_ref().map(|channel| channel.try_add(1));
        channels[0].set_oldest(Some(Instant::now()));
        tokio::time::advance(Duration::from_millis(700)).await;
        channels[1].set_oldest(Some(Instant::now()));
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(total.read().oldest, Duration::from_millis(800));

        let [first, second] = channels;
        drop((first, first_share));
        assert_eq!(total.read().oldest, Duration::from_millis(100));
        second.set_oldest(None);
        assert_eq!(total.read().oldest, Duration::ZERO);
    }

    /// Nothing but the channel's next publish could take its time back, and where the broker counts
    /// as slow there may be none.
    #[tokio::test(start_paused = true)]
    async fn refused_publish_leaves_no_age_behind() {
        let total = Arc::new(TotalLoad::new(10, 100));
        let channel = total.channel();
        drop(channel.try_add(1));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(total.read().oldest, Duration::ZERO);
    }
}

//! How many lanes of each host this worker works at once (protocol D5). The number follows the
//! worker's share of the host's calls, so that lanes it could not call for are left to others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use risiti_ledger::WakeLimit;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// Lanes worked by one worker, over all hosts. What is free of them bounds what one host may still
/// take, so that a host that comes later finds a place.
const LANES_MAX: u32 = 1_000;
/// Places that each host can have, whatever others take.
const LANES_MIN: u32 = 2;
/// How long a wake-up waits for a place. It is below the 2 s after which the wake loop takes a
/// wake-up for lost (protocol D3).
const WAIT_MAX: Duration = Duration::from_secs(1);

pub(crate) struct Places {
    hosts: Mutex<HashMap<String, HostPlaces>>,
    /// How many wake-ups to hold.
    wake_ups: watch::Sender<u16>,
}

#[derive(Default)]
struct HostPlaces {
    size: u32,
    taken: u32,
    /// The most places that were taken at once since the last look.
    taken_max: u32,
    /// A wake-up found no place since the last look, or took the last one.
    full: bool,
    /// Wake-ups that wait for a place.
    waiting: u32,
    /// A wake-up waited in vain, and since then more have come than found a place.
    stuck: bool,
    /// Places that were given back since the last look.
    given_back: u32,
    freed: Arc<Notify>,
}

/// One lane's place. It is free again when this is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    host: String,
}

/// What becomes of a wake-up that asks for a place.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Taken,
    Wait,
    /// The host has enough waiting, and they do not get on.
    Refused,
}

impl Places {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            hosts: Mutex::default(),
            wake_ups: watch::Sender::new(0),
        })
    }

    /// Follows how many wake-ups to hold. It is 0 while this worker can call no host.
    pub(crate) fn wake_ups(&self) -> watch::Receiver<u16> {
        self.wake_ups.subscribe()
    }

    /// Sets the places of every host by this worker's share of its calls.
    pub(crate) fn follow(&self, shares: &[(String, u32)]) {
        let mut hosts = self.hosts();
        for (name, share) in shares {
            let host = hosts.entry(name.clone()).or_default();
            let size = lanes_for(*share);
            if size > host.size {
                host.freed.notify_waiters();
            }
            host.size = size;
        }
        let wanted = wake_ups_for(shares);
        self.wake_ups
            .send_if_modified(|held| std::mem::replace(held, wanted) != wanted);
    }

    /// Waits for a place. `None` means that the lane is better left to the wake loop, which knows
    /// from [`wake_limits`](Self::wake_limits) when there is room.
    pub(crate) async fn take(
        self: &Arc<Self>,
        host: &str,
        stop: &CancellationToken,
    ) -> Option<Place> {
        let freed = match self.ask(host) {
            (Answer::Taken, _) => return Some(self.place(host)),
            (Answer::Refused, _) => return None,
            (Answer::Wait, freed) => freed,
        };
        let waiting = Waiting { places: self, host };
        let until = Instant::now() + WAIT_MAX;
        loop {
            // Waiting begins before the check, so that no change between the two is missed.
            let change = freed.notified();
            tokio::pin!(change);
            change.as_mut().enable();
            if self.take_after_wait(host) {
                drop(waiting);
                self.change(host, HostPlaces::gets_on);
                return Some(self.place(host));
            }
            tokio::select! {
                waited = timeout_at(until, change) => if waited.is_err() {
                    self.change(host, |host| host.stuck = true);
                    return None;
                },
                () = stop.cancelled() => return None,
            }
        }
    }

    /// How many lanes each host had at once since the last call of this function. `None` stands for
    /// as many as there are places, so that there may be more lanes.
    pub(crate) fn lanes_since(&self) -> Vec<(String, Option<u32>)> {
        let mut hosts = self.hosts();
        hosts
            .iter_mut()
            .map(|(name, host)| (name.clone(), host.lanes_since()))
            .collect()
    }

    /// Whether a lane that came now would find a place at this host.
    pub(crate) fn has_room(&self, host: &str) -> bool {
        let hosts = self.hosts();
        hosts
            .get(host)
            .is_some_and(|host| host.waiting == 0 && !host.stuck && host.taken < host.size)
    }

    /// How many lanes of a host to wake at most, for hosts where it matters.
    ///
    /// A host that gets on has no limit here. For one that does not, as many lanes are woken as it
    /// will have room for until the next round. A worker without a share leaves a host to others.
    pub(crate) fn wake_limits(&self) -> Vec<WakeLimit> {
        let mut hosts = self.hosts();
        let mut limits = Vec::new();
        for (name, host) in hosts.iter_mut() {
            let given_back = std::mem::take(&mut host.given_back);
            if let Some(lanes) = host.wake_limit(given_back) {
                limits.push(WakeLimit {
                    host: name.clone(),
                    lanes,
                });
            }
        }
        limits
    }

    fn ask(&self, host: &str) -> (Answer, Arc<Notify>) {
        let mut hosts = self.hosts();
        let free = free(&hosts);
        let host = hosts.entry(host.to_owned()).or_default();
        (host.ask(free), host.freed.clone())
    }

    fn take_after_wait(&self, host: &str) -> bool {
        let mut hosts = self.hosts();
        let free = free(&hosts);
        hosts.entry(host.to_owned()).or_default().take(free)
    }

    fn place(self: &Arc<Self>, host: &str) -> Place {
        Place {
            places: self.clone(),
            host: host.to_owned(),
        }
    }

    fn change(&self, host: &str, change: impl FnOnce(&mut HostPlaces)) {
        if let Some(host) = self.hosts().get_mut(host) {
            change(host);
        }
    }

    fn hosts(&self) -> MutexGuard<'_, HashMap<String, HostPlaces>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HostPlaces {
    fn ask(&mut self, free: u32) -> Answer {
        if self.take(free) {
            self.gets_on();
            return Answer::Taken;
        }
        if self.stuck && self.waiting >= kept_waiting(self.size) {
            return Answer::Refused;
        }
        self.waiting += 1;
        Answer::Wait
    }

    /// Takes a place. One host may take another one while it has fewer than are free, or fewer than
    /// the least.
    fn take(&mut self, free: u32) -> bool {
        let may = self.taken < self.size && self.taken < free.max(LANES_MIN);
        self.taken += u32::from(may);
        self.taken_max = self.taken_max.max(self.taken);
        self.full |= self.taken >= self.size;
        may
    }

    fn lanes_since(&mut self) -> Option<u32> {
        let most = std::mem::replace(&mut self.taken_max, self.taken);
        let was_full = std::mem::replace(&mut self.full, self.taken >= self.size.max(1));
        (!was_full).then_some(most)
    }

    fn end_wait(&mut self) {
        self.waiting -= 1;
    }

    /// A wake-up has found a place. If none is left waiting, the host gets on again.
    fn gets_on(&mut self) {
        self.stuck &= self.waiting > 0;
    }

    fn wake_limit(&self, given_back: u32) -> Option<u32> {
        if self.size == 0 {
            return Some(0);
        }
        let room = self.size.saturating_sub(self.taken)
            + kept_waiting(self.size).saturating_sub(self.waiting);
        self.stuck.then_some((room + 2 * given_back).max(1))
    }
}

/// A wake-up that waits for a place, until this is dropped.
struct Waiting<'a> {
    places: &'a Places,
    host: &'a str,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.places.change(self.host, HostPlaces::end_wait);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.change(&self.host, |host| {
            host.taken -= 1;
            host.given_back += 1;
            host.freed.notify_one();
        });
    }
}

/// The lanes to work for a share of the calls. As many again keep the calls going while others of
/// them read and write, also where the database is slow and the host is quick.
fn lanes_for(share: u32) -> u32 {
    share * 2
}

/// How many wake-ups a host keeps waiting that does not get on, so that its places are taken again
/// at once.
fn kept_waiting(size: u32) -> u32 {
    size.div_ceil(4)
}

/// How many wake-ups to hold: one for each place. With several hosts those of one may come first
/// and find no place. So there are some more, among which the others' are found.
fn wake_ups_for(shares: &[(String, u32)]) -> u16 {
    let sizes = shares.iter().map(|(_, share)| lanes_for(*share));
    let wake_ups: u32 = if shares.len() > 1 {
        sizes.map(|size| size + kept_waiting(size)).sum()
    } else {
        sizes.sum()
    };
    u16::try_from(wake_ups.min(LANES_MAX)).unwrap_or(u16::MAX)
}

fn free(hosts: &HashMap<String, HostPlaces>) -> u32 {
    let taken: u32 = hosts.values().map(|host| host.taken).sum();
    LANES_MAX.saturating_sub(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: &str = "slow:443";
    const FAST: &str = "fast:443";

    fn places(shares: &[(&str, u32)]) -> Arc<Places> {
        let places = Places::new();
        follow(&places, shares);
        places
    }

    fn follow(places: &Arc<Places>, shares: &[(&str, u32)]) {
        let shares: Vec<_> = shares
            .iter()
            .map(|(host, share)| ((*host).to_owned(), *share))
            .collect();
        places.follow(&shares);
    }

    /// Takes as many places as there are.
    async fn fill(places: &Arc<Places>, host: &str) -> Vec<Place> {
        let stop = CancellationToken::new();
        let mut taken = Vec::new();
        while let Some(place) = places.take(host, &stop).await {
            taken.push(place);
        }
        taken
    }

    #[tokio::test(start_paused = true)]
    async fn places_and_wake_ups_follow_the_share() {
        let places = places(&[(SLOW, 50)]);
        let held = places.wake_ups();
        assert_eq!(
            (fill(&places, SLOW).await.len(), *held.borrow()),
            (100, 100)
        );
        for (share, lanes) in [(5, 10), (1, 2), (0, 0)] {
            follow(&places, &[(SLOW, share)]);
            let taken = fill(&places, SLOW).await.len();
            assert_eq!((taken, *held.borrow()), (lanes, lanes as u16), "{share}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn lanes_are_counted_at_their_most_until_there_is_no_place() {
        let places = places(&[(SLOW, 2)]);
        let stop = CancellationToken::new();
        let lanes = || places.lanes_since()[0].1;
        let first = places.take(SLOW, &stop).await;
        drop(places.take(SLOW, &stop).await);
        assert_eq!((lanes(), lanes()), (Some(2), Some(1)));
        drop(first);
        let all = fill(&places, SLOW).await;
        assert_eq!((lanes(), lanes()), (None, None));
        drop(all);
        assert_eq!((lanes(), lanes()), (None, Some(0)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lower_share_lets_lanes_end_and_takes_no_more() {
        let places = places(&[(SLOW, 10)]);
        let mut taken = fill(&places, SLOW).await;
        follow(&places, &[(SLOW, 5)]);
        taken.truncate(10);
        assert!(fill(&places, SLOW).await.is_empty());
        taken.pop();
        assert_eq!(fill(&places, SLOW).await.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_host_leaves_the_places_of_another() {
        let places = places(&[(SLOW, 50), (FAST, 50)]);
        let slow = fill(&places, SLOW).await;
        let fast = fill(&places, FAST).await;
        assert_eq!((slow.len(), fast.len()), (100, 100));
        assert_eq!(*places.wake_ups().borrow(), 2 * (100 + 25));
    }

    #[tokio::test(start_paused = true)]
    async fn many_full_hosts_leave_a_place_to_the_next() {
        let names: Vec<String> = (0..40).map(|n| format!("host-{n}:443")).collect();
        let shares: Vec<_> = names.iter().map(|name| (name.as_str(), 50)).collect();
        let places = places(&shares);
        let mut taken = Vec::new();
        for name in &names {
            let of_host = fill(&places, name).await;
            assert!(of_host.len() >= LANES_MIN as usize, "{name}");
            taken.extend(of_host);
        }
        let most = LANES_MAX + LANES_MIN * 40;
        assert!(taken.len() <= most as usize, "{}", taken.len());
        assert_eq!(u32::from(*places.wake_ups().borrow()), LANES_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_comes_back_goes_to_the_one_that_waits() {
        let places = places(&[(SLOW, 1)]);
        let mut taken = fill(&places, SLOW).await;
        let waiter = tokio::spawn({
            let places = places.clone();
            async move { places.take(SLOW, &CancellationToken::new()).await.is_some() }
        });
        tokio::task::yield_now().await;
        taken.pop();
        assert!(waiter.await.unwrap());
    }

    /// Otherwise the wake-ups of the slow host would hold up those of the others.
    #[tokio::test(start_paused = true)]
    async fn a_host_that_does_not_get_on_keeps_few_waiting() {
        let places = places(&[(SLOW, 3), (FAST, 3)]);
        let taken = fill(&places, SLOW).await;
        assert_eq!(taken.len(), 6, "and one has waited in vain");
        let stop = CancellationToken::new();
        let waiting: Vec<_> = (0..6)
            .map(|_| {
                let (places, stop) = (places.clone(), stop.clone());
                tokio::spawn(async move { places.take(SLOW, &stop).await.is_some() })
            })
            .collect();
        tokio::task::yield_now().await;
        let refused = waiting.iter().filter(|waiter| waiter.is_finished()).count();
        assert_eq!(refused, 6 - 2, "{refused} of six");
        assert_eq!(places.take(FAST, &stop).await.map(|_| ()), Some(()));
        stop.cancel();
    }

    #[tokio::test(start_paused = true)]
    async fn wake_ups_are_limited_only_where_lanes_do_not_get_on() {
        let places = places(&[(SLOW, 3), (FAST, 3), ("none:443", 0)]);
        let limit = |host: &str| {
            let limits = places.wake_limits();
            limits.into_iter().find(|limit| limit.host == host)
        };
        assert_eq!(limit("none:443").map(|limit| limit.lanes), Some(0));
        assert_eq!(limit(SLOW), None);

        let mut taken = fill(&places, SLOW).await;
        let stop = CancellationToken::new();
        let waiter = tokio::spawn({
            let (places, stop) = (places.clone(), stop.clone());
            async move { places.take(SLOW, &stop).await.is_some() }
        });
        tokio::task::yield_now().await;
        places.change(SLOW, |host| host.stuck = true);
        assert_eq!(limit(SLOW).map(|limit| limit.lanes), Some(1));
        taken.truncate(3);
        assert!(waiter.await.unwrap());
        places.change(SLOW, |host| host.stuck = true);
        // Three places are free, two may wait, and four were given back within a round.
        assert_eq!(limit(SLOW).map(|limit| limit.lanes), Some(3 + 2 + 2 * 4));
        assert_eq!(limit(FAST), None);
    }
}

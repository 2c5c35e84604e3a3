//! The memory for request bodies, and who gives way when it is short.
//!
//! Anybody may send a body to a merchant's slug, and one merchant's secret must not stop all
//! others. So a body whose sender is not proven yet has a share only, one merchant has a share
//! only, and small bodies have a reserve. Where a share or all of it is taken, the slowest bodies
//! of those who hold most are given up.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use risiti_domain::MerchantId;
use tokio::sync::Notify;

use crate::answer::Answer;
use crate::connection::{Clock, Connection, Source};
use crate::metrics::{ConnectionMetrics, Cut};

const MIB: usize = 1024 * 1024;
/// A body up to this size may use the reserve. Almost every webhook is smaller.
const SMALL_BYTES_MAX: usize = 16 * 1024;
/// The part of all memory that is made free at once. A look at all bodies then serves many new
/// ones.
const FREED_PART: usize = 64;
/// How long a body waits for the memory of those that were given up for it.
const EVICTION_WAIT: Duration = Duration::from_secs(1);
/// A body that brought fewer bytes than this in the last one to two seconds is slow.
const SLOW_BYTES: usize = 4 * 1024;
const WINDOW_TICKS: u32 = 10;
/// How long a body may take before it can be given up as slow.
const GRACE_TICKS: u32 = 5;

/// How the memory is divided, in bytes.
#[derive(Debug)]
pub(crate) struct Shares {
    /// All bodies.
    pub(crate) all: usize,
    /// The part of it that only small bodies may use.
    pub(crate) small: usize,
    /// All bodies whose sender is not proven yet. The rest is for the others.
    pub(crate) unproven: usize,
    /// Those of them from one source to one merchant.
    pub(crate) unproven_of_one: usize,
    /// Bodies of one merchant whose sender is proven.
    pub(crate) proven_of_one: usize,
}

impl Default for Shares {
    fn default() -> Self {
        Self {
            all: 64 * MIB,
            small: 8 * MIB,
            unproven: 32 * MIB,
            unproven_of_one: 8 * MIB,
            proven_of_one: 32 * MIB,
        }
    }
}

/// Who holds the memory of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// The path secret proves that the merchant's gateway sends it.
    Proven(MerchantId),
    /// Only the whole body can prove who sends it.
    Unproven(Source, MerchantId),
}

impl Holder {
    fn is_proven(self) -> bool {
        matches!(self, Self::Proven(_))
    }
}

/// Memory for the bodies of requests that are not answered yet.
///
/// It is acquired as bytes arrive, so that a request which only announces a large body holds none.
pub(crate) struct BodyBudget {
    shares: Shares,
    clock: Arc<Clock>,
    bodies: Mutex<Bodies>,
    freed: Notify,
    metrics: ConnectionMetrics,
}

#[derive(Default)]
struct Bodies {
    places: Vec<Option<Body>>,
    free_places: Vec<usize>,
    bytes: usize,
    unproven_bytes: usize,
}

struct Body {
    holder: Holder,
    bytes: usize,
    began: u32,
    window: Window,
    /// The body is whole, and its webhook is being made durable.
    is_whole: bool,
    is_given_up: bool,
    connection: Option<Arc<Connection>>,
}

/// The bytes that arrived in the last one to two seconds.
#[derive(Default)]
struct Window {
    began: u32,
    bytes: usize,
    bytes_before: usize,
}

impl Window {
    fn turn(&mut self, now: u32) {
        match now.wrapping_sub(self.began) / WINDOW_TICKS {
            0 => return,
            1 => self.bytes_before = self.bytes,
            _ => self.bytes_before = 0,
        }
        self.bytes = 0;
        self.began = now;
    }

    fn recent(&mut self, now: u32) -> usize {
        self.turn(now);
        self.bytes + self.bytes_before
    }
}

/// The memory of one body. It is given back when this is dropped.
pub(crate) struct HeldBody<'a> {
    budget: &'a BodyBudget,
    place: usize,
}

/// What came of the wish for more memory.
enum Grant {
    Granted,
    /// Others were given up for it. Their memory comes back in a moment.
    Awaited,
    Refused,
}

impl BodyBudget {
    pub(crate) fn new(shares: Shares, clock: Arc<Clock>, metrics: ConnectionMetrics) -> Self {
        Self {
            shares,
            clock,
            bodies: Mutex::default(),
            freed: Notify::new(),
            metrics,
        }
    }

    /// A body that holds nothing yet.
    pub(crate) fn begin(
        &self,
        holder: Holder,
        connection: Option<Arc<Connection>>,
    ) -> HeldBody<'_> {
        let now = self.clock.now();
        let body = Body {
            holder,
            bytes: 0,
            began: now,
            window: Window {
                began: now,
                ..Window::default()
            },
            is_whole: false,
            is_given_up: false,
            connection,
        };
        let mut bodies = self.lock();
        let place = match bodies.free_places.pop() {
            Some(place) => place,
            None => {
                bodies.places.push(None);
                bodies.places.len() - 1
            }
        };
        bodies.places[place] = Some(body);
        HeldBody {
            budget: self,
            place,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Bodies> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HeldBody<'_> {
    /// Holds this many bytes more. It fails when the memory is taken by others who need it as much,
    /// or when this body was given up for others.
    pub(crate) async fn grow(&mut self, bytes: usize) -> Result<(), Answer> {
        let awaited = match self.try_grow(bytes) {
            Grant::Awaited => tokio::time::timeout(EVICTION_WAIT, self.await_memory(bytes)).await,
            grant => Ok(grant),
        };
        match awaited {
            Ok(Grant::Granted) => Ok(()),
            Ok(Grant::Refused | Grant::Awaited) | Err(_) => {
                Err(Answer::Unavailable("too many bodies at once"))
            }
        }
    }

    /// Waits for the memory of those that were given up. Others may be faster, so it may take more
    /// than one that comes back.
    async fn await_memory(&self, bytes: usize) -> Grant {
        loop {
            let mut freed = std::pin::pin!(self.budget.freed.notified());
            // From here on, memory that comes back is not missed.
            freed.as_mut().enable();
            match self.try_grow(bytes) {
                Grant::Awaited => freed.await,
                grant => return grant,
            }
        }
    }

    fn try_grow(&self, bytes: usize) -> Grant {
        let budget = self.budget;
        let now = budget.clock.now();
        let mut bodies = budget.lock();
        let Some(limit) = bodies.limit_reached(self.place, bytes, &budget.shares) else {
            bodies.add(self.place, bytes, now);
            return Grant::Granted;
        };
        let more = budget.shares.all / FREED_PART;
        let victims = bodies.give_up(self.place, bytes, more, limit, now);
        drop(bodies);

        let Some(victims) = victims else {
            return Grant::Refused;
        };
        budget.metrics.cut(Cut::Memory, victims.len());
        for connection in victims.into_iter().flatten() {
            connection.cut();
        }
        Grant::Awaited
    }

    /// Notes that the body is whole. Then it is not given up any more.
    pub(crate) fn is_whole(&self) {
        if let Some(body) = &mut self.budget.lock().places[self.place] {
            body.is_whole = true;
            body.connection = None;
        }
    }

    /// Whether this body was given up for others.
    pub(crate) fn is_given_up(&self) -> bool {
        let bodies = self.budget.lock();
        bodies.places[self.place]
            .as_ref()
            .is_some_and(|body| body.is_given_up)
    }
}

impl Drop for HeldBody<'_> {
    fn drop(&mut self) {
        let mut bodies = self.budget.lock();
        let body = bodies.places[self.place].take();
        bodies.free_places.push(self.place);
        if let Some(body) = &body {
            bodies.bytes -= body.bytes;
            if !body.holder.is_proven() {
                bodies.unproven_bytes -= body.bytes;
            }
        }
        drop(bodies);
        if body.is_some_and(|body| body.is_given_up) {
            self.budget.freed.notify_waiters();
        }
    }
}

/// The bound that a body would pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    /// The body was given up, so it gets no more.
    GivenUp,
    /// The share of its own holder.
    Holder,
    /// The share of all whose sender is not proven.
    Unproven,
    All,
}

impl Bodies {
    fn body(&self, place: usize) -> Option<&Body> {
        self.places.get(place)?.as_ref()
    }

    /// The bound that this body would pass with so many bytes more.
    fn limit_reached(&self, place: usize, bytes: usize, shares: &Shares) -> Option<Limit> {
        let body = self.body(place)?;
        if body.is_given_up {
            return Some(Limit::GivenUp);
        }

        let (share, of_its_kind) = match body.holder {
            Holder::Proven(_) => (shares.proven_of_one, self.bytes - self.unproven_bytes),
            Holder::Unproven(..) => (shares.unproven_of_one, self.unproven_bytes),
        };
        // The sum of one holder is needed only where it may be large.
        if of_its_kind + bytes > share && self.of(body.holder) + bytes > share {
            return Some(Limit::Holder);
        }
        if !body.holder.is_proven() && self.unproven_bytes + bytes > shares.unproven {
            return Some(Limit::Unproven);
        }
        let is_small = body.bytes + bytes <= SMALL_BYTES_MAX;
        let all = shares.all - if is_small { 0 } else { shares.small };
        (self.bytes + bytes > all).then_some(Limit::All)
    }

    /// The bytes of all bodies of this holder.
    fn of(&self, holder: Holder) -> usize {
        let bodies = self.places.iter().flatten();
        bodies
            .filter(|body| body.holder == holder)
            .map(|body| body.bytes)
            .sum()
    }

    fn add(&mut self, place: usize, bytes: usize, now: u32) {
        let Some(Some(body)) = self.places.get_mut(place) else {
            return;
        };
        body.window.turn(now);
        body.window.bytes += bytes;
        body.bytes += bytes;
        self.bytes += bytes;
        if !body.holder.is_proven() {
            self.unproven_bytes += bytes;
        }
    }

    /// Gives up bodies until this one can have so many bytes, and some more. Returns their
    /// connections, or `None` when too few may be given up for it. Then none is.
    fn give_up(
        &mut self,
        place: usize,
        bytes: usize,
        more: usize,
        limit: Limit,
        now: u32,
    ) -> Option<Vec<Option<Arc<Connection>>>> {
        let wish = Wish::new(self, place, bytes, limit)?;
        let mut coming = 0;
        let mut ranked = Vec::new();
        for (other, body) in self.places.iter_mut().enumerate() {
            let Some(body) = body.as_mut().filter(|_| other != place) else {
                continue;
            };
            if body.is_given_up && wish.concerns(body) {
                coming += body.bytes;
            } else if let Some(rank) = wish.rank(body, now) {
                ranked.push((rank, other, body.bytes));
            }
        }
        if coming >= bytes {
            return Some(Vec::new());
        }
        ranked.sort_unstable();

        let mut chosen = Vec::new();
        for (_, other, freed) in ranked {
            if coming >= bytes + more {
                break;
            }
            coming += freed;
            chosen.push(other);
        }
        if coming < bytes {
            return None;
        }
        let victims = chosen.into_iter().filter_map(|other| {
            let body = self.places[other].as_mut()?;
            body.is_given_up = true;
            Some(body.connection.take())
        });
        Some(victims.collect())
    }
}

/// A body that needs memory, and what it may take from others.
struct Wish {
    holder: Holder,
    limit: Limit,
    is_small: bool,
    /// What its holder would have with it.
    own_bytes: usize,
    of_each: HashMap<Holder, usize>,
}

/// Which body is given up first: the least rank.
type Rank = (bool, Reverse<usize>, usize, u32);

impl Wish {
    fn new(bodies: &Bodies, place: usize, bytes: usize, limit: Limit) -> Option<Self> {
        let body = bodies.body(place).filter(|_| limit != Limit::GivenUp)?;
        let mut of_each = HashMap::new();
        for other in bodies.places.iter().flatten() {
            *of_each.entry(other.holder).or_default() += other.bytes;
        }
        Some(Self {
            holder: body.holder,
            limit,
            is_small: body.bytes + bytes <= SMALL_BYTES_MAX,
            own_bytes: of_each.get(&body.holder).copied().unwrap_or_default() + bytes,
            of_each,
        })
    }

    /// Whether memory of this body counts against the bound that was reached.
    fn concerns(&self, body: &Body) -> bool {
        match self.limit {
            Limit::GivenUp => false,
            Limit::Holder => body.holder == self.holder,
            Limit::Unproven => !body.holder.is_proven(),
            Limit::All => true,
        }
    }

    /// `None` for a body that must not be given up for this one.
    fn rank(&self, body: &mut Body, now: u32) -> Option<Rank> {
        if body.is_whole || body.is_given_up || body.bytes == 0 || !self.concerns(body) {
            return None;
        }
        let recent = body.window.recent(now);
        let is_slow = recent < SLOW_BYTES && now.wrapping_sub(body.began) >= GRACE_TICKS;
        let of_holder = self.of_each.get(&body.holder).copied().unwrap_or_default();
        let gives_way = match (body.holder.is_proven(), self.holder.is_proven()) {
            _ if body.holder == self.holder => {
                is_slow || (self.is_small && body.bytes > SMALL_BYTES_MAX)
            }
            (false, true) => true,
            (true, false) => false,
            (false, false) | (true, true) => of_holder > self.own_bytes,
        };
        let rank = (
            body.holder.is_proven(),
            Reverse(of_holder),
            recent,
            body.began,
        );
        gives_way.then_some(rank)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use prometheus::Registry;
    use uuid::Uuid;

    use super::*;

    const SHARES: Shares = Shares {
        all: 1_000_000,
        small: 100_000,
        unproven: 600_000,
        unproven_of_one: 200_000,
        proven_of_one: 600_000,
    };

    fn budget() -> BodyBudget {
        let metrics = ConnectionMetrics::register(&Registry::new());
        BodyBudget::new(SHARES, Arc::default(), metrics)
    }

    fn merchant(number: u128) -> MerchantId {
        MerchantId::from_uuid(Uuid::from_u128(number))
    }

    fn proven(number: u128) -> Holder {
        Holder::Proven(merchant(number))
    }

    fn unproven(last_octet: u8, number: u128) -> Holder {
        let address = IpAddr::from([192, 0, 2, last_octet]);
        Holder::Unproven(address.into(), merchant(number))
    }

    async fn body(
        budget: &BodyBudget,
        holder: Holder,
        bytes: usize,
    ) -> Result<HeldBody<'_>, Answer> {
        let mut held = budget.begin(holder, None);
        held.grow(bytes).await.map(|()| held)
    }

    /// Bodies of this holder until no more is granted.
    fn fill(budget: &BodyBudget, holder: Holder, bytes: usize) -> Vec<HeldBody<'_>> {
        let mut held = Vec::new();
        while held.len() < 100 {
            let next = budget.begin(holder, None);
            if !matches!(next.try_grow(bytes), Grant::Granted) {
                break;
            }
            held.push(next);
        }
        held
    }

    fn given_up(held: &[HeldBody<'_>]) -> usize {
        held.iter().filter(|body| body.is_given_up()).count()
    }

    #[tokio::test]
    async fn bytes_of_all_bodies_are_bounded_and_given_back() {
        let budget = budget();
        let first = body(&budget, proven(1), 500_000).await.unwrap();
        let second = body(&budget, proven(2), 400_000).await.unwrap();
        first.is_whole();
        second.is_whole();
        let third = body(&budget, proven(3), 20_000).await;
        assert!(matches!(third, Err(Answer::Unavailable(_))));
        drop(second);
        assert!(body(&budget, proven(3), 20_000).await.is_ok());
    }

    #[tokio::test]
    async fn small_bodies_have_a_reserve() {
        let budget = budget();
        let held = [
            body(&budget, proven(1), 500_000).await.unwrap(),
            body(&budget, proven(2), 400_000).await.unwrap(),
        ];
        held.iter().for_each(HeldBody::is_whole);
        for small in [proven(3), unproven(1, 1)] {
            assert!(body(&budget, small, 1_000).await.is_ok());
        }
        assert!(body(&budget, proven(3), 20_000).await.is_err());
    }

    #[tokio::test]
    async fn unproven_body_has_the_share_of_its_source_and_merchant() {
        let budget = budget();
        let held = fill(&budget, unproven(1, 1), 40_000);
        assert_eq!(held.len(), 5);
        // Another source, and the same source at another merchant, have theirs.
        assert_eq!(fill(&budget, unproven(2, 1), 40_000).len(), 5);
        assert_eq!(fill(&budget, unproven(1, 2), 40_000).len(), 5);
    }

    #[tokio::test]
    async fn proven_body_takes_the_place_of_unproven_ones() {
        let budget = budget();
        let held = [
            fill(&budget, unproven(1, 1), 40_000),
            fill(&budget, unproven(2, 1), 40_000),
        ];
        let _whole = body(&budget, proven(9), 490_000).await.unwrap();

        let mut wanted = budget.begin(proven(1), None);
        assert!(matches!(wanted.try_grow(50_000), Grant::Awaited));
        let count: usize = held.iter().map(|held| given_up(held)).sum();
        assert_eq!(count, 2);
        // Those that were given up give their memory back, and then it is granted.
        drop(held);
        assert!(wanted.grow(50_000).await.is_ok());
    }

    #[tokio::test]
    async fn slow_body_gives_way_within_its_own_share() {
        let budget = budget();
        let holder = unproven(1, 1);
        let held = fill(&budget, holder, 40_000);
        // All are as fast as the new one may be.
        let wanted = budget.begin(holder, None);
        assert!(matches!(wanted.try_grow(30_000), Grant::Refused));
        // A small one need not wait for that.
        let small = budget.begin(holder, None);
        assert!(matches!(small.try_grow(1_000), Grant::Awaited));

        budget.clock.advance(3 * WINDOW_TICKS);
        let wanted = budget.begin(holder, None);
        assert!(matches!(wanted.try_grow(60_000), Grant::Awaited));
        assert_eq!(given_up(&held), 2);
    }

    #[tokio::test]
    async fn one_merchant_gives_way_to_one_that_has_less() {
        let budget = budget();
        let hostile = fill(&budget, proven(1), 100_000);
        assert_eq!(hostile.len(), 6, "its share");
        let _other = body(&budget, proven(2), 300_000).await.unwrap();
        budget.clock.advance(3 * WINDOW_TICKS);

        let wanted = budget.begin(proven(3), None);
        assert!(matches!(wanted.try_grow(50_000), Grant::Awaited));
        assert_eq!(given_up(&hostile), 1);
        // The one that has most gets nothing from others.
        let kept = hostile.into_iter().filter(|body| !body.is_given_up());
        let kept: Vec<_> = kept.inspect(HeldBody::is_whole).collect();
        let greedy = budget.begin(proven(1), None);
        assert!(matches!(greedy.try_grow(150_000), Grant::Refused));
        assert_eq!(kept.len(), 5);
    }

    #[tokio::test]
    async fn body_that_was_given_up_gets_no_more() {
        let budget = budget();
        let mut held = fill(&budget, unproven(1, 1), 200_000);
        let small = budget.begin(unproven(1, 1), None);
        assert!(matches!(small.try_grow(1), Grant::Awaited));
        assert!(held[0].is_given_up());
        assert!(held[0].grow(1).await.is_err());
    }
}

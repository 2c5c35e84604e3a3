//! The memory for request bodies, and who gives way when it is short.
//!
//! Anybody may send a body to a merchant's slug, and one merchant's secret must not stop all
//! others. So a body whose sender is not proven yet has a share only, one merchant has a share
//! only, and small bodies have a reserve. Where a share or all of it is taken, the slowest bodies
//! of those who hold most are given up.

mod bodies;
#[cfg(test)]
mod tests;
mod wish;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use risiti_domain::MerchantId;
use tokio::sync::Notify;

use crate::answer::Answer;
use crate::connection::{Clock, Connection, Source};
use crate::metrics::{ConnectionMetrics, Cut};
use bodies::{Bodies, Body};

const MIB: usize = 1024 * 1024;
/// The part of all memory that is made free at once. A look at all bodies then serves many new
/// ones.
const FREED_PART: usize = 64;
/// How long a body waits for the memory of those that were given up for it.
const EVICTION_WAIT: Duration = Duration::from_secs(1);

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
        let body = Body::new(holder, connection, now);
        HeldBody {
            budget: self,
            place: self.lock().insert(body),
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
        self.budget.lock().mark_whole(self.place);
    }

    /// Whether this body was given up for others.
    pub(crate) fn is_given_up(&self) -> bool {
        let bodies = self.budget.lock();
        bodies.body(self.place).is_some_and(|body| body.is_given_up)
    }
}

impl Drop for HeldBody<'_> {
    fn drop(&mut self) {
        let body = self.budget.lock().remove(self.place);
        if body.is_some_and(|body| body.is_given_up) {
            self.budget.freed.notify_waiters();
        }
    }
}

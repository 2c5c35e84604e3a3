//! Who gives way to whom.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::Holder;
use super::bodies::{Bodies, Body, Limit, SMALL_BYTES_MAX};

/// A body that brought fewer bytes than this in the last one to two seconds is slow.
const SLOW_BYTES: usize = 4 * 1024;
/// How long a body may take before it can be given up as slow.
const GRACE_TICKS: u32 = 5;

/// A body that needs memory, and what it may take from others.
pub(super) struct Wish {
    holder: Holder,
    limit: Limit,
    is_small: bool,
    /// What its holder would have with it.
    own_bytes: usize,
    of_each: HashMap<Holder, usize>,
}

/// Which body is given up first: the least rank.
pub(super) type Rank = (bool, Reverse<usize>, usize, u32);

impl Wish {
    pub(super) fn new(bodies: &Bodies, place: usize, bytes: usize, limit: Limit) -> Option<Self> {
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
    pub(super) fn concerns(&self, body: &Body) -> bool {
        match self.limit {
            Limit::GivenUp => false,
            Limit::Holder => body.holder == self.holder,
            Limit::Unproven => !body.holder.is_proven(),
            Limit::All => true,
        }
    }

    /// `None` for a body that must not be given up for this one.
    pub(super) fn rank(&self, body: &mut Body, now: u32) -> Option<Rank> {
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

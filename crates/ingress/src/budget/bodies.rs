//! All bodies that hold memory, and which of them a bound is reached by.

use std::sync::Arc;

use super::wish::Wish;
use super::{Holder, Shares};
use crate::connection::Connection;

/// A body up to this size may use the reserve. Almost every webhook is smaller.
pub(super) const SMALL_BYTES_MAX: usize = 16 * 1024;
pub(super) const WINDOW_TICKS: u32 = 10;

#[derive(Default)]
pub(super) struct Bodies {
    pub(super) places: Vec<Option<Body>>,
    free_places: Vec<usize>,
    bytes: usize,
    unproven_bytes: usize,
}

pub(super) struct Body {
    pub(super) holder: Holder,
    pub(super) bytes: usize,
    pub(super) began: u32,
    pub(super) window: Window,
    /// The body is whole, and its webhook is being made durable.
    pub(super) is_whole: bool,
    pub(super) is_given_up: bool,
    connection: Option<Arc<Connection>>,
}

/// The bytes that arrived in the last one to two seconds.
#[derive(Default)]
pub(super) struct Window {
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

    pub(super) fn recent(&mut self, now: u32) -> usize {
        self.turn(now);
        self.bytes + self.bytes_before
    }
}

/// The bound that a body would pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// The body was given up, so it gets no more.
    GivenUp,
    /// The share of its own holder.
    Holder,
    /// The share of all whose sender is not proven.
    Unproven,
    All,
}

impl Body {
    pub(super) fn new(holder: Holder, connection: Option<Arc<Connection>>, now: u32) -> Self {
        Self {
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
        }
    }
}

impl Bodies {
    pub(super) fn insert(&mut self, body: Body) -> usize {
        if let Some(place) = self.free_places.pop() {
            self.places[place] = Some(body);
            return place;
        }
        self.places.push(Some(body));
        self.places.len() - 1
    }

    pub(super) fn remove(&mut self, place: usize) -> Option<Body> {
        let body = self.places[place].take();
        self.free_places.push(place);
        if let Some(body) = &body {
            self.bytes -= body.bytes;
            if !body.holder.is_proven() {
                self.unproven_bytes -= body.bytes;
            }
        }
        body
    }

    pub(super) fn mark_whole(&mut self, place: usize) {
        if let Some(body) = &mut self.places[place] {
            body.is_whole = true;
            body.connection = None;
        }
    }

    pub(super) fn body(&self, place: usize) -> Option<&Body> {
        self.places.get(place)?.as_ref()
    }

    /// The bound that this body would pass with so many bytes more.
    pub(super) fn limit_reached(
        &self,
        place: usize,
        bytes: usize,
        shares: &Shares,
    ) -> Option<Limit> {
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

    pub(super) fn add(&mut self, place: usize, bytes: usize, now: u32) {
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
    pub(super) fn give_up(
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

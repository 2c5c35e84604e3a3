//! What recording came to, event by event: for the caller to wake lanes, to count and to log.

use std::collections::HashMap;

use risiti_domain::{DeviceId, EventId, PaymentId, PaymentState};

use crate::recording::events::{Delivery, IncomingEvent, Settled};
use crate::recording::locked_payments::Step;

/// What recording one event came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub event: EventId,
    pub delivery: Delivery,
    /// Something contradicts what is known: a person looks.
    pub flagged: bool,
    /// Payments this event moved, in the order of the moves. A new payment is pending first.
    pub moves: Vec<(PaymentId, PaymentState)>,
    /// Lanes with something new to file: each wants a token once this is committed.
    pub wake: Vec<DeviceId>,
}

/// What is told back, by event.
pub(crate) struct Records {
    pub(crate) list: Vec<Recorded>,
    at: HashMap<EventId, usize>,
}

impl Records {
    pub(crate) fn new(batch: &[IncomingEvent], deliveries: &[Delivery]) -> Self {
        let mut at = HashMap::new();
        let mut list = Vec::with_capacity(batch.len());
        for (event, delivery) in batch.iter().zip(deliveries) {
            at.entry(event.id).or_insert(list.len());
            list.push(Recorded {
                event: event.id,
                delivery: *delivery,
                flagged: *delivery == Delivery::Conflict,
                moves: Vec::new(),
                wake: Vec::new(),
            });
        }
        Self { list, at }
    }

    /// Whose acknowledgement was lost, and with it perhaps the lane's token.
    pub(crate) fn told_again(&self) -> Vec<EventId> {
        let again = |record: &&Recorded| record.delivery == Delivery::Again;
        self.list
            .iter()
            .filter(again)
            .map(|record| record.event)
            .collect()
    }

    /// An event of an earlier batch has no record here: the later event of its payment speaks for
    /// it.
    fn of(&mut self, event: EventId) -> Option<&mut Recorded> {
        let at = *self.at.get(&event)?;
        self.list.get_mut(at)
    }

    pub(crate) fn moved(&mut self, steps: &[Step]) {
        for step in steps
            .iter()
            .filter(|step| step.from != Some(step.payment.state))
        {
            if let Some(record) = self.of(step.event) {
                record.moves.push((step.payment.id, step.payment.state));
            }
        }
    }

    pub(crate) fn flagged(&mut self, settled: &[Settled]) {
        for settled in settled.iter().filter(|settled| settled.flagged) {
            if let Some(record) = self.of(settled.event) {
                record.flagged = true;
            }
        }
    }

    /// The lane of an event of an earlier batch is woken in the name of this batch's first.
    pub(crate) fn wake(&mut self, event: EventId, lane: DeviceId) {
        let at = self.at.get(&event).copied().unwrap_or(0);
        if let Some(record) = self.list.get_mut(at)
            && !record.wake.contains(&lane)
        {
            record.wake.push(lane);
        }
    }
}

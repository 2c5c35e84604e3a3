//! What recording a batch came to, event by event. The caller wakes lanes, counts and logs by it.

use std::collections::HashMap;

use risiti_domain::{Currency, DeviceId, EventId, PaymentId, PaymentState};

use crate::recording::event::{Delivery, EventUpdate, IncomingEvent};
use crate::recording::owing::MerchantSetups;
use crate::recording::payment::PaymentWrite;

/// What recording one event came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub event: EventId,
    pub delivery: Delivery,
    /// Something contradicts what is known, so a person has to look.
    pub flagged: bool,
    /// The payments that this event moved, in the order of the moves. A new payment is pending
    /// first.
    pub moves: Vec<(PaymentId, PaymentState)>,
    /// The currency of money that came in and gets no receipt because of it, although the merchant
    /// has a tax device.
    pub foreign_income: Option<Currency>,
    /// The lanes that have something new to file. Each needs a wake-up once this is committed.
    pub wake: Vec<DeviceId>,
}

/// One [`Recorded`] for each event of a batch, found by event.
pub(crate) struct RecordedBatch {
    pub(crate) list: Vec<Recorded>,
    at: HashMap<EventId, usize>,
}

impl RecordedBatch {
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
                foreign_income: None,
                wake: Vec::new(),
            });
        }
        Self { list, at }
    }

    /// Takes what an earlier try recorded for an event, because the answer to that try was lost.
    pub(crate) fn take_over(&mut self, earlier: &Recorded) {
        if let Some(recorded) = self.get_mut(earlier.event) {
            *recorded = earlier.clone();
        }
    }

    pub(crate) fn get(&self, event: EventId) -> Option<&Recorded> {
        let at = *self.at.get(&event)?;
        self.list.get(at)
    }

    /// The events whose acknowledgement was lost, and with it perhaps the lane's wake-up.
    pub(crate) fn redelivered(&self) -> Vec<EventId> {
        self.list
            .iter()
            .filter(|recorded| recorded.delivery == Delivery::Redelivered)
            .map(|recorded| recorded.event)
            .collect()
    }

    pub(crate) fn add_moves(&mut self, writes: &[PaymentWrite], setups: &MerchantSetups) {
        for write in writes {
            let Some(recorded) = self.get_mut(write.event) else {
                continue;
            };
            let id = write.payment.id;
            let states = write.moves().into_iter().flatten();
            recorded.moves.extend(states.map(|state| (id, state)));

            if write.became_success() && setups.is_foreign_income(&write.payment) {
                let amount = write.payment.amount;
                recorded.foreign_income = amount.map(|amount| amount.currency());
            }
        }
    }

    pub(crate) fn add_flags<'a>(&mut self, updates: impl IntoIterator<Item = &'a EventUpdate>) {
        for update in updates {
            if update.flagged
                && let Some(recorded) = self.get_mut(update.event)
            {
                recorded.flagged = true;
            }
        }
    }

    /// Adds a lane to wake. A lane of an event of an earlier batch goes to the first event of this
    /// batch.
    pub(crate) fn wake(&mut self, event: EventId, lane: DeviceId) {
        let at = self.at.get(&event).copied().unwrap_or(0);
        if let Some(recorded) = self.list.get_mut(at)
            && !recorded.wake.contains(&lane)
        {
            recorded.wake.push(lane);
        }
    }

    /// An event of an earlier batch has no entry here. The later event of its payment stands for
    /// it.
    fn get_mut(&mut self, event: EventId) -> Option<&mut Recorded> {
        let at = *self.at.get(&event)?;
        self.list.get_mut(at)
    }
}
